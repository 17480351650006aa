//! Servers: their health, their connections, and the requests in flight on them.
//!
//! Read `server` (one server, as one worker sees it), `purpose` and `connection` (one connection), `queue` (the
//! requests on it), `roster` (all servers and connections), `health` (shared by all workers), `upgrades` (which
//! servers support RESP3).

pub(crate) mod connection;
pub(crate) mod health;
pub(crate) mod purpose;
pub(crate) mod queue;
pub(crate) mod roster;
pub(crate) mod server;
pub(crate) mod upgrades;
