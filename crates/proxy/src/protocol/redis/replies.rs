//! CLIENT REPLY: whether a client wants replies.

use redis_proto::encode;

use crate::protocol::grammar::Reply;

/// Whether replies are wanted, with the flags that Redis has. SKIP concerns one request only: `begin` is called for
/// each.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    off: bool,
    /// The reply to the current request is not wanted.
    skip: bool,
    /// The reply to the next request is not wanted.
    skip_next: bool,
}

impl Replies {
    /// The next request begins.
    pub(super) fn begin(&mut self) {
        self.skip = std::mem::take(&mut self.skip_next);
    }

    /// The current request is postponed: it will begin again.
    pub(super) fn put_off(&mut self) {
        self.skip_next = std::mem::take(&mut self.skip);
    }

    /// Whether the reply to the current request is wanted.
    pub(super) fn present(&self) -> Reply {
        match self.off || self.skip {
            true => Reply::Dropped,
            false => Reply::Wanted,
        }
    }

    /// CLIENT REPLY with its argument.
    pub(super) fn set(&mut self, mode: &[u8], out: &mut Vec<u8>) {
        match mode.to_ascii_lowercase().as_slice() {
            b"on" => {
                *self = Self::default();
                encode::simple(out, "OK");
            }
            b"off" => self.off = true,
            b"skip" => self.skip_next = !self.off,
            _ => encode::error(out, "ERR syntax error"),
        }
    }

    /// The state after RESET: all replies are wanted again, including that to RESET unless it was to be skipped.
    #[must_use]
    pub(super) fn after_reset(&self) -> Self {
        Self {
            skip: self.skip,
            ..Self::default()
        }
    }
}
