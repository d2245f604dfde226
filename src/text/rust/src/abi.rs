//! What crosses the C boundary: slices in, replies out, and no panic.

use std::panic::{catch_unwind, AssertUnwindSafe};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    data: *const u8,
    size: usize,
}

impl Slice {
    /// # Safety
    /// `data` points at `size` readable bytes that outlive the call.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(self.data, self.size)
        }
    }

    /// # Safety
    /// As `bytes`.
    pub unsafe fn text<'a>(self, what: &str) -> Result<&'a str, Failure> {
        std::str::from_utf8(self.bytes()).map_err(|e| {
            Failure::invalid(format!("{what} is not UTF-8 at byte {}", e.valid_up_to()))
        })
    }
}

/// # Safety
/// `ids` points at `count` readable words that outlive the call.
pub unsafe fn words<'a>(ids: *const u32, count: usize) -> &'a [u32] {
    if count == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(ids, count)
    }
}

#[repr(C)]
pub struct Reply {
    data: *mut u8,
    size: usize,
    capacity: usize,
}

impl Reply {
    fn of(bytes: Vec<u8>) -> Reply {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        Reply { data: bytes.as_mut_ptr(), size: bytes.len(), capacity: bytes.capacity() }
    }
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_reply_free(reply: *mut Reply) {
    let reply = &mut *reply;
    if reply.capacity != 0 {
        drop(Vec::from_raw_parts(reply.data, reply.size, reply.capacity));
    }
    *reply = Reply { data: std::ptr::null_mut(), size: 0, capacity: 0 };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Status {
    Invalid = 1,
    Unsupported = 2,
    Limit = 3,
    Timeout = 4,
    Fault = 5,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into() }
    }
    pub fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Status::Invalid, message)
    }
}

pub fn ids_payload(ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}

fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>().map_err(|payload| payload.downcast::<&'static str>()) {
        Ok(text) => *text,
        Err(Ok(text)) => text.to_string(),
        Err(Err(payload)) => {
            // Its destructor may panic in turn, so it is leaked rather than dropped.
            std::mem::forget(payload);
            "no message".to_string()
        }
    }
}

/// Runs `body`; a panic in it is a Failure. The default hook would print the panic to stderr, which
/// is the host program's, so panics that are about to be caught stay silent.
pub fn caught<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    quiet::install();
    let was = quiet::enter();
    let outcome = catch_unwind(AssertUnwindSafe(body));
    quiet::leave(was);
    outcome.unwrap_or_else(|payload| {
        let text = panic_text(payload);
        Err(Failure::new(Status::Fault, format!("the text library failed: {text}")))
    })
}

/// Runs `body` and hands its payload or its failure to the caller.
///
/// # Safety
/// `reply` is writable.
pub unsafe fn answer(reply: *mut Reply, body: impl FnOnce() -> Result<Vec<u8>, Failure>) -> i32 {
    let (status, bytes) = match caught(body) {
        Ok(bytes) => (0, bytes),
        Err(failure) => (failure.status as i32, failure.message.into_bytes()),
    };
    reply.write(Reply::of(bytes));
    status
}

mod quiet {
    use std::cell::Cell;
    use std::sync::Once;

    thread_local! {
        static CATCHING: Cell<bool> = const { Cell::new(false) };
    }

    pub fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !CATCHING.with(Cell::get) {
                    before(info)
                }
            }));
        });
    }

    pub fn enter() -> bool {
        CATCHING.with(|c| c.replace(true))
    }

    pub fn leave(was: bool) {
        CATCHING.with(|c| c.set(was))
    }
}
