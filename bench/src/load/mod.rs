//! A load generator on one thread.
//!
//! **Closed loop**: each client sends a batch of requests, waits for all its replies and sends the next, as
//! redis-benchmark does. **Open loop**: requests are due at fixed times whatever the replies do, and a
//! latency counts from the time its request was *due*: a stall delays every request that falls into it and
//! shows in every one of them (no coordinated omission).
//!
//! Keys and values follow from a number and the value's size ([`Keyspace`]), so that a reply that is wrong,
//! missing or belongs to another request is detected and counted.

mod client;
mod drive;
mod options;
mod pattern;
mod protocol;
mod replies;
mod results;
mod timer;
mod traffic;

pub use options::{Mix, Options, Pace, USAGE};
pub use pattern::{Keyspace, id_and_size_of, push_value};
pub use protocol::Protocol;
pub use results::Report;

/// Connects, sends the load and checks the replies.
///
/// # Errors
///
/// When the target cannot be connected to, or the operating system refuses something. Wrong replies are not
/// an error: see [`Report::is_flawless`].
pub fn run(options: &Options) -> Result<Report, String> {
    drive::run(options)
}
