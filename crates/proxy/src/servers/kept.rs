//! Requests that are kept until they are answered, as their server may answer that they belong elsewhere: in pools of a
//! Redis Cluster.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::flow::buffer::Rope;
use crate::limits::{KEEP_IN_FLIGHT, MAX_KEPT_BYTES};
use crate::script_memory::Script;
use crate::time::Time;

/// What is kept of a request.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The hash slot of its keys.
    pub(crate) slot: u16,
    /// Its bytes; `None` if they are too many to be kept.
    pub(crate) request: Option<Rope>,
    pub(crate) sent_as: SentAs,
    /// Replies that come before the one that counts.
    pub(crate) before: u16,
    /// Those that it calls, which its server must have.
    pub(crate) scripts: Vec<Arc<Script>>,
    /// How often it was sent elsewhere, and since when.
    pub(crate) hops: u8,
    pub(crate) since: Option<Time>,
    /// A later request of its client for its slot was executed: it is not sent once more.
    pub(crate) is_overtaken: bool,
}

/// How a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SentAs {
    /// On a connection that clients share.
    Shared,
    /// On a leased one, to watch keys.
    Watch,
    /// On a leased one, as a transaction that depends on watched keys.
    Watched,
    /// On a leased one, to wait for other clients.
    Wait,
}

impl Kept {
    /// A request for keys of this slot, of which nothing further is known.
    pub(crate) fn new(slot: u16, sent_as: SentAs) -> Self {
        Self {
            slot,
            request: None,
            sent_as,
            before: 0,
            scripts: Vec::new(),
            hops: 0,
            since: None,
            is_overtaken: false,
        }
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Self>() + self.request.as_ref().map_or(0, Rope::footprint)
    }
}

/// Those of one connection, each with the number of its request, oldest first. Requests without keys are not among them.
#[derive(Debug, Default)]
pub(super) struct KeptRequests {
    all: VecDeque<(u64, Kept)>,
    /// Bytes of memory.
    bytes: usize,
}

impl KeptRequests {
    /// Whether a request of so many bytes may be kept with them.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= MAX_KEPT_BYTES
    }

    pub(super) fn add(&mut self, number: u64, kept: Kept) {
        self.bytes += kept.footprint();
        self.all.push_back((number, kept));
    }

    /// Takes the one with this number; those before it are answered, and dropped.
    pub(super) fn take(&mut self, number: u64) -> Option<Kept> {
        self.drop_before(number);
        let is_it = self.all.front().is_some_and(|(first, _)| *first == number);
        if is_it { self.pop() } else { None }
    }

    /// Drops those of requests before this number: they are answered.
    #[inline]
    pub(super) fn drop_before(&mut self, number: u64) {
        if !self.all.is_empty() {
            self.drop_some_before(number);
        }
    }

    #[inline(never)]
    fn drop_some_before(&mut self, number: u64) {
        while self.all.front().is_some_and(|(first, _)| *first < number) {
            self.pop();
        }
        if self.all.is_empty() && self.all.capacity() > KEEP_IN_FLIGHT {
            self.all = VecDeque::new();
        }
    }

    fn pop(&mut self) -> Option<Kept> {
        let (_, kept) = self.all.pop_front()?;
        self.bytes -= kept.footprint();
        Some(kept)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Kept)> {
        self.all.iter().map(|(number, kept)| (*number, kept))
    }

    /// Requests were dropped: of those from number `first` on, only those for which `stays` is true are left, and have
    /// consecutive numbers.
    pub(super) fn renumber(&mut self, first: u64, stays: &[bool]) {
        let mut next = first;
        let new: Vec<Option<u64>> = stays
            .iter()
            .map(|stays| {
                let number = stays.then_some(next);
                next += u64::from(*stays);
                number
            })
            .collect();
        let old = std::mem::take(&mut self.all);
        self.bytes = 0;
        for (number, kept) in old {
            let index = number
                .checked_sub(first)
                .and_then(|it| usize::try_from(it).ok());
            let number = match index {
                None => Some(number),
                Some(index) => new.get(index).copied().flatten(),
            };
            if let Some(number) = number {
                self.add(number, kept);
            }
        }
    }

    /// Bytes of memory.
    pub(super) fn footprint(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(slot: u16) -> Kept {
        Kept::new(slot, SentAs::Shared)
    }

    fn slots(all: &KeptRequests) -> Vec<(u64, u16)> {
        all.iter()
            .map(|(number, kept)| (number, kept.slot))
            .collect()
    }

    #[test]
    fn one_is_found_by_its_number_and_those_before_it_are_dropped() {
        let mut all = KeptRequests::default();
        for number in [3, 4, 6, 7] {
            all.add(number, kept(number as u16));
        }
        assert_eq!(all.take(4).map(|kept| kept.slot), Some(4));
        assert!(all.take(5).is_none());
        assert_eq!(slots(&all), [(6, 6), (7, 7)]);
        all.drop_before(9);
        assert_eq!((slots(&all), all.footprint()), (vec![], 0));
    }

    #[test]
    fn those_that_stay_get_the_numbers_of_their_requests() {
        let mut all = KeptRequests::default();
        for number in [2, 5, 6, 8, 9] {
            all.add(number, kept(number as u16));
        }
        // The requests 5 to 9, of which 6 and 7 are dropped.
        all.renumber(5, &[true, false, false, true, true]);
        assert_eq!(slots(&all), [(2, 2), (5, 5), (6, 8), (7, 9)]);
        let sum: usize = all.iter().map(|(_, kept)| kept.footprint()).sum();
        assert_eq!(all.footprint(), sum);
    }
}
