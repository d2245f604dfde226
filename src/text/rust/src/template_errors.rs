//! What a rendering's error tells the user.

use minijinja::{Error, ErrorKind};

use crate::abi::{Failure, Status};
use crate::render_budget::OUT_OF_TIME;

/// Marks an error as the template's own, made with raise_exception.
#[derive(Debug)]
pub struct Raised;

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("raised by the template")
    }
}

impl std::error::Error for Raised {}

pub fn told(error: &Error) -> Failure {
    if error.kind() == ErrorKind::OutOfFuel {
        return Failure::new(Status::Limit, "the chat template does more work than fuel allows");
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut detail = String::new();
    while let Some(inner) = cause {
        if let Some(inner) = inner.downcast_ref::<Error>() {
            detail = inner.detail().unwrap_or_default().to_string();
            if inner.kind() == ErrorKind::OutOfFuel {
                return told(&Error::from(ErrorKind::OutOfFuel));
            }
        }
        if inner.is::<Raised>() {
            return Failure::invalid(format!("the chat template refuses this: {detail}"));
        }
        cause = inner.source();
    }
    if detail == OUT_OF_TIME {
        return Failure::new(Status::Timeout, format!("chat template: {detail}"));
    }
    if error.kind() == ErrorKind::WriteFailure {
        return Failure::new(
            Status::Limit,
            "the chat template writes more than output_bytes allows",
        );
    }
    let line = error.line().map_or(String::new(), |line| format!(" (line {line})"));
    let own = error.detail().map_or(String::new(), |detail| format!(": {detail}"));
    Failure::invalid(format!("chat template: {}{own}{line}", error.kind()))
}
