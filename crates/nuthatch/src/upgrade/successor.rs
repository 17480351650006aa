//! The side of the old process.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, Command};
use std::time::Duration;

use super::VARIABLE;
use super::channel::Channel;
use super::message::{HandOver, Message, Ready, Report, SocketNote};
use super::program::StartedAs;
use crate::net::{BoundTo, error_text};

/// How long the new process may take to start. Names of servers that nobody resolves take some seconds.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A socket that is handed over.
#[derive(Debug)]
pub(crate) struct Socket {
    /// What it is for.
    pub(crate) purpose: String,
    /// A descriptor of it.
    pub(crate) socket: OwnedFd,
    /// Whether the file of a unix socket stays when a process ends.
    pub(crate) keeps_file: bool,
}

/// A new process that is ready to serve in place of this one, and waits for [`Successor::go`]. If it is dropped before, the new
/// process ends.
#[derive(Debug)]
pub(crate) struct Successor {
    channel: Channel,
    child: Child,
    version: String,
    taken: Vec<usize>,
}

impl Successor {
    /// Starts the program again as this process was started, hands over, and waits until the new process is ready.
    ///
    /// # Errors
    ///
    /// Why it is not. Nothing has changed then.
    pub(crate) fn start(
        program: &StartedAs,
        hand_over: HandOver,
        sockets: Vec<Socket>,
    ) -> Result<Self, String> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| error_text(&error))?;
        let file = program.file.display();
        let mut child = spawn(program, theirs)
            .map_err(|error| format!("starting {file} failed: {}", error_text(&error)))?;
        let prepared = Channel::new(ours)
            .map_err(|error| error_text(&error))
            .and_then(|channel| prepare(channel, hand_over, sockets));
        match prepared {
            Ok((channel, ready)) => Ok(Self {
                channel,
                child,
                version: ready.program_version,
                taken: ready.taken,
            }),
            Err(reason) => {
                // It has ended or is in trouble.
                let _ = child.kill();
                let status = child.wait();
                let status = status.map(|status| format!(" ({status})"));
                let (pid, status) = (child.id(), status.unwrap_or_default());
                Err(format!(
                    "{file} did not start as process {pid}: {reason}{status}"
                ))
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether it has taken the socket with this number, in the order in which they were handed over.
    pub(crate) fn has_taken(&self, number: usize) -> bool {
        self.taken.contains(&number)
    }

    /// From now on it serves. The caller must accept nobody any more.
    ///
    /// # Errors
    ///
    /// When it has ended. The caller goes on serving.
    pub(crate) fn go(&mut self) -> io::Result<()> {
        self.channel.send(&Message::Go)
    }

    /// Tells it what this process still has.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub(crate) fn report(&mut self, clients: u64, server_connections: u64) -> io::Result<()> {
        self.channel.send(&Message::Report(Report {
            clients,
            server_connections,
        }))
    }

    /// Waits for its end, after it has not gone on.
    pub(crate) fn give_up(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the file through a descriptor, so that what was opened is what runs.
fn spawn(program: &StartedAs, channel: UnixStream) -> io::Result<Child> {
    let file = File::open(&program.file)?;
    Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .arg0(&program.name)
        .args(&program.arguments)
        .env(VARIABLE, process::id().to_string())
        .stdin(OwnedFd::from(channel))
        .spawn()
}

fn prepare(
    mut channel: Channel,
    mut hand_over: HandOver,
    sockets: Vec<Socket>,
) -> Result<(Channel, Ready), String> {
    let note = |it: &Socket| SocketNote {
        purpose: it.purpose.clone(),
        address: BoundTo::of(&it.socket).map_or_else(|_| String::new(), |it| it.to_string()),
        keeps_file: it.keeps_file,
    };
    hand_over.sockets = sockets.iter().map(note).collect();
    let sockets: Vec<OwnedFd> = sockets.into_iter().map(|it| it.socket).collect();
    let handed = channel
        .send(&Message::HandOver(hand_over))
        .and_then(|()| channel.send_sockets(&sockets));
    // If that failed, it may have said why before it ended.
    let answer = channel.receive(Some(START_LIMIT));
    match (handed, answer) {
        (Ok(()), Ok(Message::Ready(ready))) => Ok((channel, ready)),
        (_, Ok(Message::Failed { reason })) => Err(reason),
        (Ok(()), Ok(_)) => Err("it said something else than that it is ready".into()),
        (Err(error), _) | (Ok(()), Err(error)) => Err(trouble(&error)),
    }
}

/// Why it said nothing.
fn trouble(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "it ended".into()
        }
        ErrorKind::TimedOut => format!("it was not ready within {} s", START_LIMIT.as_secs()),
        _ => error_text(error),
    }
}
