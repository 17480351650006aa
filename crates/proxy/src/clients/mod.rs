//! Clients: what each has sent, which replies it is to get, and in which order.
//!
//! Read `order` (the requests that wait for a reply), `backlog`, `gathered` and `intake` (input that is no request yet),
//! `large_split` (a request of very many keys), `transaction` and `watch` (requests that are held until EXEC, and the keys that it depends on), `pinned` (connections with outstanding requests), `phase`, `ending` and
//! `holds` (why a session accepts no requests), `pace` (how many it may have outstanding where they take long),
//! `session` (one client), `turn` (how much the proxy does for it at once), `table` (all clients, and when each is
//! resumed), `retry_budget`, `questions` (requests that wait for the answers of other workers), `subscriber` (how far one is behind), `wait_watch` (whether clients still wait where their
//! keys are).

pub(crate) mod backlog;
pub(crate) mod ending;
mod gathered;
pub(crate) mod holds;
pub(crate) mod intake;
pub(crate) mod large_split;
mod leaving;
pub(crate) mod order;
pub(crate) mod own_writes;
pub(crate) mod pace;
pub(crate) mod phase;
pub(crate) mod pinned;
pub(crate) mod questions;
mod read_rate;
pub(crate) mod retry_budget;
pub(crate) mod session;
mod subscriber;
pub(crate) mod table;
pub(crate) mod transaction;
mod turn;
pub(crate) mod wait_watch;
pub(crate) mod watch;
