//! Measuring tools, never part of the product.
//!
//! - [`floor`]: an address that answers the load by itself, with as few system calls as can be (program
//!   `floor`): what no proxy can go below.
//! - [`load`]: a load generator for Redis and memcached, closed loop and open loop, that checks every
//!   reply (program `loadgen`).
//! - [`paths`]: the proxy's core on a fake network, for counting instructions (program `instructions`).
//!
//! The load generator shares no code with the proxy: it writes and reads the protocols itself, so that
//! a mistake of the proxy's parsers cannot hide itself here.

pub mod floor;
pub mod load;
pub mod paths;
