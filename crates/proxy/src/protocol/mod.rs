//! What a protocol offers: its grammar, a planner of requests, what splits and joins them, and its greeting
//! of servers. A pool speaks one protocol, chosen when it is built, so that the per-request loop never asks.
//!
//! No answer depends on which question came before: what later questions need of a request is in
//! [`decision::Decision`].

pub(crate) mod decision;
pub(crate) mod fanout;
pub(crate) mod grammar;
pub(crate) mod greeting;
pub(crate) mod memcached;
pub(crate) mod redis;

/// Everything that the engine asks of a protocol.
pub(crate) trait Protocol: fanout::FanOut + greeting::Greeting {
    /// The protocol with a pool's settings.
    fn new(settings: &crate::settings::PoolSettings) -> Self;
}
