//! Measuring tools, never part of the product.
//!
//! - [`faults`]: what the tests share that make servers fail (`cargo xtask torture`, `cargo xtask chaos`).
//! - [`floor`]: a minimal server that answers the load itself, with as few system calls as possible (program
//!   `floor`): a lower bound for every proxy.
//! - [`load`]: a load generator for Redis and memcached, closed loop and open loop, that checks every reply
//!   (program `loadgen`).
//! - [`paths`]: the proxy's core on a fake network, for counting instructions (program `instructions`).
//! - [`pubsub`]: one publisher and many subscribers (program `pubsub`).
//! - [`transactions`]: transactions at a fixed rate (program `transactions`).
//! - [`usage`]: what memory and descriptors a process uses, for the tests that attack or torture the proxy.
//!
//! The load generator shares no code with the proxy: it implements the protocols itself, so that a mistake in
//! the proxy's parsers cannot go unnoticed here.

pub mod faults;
pub mod floor;
pub mod load;
pub mod paths;
pub mod pubsub;
pub mod transactions;
pub mod usage;
