//! Servers of a Redis Cluster that answer that a request belongs elsewhere, or cannot be served for the moment.

use crate::settings::Address;

/// What such an answer says. The request was not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// Another node has the hash slot.
    Moved {
        /// The slot; `None` if the node did not name one.
        slot: Option<u16>,
        /// Where it is, if the node knows.
        to: Option<Node>,
    },
    /// The slot is on its way to another node, which has the keys already; it is to be asked for this request only.
    Asked {
        /// That node, if its address is known.
        to: Option<Node>,
    },
    /// Some of the keys are on their way, and no node has all of them.
    TryAgain,
    /// The node cannot serve for the moment: it loads its data, or the cluster has too few nodes.
    Down,
}

/// The address of a node, as another one gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// A name or a numeric address; `None` if it is that of the node that has answered.
    pub(crate) host: Option<Box<str>>,
    pub(crate) port: u16,
}

impl Node {
    /// Where it is; a node at `from` has named it.
    pub(crate) fn address(&self, from: Option<&Address>) -> Option<Address> {
        match (&self.host, from) {
            (Some(host), _) => Some(Address::tcp(host, self.port)),
            (None, Some(Address::Tcp { host, .. })) => Some(Address::tcp(host, self.port)),
            (None, _) => None,
        }
    }
}
