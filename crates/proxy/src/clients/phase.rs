//! The phases of a session, from its first request to its end.

/// The phase of a session. It never returns to an earlier one.
///
/// ```text
///  Open ── FIN ─────────▶ Ended ── all answered and written ──▶ closed
///   │ └─ proxy leaves ──▶ Leaving ─ between two requests ──────▶ closed
///   │ └─ QUIT, fatal ───▶ Quitting ── all answered and written ─▶ closed
///   └─ reply cut off ───▶ Broken ── output written ────────────▶ closed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Requests are read.
    Open,
    /// The same until nothing of the client is outstanding: then it is closed, as the proxy is about to end.
    Leaving,
    /// The client has ended its side (FIN); what it has sent is still parsed and answered.
    Ended,
    /// Input is dropped; what was accepted is answered. `linger` as in `Action::CloseSession`.
    Quitting { linger: bool },
    /// A reply broke off after part of it went out. Only what is in the output is written; anything further would be
    /// taken for the rest of that reply.
    Broken,
}

/// Whether the client is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is; the shell asks (`wants_read`) before it reads.
    On,
    /// The shell was told not to, so it must be told (`Action::ReadSession`) when reading is wanted again.
    Stopped,
}
