//! From a key to the server that serves it now.
//!
//! `shards` places keys on the servers of one pool; `routing` adds the rules for ejected servers and the failover
//! pool; `grouping` groups the keys of one request by server; `plans` are the plans that all this follows; `explain` tells
//! people what comes of it, and `digest` whether two proxies do the same.

mod digest;
pub(crate) mod explain;
pub(crate) mod grouping;
pub(crate) mod plans;
pub(crate) mod random;
pub(crate) mod readers;
pub(crate) mod routing;
pub(crate) mod shards;
