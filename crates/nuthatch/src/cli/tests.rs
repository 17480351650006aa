//! nutcracker's command line, row by row, and the dispatch to our own commands.
//!
//! `files/help.txt` and `files/describe-stats.txt` are the output of nutcracker 0.5.0 for `-h` and `-D`, with
//! the three defaults that Debian's package changes set back to nutcracker's own.

mod check;
mod information;
mod locate;
mod options;
mod ring;
mod words;

use std::ffi::OsString;
use std::path::Path;

use super::{Invocation, Layout, Output, parse_in};
use crate::run::RunOptions;

/// Parses a line that begins with the program's name, without environment and files.
fn read(line: &str) -> Invocation {
    read_with(line, &[])
}

/// Parses a line with an environment.
fn read_with(line: &str, environment: &[(&str, &str)]) -> Invocation {
    let arguments = line
        .split(' ')
        .map(|argument| OsString::from(argument.trim_matches('\'')));
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let nowhere = Path::new("/nonexistent");
    parse_in(arguments, &variable, &Layout::new(nowhere, nowhere))
}

fn run(line: &str) -> RunOptions {
    match read(line) {
        Invocation::Run(options) => options,
        other => panic!("{line}: {other:?}"),
    }
}

fn output(line: &str) -> Output {
    match read(line) {
        Invocation::Print(output) => output,
        other => panic!("{line}: {other:?}"),
    }
}
