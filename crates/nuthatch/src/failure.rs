//! Why the proxy could not start, or take another configuration.

use std::io;

use crate::net::error_text;

/// The reason, as text for users.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Details printed before it: whole lines, or empty.
    pub(crate) details: String,
    /// The message.
    pub(crate) line: String,
}

impl Failure {
    /// A failure described by one line.
    pub(crate) fn new(line: String) -> Self {
        let details = String::new();
        Failure { details, line }
    }

    /// A system error that happened during `what`.
    pub(crate) fn of(what: &str, error: &io::Error) -> Self {
        Failure::new(format!("{what} failed: {}", error_text(error)))
    }
}
