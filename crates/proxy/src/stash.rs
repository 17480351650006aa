//! A reply that waits for older ones. Most are small and held inline, so that replies which arrive out
//! of order cost no allocation.

use std::ops::Range;

use crate::buffer::{Chunk, Rope};

/// Bytes held inline: a status, an integer or a short value.
const INLINE: usize = 39;

/// Bytes of one reply, or none.
#[derive(Debug)]
pub(crate) struct Stash {
    inline: [u8; INLINE],
    inline_len: u8,
    /// All of the bytes, once they are too many to be held inline.
    rope: Option<Box<Rope>>,
}

impl Stash {
    pub(crate) const fn new() -> Self {
        Self {
            inline: [0; INLINE],
            inline_len: 0,
            rope: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.rope {
            None => usize::from(self.inline_len),
            Some(rope) => rope.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory besides the stash itself.
    pub(crate) fn footprint(&self) -> usize {
        self.rope
            .as_ref()
            .map_or(0, |rope| size_of::<Rope>() + rope.footprint())
    }

    /// Appends a copy of `bytes`.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if !self.extend_inline(bytes) {
            self.grow().extend(bytes);
        }
    }

    /// Appends `range` of `chunk`, by reference where that pays.
    pub(crate) fn push(&mut self, chunk: &Chunk, range: Range<usize>) {
        if !self.extend_inline(&chunk[range.clone()]) {
            self.grow().push(chunk, range);
        }
    }

    /// Replaces what is held by `rope`.
    pub(crate) fn set(&mut self, rope: Rope) {
        *self = Self::new();
        self.rope = Some(Box::new(rope));
    }

    /// Moves everything to the end of `out`.
    pub(crate) fn drain_to(&mut self, out: &mut Rope) {
        out.extend(&self.inline[..usize::from(self.inline_len)]);
        self.inline_len = 0;
        if let Some(mut rope) = self.rope.take() {
            out.append(&mut rope);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.inline_len = 0;
        self.rope = None;
    }

    fn extend_inline(&mut self, bytes: &[u8]) -> bool {
        let start = usize::from(self.inline_len);
        let end = start + bytes.len();
        if self.rope.is_some() || end > INLINE {
            return false;
        }
        self.inline[start..end].copy_from_slice(bytes);
        self.inline_len = end as u8;
        true
    }

    /// The rope, with what was inline moved into it.
    fn grow(&mut self) -> &mut Rope {
        let inline = &self.inline[..usize::from(self.inline_len)];
        self.inline_len = 0;
        self.rope.get_or_insert_with(|| {
            let mut rope = Rope::new();
            rope.extend(inline);
            Box::new(rope)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_their_number() {
        let chunk: Chunk = (0..=255u8).cycle().take(70_000).collect();
        for pieces in [&[3, 4][..], &[39], &[40], &[20, 20, 5], &[1, 60_000, 2]] {
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
            }
            let mut out = Rope::new();
            stash.drain_to(&mut out);
            assert_eq!(out.slices().flatten().copied().collect::<Vec<_>>(), model);
            assert!(stash.is_empty());
        }
    }
}
