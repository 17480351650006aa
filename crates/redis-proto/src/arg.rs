//! Positions of a request's arguments.

/// The position of one argument: `text[start..start + len]`, unless it was diverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    /// Offset of the first byte from the start of the request (or of [`RequestParser::inline`](crate::RequestParser::inline)).
    pub start: u32,
    /// Length in bytes; may be 0.
    pub len: u32,
    /// The bytes are not in the text: the caller took them out ([`Progress::Body`](crate::Progress::Body)) and `start` is where
    /// they would be.
    pub diverted: bool,
}

impl Arg {
    /// The argument's bytes, or `None` if it was diverted (or `text` is not the text it was found in).
    pub fn bytes<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        if self.diverted {
            return None;
        }
        let start = self.start as usize;
        text.get(start..start + self.len as usize)
    }
}
