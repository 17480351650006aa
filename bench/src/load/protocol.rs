//! What a target speaks.

/// The protocol that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2.
    Redis,
    /// The classic text protocol.
    Memcached,
}
