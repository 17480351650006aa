//! How the search for a pool's servers stands: what the thread that searches tells, and what it is told.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Has a thread look at once.
#[derive(Debug, Clone)]
pub(crate) struct Wake(SyncSender<()>);

impl Wake {
    /// A further one, and where it is heard.
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (sender, orders) = sync_channel(1);
        (Self(sender), orders)
    }

    /// It is to look. Several calls until then are one.
    pub(crate) fn wake(&self) {
        // If there is no room, it has been told already.
        let _ = self.0.try_send(());
    }
}

/// How a search stands.
#[derive(Debug)]
pub(crate) struct Standing {
    wake: Wake,
    known: Mutex<Known>,
}

/// The same, as it was at one moment.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Known {
    /// Where is searched.
    pub(crate) source: String,
    /// How many servers were found the last time.
    pub(crate) found: usize,
    /// When that was, in seconds since the Unix epoch; `None` if they were never found.
    pub(crate) last_success: Option<u64>,
    /// How often the search failed.
    pub(crate) failures: u64,
    /// Why it failed, if it did the last time.
    pub(crate) problem: Option<String>,
    /// Why what was found last was not put in force, if it was not.
    pub(crate) held_back: Option<String>,
    /// Whether it is to be put in force all the same.
    #[serde(skip)]
    accepts: bool,
}

impl Standing {
    /// Of a search at `source` that has not begun.
    pub(crate) fn new(source: String, wake: Wake) -> Self {
        let known = Known {
            source,
            ..Known::default()
        };
        Self {
            wake,
            known: Mutex::new(known),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it is now.
    pub(crate) fn known(&self) -> Known {
        self.lock().clone()
    }

    /// Has the thread look at once.
    pub(crate) fn wake(&self) {
        self.wake.wake();
    }

    /// So many servers were found, and are in force. Returns the problem that is over.
    pub(crate) fn note_success(&self, found: usize) -> Option<String> {
        let mut known = self.lock();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        known.last_success = now.ok().map(|now| now.as_secs());
        known.found = found;
        known.accepts = false;
        known.held_back = None;
        known.problem.take()
    }

    /// The search failed. Returns whether that is news.
    pub(crate) fn note_failure(&self, problem: &str) -> bool {
        let mut known = self.lock();
        known.failures += 1;
        let is_news = known.problem.as_deref() != Some(problem);
        known.problem = Some(problem.to_owned());
        is_news
    }

    /// So many servers were found, and are not put in force. Returns whether that is news.
    pub(crate) fn note_held_back(&self, found: usize, reason: &str) -> bool {
        let mut known = self.lock();
        known.found = found;
        known.problem = None;
        let is_news = known.held_back.as_deref() != Some(reason);
        known.held_back = Some(reason.to_owned());
        is_news
    }

    /// What is held back is to be put in force; returns whether there is anything.
    pub(crate) fn accept(&self) -> bool {
        let mut known = self.lock();
        known.accepts = known.held_back.is_some();
        let accepts = known.accepts;
        drop(known);
        self.wake();
        accepts
    }

    /// Whether it is; that is good for once.
    pub(crate) fn take_acceptance(&self) -> bool {
        std::mem::take(&mut self.lock().accepts)
    }
}
