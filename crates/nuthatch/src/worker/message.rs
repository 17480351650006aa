//! Messages from other threads to a worker.

use std::time::Duration;

use super::net::Caller;
use crate::connections::Counted;
use crate::net::Stream;
use crate::pool::PoolId;
use crate::resolver::Resolved;

/// A message to a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// A client was accepted.
    Client {
        /// Its pool.
        pool: PoolId,
        /// Its connection.
        stream: Stream,
        /// Its name in log lines.
        name: Box<str>,
        /// Counts the connection.
        counted: Counted,
    },
    /// A server's name was resolved; `None` if that failed.
    Resolved {
        /// The connection that asked.
        caller: Caller,
        /// The answer.
        resolved: Option<Resolved>,
    },
    /// A pool has a further plan.
    Planned,
    /// Answer what is in flight, within this time, and end.
    Shutdown(Duration),
}
