//! Asks the proxy again and again, on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::snapshot::Snapshot;
use crate::control::{self, Request};
use crate::net::error_text;

/// How often.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// How long an answer may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Answers that may wait to be looked at.
const WAITING: usize = 2;

/// What the proxy says, or why it says nothing.
pub(super) type Answer = Result<Snapshot, String>;

/// Asks once.
pub(super) fn ask(socket: &Path) -> Answer {
    let answer = control::ask_within(socket, &Request::Servers, TIME_LIMIT);
    let answer = answer.map_err(|error| error_text(&error))?;
    match answer.ok {
        true => Snapshot::read(answer.data),
        false => Err(answer.text),
    }
}

/// Asks every second, as long as somebody wants to know.
pub(super) fn start(socket: PathBuf) -> std::io::Result<Receiver<Answer>> {
    let (sender, answers) = sync_channel(WAITING);
    thread::Builder::new()
        .name("poller".into())
        .spawn(move || {
            let mut begun = Instant::now();
            loop {
                thread::sleep(EVERY.saturating_sub(begun.elapsed()));
                begun = Instant::now();
                if sender.send(ask(&socket)).is_err() {
                    return;
                }
            }
        })?;
    Ok(answers)
}
