//! A load generator on one thread.
//!
//! **Closed loop**: each client sends a batch of requests, waits for all its replies and sends the
//! next, as redis-benchmark does. **Open loop**: requests are due at fixed times whatever the replies
//! do, and a latency counts from the moment its request was *due*: a stall delays every request that
//! falls into it and is seen in every one of them (no coordinated omission).
//!
//! Keys and values are a function of a number and the value's size ([`Keyspace`]), so that a reply that
//! is wrong, belongs to another request or is missing is found out and counted.

mod client;
mod drive;
mod options;
mod pattern;
mod protocol;
mod pulse;
mod replies;
mod tally;
mod traffic;

pub use options::{Mix, Options, Pace, USAGE};
pub use pattern::{Keyspace, id_and_size_of, push_value};
pub use protocol::Protocol;
pub use tally::Report;

/// Connects, loads and checks.
///
/// # Errors
///
/// When the target cannot be connected to, or the operating system refuses something. Replies that are
/// wrong are no error here: see [`Report::is_flawless`].
pub fn run(options: &Options) -> Result<Report, String> {
    drive::run(options)
}
