//! The side of the new process.

use std::env;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::stdio::{dup2_stdin, stdin};

use super::VARIABLE;
use super::channel::Channel;
use super::message::{HandOver, Message, Ready};
use super::old_process::OldProcess;
use crate::failure::Failure;
use crate::logger::{NOTICE, WARN, log};
use crate::net::Inherited;

/// How long the old process may take to say something that it is about to say.
const SOON: Duration = Duration::from_secs(10);

/// The process that this one replaces, which serves until it is told otherwise.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: Channel,
    hand_over: HandOver,
}

impl Predecessor {
    /// Whether this process was started to replace another one.
    pub(crate) fn is_there() -> bool {
        env::var(VARIABLE).is_ok_and(|id| id == parent_id().to_string())
    }

    /// What it hands over, and its sockets; `None` if there is none. Standard input is `/dev/null` afterwards.
    ///
    /// # Errors
    ///
    /// When it cannot be understood. It is told so.
    pub(crate) fn find() -> Result<Option<(Self, Inherited)>, Failure> {
        if !Self::is_there() {
            return Ok(None);
        }
        let failed = |error: &io::Error| Failure::of("taking over from the old process", error);
        let channel = take_standard_input().and_then(Channel::new);
        let channel = channel.map_err(|error| failed(&error))?;
        Self::receive(channel).map(Some)
    }

    pub(super) fn receive(mut channel: Channel) -> Result<(Self, Inherited), Failure> {
        let failed = |error: &io::Error| Failure::of("taking over from the old process", error);
        let hand_over = match channel.receive(Some(SOON)) {
            Ok(Message::HandOver(hand_over)) => hand_over,
            Ok(_) => return Err(failed(&io::Error::other("it did not hand over"))),
            Err(error) => return Err(failed(&error)),
        };
        if let Err(reason) = hand_over.check() {
            let text = reason.clone();
            let _ = channel.send(&Message::Failed { reason });
            return Err(Failure::new(text));
        }
        let sockets = channel.receive_sockets(hand_over.sockets.len());
        let mut inherited = Inherited::default();
        for (socket, note) in sockets
            .map_err(|error| failed(&error))?
            .into_iter()
            .zip(&hand_over.sockets)
        {
            inherited
                .add(socket, note.keeps_file)
                .map_err(|error| failed(&error))?;
        }
        Ok((Self { channel, hand_over }, inherited))
    }

    /// What it knows.
    pub(crate) fn hand_over(&self) -> &HandOver {
        &self.hand_over
    }

    /// Tells it that this process cannot start.
    pub(crate) fn tell_failure(mut self, failure: &Failure) {
        let Failure { details, line } = failure;
        // It also sees the connection closed.
        let reason = format!("{details}{line}");
        let _ = self.channel.send(&Message::Failed { reason });
    }

    /// Tells it that this process can go on with these of its sockets, and returns once it is to do so. From then on this
    /// process is the one that serves.
    ///
    /// # Errors
    ///
    /// When the old process does not say so: it serves on, or has ended.
    pub(crate) fn take_over(mut self, taken: Vec<usize>) -> Result<Arc<OldProcess>, Failure> {
        let ready = Ready {
            program_version: env!("CARGO_PKG_VERSION").into(),
            taken,
        };
        let sent = self.channel.send(&Message::Ready(ready));
        let answer = sent.and_then(|()| self.channel.receive(Some(SOON)));
        match answer {
            Ok(Message::Go) => {}
            Ok(_) => return Err(Failure::new("the old process did not let go".into())),
            Err(error) => return Err(Failure::of("replacing the old process", &error)),
        }
        let HandOver {
            pid,
            program_version,
            ..
        } = &self.hand_over;
        log!(
            NOTICE,
            "upgrade: serving in place of process {pid} ({program_version}), which has its clients until they leave"
        );
        let old = Arc::new(OldProcess::new(*pid));
        self.follow(Arc::clone(&old));
        Ok(old)
    }

    /// Notes what it says until it ends, on a thread of its own.
    fn follow(self, old: Arc<OldProcess>) {
        let mut channel = self.channel;
        let followed = Arc::clone(&old);
        let thread = thread::Builder::new().name("old-process".into());
        let begun = thread.spawn(move || {
            while let Ok(message) = channel.receive(None) {
                if let Message::Report(report) = message {
                    followed.note(report);
                }
            }
            followed.note_end();
            log!(NOTICE, "upgrade: process {} has ended", followed.pid());
        });
        if let Err(error) = begun {
            // Then nobody knows when it ends. A second upgrade is allowed rather than none for ever.
            log!(WARN, "upgrade: the old process is not followed: {error}");
            old.note_end();
        }
    }
}

fn take_standard_input() -> io::Result<UnixStream> {
    let channel = stdin().as_fd().try_clone_to_owned()?;
    let null = OpenOptions::new().read(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    Ok(channel.into())
}
