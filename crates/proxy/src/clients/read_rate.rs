//! Whether a client reads its replies fast enough.

/// How many bytes a client with many unread replies has moved, of replies or of further requests, since the current
/// period of measuring began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadRate {
    pub(crate) moved: usize,
    /// Its unread replies were below the limit at some time in the period, which counts as fast enough.
    pub(crate) was_below: bool,
}

impl ReadRate {
    /// So many bytes were received from the client or written to it. `is_below` tells whether it is below its limit
    /// now.
    pub(super) fn note(&mut self, bytes: usize, is_below: bool) {
        self.moved = self.moved.saturating_add(bytes);
        self.was_below |= is_below;
    }
}
