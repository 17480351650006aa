//! Why the proxy could not start.

use std::io;

use crate::net::error_text;

/// Why the proxy could not start, as text for users.
#[derive(Debug)]
pub(super) struct Failure {
    /// Details printed before it: whole lines, or empty.
    pub(super) details: String,
    /// The message.
    pub(super) line: String,
}

impl Failure {
    /// A failure described by one line.
    pub(super) fn new(line: String) -> Self {
        let details = String::new();
        Failure { details, line }
    }

    /// A system error that happened during `what`.
    pub(super) fn of(what: &str, error: &io::Error) -> Self {
        Failure::new(format!("{what} failed: {}", error_text(error)))
    }
}
