//! Bytes on their way, and what they take of the memory.

pub(crate) mod buffer;
pub(crate) mod memory;
pub(crate) mod stash;
