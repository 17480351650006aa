//! The workers, as they know each other.

use std::sync::{Arc, OnceLock};

use super::handle::Handle;
use super::message::Message;

/// All workers of the process, by their numbers. It is made before them, and filled when all of them have started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peers(Arc<OnceLock<Box<[Handle]>>>);

impl Peers {
    /// These are all of them.
    pub(crate) fn introduce(&self, workers: impl IntoIterator<Item = Handle>) {
        // Once is enough.
        let _ = self.0.set(workers.into_iter().collect());
    }

    /// Sends one of them a message, unless its inbox is full. No worker waits for another.
    pub(super) fn tell(&self, worker: usize, message: Message) -> bool {
        let handle = self.0.get().and_then(|workers| workers.get(worker));
        handle.is_some_and(|handle| handle.send(message).is_ok())
    }
}
