//! The window of a session, and how it changes with what its requests take; see [`crate::clients::pace`].

use super::Session;
use crate::clients::holds::Hold;
use crate::clients::pace::{Delayed, Pace, Terms};
use crate::limits::LONG_WINDOW;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Session<P> {
    /// The request that was sent last may take long; a client begins with `first` of them. For one that sends them one
    /// by one there is nothing to note.
    pub(crate) fn note_long(&mut self, first: usize, terms: Terms, now: Time) {
        if self.pace.is_some() || self.outstanding() > 1 {
            self.pace_mut(terms, now).note_long(first, terms, now);
            self.follow_pace();
        }
    }

    /// A request of it has waited at a server for too long.
    pub(crate) fn note_delay(&mut self, delayed: Delayed, terms: Terms, now: Time) {
        let outstanding = self.outstanding();
        if self.pace.is_some() || outstanding > LONG_WINDOW {
            let pace = self.pace_mut(terms, now);
            pace.note_delay(delayed, outstanding, terms, now);
            self.follow_pace();
        }
    }

    /// Whether a further request may be accepted after all, where [`Session::may_accept`] has said no: by now the
    /// window may be wider.
    #[cold]
    pub(crate) fn may_accept_by_now(&mut self, now: Time) -> bool {
        if !self.holds.has(Hold::Narrow) {
            return false;
        }
        let outstanding = self.outstanding();
        if let Some(pace) = &mut self.pace {
            pace.note_calm(now);
            if !self.holds.block(outstanding == 0) {
                pace.note_full(now);
            }
        }
        self.follow_pace();
        self.may_accept()
    }

    fn pace_mut(&mut self, terms: Terms, now: Time) -> &mut Pace {
        self.pace
            .get_or_insert_with(|| Box::new(Pace::new(terms, now)))
    }
}
