//! Buffers of outputs that were written, kept for the next ones. A client that waits for nothing holds no memory,
//! so its output gives its buffer away when it is empty; one for all of them saves the allocator the work.

use crate::limits::{SPARE_BUFFERS, SPARE_BYTES};

/// Empty buffers, a bounded number of bounded size.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Vec<u8>>);

impl Spares {
    /// One with room for `room` bytes at least, if there is one. A smaller one is dropped, so that those stay
    /// that are of the size which is asked for.
    #[inline]
    pub(crate) fn take(&mut self, room: usize) -> Option<Vec<u8>> {
        self.0.pop().filter(|buffer| buffer.capacity() >= room)
    }

    /// Keeps a buffer, unless it is too large or there are enough.
    #[inline]
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        if (1..=SPARE_BYTES).contains(&buffer.capacity()) && self.0.len() < SPARE_BUFFERS {
            buffer.clear();
            self.0.push(buffer);
        }
    }

    /// Gives all of them back.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        self.0.iter().map(Vec::capacity).sum()
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
}
