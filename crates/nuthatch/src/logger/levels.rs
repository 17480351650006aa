//! The levels that records of the shell have, with nutcracker's numbers.

/// Written whatever the level is: start and end.
pub(crate) const ALWAYS: u8 = 0;
/// Something failed.
pub(crate) const ALERT: u8 = 1;
/// Something is wrong but was handled.
pub(crate) const WARN: u8 = 4;
/// Normal but notable.
pub(crate) const NOTICE: u8 = 5;

/// What the resolver and the like do; from here on lines have the position in the source.
pub(crate) const DEBUG: u8 = 7;
