//! When a pool of a worker counts what its buffers hold.
//!
//! Nothing is counted per request. Buffers grow only by what is read from sockets, so all of them are walked when so
//! much was read that it could matter ([`Memory::allowance`]).

use std::sync::Arc;

use super::memory::{Memory, MemoryPart, Pressure};
use crate::limits::{
    COUNT_DOUBLINGS, COUNT_EVERY, COUNT_EVERY_BYTES, COUNT_LARGE, COUNT_UNDER_PRESSURE,
};
use crate::time::Time;

/// When to count, and the part of the memory that the result is published in.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    part: Arc<MemoryPart>,
    /// Bytes that may be read before the next count.
    allowance: usize,
    counted: Time,
    /// What the last count has found.
    found: usize,
    /// How often in a row it was the same, up to [`COUNT_DOUBLINGS`].
    unchanged: u32,
    /// When to count although nothing is read.
    next: Option<Time>,
}

impl MemoryWatch {
    pub(crate) fn new(part: Arc<MemoryPart>) -> Self {
        let mut watch = Self {
            part,
            allowance: 0,
            counted: Time::ZERO,
            found: 0,
            unchanged: 0,
            next: None,
        };
        watch.renew_allowance();
        watch
    }

    /// The pool's part of the memory.
    pub(crate) fn part(&self) -> &Arc<MemoryPart> {
        &self.part
    }

    /// So many bytes were read; returns whether that has used up the allowance.
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

    /// Whether to count now that the allowance is used up. Without a limit the count is only a statistic, and made
    /// rarely.
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

    /// Publishes a count: the pool holds `held` bytes, its largest session `largest` of them.
    pub(crate) fn publish(&self, held: usize, largest: usize) {
        self.part.publish(held, largest);
    }

    /// The pressure on the whole process.
    pub(crate) fn pressure(&self) -> Pressure {
        self.memory().pressure()
    }

    /// Sets when to count next. That is soon while a client is held back, or while the largest session is so large
    /// that others may need its memory: then it must react although it reads nothing itself.
    pub(crate) fn schedule_next(&mut self, largest: usize, is_anybody_held: bool, now: Time) {
        self.counted = now;
        self.renew_allowance();
        let held = self.part.held();
        self.unchanged = match held == self.found {
            true => (self.unchanged + 1).min(COUNT_DOUBLINGS),
            false => 0,
        };
        self.found = held;
        let pause = match () {
            () if is_anybody_held => Some(COUNT_UNDER_PRESSURE),
            () if self.memory().is_large(largest) => Some(COUNT_LARGE),
            () if self.memory().limit().is_none() => None,
            // What is held now may soon be gone, and others would see less room than there is.
            () if held > 0 && self.unchanged < COUNT_DOUBLINGS => {
                Some(COUNT_EVERY * (1 << self.unchanged))
            }
            () => None,
        };
        self.next = pause.map(|pause| now + pause);
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
