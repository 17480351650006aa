//! Bytes on their way through the proxy, the memory they occupy, and what the shell has to do with them.
//!
//! Read `chunk` (what was read), `segment` and `buffer` (ropes: what is to be written), `stash` (a reply that waits),
//! `spares` (buffers for reuse), `log_limit` and `log` (what waits to be logged), `outbox` (work for the shell), `memory` and `memory_watch` (`max_memory`).

pub(crate) mod buffer;
pub(crate) mod chunk;
pub(crate) mod log;
pub(crate) mod log_limit;
pub(crate) mod memory;
pub(crate) mod memory_watch;
pub(crate) mod outbox;
mod segment;
pub(crate) mod spares;
pub(crate) mod stash;
