//! Which servers reads go to, and the replicas that there are.

use std::time::Duration;

use crate::address::Address;

/// Which servers reads go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSettings {
    /// By which rule they are chosen.
    pub from: ReadFrom,
    /// How long a client's reads go to a server itself after the client has written there, so that it finds what it wrote. With
    /// zero they never do because of that, and a write does not wait for reads of the same client that are at replicas.
    pub own_writes: Duration,
    /// The zone that the proxy is in, for [`ReadFrom::Zone`].
    pub zone: Option<Box<str>>,
}

impl ReadSettings {
    /// Whether what a client reads and writes keeps its order wherever it is read.
    pub(crate) fn keep_order(&self) -> bool {
        !self.own_writes.is_zero()
    }
}

/// By which rule the server is chosen that a read goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// A replica, and nothing else.
    Replica,
    /// A replica, and the server itself where none is in use.
    PreferReplica,
    /// One that is in the proxy's zone, be it a replica or the server itself; where there is none, as with
    /// [`ReadFrom::PreferReplica`].
    Zone,
    /// The one of all of them that has answered fastest lately.
    Fastest,
}

/// What is known of a server's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replication {
    /// The zone that the server itself is in, if that is known.
    pub zone: Option<Box<str>>,
    /// Its replicas, at most [`MAX_REPLICAS`](crate::limits::MAX_REPLICAS).
    pub replicas: Vec<ReplicaSettings>,
}

/// A replica of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSettings {
    /// Identifies it in the statistics.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// The zone that it is in, if that is known.
    pub zone: Option<Box<str>>,
}

impl ReplicaSettings {
    /// The one at this address, by whose text it is called.
    pub fn at(address: Address, zone: Option<Box<str>>) -> Self {
        Self {
            name: address.to_string(),
            address,
            zone,
        }
    }
}
