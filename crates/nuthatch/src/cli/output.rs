//! What the program prints before it ends.

use std::io::Write;
use std::process::ExitCode;

/// Text to print before the program ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The text.
    pub text: String,
    /// Whether it goes to standard output instead of standard error.
    pub to_stdout: bool,
    /// The exit status.
    pub status: u8,
}

impl Output {
    /// What is wrong with the command line.
    pub(super) fn error(text: String) -> Self {
        Self {
            text,
            to_stdout: false,
            status: 1,
        }
    }

    /// What the information modes of nutcracker print, which is on standard error.
    pub(super) fn information(text: String) -> Self {
        Self {
            text,
            to_stdout: false,
            status: 0,
        }
    }

    /// What was asked for.
    pub(super) fn result(text: String) -> Self {
        Self {
            text,
            to_stdout: true,
            status: 0,
        }
    }
}

/// Prints it; the exit status.
pub(super) fn print(output: &Output) -> ExitCode {
    match output.to_stdout {
        true => print_result(&output.text),
        false => print_error(&output.text),
    }
    ExitCode::from(output.status)
}

/// Writes to standard output. A reader that has gone (`| head`) is no error.
pub(super) fn print_result(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes to standard error. A failure could not be reported anywhere.
pub(super) fn print_error(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
