//! From a key to the server that serves it now.
//!
//! `shards` places keys on the servers of one pool; `routing` is the whole rule, with a failover pool's servers
//! in the place of ejected ones; `plans` tells by which plans.

pub(crate) mod grouping;
pub(crate) mod plans;
pub(crate) mod random;
pub(crate) mod routing;
pub(crate) mod shards;
