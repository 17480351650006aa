//! Buffers to read into: usually one per worker, whatever the number of connections.

use std::rc::Rc;

use proxy::Chunk;

/// Bytes of a chunk, so the most that one read brings. Long enough that large values need few
/// system calls, small enough to stay in the second-level cache.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// Chunks kept for reading while the core still holds slices of others: 1 MiB at most.
const MAX_CHUNKS: usize = 16;

/// A ring of chunks. One that nobody else holds is read into; the core holds on to a chunk as long
/// as it keeps slices of it.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    ring: Vec<Chunk>,
    at: usize,
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

    /// Starts with the chunk used last: in the common case the core kept nothing of it, and it is
    /// still in the cache.
    fn find(&mut self) -> usize {
        for step in 0..self.ring.len() {
            let at = (self.at + step) % self.ring.len();
            if Rc::strong_count(&self.ring[at]) == 1 {
                return at;
            }
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
