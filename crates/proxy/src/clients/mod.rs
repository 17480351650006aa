//! Clients: what each has sent, which replies it is to get, and in which order.
//!
//! Read `order` (the requests that wait for a reply), `backlog` and `intake` (input that is no request yet), `pinned`
//! (connections with outstanding requests), `phase` and `holds` (why a session accepts no requests), `session` (one
//! client), `turn` (how much the proxy does for it at once), `table` (all clients, and when each is resumed),
//! `retry_budget`.

pub(crate) mod backlog;
pub(crate) mod holds;
pub(crate) mod intake;
pub(crate) mod order;
pub(crate) mod phase;
pub(crate) mod pinned;
mod read_rate;
pub(crate) mod retry_budget;
pub(crate) mod session;
pub(crate) mod table;
mod turn;
