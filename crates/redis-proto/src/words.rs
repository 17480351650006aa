//! A request's arguments by index.

use crate::arg::Arg;

/// A request's text and the positions of its arguments.
pub(crate) struct Words<'r> {
    pub(crate) text: &'r [u8],
    pub(crate) args: &'r [Arg],
}

impl Words<'_> {
    /// The argument's bytes; `None` if there is none or it is not in the text.
    pub(crate) fn bytes(&self, index: usize) -> Option<&[u8]> {
        self.args.get(index)?.bytes(self.text)
    }

    /// Whether the argument is this word, in any case.
    pub(crate) fn is(&self, index: usize, word: &str) -> bool {
        self.bytes(index)
            .is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
    }
}
