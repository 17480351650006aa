//! Text that is collected piece by piece.
//!
//! A buffer that is full is copied to a larger one. For one of megabytes that takes milliseconds, in which nobody else is
//! served; so such a buffer moves to its successor bit by bit, and has moved before it is full.

use crate::limits::MOVE_AT_LEAST;

/// How many bytes move for each that is added. The move begins when half of the buffer is used, so that with four it is
/// over when two thirds are.
const MOVED_PER_ADDED: usize = 4;

/// The text.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    text: Vec<u8>,
    /// The larger buffer that it moves to: its beginning.
    next: Vec<u8>,
}

impl Gathered {
    /// Text that begins with `text`.
    pub(super) fn new(text: &[u8]) -> Self {
        Self {
            text: text.to_vec(),
            next: Vec::new(),
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        if self.text.capacity() >= MOVE_AT_LEAST && self.text.len() >= self.text.capacity() / 2 {
            self.go_on_moving(bytes.len());
        }
    }

    #[cold]
    fn go_on_moving(&mut self, added: usize) {
        if self.next.capacity() == 0 {
            self.next.reserve_exact(2 * self.text.capacity());
        }
        let start = self.next.len();
        let end = self.text.len().min(start + MOVED_PER_ADDED * added);
        self.next.extend_from_slice(&self.text[start..end]);
        if end == self.text.len() {
            self.text = std::mem::take(&mut self.next);
        }
    }

    /// Drops everything from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.text.truncate(len);
        self.next.truncate(len);
    }

    /// Bytes of memory. Of the buffer that it moves to only what has moved: the rest is not touched yet.
    pub(super) fn footprint(&self) -> usize {
        self.text.capacity() + self.next.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_is_never_copied_at_once() {
        let piece: Vec<u8> = (0..60_000).map(|at| (at % 251) as u8).collect();
        let mut gathered = Gathered::new(&[]);
        let (mut moved, mut last) = (0, 0);
        for count in 1..=400 {
            let capacity = gathered.text.capacity();
            let next = gathered.next.len();
            gathered.extend(&piece);
            assert_eq!(gathered.as_slice().len(), count * piece.len());
            if gathered.text.capacity() != capacity && capacity >= MOVE_AT_LEAST {
                assert!(next + MOVED_PER_ADDED * piece.len() >= gathered.text.len());
                moved += 1;
                last = gathered.text.capacity();
            }
        }
        assert!(
            moved >= 4 && last >= 32 << 20,
            "{moved} moves, to {last} bytes"
        );
        assert!(
            gathered
                .as_slice()
                .chunks(piece.len())
                .all(|part| part == piece)
        );
    }

    #[test]
    fn what_is_cut_off_does_not_come_back() {
        let mut gathered = Gathered::new(&vec![1; MOVE_AT_LEAST]);
        while gathered.next.is_empty() {
            gathered.extend(&[2; 1_000]);
        }
        gathered.truncate(10);
        while gathered.as_slice().len() < 3 * MOVE_AT_LEAST {
            gathered.extend(&[3; 100_000]);
        }
        let (old, new) = gathered.as_slice().split_at(10);
        assert!(old.iter().all(|byte| *byte == 1) && new.iter().all(|byte| *byte == 3));
        assert!(gathered.footprint() >= gathered.as_slice().len());
    }
}
