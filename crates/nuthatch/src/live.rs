//! The configuration in force and everything that is made of it: pools, listening sockets, watched names. It is replaced
//! by another one as a whole, while clients are served.

mod changes;
mod clusters;
mod directory;
mod discoveries;
mod pools;
mod reload;
mod reloads;
mod sockets;
mod state;

pub(crate) use directory::{Directory, InForce};
pub(crate) use pools::idle_pools;
pub(crate) use state::{Draft, Files, Live};
