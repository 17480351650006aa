//! The two protocols.

/// The protocol of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Redis,
    Memcached,
}
