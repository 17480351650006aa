//! How far a subscriber is behind with reading its messages.

use crate::limits::{SUBSCRIBER_UNREAD, SUBSCRIBER_UNREAD_FOR, WINDOW_BYTES};
use crate::time::Time;

/// A client that gets the messages of channels. They come whether it reads them or not.
#[derive(Debug, Default)]
pub(super) struct Subscriber {
    /// Since when it has had much unread, as far as that was looked at.
    behind_since: Option<Time>,
}

impl Subscriber {
    /// It has so many bytes unread at `now`, with the next message; returns whether that is too much.
    pub(super) fn is_too_slow(&mut self, unread: usize, now: Time) -> bool {
        if unread <= WINDOW_BYTES {
            self.behind_since = None;
            return false;
        }
        let since = *self.behind_since.get_or_insert(now);
        unread > SUBSCRIBER_UNREAD || now.since(since) >= SUBSCRIBER_UNREAD_FOR
    }
}
