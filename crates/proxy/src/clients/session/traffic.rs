//! What a session has sent and got.

use super::Session;
use crate::client_info::Traffic;
use crate::flow::spares::Spares;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Session<P> {
    /// When it has connected, and what it has sent and got since.
    pub(crate) fn traffic(&self) -> (Time, Traffic) {
        (self.opened, self.traffic)
    }

    /// It has sent so many requests.
    #[inline]
    pub(crate) fn note_requests(&mut self, count: u64) {
        self.traffic.requests += count;
    }

    /// `bytes` bytes have been read from the client at `now`. An incomplete request is timed from its first byte, so
    /// that a client cannot keep it open by sending a byte at a time.
    #[inline]
    pub(crate) fn note_read(&mut self, bytes: usize, now: Time) {
        self.turn.begin(now);
        if self.intake.is_none() {
            self.since = now;
        }
        self.traffic.bytes_in += bytes as u64;
        self.note_moved(bytes);
    }

    /// The first `count` bytes of the output were written at `now`. An incomplete request stays timed from its first
    /// byte.
    #[inline]
    pub(crate) fn note_written(&mut self, count: usize, now: Time, spares: &mut Spares) {
        self.output.consume_and_recycle(count, spares);
        self.traffic.bytes_out += count as u64;
        self.note_moved(count);

        if self.intake.is_none() {
            self.since = now;
        }
    }
}
