//! Read buffers: usually one per worker, for all its connections.

use std::time::Duration;

use proxy::{Chunk, Time};

/// Size of a chunk, and so the maximum that one read returns. Long enough that large values need few system
/// calls, short enough to stay in the second-level cache. With its two reference counts a chunk is an
/// allocation of exactly 64 KiB; 16 bytes more and the allocator would use 80 KiB.
pub(super) const CHUNK_BYTES: usize = (64 << 10) - 2 * size_of::<usize>();

/// Chunks kept for reading while the core still holds slices of others: 1 MiB at most.
const MAX_CHUNKS: usize = 16;

/// Chunks kept after no more were needed for a while.
const KEEP_CHUNKS: usize = 2;

/// How long more than [`KEEP_CHUNKS`] are kept after they were needed.
const KEEP_FOR: Duration = Duration::from_secs(1);

/// A ring of chunks. Reads use one that nobody else holds; the core holds a chunk as long as it keeps slices
/// of it.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    ring: Vec<Chunk>,
    at: usize,
    /// More than [`KEEP_CHUNKS`] were needed since [`Chunks::retire`] was last called.
    many: bool,
    /// When the surplus chunks are freed, if there are any.
    retire_at: Option<Time>,
}

impl Chunks {
    /// The bytes of a chunk that nobody else holds, to read into.
    pub(super) fn free(&mut self) -> &mut [u8] {
        self.at = self.find();
        let chunk = &mut self.ring[self.at];
        chunk.get_mut().expect("a free chunk has one owner")
    }

    /// The chunk that [`Chunks::free`] returned last, to be shared with the core.
    pub(super) fn current(&self) -> &Chunk {
        &self.ring[self.at]
    }

    /// Frees chunks that have not been needed for a while. Called once per tick.
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

    /// Prefers the first ones: usually the core keeps nothing of what is read, and the first chunk is still
    /// in the cache.
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
        // All are in use: leave one to its holders and replace it with a new one.
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
