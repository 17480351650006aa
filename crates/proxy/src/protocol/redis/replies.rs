//! CLIENT REPLY: which replies a client wants.

use redis_proto::encode;

use crate::protocol::grammar::Reply;

/// Whether replies are wanted. Each request begins it anew, so that SKIP concerns one request only; the
/// flags are those of Redis.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    off: bool,
    /// The reply to the present request is not wanted.
    skip: bool,
    /// Nor is that to the next one.
    skip_next: bool,
}

impl Replies {
    /// The next request begins.
    pub(super) fn begin(&mut self) {
        self.skip = std::mem::take(&mut self.skip_next);
    }

    /// The present request will begin again.
    pub(super) fn put_off(&mut self) {
        self.skip_next = std::mem::take(&mut self.skip);
    }

    /// Whether the reply to the present request is wanted.
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

    /// What RESET leaves: everything is wanted again, from the reply to RESET on unless that was to be skipped.
    #[must_use]
    pub(super) fn after_reset(&self) -> Self {
        Self {
            skip: self.skip,
            ..Self::default()
        }
    }
}
