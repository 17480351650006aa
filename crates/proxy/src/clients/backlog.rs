//! Input of a client that is not parsed yet, because its window is full.
//!
//! It is kept as bytes, not as requests: parsing it would cost memory per request, and a client can send very many.

use std::ops::Range;

use crate::flow::buffer::{Chunk, Rope};

/// Unparsed input, in order.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The rest of the piece that was taken last; it comes before everything else.
    front: Option<(Chunk, Range<usize>)>,
    rest: Rope,
}

impl Backlog {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        let front = self.front.as_ref().map_or(0, |(_, range)| range.len());
        front + self.rest.len()
    }

    /// Bytes of memory that they occupy.
    pub(crate) fn footprint(&self) -> usize {
        let front = self.front.as_ref().map_or(0, |(chunk, _)| chunk.len());
        front + self.rest.footprint()
    }

    /// Appends `range` of `chunk`.
    pub(crate) fn push(&mut self, chunk: &Chunk, range: Range<usize>) {
        self.rest.push(chunk, range);
    }

    /// Puts `text` and then `range` of `chunk` before everything else: the rest of the piece that was taken last. It
    /// is copied if it is a small part of the chunk, which would stay allocated for it otherwise.
    pub(crate) fn put_back(&mut self, text: &[u8], chunk: &Chunk, range: Range<usize>) {
        debug_assert!(self.front.is_none(), "one piece is taken at a time");
        self.front = Some(match text.is_empty() && range.len() >= chunk.len() / 4 {
            true => (chunk.clone(), range),
            false => {
                let bytes: Chunk = [text, &chunk[range]].concat().into();
                let all = 0..bytes.len();
                (bytes, all)
            }
        });
    }

    /// The same for a request that was collected piece by piece.
    pub(crate) fn put_back_gathered(&mut self, mut text: Rope, chunk: &Chunk, range: Range<usize>) {
        debug_assert!(self.front.is_none(), "one piece is taken at a time");
        text.push(chunk, range);
        text.append(&mut self.rest);
        self.rest = text;
    }

    /// Takes the first piece: no more than a chunk or a segment.
    pub(crate) fn take(&mut self) -> Option<(Chunk, Range<usize>)> {
        self.front.take().or_else(|| self.rest.take_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(bytes: &[u8]) -> Chunk {
        bytes.into()
    }

    fn taken(backlog: &mut Backlog) -> Option<Vec<u8>> {
        backlog.take().map(|(chunk, range)| chunk[range].to_vec())
    }

    #[test]
    fn pieces_come_in_order_and_what_is_put_back_comes_first() {
        let mut backlog = Backlog::default();
        backlog.push(&chunk(b"..abc.."), 2..5);
        backlog.push(&chunk(b"def"), 0..3);
        assert_eq!(backlog.len(), 6);
        assert_eq!(taken(&mut backlog).unwrap(), b"abcdef");
        backlog.push(&chunk(b"ghi"), 0..3);
        backlog.put_back(b"x", &chunk(b"abcdef"), 4..6);
        assert_eq!(backlog.len(), 6);
        assert_eq!(taken(&mut backlog).unwrap(), b"xef");
        assert_eq!(taken(&mut backlog).unwrap(), b"ghi");
        assert_eq!((taken(&mut backlog), backlog.len()), (None, 0));
    }

    #[test]
    fn large_pieces_are_shared_and_small_ones_take_little() {
        let mut backlog = Backlog::default();
        let whole = chunk(&[1; 64 << 10]);
        backlog.push(&whole, 0..64 << 10);
        assert!(whole.is_shared());
        for _ in 0..1_000 {
            backlog.push(&whole, 5..6);
        }
        assert!(whole.is_shared());
        assert!(backlog.footprint() < 200 << 10, "{}", backlog.footprint());
        let (first, range) = backlog.take().unwrap();
        assert!(first.as_ptr() == whole.as_ptr() && range == (0..64 << 10));
        backlog.put_back(&[], &first, 60 << 10..64 << 10);
        drop(first);
        assert!(!whole.is_shared(), "a small rest pins no chunk");
        assert_eq!(backlog.len(), (4 << 10) + 1_000);
    }
}
