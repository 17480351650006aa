//! Servers of a Redis Cluster that answer that a request belongs elsewhere, or cannot be served for the moment.

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
