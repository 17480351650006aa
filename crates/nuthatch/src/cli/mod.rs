//! The command line, in two forms: nutcracker's own, flag for flag, and the commands that only Nuthatch has.
//! The first argument decides, together with the name under which the program is called: as `nutcracker` it
//! has no commands, because nutcracker ignores arguments that are not options. Under our own name such
//! arguments are errors.

mod check;
mod classic;
mod ctl;
mod getopt;
mod invocation;
mod layout;
mod locate;
mod modern;
mod options;
mod output;
mod reference;
mod ring;
mod text;
mod top;
mod word;

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use crate::program::Program;

pub use invocation::{
    ALL_LINTS, CheckOptions, CtlOptions, Invocation, LocateOptions, RingDiffOptions, TestOptions,
    TopOptions,
};
pub use layout::Layout;
pub use output::Output;
pub use reference::{as_nutcracker, reference};

/// The whole program: parses the command line and runs it.
pub fn main() -> ExitCode {
    match parse(std::env::args_os()) {
        Invocation::Run(options) => crate::run::run(options),
        Invocation::TestConf(options) => check::test_conf(&options),
        Invocation::Print(output) => output::print(&output),
        Invocation::Check(options) => check::check(&options),
        Invocation::Ctl(options) => ctl::ctl(&options),
        Invocation::Demo(options) => nuthatch_demo::run(options),
        Invocation::Explain(options) => locate::explain(&options),
        Invocation::Locate(options) => locate::locate(&options),
        Invocation::RingDiff(options) => ring::diff(&options),
        Invocation::Top(options) => top::top(&options),
    }
}

/// Parses a command line, whose first item is the program's name, in this process's environment.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Invocation {
    parse_in(arguments, &|name| std::env::var_os(name), &Layout::system())
}

/// Parses a command line with the given environment and files.
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
