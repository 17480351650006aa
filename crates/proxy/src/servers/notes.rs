//! What the requests on a connection are called, if slow ones are logged.

use std::collections::VecDeque;

use crate::limits::KEEP_IN_FLIGHT;
use crate::slow_log::Note;

/// The notes of requests that are not answered, each with the number of its request, oldest first. Not every request has
/// one.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<(u64, Note)>);

impl Notes {
    /// The request with this number is called so.
    pub(super) fn add(&mut self, number: u64, note: Note) {
        self.0.push_back((number, note));
    }

    /// The note of the request with this number, which is the oldest that is not answered.
    pub(super) fn of(&mut self, number: u64) -> Option<Note> {
        self.drop_before(number);
        let (noted, note) = self.0.front()?;
        (*noted == number).then_some(*note)
    }

    /// Drops those of requests before this number: they are answered.
    #[inline]
    pub(super) fn drop_before(&mut self, number: u64) {
        if !self.0.is_empty() {
            self.drop_some_before(number);
        }
    }

    #[inline(never)]
    fn drop_some_before(&mut self, number: u64) {
        while self.0.front().is_some_and(|(noted, _)| *noted < number) {
            self.0.pop_front();
        }
        if self.0.is_empty() && self.0.capacity() > KEEP_IN_FLIGHT {
            self.0 = VecDeque::new();
        }
    }

    /// Requests in the middle were dropped, so that the numbers are wrong.
    pub(super) fn forget(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_by_the_number_of_its_request() {
        let note = |text: &str| Note::new(text.as_bytes(), b"");
        let mut notes = Notes::default();
        notes.add(3, note("a"));
        notes.add(5, note("b"));
        assert_eq!(notes.of(2), None);
        assert_eq!(
            (notes.of(3), notes.of(3)),
            (Some(note("a")), Some(note("a")))
        );
        assert_eq!((notes.of(4), notes.of(5)), (None, Some(note("b"))));
        notes.drop_before(6);
        assert_eq!(notes.of(6), None);
        notes.add(7, note("c"));
        notes.forget();
        assert_eq!(notes.of(7), None);
    }
}
