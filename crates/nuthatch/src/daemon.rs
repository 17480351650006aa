//! Running in the background (`-d`), with startup errors still visible on the terminal.
//!
//! The process starts itself again as a child with the same arguments, and waits. The child leaves the
//! terminal's session, does everything that can fail, reports that it is ready, and then closes standard
//! output and error. Until then its messages reach the terminal. The parent exits with 0 when the child is
//! ready, else with the child's status.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{self, Child, Command, ExitCode, Stdio};

use rustix::fs::Mode;
use rustix::process::{setsid, umask};
use rustix::stdio::{dup2_stderr, dup2_stdout};

/// Tells the child that it is the child. It holds the parent's process id, so that an inherited variable has
/// no effect.
const PARENT_VARIABLE: &str = "NUTHATCH_DAEMON_PARENT";

/// What the child writes to its standard output when it is ready.
const READY: u8 = b'r';

/// Which process this is after [`daemonize`].
#[derive(Debug)]
pub(crate) enum Role {
    /// The parent: it exits with this status.
    Parent(ExitCode),
    /// The daemon: it goes on, and calls [`Daemon::report_ready`] once started.
    Daemon(Daemon),
}

/// Proof that this process is the child.
#[derive(Debug)]
pub(crate) struct Daemon(());

/// Splits into parent and daemon.
///
/// # Errors
///
/// When the child cannot be started, or (in the child) a new session cannot be created.
pub(crate) fn daemonize() -> io::Result<Role> {
    if is_child() {
        // As in nutcracker 0.5.0: a new session, the same directory, no umask.
        setsid()?;
        umask(Mode::empty());
        return Ok(Role::Daemon(Daemon(())));
    }
    let child = start_child()?;
    wait_for_report(child).map(Role::Parent)
}

impl Daemon {
    /// Lets the parent exit with 0, and closes the terminal.
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
    // No report: the child is exiting. Death by a signal counts as a failure too.
    let status = child
        .wait()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(
        status.filter(|&code| code != 0).unwrap_or(1),
    ))
}
