//! Positions of a request's words.

use std::ops::Range;

/// The position of a word in the request, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arg {
    /// Offset of its first byte from the beginning of the request.
    pub start: u32,
    /// Its length.
    pub len: u32,
}

impl Arg {
    /// The same as a range.
    pub fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }

    /// The word's bytes in the text that was parsed.
    ///
    /// # Panics
    /// When `text` is shorter than the text that was parsed.
    pub fn of(self, text: &[u8]) -> &[u8] {
        &text[self.range()]
    }
}
