//! What one rendering may still spend: its time, its fuel and the bytes that it writes.

use std::cell::Cell;
use std::time::Instant;

use minijinja::{Error, ErrorKind, State};

/// What one rendering has left; every callback looks at it.
#[derive(Clone, Copy)]
pub struct Budget {
    pub deadline: Instant,
    pub output_bytes: usize,
}

thread_local! {
    static BUDGET: Cell<Option<Budget>> = const { Cell::new(None) };
}

pub const OUT_OF_TIME: &str = "wall_ms: the template ran out of its time";

/// Runs `body` with `budget` in force on this thread.
pub fn within<T>(budget: Budget, body: impl FnOnce() -> T) -> T {
    let before = BUDGET.replace(Some(budget));
    let result = body();
    BUDGET.set(before);
    result
}

pub fn check_time() -> Result<usize, Error> {
    match BUDGET.get() {
        Some(budget) if Instant::now() >= budget.deadline => {
            Err(Error::new(ErrorKind::InvalidOperation, OUT_OF_TIME))
        }
        Some(budget) => Ok(budget.output_bytes),
        None => Ok(1 << 20),
    }
}

/// Fails unless `fuel` is left; what a function returns is charged by minijinja itself.
pub fn afford(state: &State, fuel: usize) -> Result<(), Error> {
    match state.fuel_levels() {
        Some((_, left)) if fuel as u64 >= left => Err(Error::from(ErrorKind::OutOfFuel)),
        _ => Ok(()),
    }
}

/// A string that refuses to grow past its limit.
pub struct Bounded {
    pub text: String,
    limit: usize,
    pushes: u32,
}

impl Bounded {
    pub fn new(limit: usize) -> Bounded {
        Bounded { text: String::new(), limit, pushes: 0 }
    }

    pub fn push(&mut self, piece: &str) -> Result<(), Error> {
        if self.text.len() + piece.len() > self.limit {
            return Err(too_long());
        }
        self.pushes += 1;
        if self.pushes.is_multiple_of(4096) {
            check_time()?;
        }
        self.text.push_str(piece);
        Ok(())
    }
}

pub fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, "output_bytes: the template writes more than it may")
}
