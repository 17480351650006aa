//! When it is to be looked at whether clients still wait where their keys are.

use crate::limits::WAIT_CHECK_EVERY;
use crate::time::Time;

/// See [`WAIT_CHECK_EVERY`].
#[derive(Debug, Default)]
pub(crate) struct WaitWatch {
    /// The servers in use, or the plan, have changed.
    has_changed: bool,
    /// When the health of servers is looked at next, as long as any lease is held.
    next: Option<Time>,
}

impl WaitWatch {
    /// A connection was leased.
    pub(crate) fn begin(&mut self, now: Time) {
        self.next.get_or_insert(now + WAIT_CHECK_EVERY);
    }

    /// Other servers may be in use now.
    pub(crate) fn note_change(&mut self) {
        self.has_changed = self.next.is_some();
    }

    /// Whether that has happened since it was looked at.
    #[inline]
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// It is looked at now.
    pub(crate) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.next
    }

    /// The health of servers was looked at; `goes_on` if any lease is held.
    pub(crate) fn note_look(&mut self, goes_on: bool, now: Time) {
        self.next = goes_on.then_some(now + WAIT_CHECK_EVERY);
    }
}
