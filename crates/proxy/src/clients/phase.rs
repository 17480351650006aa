//! Where a session stands, from its first request to its end.

/// Where a session stands.
///
/// ```text
///  Open ── FIN ─────────▶ Ended ── all answered and written ──▶ closed
///   │ └─ QUIT, fatal ───▶ Quitting ── all answered and written ─▶ closed
///   └─ reply cut off ───▶ Broken ── output written ────────────▶ closed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Requests are read.
    Open,
    /// The client sends nothing further; what it has sent is answered.
    Ended,
    /// Nothing further is looked at; what was accepted is answered. `linger` as in `Action::CloseSession`.
    Quitting { linger: bool },
    /// A reply broke off in the middle: nothing may follow it.
    Broken,
}
