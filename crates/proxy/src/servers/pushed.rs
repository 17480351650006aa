//! How much of a server's output answers no request.

use crate::limits::{MAX_PUSHED, PUSH_PERIOD};
use crate::time::Time;

/// How much of a server's output answers no request. The proxy asks for no push frames, so that there are hardly any.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    since: Time,
    bytes: usize,
}

impl Pushed {
    /// Adds so many bytes that came at `now`; returns whether that is no more than is allowed.
    pub(super) fn add(&mut self, bytes: usize, now: Time) -> bool {
        if now.since(self.since) >= PUSH_PERIOD {
            *self = Self {
                since: now,
                bytes: 0,
            };
        }
        self.bytes += bytes;
        self.bytes <= MAX_PUSHED
    }
}
