//! The texts of the information options.

use std::fmt::Write;

use proxy::metrics::{POOL_ROWS, Row, SERVER_ROWS};

use super::modern::{COMMANDS, NamedCommand};
use super::options::{CLASSIC, OVERLAY, OVERLAY_ARGUMENT, OVERLAY_HELP, outside_settings};
use crate::program::Program;

/// The lines that `-V` prints, which also precede the other texts.
pub(super) fn version(program: Program) -> String {
    let (name, version) = (program.name(), program.version());
    format!("This is {name}-{version}\nasync event backend: epoll\n\n")
}

/// The usage text. When called as nutcracker it equals nutcracker's byte for byte, line ends included.
pub(super) fn usage(program: Program) -> String {
    let name = program.name();
    let indent = " ".repeat("Usage: ".len() + name.len() + 1);
    let mut text = format!(
        "Usage: {name} [-?hVdDt] [-v verbosity level] [-o output file]\r\n\
         {indent}[-c conf file] [-s stats port] [-a stats addr]\r\n\
         {indent}[-i stats interval] [-p pid file] [-m mbuf size]\r\n\
         \n{}",
        classic_usage()
    );
    if program == Program::Nuthatch {
        text.push_str(&own_usage());
    }
    text
}

/// What follows an error message: nutcracker's usage text when called as nutcracker, else one line that
/// points to `--help`, so that the message stays visible.
pub(super) fn after_error(program: Program) -> String {
    match program {
        Program::Nutcracker => usage(program),
        Program::Nuthatch => "For more information, try 'nuthatch --help'.\n".into(),
    }
}

/// What `-D` prints after the version: the counters in the statistics document. These are nutcracker's, and
/// with `extended` ours too.
pub(super) fn describe_stats(extended: bool) -> String {
    let mut text = String::new();
    section(&mut text, extended, "pool stats", POOL_ROWS);
    text.push('\n');
    section(&mut text, extended, "server stats", SERVER_ROWS);
    text
}

/// nutcracker's options. The line of one of them ends unlike the others, as in nutcracker.
fn classic_usage() -> String {
    let mut text = String::from("Options:\r\n");
    for option in &CLASSIC {
        let mut form = format!("-{}, --{}", char::from(option.short), option.long);
        if !option.argument.is_empty() {
            let _ = write!(form, "={}", option.argument);
        }
        let end = match option.short {
            b'D' => "\n",
            _ => "\r\n",
        };
        let _ = write!(text, "  {form:<22} : {}{end}", option.help);
    }
    text.push('\n');
    text
}

/// Options and commands that nutcracker does not have.
fn own_usage() -> String {
    let mut text = String::from("Options that twemproxy does not have:\n");
    let mut row = |option: &str, help: &str| {
        let _ = writeln!(text, "  {option:<25} : {help}");
    };
    row(&format!("    --{OVERLAY}={OVERLAY_ARGUMENT}"), OVERLAY_HELP);
    for (_, outside) in outside_settings() {
        let option = format!("    --{}={}", outside.flag, outside.argument);
        row(&option, &format!("{} (or {})", outside.help, outside.env));
    }
    text.push_str("\nCommands:\n");
    for NamedCommand { form, help, .. } in COMMANDS {
        let _ = writeln!(text, "  nuthatch {form:<17} : {help}");
    }
    text.push('\n');
    text
}

fn section(text: &mut String, extended: bool, title: &str, rows: &[Row]) {
    let _ = writeln!(text, "{title}:");
    for row in rows.iter().filter(|row| row.nutcracker || extended) {
        let _ = writeln!(text, "  {:<20}\"{}\"", row.name, row.help);
    }
}
