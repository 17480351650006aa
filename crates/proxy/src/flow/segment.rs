//! The pieces of a rope: copied bytes, and references to parts of chunks.

use std::ops::Range;

use crate::flow::chunk::Chunk;
use crate::limits::SHARED_BY_FEW;

/// One piece of a rope.
#[derive(Debug)]
pub(super) enum Segment {
    /// Bytes that were copied here.
    Owned(Vec<u8>),
    /// Bytes that stay in the chunk that they were read into.
    Shared(Chunk, Range<usize>),
}

impl Segment {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Segment::Owned(bytes) => bytes,
            Segment::Shared(chunk, range) => &chunk[range.clone()],
        }
    }

    pub(super) fn footprint(&self) -> usize {
        let bytes = match self {
            Segment::Owned(bytes) => bytes.capacity(),
            // Of a message to many, each takes its part.
            Segment::Shared(chunk, _) if chunk.holders() > SHARED_BY_FEW => {
                chunk.len().div_ceil(chunk.holders())
            }
            Segment::Shared(chunk, _) => chunk.len(),
        };
        bytes + size_of::<Segment>()
    }
}
