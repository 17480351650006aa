//! How fast a session reads its replies, and whether the session is read itself.

use super::Session;
use crate::clients::phase::Reading;
use crate::clients::read_rate::ReadRate;
use crate::protocol::Protocol;

impl<P: Protocol> Session<P> {
    /// Whether it must read and is not being measured.
    #[inline]
    pub(crate) fn must_be_measured(&self) -> bool {
        self.read_rate.is_none() && self.must_read()
    }

    /// Begins to measure how fast it reads; returns whether it was not measured before.
    pub(crate) fn measure_reading(&mut self) -> bool {
        let begins = self.read_rate.is_none();
        self.read_rate.get_or_insert_default();
        begins
    }

    /// Ends the measuring, and returns what was measured.
    pub(crate) fn take_read_rate(&mut self) -> Option<ReadRate> {
        self.read_rate.take()
    }

    /// Whether its memory can shrink while it is not read: it waits for replies, or has replies to read.
    pub(crate) fn can_shrink(&self) -> bool {
        !self.is_idle() || !self.output.is_empty()
    }

    /// Has the client read again, if it was not and is to be; returns whether that changed.
    pub(crate) fn resume_reading(&mut self, most: usize) -> bool {
        let resumes = self.reading == Reading::Stopped && self.wants_read(most);
        if resumes {
            self.reading = Reading::On;
        }
        resumes
    }
}
