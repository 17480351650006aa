//! A worker as other threads see it.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use mio::Waker;

use super::message::Message;
use crate::logger::{ALERT, Repeats, log_limited};

/// A worker as seen by other threads.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    inbox: SyncSender<Message>,
    waker: Arc<Waker>,
}

impl Handle {
    /// Of the worker with this inbox.
    pub(super) fn new(inbox: SyncSender<Message>, waker: Arc<Waker>) -> Self {
        Self { inbox, waker }
    }

    /// Sends a worker a message; returns it when the worker's inbox is full or the worker has ended.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        match self.inbox.try_send(message) {
            Ok(()) => self.wake(),
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                return Err(message);
            }
        }
        Ok(())
    }

    /// Sends a worker a message that must not be lost; waits while the worker's inbox is full.
    pub(crate) fn insist(&self, message: Message) {
        // A worker that has ended takes no messages.
        let _ = self.inbox.send(message);
        self.wake();
    }

    /// Tells the worker to end once its clients are answered, after `time_limit` at the latest.
    pub(crate) fn shut_down(&self, time_limit: Duration) {
        self.insist(Message::Shutdown(time_limit));
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            let repeats = Repeats::of("waking", "");
            log_limited!(ALERT, repeats, "waking a worker failed: {error}");
        }
    }
}

#[cfg(test)]
impl Handle {
    /// A handle without a worker: its messages are only collected.
    pub(crate) fn for_tests() -> (Self, std::sync::mpsc::Receiver<Message>) {
        // The waker outlives its poll; waking nobody is not an error.
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (inbox, messages) = std::sync::mpsc::sync_channel(1024);
        (Self { inbox, waker }, messages)
    }
}
