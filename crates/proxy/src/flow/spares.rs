//! Buffers of outputs that were written, kept for reuse. An idle client must hold no memory, so its output gives its
//! buffer away when it is empty. Keeping a few of them for all clients of a worker saves most calls of the
//! allocator.

use std::collections::VecDeque;

use crate::flow::segment::Segment;
use crate::limits::{SPARE_BUFFERS, SPARE_BYTES, SPARE_SEGMENTS};

/// Empty buffers and empty queues of segments, of bounded number and size.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    buffers: Vec<Vec<u8>>,
    queues: Vec<Queue>,
}

/// As ropes have it.
type Queue = Box<VecDeque<Segment>>;

impl Spares {
    /// The buffer that was given last, if it has room for at least `room` bytes. A smaller one is dropped, so that
    /// buffers of the size that is currently used remain.
    #[inline]
    pub(crate) fn take(&mut self, room: usize) -> Option<Vec<u8>> {
        self.buffers
            .pop()
            .filter(|buffer| buffer.capacity() >= room)
    }

    /// Keeps a buffer, unless it is too large or there are enough already.
    #[inline]
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        if (1..=SPARE_BYTES).contains(&buffer.capacity()) && self.buffers.len() < SPARE_BUFFERS {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// A queue, if there is one.
    #[inline(never)]
    pub(super) fn take_queue(&mut self) -> Option<Queue> {
        self.queues.pop()
    }

    /// Empties a queue and keeps it, unless it is too large or there are enough already.
    #[inline(never)]
    pub(super) fn give_queue(&mut self, mut queue: Queue) {
        if queue.capacity() <= SPARE_SEGMENTS && self.queues.len() < SPARE_BUFFERS {
            queue.clear();
            self.queues.push(queue);
        }
    }

    /// Frees all of them.
    pub(crate) fn clear(&mut self) {
        self.buffers.clear();
        self.queues.clear();
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let queue = |queue: &Queue| queue.capacity() * size_of::<Segment>();
        let buffers: usize = self.buffers.iter().map(Vec::capacity).sum();
        buffers + self.queues.iter().map(queue).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_unless_they_are_too_many_too_large_or_too_small() {
        let mut spares = Spares::default();
        spares.give(Vec::new());
        spares.give(Vec::with_capacity(SPARE_BYTES + 1));
        assert_eq!((spares.footprint(), spares.take(0)), (0, None));
        spares.give(Vec::from(*b"written"));
        assert_eq!((spares.footprint(), spares.take(7)), (7, Some(Vec::new())));
        for _ in 0..2 * SPARE_BUFFERS {
            spares.give(Vec::with_capacity(SPARE_BYTES));
        }
        assert_eq!(spares.footprint(), SPARE_BUFFERS * SPARE_BYTES);
        spares.clear();
        spares.give(Vec::with_capacity(8));
        assert_eq!((spares.take(9), spares.footprint()), (None, 0));
    }

    #[test]
    fn queues_come_back_empty_unless_they_are_too_many_or_too_large() {
        let mut spares = Spares::default();
        let queue = |room| Box::new(VecDeque::with_capacity(room));
        spares.give_queue(queue(SPARE_SEGMENTS + 1));
        assert_eq!(
            (spares.footprint(), spares.take_queue().is_none()),
            (0, true)
        );
        let mut used = queue(SPARE_SEGMENTS);
        used.push_back(Segment::Owned(vec![7; 100]));
        spares.give_queue(used);
        assert!(spares.take_queue().is_some_and(|queue| queue.is_empty()));
        for _ in 0..2 * SPARE_BUFFERS {
            spares.give_queue(queue(SPARE_SEGMENTS));
        }
        let most = SPARE_BUFFERS * SPARE_SEGMENTS * size_of::<Segment>();
        assert_eq!(spares.footprint(), most);
        spares.clear();
        assert_eq!(spares.footprint(), 0);
    }
}
