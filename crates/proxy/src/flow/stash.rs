//! A reply that waits for older ones. Most are small and stored inline, so that replies that arrive out of order
//! cost no allocation; those of medium size cost one. Only large ones need a rope.

use std::ops::Range;

use crate::flow::buffer::{Chunk, Rope};
use crate::limits::SHARE_AT_LEAST;

/// Bytes held inline: a status, an integer or a short value.
const INLINE: usize = 38;

/// Bytes of one reply, or none.
#[derive(Debug)]
pub(crate) enum Stash {
    /// Their number, and the bytes.
    Inline(u8, [u8; INLINE]),
    /// Too many for that, too few to be kept by reference.
    Copied(Vec<u8>),
    /// Any number.
    Rope(Box<Rope>),
}

impl Stash {
    pub(crate) const fn new() -> Self {
        Stash::Inline(0, [0; INLINE])
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Stash::Inline(len, _) => usize::from(*len),
            Stash::Copied(bytes) => bytes.len(),
            Stash::Rope(rope) => rope.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory besides the stash itself.
    pub(crate) fn footprint(&self) -> usize {
        match self {
            Stash::Inline(..) => 0,
            Stash::Copied(bytes) => bytes.capacity(),
            Stash::Rope(rope) => size_of::<Rope>() + rope.footprint(),
        }
    }

    /// Appends a copy of `bytes`.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if !self.try_add_small(bytes) {
            self.grow().extend(bytes);
        }
    }

    /// Appends `range` of `chunk`, by reference if it is large.
    #[inline]
    pub(crate) fn push(&mut self, chunk: &Chunk, range: Range<usize>) {
        if !self.try_add_small(&chunk[range.clone()]) {
            self.grow().push(chunk, range);
        }
    }

    /// Appends `rope`.
    pub(crate) fn append(&mut self, mut rope: Rope) {
        match self.is_empty() {
            true => *self = Stash::Rope(Box::new(rope)),
            false => self.grow().append(&mut rope),
        }
    }

    /// Moves everything to the end of `out`.
    #[inline]
    pub(crate) fn drain_to(&mut self, out: &mut Rope) {
        match self {
            Stash::Inline(len, bytes) => {
                out.extend(&bytes[..usize::from(*len)]);
                *len = 0;
            }
            _ => self.drain_heap_to(out),
        }
    }

    #[inline(never)]
    fn drain_heap_to(&mut self, out: &mut Rope) {
        match self {
            Stash::Inline(..) => {}
            Stash::Copied(bytes) => out.extend(bytes),
            Stash::Rope(rope) => out.append(rope),
        }
        self.clear();
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Appends `bytes`, unless there are too many then for anything but a rope; returns whether it did.
    #[inline]
    fn try_add_small(&mut self, bytes: &[u8]) -> bool {
        if let Stash::Inline(len, held) = self {
            let start = usize::from(*len);
            let end = start + bytes.len();
            if end <= INLINE {
                held[start..end].copy_from_slice(bytes);
                *len = end as u8;
                return true;
            }
        }
        self.try_add_copied(bytes)
    }

    #[inline(never)]
    fn try_add_copied(&mut self, bytes: &[u8]) -> bool {
        match self {
            Stash::Inline(len, held) => {
                let start = usize::from(*len);
                let end = start + bytes.len();
                let fits = end < SHARE_AT_LEAST;
                if fits {
                    *self = Stash::Copied([&held[..start], bytes].concat());
                }
                fits
            }
            Stash::Copied(held) => {
                let fits = held.len() + bytes.len() < SHARE_AT_LEAST;
                if fits {
                    held.extend_from_slice(bytes);
                }
                fits
            }
            Stash::Rope(_) => false,
        }
    }

    /// The rope, with what was held otherwise moved into it.
    fn grow(&mut self) -> &mut Rope {
        if !matches!(self, Stash::Rope(_)) {
            let mut rope = Box::new(Rope::new());
            self.drain_to(&mut rope);
            *self = Stash::Rope(rope);
        }
        match self {
            Stash::Rope(rope) => rope,
            _ => unreachable!("it was made one above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_their_number() {
        let chunk: Chunk = (0..=255u8).cycle().take(70_000).collect();
        for pieces in [
            &[3, 4][..],
            &[38],
            &[39],
            &[20, 20, 5],
            &[40, 8_000, 300, 9],
            &[1, 60_000, 2],
        ] {
            let (mut stash, mut model, mut at) = (Stash::new(), Vec::new(), 0);
            for (index, piece) in pieces.iter().enumerate() {
                let range = at..at + piece;
                at += piece;
                model.extend_from_slice(&chunk[range.clone()]);
                match index % 2 {
                    0 => stash.push(&chunk, range),
                    _ => stash.extend(&chunk[range]),
                }
                assert_eq!(stash.len(), model.len());
                let held = stash.footprint();
                match model.len() {
                    ..=INLINE => assert_eq!(held, 0),
                    len => assert!(held >= len && held <= 2 * chunk.len(), "{held} for {len}"),
                }
            }
            let mut out = Rope::new();
            stash.drain_to(&mut out);
            assert_eq!(out.slices().flatten().copied().collect::<Vec<_>>(), model);
            assert!(stash.is_empty());
        }
    }
}
