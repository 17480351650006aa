//! The words of a line.

use crate::arg::Arg;
use crate::quick;

/// The words of a line, separated by one or more spaces (and nothing else: a tab is part of a word).
pub(crate) struct Words<'a> {
    pub(crate) line: &'a [u8],
    /// Where the search for the next one begins.
    pub(crate) at: usize,
}

impl Iterator for Words<'_> {
    type Item = Arg;

    #[inline]
    fn next(&mut self) -> Option<Arg> {
        let mut start = self.at;
        while self.line.get(start) == Some(&b' ') {
            start += 1;
        }
        let rest = self.line.get(start..).filter(|rest| !rest.is_empty())?;
        let len = quick::until_space(rest);
        self.at = start + len;
        // Lines are limited far below 4 GiB.
        Some(Arg {
            start: start as u32,
            len: len as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_by_spaces_alone() {
        let line = b"  get  a\tb c ";
        let words: Vec<&[u8]> = Words { line, at: 0 }.map(|w| w.of(line)).collect();
        assert_eq!(words, [&b"get"[..], b"a\tb", b"c"]);
        assert_eq!(
            Words {
                line: b"   ",
                at: 0
            }
            .count(),
            0
        );
    }
}
