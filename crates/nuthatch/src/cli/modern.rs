//! The commands that nutcracker does not have, parsed by clap.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use super::invocation::{CheckOptions, Invocation, LocateOptions};
use super::layout::Layout;
use super::output::Output;
use nuthatch_demo::DemoOptions;

/// A command as shown in the usage text and in messages.
pub(super) struct NamedCommand {
    /// The command's name, which must be the first argument.
    pub(super) name: &'static str,
    /// Its name and arguments.
    pub(super) form: &'static str,
    /// What it does.
    pub(super) help: &'static str,
}

/// The commands, in the order of the usage text.
pub(super) const COMMANDS: &[NamedCommand] = &[
    NamedCommand {
        name: "check",
        form: "check FILE",
        help: "check a configuration and report all of its errors",
    },
    NamedCommand {
        name: "locate",
        form: "locate KEY...",
        help: "tell which server each key belongs to",
    },
    NamedCommand {
        name: "demo",
        form: "demo",
        help: "show it at work on this machine, with nothing to set up",
    },
    NamedCommand {
        name: "help",
        form: "help [COMMAND]",
        help: "help on these commands",
    },
];

/// A command for developers, which is not listed.
pub(super) const DOCS: NamedCommand = NamedCommand {
    name: "docs",
    form: "docs PAGE",
    help: "print a generated page of the manual",
};

/// Whether an argument names a command; nutcracker would ignore it.
pub(super) fn is_command(argument: &OsString) -> bool {
    let mut all = COMMANDS.iter().chain([&DOCS]);
    all.any(|command| argument == command.name)
}

/// Parses a command line whose first argument is a command; the program's name is not included.
pub(super) fn parse(arguments: impl Iterator<Item = OsString>, layout: &Layout) -> Invocation {
    let name = OsString::from("nuthatch");
    match Line::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(line) => line.command.invocation(layout),
        Err(error) => Invocation::Print(match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Output::result(error.render().to_string())
            }
            _ => Output::error(error.render().to_string()),
        }),
    }
}

/// A fast, light-weight proxy for Redis, Valkey and memcached that replaces twemproxy.
#[derive(Debug, Parser)]
#[command(
    name = "nuthatch",
    after_help = "Without a command, `nuthatch` runs the proxy; `nuthatch --help` lists the options for that."
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration and report all of its errors.
    Check {
        /// The configuration file.
        file: PathBuf,
        /// A second file with settings that twemproxy does not have.
        #[arg(long, value_name = "FILE")]
        overlay: Option<PathBuf>,
    },
    /// Tell which server each key belongs to.
    Locate {
        /// The configuration file; by default the one that the proxy would use.
        #[arg(short, long = "conf-file", value_name = "FILE")]
        conf_file: Option<PathBuf>,
        /// A second file with settings that twemproxy does not have.
        #[arg(long, value_name = "FILE")]
        overlay: Option<PathBuf>,
        /// Look in this pool only.
        #[arg(long)]
        pool: Option<String>,
        /// Print JSON, one array of objects.
        #[arg(long)]
        json: bool,
        /// The keys.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<OsString>,
    },
    /// Show the proxy at work on this machine, with nothing to set up.
    Demo {
        /// End after the tour, with status 0 or 1, instead of serving until Ctrl-C.
        #[arg(long)]
        once: bool,
    },
    /// Print a generated page of the manual.
    #[command(hide = true)]
    Docs {
        /// The page.
        #[arg(value_parser = ["configuration"])]
        page: String,
    },
}

impl Command {
    fn invocation(self, layout: &Layout) -> Invocation {
        match self {
            Self::Check { file, overlay } => Invocation::Check(CheckOptions {
                conf_file: file,
                overlay,
            }),
            Self::Locate {
                conf_file,
                overlay,
                pool,
                json,
                keys,
            } => Invocation::Locate(LocateOptions {
                conf_file: conf_file.unwrap_or_else(|| layout.files(false).conf),
                overlay,
                pool,
                json,
                keys,
            }),
            Self::Demo { once } => Invocation::Demo(DemoOptions { once }),
            Self::Docs { .. } => {
                Invocation::Print(Output::result(crate::config::docs::configuration()))
            }
        }
    }
}
