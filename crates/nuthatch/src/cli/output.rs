//! Text that the program prints before it exits.

use std::io::Write;
use std::process::ExitCode;

use crate::logger::escape;

/// Text to print before the program exits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The text.
    pub text: String,
    /// Whether it is printed to standard output instead of standard error.
    pub to_stdout: bool,
    /// The exit status.
    pub status: u8,
}

impl Output {
    /// An error in the command line.
    pub(super) fn error(text: String) -> Self {
        Self {
            text,
            to_stdout: false,
            status: 1,
        }
    }

    /// The output of nutcracker's information options, which goes to standard error.
    pub(super) fn information(text: String) -> Self {
        Self {
            text,
            to_stdout: false,
            status: 0,
        }
    }

    /// The result of a command.
    pub(super) fn result(text: String) -> Self {
        Self {
            text,
            to_stdout: true,
            status: 0,
        }
    }
}

/// Prints it; returns the exit status.
pub(super) fn print(output: &Output) -> ExitCode {
    match output.to_stdout {
        true => print_result(&output.text),
        false => print_error(&output.text),
    }
    ExitCode::from(output.status)
}

/// Writes to standard output. A reader that has closed the pipe (`| head`) is not an error.
pub(super) fn print_result(text: &str) {
    let _ = std::io::stdout().write_all(escape::lines(text).as_bytes());
}

/// The same for JSON.
pub(super) fn print_json(text: &str) {
    let _ = std::io::stdout().write_all(escape::json(text).as_bytes());
}

/// Writes to standard error. A failure could not be reported anywhere.
pub(super) fn print_error(text: &str) {
    let _ = std::io::stderr().write_all(escape::lines(text).as_bytes());
}
