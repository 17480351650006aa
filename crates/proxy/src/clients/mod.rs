//! Clients: what each has sent, what it is owed, and in which order.
//!
//! Read `order` (the requests that owe a reply), `backlog` and `intake` (what was sent and is no request yet),
//! `pinned` (where requests are outstanding), `session` (one client), `table` (all of them, and who goes on when),
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
