//! What the proxy does for a client by itself in one turn.
//!
//! Requests that go to servers are bounded by the session's window. Those that the proxy answers itself (and what it
//! passes over or refuses) are answered at once and leave the window empty, so that a client could keep a worker busy
//! with them for as long as it likes. A session that has used up its turn goes on in the next tick, after the other
//! clients and the servers were heard.

use crate::limits::{TURN_BYTES, TURN_REQUESTS};
use crate::time::Time;

/// What is left of a session's turn.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turn {
    began: Time,
    requests: u32,
    bytes: usize,
}

impl Turn {
    /// It begins at `now`, unless it has at this time.
    #[inline]
    pub(super) fn begin(&mut self, now: Time) {
        if self.began != now {
            self.renew(now);
        }
    }

    /// Another turn begins.
    pub(super) fn renew(&mut self, now: Time) {
        *self = Self {
            began: now,
            requests: 0,
            bytes: 0,
        };
    }

    /// A request was answered, passed over or refused, with a reply of so many bytes. Returns whether that was the
    /// last one of the turn.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        self.requests += 1;
        self.bytes += bytes;
        self.requests >= TURN_REQUESTS || self.bytes >= TURN_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_by_number_or_by_bytes_and_begins_with_another_tick() {
        let mut turn = Turn::default();
        let at = Time::from_micros;
        for tick in 1..3 {
            turn.begin(at(tick));
            for _ in 1..TURN_REQUESTS {
                assert!(!turn.spend(0));
                turn.begin(at(tick));
            }
            assert!(turn.spend(0));
        }
        turn.renew(at(2));
        assert!(!turn.spend(TURN_BYTES - 1) && turn.spend(1));
    }
}
