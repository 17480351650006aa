//! The commands that nutcracker does not have, parsed by clap.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use super::ctl;
use super::invocation::{
    ALL_LINTS, CheckOptions, CtlOptions, Invocation, LocateOptions, RingDiffOptions, TopOptions,
};
use super::layout::Layout;
use super::output::Output;
use super::top::SortKey;
use crate::config::lints::LINTS;
use crate::config::{STDIN, nearest, schema};
use crate::manual;
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
        help: "check a configuration: all of its errors, and what users regret",
    },
    NamedCommand {
        name: "locate",
        form: "locate KEY...",
        help: "tell which server each key belongs to",
    },
    NamedCommand {
        name: "explain",
        form: "explain KEY...",
        help: "tell why, and where each key would go without its server",
    },
    NamedCommand {
        name: "ring",
        form: "ring diff OLD NEW",
        help: "tell which part of the keys another configuration moves",
    },
    NamedCommand {
        name: "ctl",
        form: "ctl COMMAND",
        help: "look at the running proxy and change it",
    },
    NamedCommand {
        name: "top",
        form: "top",
        help: "watch pools and servers at work in the terminal",
    },
    NamedCommand {
        name: "schema",
        form: "schema",
        help: "print a JSON Schema of the configuration, for editors",
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
            _ => Output::usage(error.render().to_string()),
        }),
    }
}

/// A fast, light-weight proxy for Redis, Valkey and memcached that replaces twemproxy.
#[derive(Debug, Parser)]
#[command(
    name = "nuthatch",
    after_help = "Without a command, `nuthatch` runs the proxy; `nuthatch --help` lists the options for that."
)]
pub(super) struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration: report all of its errors, and settings that users regret (lints).
    #[command(after_help = CHECK_HELP)]
    Check {
        /// The configuration file; `-` for standard input.
        file: PathBuf,
        /// A second file with settings that twemproxy does not have.
        #[arg(long, value_name = "FILE")]
        overlay: Option<PathBuf>,
        /// Make a lint an error; `all` for each of them. Can be repeated.
        #[arg(long, value_name = "LINT", value_delimiter = ',', value_parser = lint)]
        deny: Vec<String>,
        /// Print JSON, one object.
        #[arg(long)]
        json: bool,
    },
    /// Tell which server each key belongs to.
    #[command(after_help = LOCATE_HELP)]
    Locate(LocateArguments),
    /// Tell why a key is where it is, and where it would go without its server, if all servers are live.
    #[command(after_help = EXPLAIN_HELP)]
    Explain(LocateArguments),
    /// Look at the running proxy and change it.
    #[command(after_help = ctl::HELP)]
    Ctl {
        #[command(flatten)]
        socket: ctl::SocketOptions,
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: ctl::CtlCommand,
    },
    /// Watch the pools and servers of the running proxy at work.
    #[command(after_help = TOP_HELP)]
    Top {
        #[command(flatten)]
        socket: ctl::SocketOptions,
        /// Print one table, after a second, and end. It is also what is printed where there is no terminal.
        #[arg(long)]
        once: bool,
        /// Show only pools whose name contains this.
        #[arg(long, value_name = "TEXT")]
        pool: Option<String>,
        /// Sort pools, and the servers of each, by this.
        #[arg(long, value_enum, value_name = "COLUMN", default_value_t)]
        sort: SortKey,
    },
    /// Compare the rings of configurations.
    Ring {
        #[command(subcommand)]
        command: RingCommand,
    },
    /// Print a JSON Schema of the configuration file, for editors and other tools.
    #[command(after_help = SCHEMA_HELP)]
    Schema {
        /// Describe the overlay instead.
        #[arg(long)]
        overlay: bool,
    },
    /// Show the proxy at work on this machine, with nothing to set up.
    #[command(after_help = DEMO_HELP)]
    Demo {
        /// End after the tour, with status 0 or 1, instead of serving until Ctrl-C.
        #[arg(long)]
        once: bool,
    },
    /// Print a generated page of the manual.
    #[command(hide = true, after_help = "Example:\n  nuthatch docs configuration")]
    Docs {
        /// The page.
        #[arg(value_parser = manual::PAGES.map(|(name, _)| name))]
        page: String,
    },
}

/// What is asked of a configuration about keys.
#[derive(Debug, Args)]
struct LocateArguments {
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
    /// Read escapes in the keys, such as \\x00 for a byte.
    #[arg(short, long)]
    escapes: bool,
    /// The keys.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<OsString>,
}

const CHECK_HELP: &str = "\
Lints are warnings unless they are denied. docs/check.md lists them, and so does `nuthatch docs check`.

Exit status: 0, or 1 if there is an error or a lint that is denied, 2 if the arguments are wrong.

Examples:
  nuthatch check /etc/nutcracker/nutcracker.yml
  nuthatch check --deny all --json - < nutcracker.yml";

const LOCATE_HELP: &str = "\
Exit status: 0, 1 if the file cannot be read or has no such pool, 2 if the arguments are wrong.

Example:
  nuthatch locate -c nutcracker.yml --pool sessions user:1 user:2";

const EXPLAIN_HELP: &str = "\
What the running proxy does with a key: `nuthatch ctl explain`.

Exit status: 0, 1 if the file cannot be read or has no such pool, 2 if the arguments are wrong.

Examples:
  nuthatch explain -c nutcracker.yml --pool sessions user:1
  nuthatch explain -c nutcracker.yml --escapes 'user\\x00\\xff'";

const TOP_HELP: &str = "\
The proxy has a control socket if `control:` is set in its configuration, or it was started with --control FILE. Keys are told by `?`.

Examples:
  nuthatch top
  nuthatch top --control /run/nuthatch/control.sock --once --sort errors";

const SCHEMA_HELP: &str = "\
It is of draft 2020-12. A schema cannot say everything: `nuthatch check` finds more.

Example:
  nuthatch schema > nuthatch.schema.json

With the language server for YAML, the first line of the configuration file says where it is:
  # yaml-language-server: $schema=nuthatch.schema.json";

const DEMO_HELP: &str = "\
Example:
  nuthatch demo --once";

/// Reads the name of a lint, or that of all.
fn lint(text: &str) -> Result<String, String> {
    let names = || LINTS.iter().map(|lint| lint.name).chain([ALL_LINTS]);
    if names().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(match nearest(text, names()) {
        Some(near) => format!("there is no such lint; did you mean `{near}`?"),
        None => {
            let names: Vec<&str> = names().collect();
            format!("there is no such lint; they are: {}", names.join(", "))
        }
    })
}

#[derive(Debug, Subcommand)]
enum RingCommand {
    /// Tell which part of the keys moves, and from which server to which, when a configuration replaces another.
    #[command(after_help = RING_DIFF_HELP)]
    Diff {
        /// The configuration file as it is; `-` for standard input.
        old: PathBuf,
        /// The configuration file that is to replace it; `-` for standard input.
        new: PathBuf,
        /// A second file with settings that twemproxy does not have, for OLD.
        #[arg(long, value_name = "FILE")]
        old_overlay: Option<PathBuf>,
        /// The same for NEW.
        #[arg(long, value_name = "FILE")]
        new_overlay: Option<PathBuf>,
        /// Compare this pool only.
        #[arg(long, value_name = "NAME")]
        pool: Option<String>,
        /// Tell also which of the keys in this file move, one key a line; `-` for standard input.
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
        /// Exit with status 3 if more than this share of the keys of any pool moves, in percent.
        #[arg(long, value_name = "PERCENT", value_parser = percent)]
        max_move: Option<f64>,
        /// Print JSON, one object.
        #[arg(long)]
        json: bool,
    },
}

const RING_DIFF_HELP: &str = "\
Pools are matched by name, or else by the address on which they listen; servers by name, or else by address. A server \
that keeps its name and gets another address keeps its keys.

Shares are computed from all values that the hash can have. They hold for keys whose hashes are spread evenly; --keys \
counts yours. Where the two hash differently, or comparing all hashes would take long, a million generated keys are compared instead.

Exit status: 0, or 3 if more moves than --max-move allows, 1 if a file cannot be read, 2 if the arguments are wrong.

Example:
  nuthatch ring diff nutcracker.yml nutcracker.yml.new --max-move 25";

/// Reads a number of percent.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let number = number.filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 100".into())
}

impl RingCommand {
    fn invocation(self) -> Invocation {
        let Self::Diff {
            old,
            new,
            old_overlay,
            new_overlay,
            pool,
            keys,
            max_move,
            json,
        } = self;
        let inputs = [Some(&old), Some(&new), keys.as_ref()];
        let stdins = inputs.into_iter().flatten();
        if stdins.filter(|file| file.as_os_str() == STDIN).count() > 1 {
            let text = "error: only one of OLD, NEW and --keys can be standard input\n".into();
            return Invocation::Print(Output::usage(text));
        }
        Invocation::RingDiff(RingDiffOptions {
            old,
            new,
            old_overlay,
            new_overlay,
            pool,
            keys,
            max_move,
            json,
        })
    }
}

impl LocateArguments {
    fn options(self, layout: &Layout) -> LocateOptions {
        LocateOptions {
            conf_file: self.conf_file.unwrap_or_else(|| layout.files(false).conf),
            overlay: self.overlay,
            pool: self.pool,
            json: self.json,
            escapes: self.escapes,
            keys: self.keys,
        }
    }
}

impl Command {
    fn invocation(self, layout: &Layout) -> Invocation {
        match self {
            Self::Check {
                file,
                overlay,
                deny,
                json,
            } => Invocation::Check(CheckOptions {
                conf_file: file,
                overlay,
                deny,
                json,
            }),
            Self::Locate(arguments) => Invocation::Locate(arguments.options(layout)),
            Self::Explain(arguments) => Invocation::Explain(arguments.options(layout)),
            Self::Ctl {
                socket,
                json,
                command,
            } => match command.request() {
                Ok(request) => Invocation::Ctl(CtlOptions {
                    socket: socket.control,
                    conf_file: socket.conf_file.unwrap_or_else(|| layout.files(false).conf),
                    overlay: socket.overlay,
                    json,
                    request,
                }),
                Err(error) => Invocation::Print(Output::usage(format!("error: {error}\n"))),
            },
            Self::Top {
                socket,
                once,
                pool,
                sort,
            } => Invocation::Top(TopOptions {
                socket: socket.control,
                conf_file: socket.conf_file.unwrap_or_else(|| layout.files(false).conf),
                overlay: socket.overlay,
                once,
                pool,
                sort,
            }),
            Self::Ring { command } => command.invocation(),
            Self::Schema { overlay } => {
                let schema = schema::json_schema(overlay);
                Invocation::Print(Output::result(format!("{schema:#}\n")))
            }
            Self::Demo { once } => Invocation::Demo(DemoOptions { once }),
            Self::Docs { page } => Invocation::Print(Output::result(manual::page(&page))),
        }
    }
}
