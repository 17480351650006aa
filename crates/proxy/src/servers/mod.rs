//! Servers: their health, their connections, and the requests in flight on them.
//!
//! Read `server` (one server, as one worker sees it), `purpose`, `listener` (receives messages) and `connection` (one
//! connection), `queue` (the requests on it), `writes` (when they were written), `notes` (what they are called), `samples` (those that are counted by their keys), `loaded` (scripts that were loaded over it), `trial` (whether it takes
//! transactions), `pushed` (what answers none of them), `delay` (how long they may wait before clients are held back),
//! `roster` (all servers and connections), `leases` (connections that one session has), `unblocks` (how their waits are
//! ended), `health` (shared by all workers), `upgrades` (which servers support RESP3).

pub(crate) mod connection;
pub(crate) mod delay;
pub(crate) mod health;
pub(crate) mod kept;
pub(crate) mod leases;
pub(crate) mod listener;
pub(crate) mod loaded;
pub(crate) mod notes;
pub(crate) mod purpose;
mod pushed;
pub(crate) mod queue;
pub(crate) mod redirects;
pub(crate) mod roster;
pub(crate) mod samples;
pub(crate) mod server;
pub(crate) mod trial;
pub(crate) mod unblocks;
pub(crate) mod upgrades;
mod writes;
