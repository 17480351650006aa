//! Clients: what each has sent, what it is owed, and in which order.
//!
//! Read `order` (the requests that owe a reply), `backlog` and `intake` (what was sent and is no request yet),
//! `carriers` (where requests are outstanding), `session` (one client), `table` (all of them, and who goes on when),
//! `retry_budget`.

pub(crate) mod backlog;
pub(crate) mod carriers;
pub(crate) mod holds;
pub(crate) mod intake;
pub(crate) mod order;
pub(crate) mod phase;
mod read_rate;
pub(crate) mod retry_budget;
pub(crate) mod session;
pub(crate) mod table;
