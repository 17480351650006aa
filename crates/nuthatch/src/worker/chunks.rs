//! Buffers to read into: usually one per worker, whatever the number of connections.

use std::time::Duration;

use proxy::{Chunk, Time};

/// Bytes of a chunk, so the most that one read brings. Long enough that large values need few
/// system calls, small enough to stay in the second-level cache. With the two counts before it, a chunk is an
/// allocation of just 64 KiB: sixteen bytes more, and the allocator would take 80 KiB.
pub(super) const CHUNK_BYTES: usize = (64 << 10) - 2 * size_of::<usize>();

/// Chunks kept for reading while the core still holds slices of others: 1 MiB at most.
const MAX_CHUNKS: usize = 16;

/// Chunks kept when no more were needed for a while.
const KEEP_CHUNKS: usize = 2;

/// How long more are kept after they were needed.
const KEEP_FOR: Duration = Duration::from_secs(1);

/// A ring of chunks. One that nobody else holds is read into; the core holds on to a chunk as long
/// as it keeps slices of it.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    ring: Vec<Chunk>,
    at: usize,
    /// More than are kept for good were needed since [`Chunks::retire`] was last called.
    many: bool,
    /// When those that are too many are given back, if there are such.
    retire_at: Option<Time>,
}

impl Chunks {
    /// The bytes of a chunk that nobody else holds, to read into.
    pub(super) fn free(&mut self) -> &mut [u8] {
        self.at = self.find();
        let chunk = &mut self.ring[self.at];
        chunk.get_mut().expect("a free chunk has one owner")
    }

    /// The chunk that [`Chunks::free`] gave last, to be shared with the core.
    pub(super) fn current(&self) -> &Chunk {
        &self.ring[self.at]
    }

    /// Gives back what has not been needed for a while. To be called once in a tick.
    pub(super) fn retire(&mut self, now: Time) {
        if std::mem::take(&mut self.many) {
            self.retire_at = Some(now + KEEP_FOR);
        } else if self.retire_at.is_some_and(|at| at <= now) {
            self.retire_at = None;
            self.ring.truncate(KEEP_CHUNKS);
            self.at = 0;
        }
    }

    /// When [`Chunks::retire`] has something to do.
    pub(super) fn retire_at(&self) -> Option<Time> {
        self.retire_at
    }

    /// Prefers the first ones: in the common case the core keeps nothing of what is read, and the first
    /// chunk is still in the cache.
    fn find(&mut self) -> usize {
        let at = self.find_any();
        self.many |= at >= KEEP_CHUNKS;
        at
    }

    fn find_any(&mut self) -> usize {
        if let Some(at) = self.ring.iter().position(|chunk| !chunk.is_shared()) {
            return at;
        }
        if self.ring.len() < MAX_CHUNKS {
            self.ring.push(Chunk::zeroed(CHUNK_BYTES));
            return self.ring.len() - 1;
        }
        // All are held: give one up to its holders and put a new one in its place.
        let at = (self.at + 1) % self.ring.len();
        self.ring[at] = Chunk::zeroed(CHUNK_BYTES);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a free chunk and keeps a reference to it, as the core does.
    fn hold(chunks: &mut Chunks) -> Chunk {
        chunks.free();
        chunks.current().clone()
    }

    #[test]
    fn a_free_chunk_is_used_again_and_a_held_one_is_not() {
        let mut chunks = Chunks::default();
        let first = chunks.free().as_ptr();
        assert_eq!(chunks.free().as_ptr(), first);
        let held = hold(&mut chunks);
        assert_ne!(chunks.free().as_ptr(), first);
        drop(held);
        assert_eq!(chunks.ring.len(), 2);
    }

    #[test]
    fn chunks_that_are_not_needed_any_more_are_given_back() {
        let mut chunks = Chunks::default();
        let held: Vec<_> = (0..9).map(|_| hold(&mut chunks)).collect();
        chunks.retire(Time::ZERO);
        drop(held);
        chunks.retire(Time::ZERO + KEEP_FOR / 2);
        assert_eq!(chunks.ring.len(), 9);
        let due = chunks.retire_at().unwrap();
        chunks.retire(due);
        assert_eq!((chunks.ring.len(), chunks.retire_at()), (KEEP_CHUNKS, None));
        assert_eq!(chunks.free().len(), CHUNK_BYTES);
    }

    #[test]
    fn the_ring_is_bounded_however_much_is_held() {
        let mut chunks = Chunks::default();
        let mut held = Vec::new();
        for _ in 0..3 * MAX_CHUNKS {
            held.push(hold(&mut chunks));
        }
        assert_eq!(chunks.ring.len(), MAX_CHUNKS);
    }
}
