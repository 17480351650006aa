//! Why the proxy could not start.

use std::io;

use crate::net::error_text;

/// Why the proxy could not start, for people.
#[derive(Debug)]
pub(super) struct Failure {
    /// Details that come first: whole lines, or nothing.
    pub(super) details: String,
    /// The line that says it.
    pub(super) line: String,
}

impl Failure {
    /// A failure that one line tells.
    pub(super) fn new(line: String) -> Self {
        let details = String::new();
        Failure { details, line }
    }

    /// A failure of the system, while `what` was done.
    pub(super) fn of(what: &str, error: &io::Error) -> Self {
        Failure::new(format!("{what} failed: {}", error_text(error)))
    }
}
