//! What other threads tell a worker.

use std::net::SocketAddr;
use std::time::Duration;

use super::net::Caller;
use crate::connections::Counted;
use crate::net::Stream;
use crate::pool::PoolId;

/// One message.
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
        /// Counts it.
        counted: Counted,
    },
    /// A server's name was looked up; no address when it means nothing.
    Resolved {
        /// Who asked.
        caller: Caller,
        /// The answer.
        address: Option<SocketAddr>,
    },
    /// Answer what is in flight, for so long at most, and end.
    Shutdown(Duration),
}
