//! Running in the background (`-d`), without hiding what goes wrong at start.
//!
//! The process starts itself once more, as a child with the same arguments, and waits: the child
//! leaves the terminal's session, does everything that can fail, then reports that it is ready and
//! lets go of standard output and error. Until then its messages reach the terminal. The parent
//! exits with 0 when the child is ready, else with the child's status.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{self, Child, Command, ExitCode, Stdio};

use rustix::fs::Mode;
use rustix::process::{setsid, umask};
use rustix::stdio::{dup2_stderr, dup2_stdout};

/// Tells the child that it is one. It holds the parent's process id, so that a variable inherited
/// by chance means nothing.
const PARENT_VARIABLE: &str = "NUTHATCH_DAEMON_PARENT";

/// What the child writes to its standard output when it is ready.
const READY: u8 = b'r';

/// Who we are after [`daemonize`].
#[derive(Debug)]
pub(crate) enum Role {
    /// The process that was started: it exits with this.
    Parent(ExitCode),
    /// The daemon: it goes on, and calls [`Daemon::report_ready`] in the end.
    Daemon(Daemon),
}

/// Proof of being the child.
#[derive(Debug)]
pub(crate) struct Daemon(());

/// Splits into parent and daemon.
///
/// # Errors
///
/// When the child cannot be started, or (in the child) a new session cannot.
pub(crate) fn daemonize() -> io::Result<Role> {
    if is_child() {
        // As with nutcracker 0.5.0: a new session, the directory kept, no umask.
        setsid()?;
        umask(Mode::empty());
        return Ok(Role::Daemon(Daemon(())));
    }
    let child = start_child()?;
    wait_for_report(child).map(Role::Parent)
}

impl Daemon {
    /// Lets the parent exit with 0, and gives up the terminal.
    pub(crate) fn report_ready(self) -> io::Result<()> {
        let null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        // The parent may have been killed; the daemon goes on without it.
        let _ = io::stdout()
            .write_all(&[READY])
            .and_then(|()| io::stdout().flush());
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        Ok(())
    }
}

fn is_child() -> bool {
    env::var(PARENT_VARIABLE).is_ok_and(|id| id == parent_id().to_string())
}

fn start_child() -> io::Result<Child> {
    let mut arguments = env::args_os();
    let mut command = Command::new(env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .env(PARENT_VARIABLE, process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
}

fn wait_for_report(mut child: Child) -> io::Result<ExitCode> {
    let mut report = Vec::new();
    if let Some(output) = &mut child.stdout {
        output.take(1).read_to_end(&mut report)?;
    }
    if report == [READY] {
        return Ok(ExitCode::SUCCESS);
    }
    // No report: it is ending. Dead by a signal counts as a failure too.
    let status = child
        .wait()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(
        status.filter(|&code| code != 0).unwrap_or(1),
    ))
}
