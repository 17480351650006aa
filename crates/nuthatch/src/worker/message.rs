//! Messages from other threads to a worker.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use proxy::{ClientGroup, ClientInfo, Departure};

use super::net::{Caller, Word};
use crate::connections::Counted;
use crate::net::Stream;
use crate::pool::{PoolId, PoolShare};
use crate::resolver::Resolved;

/// Clients, each with its pool.
pub(crate) type Listed = Vec<(Arc<PoolShare>, ClientInfo)>;

/// Groups of clients, each with its pool.
pub(crate) type Grouped = Vec<(Arc<PoolShare>, ClientGroup)>;

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
    /// Which workers serve a pool has changed, or there are too many connections to servers.
    KeepBudget,
    /// There is a further pool.
    AddPool(Arc<PoolShare>),
    /// A pool was removed from the configuration: answer what is in flight, and close it after this time at the latest.
    RemovePool(PoolId, Duration),
    /// Everything that was sent before was handled: the sender is dropped.
    Handled(Sender<()>),
    /// The process is about to leave: tell the clients that want to know, and answer how many there were.
    Announce(Departure, Sender<usize>),
    /// Tell of the clients that hold most memory, of each pool at most so many.
    Clients(usize, Sender<Listed>),
    /// Tell the clients of each pool by what they say of themselves.
    Groups(Sender<Grouped>),
    /// Close the clients with this address; tell how many there were.
    Kill(Arc<str>, Sender<usize>),
    /// Of another worker.
    Told(Word),
    /// Close the clients one after the other, within this time.
    Leave(Duration),
    /// Answer what is in flight, within this time, and end.
    Shutdown(Duration),
}
