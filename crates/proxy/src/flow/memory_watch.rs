//! When a pool of a worker counts what its buffers hold.
//!
//! Nothing is counted per request. What comes in is the only thing that buffers can grow by, so all of
//! them are walked when so much has come in that it could matter ([`Memory::allowance`]).

use std::sync::Arc;

use super::memory::{Memory, MemoryPart, Pressure};
use crate::limits::{
    COUNT_EVERY, COUNT_EVERY_BYTES, COUNT_LARGE, COUNT_UNDER_PRESSURE, LOG_MEMORY_EVERY,
};
use crate::time::Time;

/// When to count, and what came of it.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    part: Arc<MemoryPart>,
    /// Bytes that may be read before the next count.
    allowance: usize,
    counted: Time,
    /// When to count although nothing is read.
    next: Option<Time>,
    told_short: Option<Time>,
}

impl MemoryWatch {
    pub(crate) fn new(part: Arc<MemoryPart>) -> Self {
        let mut watch = Self {
            part,
            allowance: 0,
            counted: Time::ZERO,
            next: None,
            told_short: None,
        };
        watch.renew_allowance();
        watch
    }

    /// The pool's part of the memory.
    pub(crate) fn part(&self) -> &Arc<MemoryPart> {
        &self.part
    }

    /// So many bytes have come in; says whether that used up what may come in before the next count.
    #[inline]
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        match self.allowance.checked_sub(bytes) {
            Some(left) => {
                self.allowance = left;
                false
            }
            None => true,
        }
    }

    /// Whether it is to be counted now that the allowance is used up. Where there is no limit the count is only
    /// shown, and made now and then.
    pub(crate) fn must_count(&mut self, now: Time) -> bool {
        let must = self.memory().limit().is_some() || now.since(self.counted) >= COUNT_EVERY;
        if !must {
            self.allowance = COUNT_EVERY_BYTES;
        }
        must
    }

    /// When to count although nothing is read.
    pub(crate) fn next(&self) -> Option<Time> {
        self.next
    }

    /// It has been counted: the pool holds `held` bytes, its largest session `largest` of them. Others read it.
    pub(crate) fn publish(&self, held: usize, largest: usize) {
        self.part.publish(held, largest);
    }

    /// How the whole process stands.
    pub(crate) fn pressure(&self) -> Pressure {
        self.memory().pressure()
    }

    /// A count is over: when the next one is. It comes soon while somebody is held, or while the largest session
    /// is so large that others may need the room.
    pub(crate) fn schedule_next(&mut self, largest: usize, is_anybody_held: bool, now: Time) {
        self.counted = now;
        self.renew_allowance();
        let pause = match () {
            () if is_anybody_held => Some(COUNT_UNDER_PRESSURE),
            () if self.memory().is_large(largest) => Some(COUNT_LARGE),
            () => None,
        };
        self.next = pause.map(|pause| now + pause);
    }

    /// Whether it is time to log again that memory is short; notes that it was.
    pub(crate) fn may_log(&mut self, now: Time) -> bool {
        let due = self
            .told_short
            .is_none_or(|told| now.since(told) >= LOG_MEMORY_EVERY);
        if due {
            self.told_short = Some(now);
        }
        due
    }

    fn renew_allowance(&mut self) {
        self.allowance = match self.memory().limit() {
            Some(_) => self.memory().allowance(),
            None => COUNT_EVERY_BYTES,
        };
    }

    fn memory(&self) -> &Memory {
        self.part.memory()
    }
}
