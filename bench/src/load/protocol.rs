//! Protocols.

/// The target's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2.
    Redis,
    /// The classic text protocol.
    Memcached,
}
