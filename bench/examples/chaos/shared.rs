//! State of a scenario that its clients share.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::model::Kills;

/// Shared by all threads of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    has_failed: AtomicBool,
    is_over: AtomicBool,
    kills: [AtomicU32; crate::model::MAX_SERVERS],
}

impl Shared {
    /// Whether faults have begun and are not healed for long enough.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Faults begin, or all are healed.
    pub(crate) fn set_failed(&self, has_failed: bool) {
        self.has_failed.store(has_failed, Ordering::Release);
    }

    /// Tells the clients to send nothing more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// A server was killed and has not been started again yet.
    pub(crate) fn note_kill(&self, server: usize) {
        self.kills[server].fetch_add(1, Ordering::AcqRel);
    }

    /// How often each server was killed.
    pub(crate) fn kills(&self) -> Kills {
        std::array::from_fn(|server| self.kills[server].load(Ordering::Acquire))
    }
}
