//! Bytes on their way, what they take of the memory, and what the shell is to do with them.

pub(crate) mod buffer;
pub(crate) mod chunk;
pub(crate) mod log_limit;
pub(crate) mod memory;
pub(crate) mod memory_watch;
pub(crate) mod outbox;
mod segment;
pub(crate) mod spares;
pub(crate) mod stash;
