//! Whether a client reads its replies fast enough.

/// How much a client that leaves many replies unread has moved, of them or of further requests, since it was
/// last judged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadRate {
    pub(crate) moved: usize,
    /// It has been below its bound since.
    pub(crate) was_below: bool,
}

impl ReadRate {
    /// So many bytes have come from the client, or gone to it, and it is below its bound or not.
    pub(super) fn note(&mut self, bytes: usize, is_below: bool) {
        self.moved = self.moved.saturating_add(bytes);
        self.was_below |= is_below;
    }
}
