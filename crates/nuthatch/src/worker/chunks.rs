//! Buffers to read into: usually one per worker, whatever the number of connections.

use std::rc::Rc;
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
    /// A chunk that nobody else holds, so that [`Rc::get_mut`] succeeds on it.
    pub(super) fn free(&mut self) -> &mut Chunk {
        self.at = self.find();
        &mut self.ring[self.at]
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
        let free = |chunk: &Chunk| Rc::strong_count(chunk) == 1;
        if let Some(at) = self.ring.iter().position(free) {
            return at;
        }
        if self.ring.len() < MAX_CHUNKS {
            self.ring.push(new_chunk());
            return self.ring.len() - 1;
        }
        // All are held: give one up to its holders and put a new one in its place.
        let at = (self.at + 1) % self.ring.len();
        self.ring[at] = new_chunk();
        at
    }
}

fn new_chunk() -> Chunk {
    std::iter::repeat_n(0, CHUNK_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_chunk_is_used_again_and_a_held_one_is_not() {
        let mut chunks = Chunks::default();
        let first = Rc::as_ptr(chunks.free());
        assert_eq!(Rc::as_ptr(chunks.free()), first);
        let held = Rc::clone(chunks.free());
        assert_ne!(Rc::as_ptr(chunks.free()), first);
        drop(held);
        assert_eq!(chunks.ring.len(), 2);
    }

    #[test]
    fn chunks_that_are_not_needed_any_more_are_given_back() {
        let mut chunks = Chunks::default();
        let held: Vec<_> = (0..9).map(|_| Rc::clone(chunks.free())).collect();
        chunks.retire(Time::ZERO);
        drop(held);
        chunks.retire(Time::ZERO + KEEP_FOR / 2);
        assert_eq!(chunks.ring.len(), 9);
        let due = chunks.retire_at().unwrap();
        chunks.retire(due);
        assert_eq!((chunks.ring.len(), chunks.retire_at()), (KEEP_CHUNKS, None));
        assert!(Rc::get_mut(chunks.free()).is_some());
    }

    #[test]
    fn the_ring_is_bounded_however_much_is_held() {
        let mut chunks = Chunks::default();
        let mut held = Vec::new();
        for _ in 0..3 * MAX_CHUNKS {
            let chunk = chunks.free();
            assert!(Rc::get_mut(chunk).is_some());
            held.push(Rc::clone(chunk));
        }
        assert_eq!(chunks.ring.len(), MAX_CHUNKS);
    }
}
