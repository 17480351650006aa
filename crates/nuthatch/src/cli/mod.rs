//! The command line, by two doors: nutcracker's own, flag for flag, and the commands that only Nuthatch
//! has. The first argument decides, and the name under which the program is called: as nutcracker it has
//! no commands, because nutcracker passes over arguments that are no options. Under our own name these are
//! errors.

mod check;
mod classic;
mod getopt;
mod layout;
mod locate;
mod modern;
mod text;
mod word;

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::Overrides;
use nuthatch_demo::DemoOptions;

pub use layout::Layout;
pub use text::Program;

/// What is to be done.
#[derive(Debug)]
pub enum Invocation {
    /// Run the proxy.
    Run(RunOptions),
    /// Test the configuration (`-t`).
    TestConf(TestOptions),
    /// Print something and end.
    Print(Output),
    /// `check`.
    Check(CheckOptions),
    /// `demo`.
    Demo(DemoOptions),
    /// `locate`.
    Locate(LocateOptions),
}

/// How the proxy is to run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The name under which it was called, for messages.
    pub program: Program,
    /// The configuration file; not opened yet.
    pub conf_file: PathBuf,
    /// The log file; `None` is standard error.
    pub log_file: Option<PathBuf>,
    /// Logging level, 0 to 11.
    pub verbosity: u8,
    /// Where the statistics are served: a host, or the path of a unix socket when it begins with `/`.
    pub stats_addr: String,
    /// Port of the statistics, at least 1.
    pub stats_port: u16,
    /// nutcracker's interval of aggregation, in milliseconds; 0 is allowed.
    pub stats_interval_ms: u32,
    /// Where the process id is written; `None` writes none.
    pub pid_file: Option<PathBuf>,
    /// Whether to run in the background.
    pub daemonize: bool,
    /// nutcracker's size of a buffer in bytes; without effect.
    pub mbuf_size: u32,
    /// Settings laid over the configuration file.
    pub overlay: Option<PathBuf>,
    /// Global settings from the command line and the environment.
    pub overrides: Overrides,
}

/// What `-t` tests.
#[derive(Debug, Clone)]
pub struct TestOptions {
    /// The name under which the program was called, for the verdict.
    pub program: Program,
    /// The configuration file.
    pub conf_file: PathBuf,
    /// Settings laid over it.
    pub overlay: Option<PathBuf>,
    /// Global settings from the command line and the environment.
    pub overrides: Overrides,
}

/// What `check` checks.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// The configuration file.
    pub conf_file: PathBuf,
    /// Settings laid over it.
    pub overlay: Option<PathBuf>,
}

/// What `locate` is asked.
#[derive(Debug, Clone)]
pub struct LocateOptions {
    /// The configuration file.
    pub conf_file: PathBuf,
    /// Settings laid over it.
    pub overlay: Option<PathBuf>,
    /// The pool to look in; all of them when absent.
    pub pool: Option<String>,
    /// Whether to print JSON.
    pub json: bool,
    /// The keys, at least one.
    pub keys: Vec<OsString>,
}

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
    fn error(text: String) -> Self {
        Self {
            text,
            to_stdout: false,
            status: 1,
        }
    }

    /// What the information modes of nutcracker print, which is on standard error.
    fn information(text: String) -> Self {
        Self {
            text,
            to_stdout: false,
            status: 0,
        }
    }

    fn result(text: String) -> Self {
        Self {
            text,
            to_stdout: true,
            status: 0,
        }
    }
}

/// The whole program: reads the command line and does what it says.
pub fn main() -> ExitCode {
    match parse(std::env::args_os()) {
        Invocation::Run(options) => crate::run::run(options),
        Invocation::TestConf(options) => check::test_conf(&options),
        Invocation::Print(output) => print(&output),
        Invocation::Check(options) => check::check(&options),
        Invocation::Demo(options) => nuthatch_demo::run(options),
        Invocation::Locate(options) => locate::locate(&options),
    }
}

/// Reads a command line, the program's name first, in this process's environment.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Invocation {
    parse_in(arguments, &|name| std::env::var_os(name), &Layout::system())
}

/// Reads a command line with the environment and the files that are given.
pub fn parse_in(
    arguments: impl Iterator<Item = OsString>,
    environment: &dyn Fn(&str) -> Option<OsString>,
    layout: &Layout,
) -> Invocation {
    let mut arguments = arguments.peekable();
    let program = program(arguments.next().as_deref());
    let command = arguments.peek().is_some_and(modern::is_command);
    match command && program == Program::Nuthatch {
        true => modern::parse(arguments, layout),
        false => classic::parse(program, arguments, environment, layout),
    }
}

fn program(called: Option<&OsStr>) -> Program {
    match called.and_then(|called| Path::new(called).file_name()) {
        Some(name) if name == "nutcracker" => Program::Nutcracker,
        _ => Program::Nuthatch,
    }
}

fn print(output: &Output) -> ExitCode {
    match output.to_stdout {
        true => print_result(&output.text),
        false => print_error(&output.text),
    }
    ExitCode::from(output.status)
}

/// Writes to standard output. A reader that has gone (`| head`) is no error.
fn print_result(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn print_error(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
