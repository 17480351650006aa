//! Text that the program prints before it exits.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use crate::logger::escape;

/// The exit status of a command whose arguments are wrong.
pub(super) const USAGE: u8 = 2;

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

    /// A command of our own was given arguments that it does not take.
    pub(super) fn usage(text: String) -> Self {
        Self {
            status: USAGE,
            ..Self::error(text)
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
    let _ = std::io::stderr().write_all(shown(text).as_bytes());
}

/// What is not shown is written as its number, but for the line ends of nutcracker's usage text.
fn shown(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.split("\r\n").map(escape::lines).collect();
    lines.join("\r\n")
}

/// Says why a command of our own was not carried out.
pub(super) fn fail(reason: &str) -> ExitCode {
    print_error(&format!("nuthatch: {reason}\n"));
    ExitCode::FAILURE
}

/// Writes findings of lints to standard error, with their labels in colour on a terminal.
pub(super) fn print_coloured(text: &str) {
    let stderr = std::io::stderr();
    let text = escape::lines(text);
    let text = match wants_colour(stderr.is_terminal(), &|name| std::env::var_os(name)) {
        true => Cow::Owned(coloured(&text)),
        false => text,
    };
    let _ = stderr.lock().write_all(text.as_bytes());
}

/// Only on a terminal that has colours, and not if `NO_COLOR` is set to anything (no-color.org).
fn wants_colour(is_terminal: bool, environment: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let is_refused = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = environment("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    is_terminal && !is_refused && !is_dumb
}

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const PLAIN: &str = "\x1b[0m";

/// Marks the first line of each finding: its place, and its label in the colour of what it is.
fn coloured(text: &str) -> String {
    let line = |line: &str| {
        for (label, colour) in [(": warning[", YELLOW), (": error[", RED)] {
            // Excerpts of the file, and advice, begin with a blank.
            let is_first = !line.starts_with(' ');
            if let Some((place, rest)) = line.split_once(label).filter(|_| is_first)
                && let Some((name, rest)) = rest.split_once(']')
            {
                let label = &label[2..];
                return format!("{BOLD}{place}:{PLAIN} {colour}{label}{name}]{PLAIN}{rest}\n");
            }
        }
        format!("{line}\n")
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_have_them() {
        let wants = |terminal, no_color: Option<&str>, term: Option<&str>| {
            let variable = |name: &str| match name {
                "NO_COLOR" => no_color.map(OsString::from),
                "TERM" => term.map(OsString::from),
                _ => None,
            };
            wants_colour(terminal, &variable)
        };
        assert!(wants(true, None, Some("xterm")));
        assert!(wants(true, Some(""), Some("xterm")));
        assert!(!wants(false, None, Some("xterm")));
        assert!(!wants(true, Some("1"), Some("xterm")));
        assert!(!wants(true, None, Some("dumb")) && !wants(true, None, None));
    }

    #[test]
    fn line_ends_stay_and_other_control_characters_do_not() {
        assert_eq!(shown("a\r\nb\nc\r\n"), "a\r\nb\nc\r\n");
        assert_eq!(shown("a\rb\x1b[2J\r\r\n"), "a\\x0db\\x1b[2J\\x0d\r\n");
    }

    #[test]
    fn only_first_lines_are_coloured() {
        let text =
            "n.yml:1:1: warning[a]: x\n 1 | p: error[b]: y\n   | ^\nn.yml:2:1: error[c]: z\n";
        let expected = "\x1b[1mn.yml:1:1:\x1b[0m \x1b[1;33mwarning[a]\x1b[0m: x\n 1 | p: error[b]: y\n   | ^\n\
                        \x1b[1mn.yml:2:1:\x1b[0m \x1b[1;31merror[c]\x1b[0m: z\n";
        assert_eq!(coloured(text), expected);
    }
}
