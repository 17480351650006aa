//! `nuthatch ctl`: asks the running proxy over its control socket.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::invocation::CtlOptions;
use super::locate::key_bytes;
use super::output::{fail, print_error, print_json, print_result};
use crate::config::{self, Overrides};
use crate::control::{self, KeyName, Request, ServerName};
use crate::net::error_text;

pub(super) const HELP: &str = "\
The proxy has a control socket if `control:` is set in its configuration, or it was started with --control FILE.

Exit status: 0 if the command was carried out, 1 if it was refused or the proxy cannot be reached, 2 if the arguments are wrong.

Examples:
  nuthatch ctl status
  nuthatch ctl explain --pool sessions user:1
  nuthatch ctl reload --dry-run
  nuthatch ctl shutdown --drain
  nuthatch ctl --control /run/nuthatch/control.sock drain cache7";

/// Where the proxy is.
#[derive(Debug, Args)]
pub(super) struct SocketOptions {
    /// The control socket; by default the one that the configuration names.
    #[arg(long, value_name = "FILE", env = "NUTHATCH_CONTROL", global = true)]
    pub(super) control: Option<PathBuf>,
    /// The configuration file; by default the one that the proxy would use.
    #[arg(short, long = "conf-file", value_name = "FILE", global = true)]
    pub(super) conf_file: Option<PathBuf>,
    /// A second file with settings that twemproxy does not have.
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) overlay: Option<PathBuf>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum CtlCommand {
    /// Show pools, servers and their states, clients, and what became of reloads.
    #[command(after_help = "Example:\n  nuthatch ctl status")]
    Status,
    /// Print the statistics document.
    #[command(after_help = "Example:\n  nuthatch ctl stats")]
    Stats,
    /// Show the clients that hold most memory, or close one.
    #[command(
        after_help = "Examples:\n  nuthatch ctl clients -n 20\n  nuthatch ctl clients --by-name\n  nuthatch ctl clients --kill 10.0.0.7:51234"
    )]
    Clients {
        /// Of this pool only.
        #[arg(long, conflicts_with = "kill")]
        pool: Option<String>,
        /// At most so many.
        #[arg(short = 'n', long, value_name = "N", conflicts_with = "kill")]
        count: Option<usize>,
        /// Those with the same name (CLIENT SETNAME) and library together, by their requests.
        #[arg(long, conflicts_with = "kill")]
        by_name: bool,
        /// Close the client with this address, as it is shown.
        #[arg(long, value_name = "ADDRESS")]
        kill: Option<String>,
    },
    /// Show the requests that took longest lately, newest first.
    #[command(after_help = "Example:\n  nuthatch ctl slowlog -n 20")]
    Slowlog {
        /// At most so many.
        #[arg(short = 'n', long, value_name = "N")]
        count: Option<usize>,
    },
    /// Show the keys with most requests, with most bytes and with the largest values, where a pool counts them (hot_keys).
    #[command(after_help = "Example:\n  nuthatch ctl hot-keys --pool sessions -n 20")]
    HotKeys {
        /// Of this pool only.
        #[arg(long)]
        pool: Option<String>,
        /// At most so many of each kind.
        #[arg(short = 'n', long, value_name = "N")]
        count: Option<usize>,
    },
    /// Tell why a key is where it is, where its requests go now, and where they would go without that server.
    #[command(after_help = "Example:\n  nuthatch ctl explain --pool sessions user:1")]
    Explain {
        /// Look in this pool only.
        #[arg(long)]
        pool: Option<String>,
        /// Read escapes in the key, such as \\x00 for a byte.
        #[arg(short, long)]
        escapes: bool,
        /// The key.
        key: OsString,
    },
    /// Read the configuration again and put it in force, without disconnecting clients.
    #[command(after_help = "Example:\n  nuthatch ctl reload --dry-run")]
    Reload {
        /// Only tell what would change.
        #[arg(long)]
        dry_run: bool,
    },
    /// Start the program again, which may be another version by now, and have it serve in place of the running process.
    ///
    /// It is started with the same arguments, and takes over the listening sockets and what is known of servers. No client
    /// is refused. The old process serves its clients on, and closes them one by one (setting `upgrade_drain`). If the new
    /// one does not start, nothing has changed.
    #[command(after_help = "Example:\n  nuthatch ctl upgrade")]
    Upgrade,
    /// Put the servers in force that were found for a pool but held back, because too many were missing at once.
    #[command(after_help = "Example:\n  nuthatch ctl accept-servers --pool sessions")]
    AcceptServers {
        /// The pool; only needed if several have such servers.
        #[arg(long)]
        pool: Option<String>,
    },
    /// Take a server out of use until it is undrained: its keys go where those of an ejected server go.
    #[command(after_help = "Example:\n  nuthatch ctl drain cache7 --pool sessions")]
    Drain(ServerArguments),
    /// Use a drained server again.
    #[command(after_help = "Example:\n  nuthatch ctl undrain cache7")]
    Undrain(ServerArguments),
    /// Eject a server as if it had failed; it comes back as such a server does.
    #[command(after_help = "Example:\n  nuthatch ctl eject cache7")]
    Eject(ServerArguments),
    /// Use an ejected server again at once.
    #[command(after_help = "Example:\n  nuthatch ctl admit cache7")]
    Admit(ServerArguments),
    /// Show the level of the log, or change it.
    #[command(after_help = "Example:\n  nuthatch ctl log-level 7")]
    LogLevel {
        /// 0 to 11, as for -v.
        #[arg(value_parser = clap::value_parser!(u8).range(0..=11))]
        level: Option<u8>,
    },
    /// End the proxy, as SIGTERM does.
    #[command(after_help = "Examples:\n  nuthatch ctl shutdown\n  nuthatch ctl shutdown --drain")]
    Shutdown {
        /// Lead clients elsewhere first, so that they notice nothing (settings `drain` ...).
        #[arg(long)]
        drain: bool,
    },
}

/// Which server is meant.
#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    /// The server's name, as in the statistics.
    server: String,
    /// The pool; only needed if several pools have a server of that name.
    #[arg(long)]
    pool: Option<String>,
    /// Do it even if no other server of the pool is in use.
    #[arg(long)]
    force: bool,
}

impl CtlCommand {
    /// What is to be asked, or what is wrong with the arguments.
    pub(super) fn request(self) -> Result<Request, String> {
        let named = |ServerArguments {
                         server,
                         pool,
                         force,
                     }| ServerName {
            pool,
            server,
            force,
        };
        Ok(match self {
            Self::Status => Request::Status,
            Self::Stats => Request::Stats,
            Self::Clients {
                kill: Some(address),
                ..
            } => Request::KillClient { address },
            Self::Clients {
                pool,
                count,
                by_name,
                ..
            } => Request::Clients {
                pool,
                count,
                by_name,
            },
            Self::Slowlog { count } => Request::Slowlog { count },
            Self::HotKeys { pool, count } => Request::HotKeys { pool, count },
            Self::Explain { pool, escapes, key } => {
                Request::Explain(KeyName::new(pool, &key_bytes(&key, escapes)?))
            }
            Self::AcceptServers { pool } => Request::AcceptServers { pool },
            Self::Upgrade => Request::Upgrade,
            Self::Reload { dry_run } => Request::Reload { dry_run },
            Self::Drain(server) => Request::Drain(named(server)),
            Self::Undrain(server) => Request::Undrain(named(server)),
            Self::Eject(server) => Request::Eject(named(server)),
            Self::Admit(server) => Request::Admit(named(server)),
            Self::LogLevel { level } => Request::LogLevel { level },
            Self::Shutdown { drain } => Request::Shutdown { drain },
        })
    }
}

/// Asks the running proxy, and prints its answer.
pub(super) fn ctl(options: &CtlOptions) -> ExitCode {
    let CtlOptions {
        socket,
        conf_file,
        overlay,
        ..
    } = options;
    let socket = match find_socket(socket.as_deref(), conf_file, overlay.as_deref()) {
        Ok(socket) => socket,
        Err(reason) => return fail(&reason),
    };
    let answer = match control::ask(&socket, &options.request) {
        Ok(answer) => answer,
        Err(error) => return fail(&no_answer(&socket, &error_text(&error))),
    };
    let text = match answer.text.ends_with('\n') {
        true => answer.text,
        false => format!("{}\n", answer.text),
    };
    match (options.json, answer.ok) {
        (true, _) => print_json(&format!("{}\n", answer.data)),
        (false, true) => print_result(&text),
        (false, false) => print_error(&format!("nuthatch: {text}")),
    }
    match answer.ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// What is said when nobody answers.
pub(super) fn no_answer(socket: &Path, reason: &str) -> String {
    let socket = socket.display();
    format!(
        "no answer from the control socket '{socket}': {reason} (is the proxy running, and may this user connect?)"
    )
}

/// The socket that was given, or the one in the configuration.
pub(super) fn find_socket(
    given: Option<&Path>,
    conf: &Path,
    overlay: Option<&Path>,
) -> Result<PathBuf, String> {
    if let Some(socket) = given {
        return Ok(socket.to_owned());
    }
    let config = config::load(conf, overlay, &Overrides::default()).map_err(|report| {
        let verdict = report.verdict(conf, overlay);
        format!("{verdict} (--control names the socket without the configuration)")
    })?;
    config.globals.control.ok_or_else(|| {
        let conf = conf.display();
        format!("'{conf}' has no setting `control`; --control names the socket of a proxy that was started with --control")
    })
}
