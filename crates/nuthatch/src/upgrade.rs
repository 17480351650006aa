//! An upgrade: the process starts its program again, which may be another version by now, and hands over to it.
//!
//! ```text
//!   old process                                    new process
//!   starts it ─────────────────────────────────▶ runs with the same arguments
//!   HandOver: health of servers, sockets ───────▶ reads the configuration, opens what it was not given
//!   ◀──────────────────────────── Ready, or Failed with the reason
//!   Go ─────────────────────────────────────────▶ accepts clients, writes the pid file
//!   accepts nobody any more, serves its clients
//!   on, and closes them one by one
//!   Report, Report, ... ────────────────────────▶ tells what the old one still has
//!   ends ───────────────────────────────────────▶ may be upgraded itself
//! ```
//!
//! Until Go nothing of the old process has changed: if anything goes wrong before, the new one ends and the old one serves
//! on. They talk over a pair of connected unix sockets, one of which is the standard input of the new one.

mod address;
mod channel;
mod message;
mod old_process;
mod predecessor;
mod program;
mod successor;

pub(crate) use message::HandOver;
pub(crate) use old_process::OldProcess;
pub(crate) use predecessor::Predecessor;
pub(crate) use program::StartedAs;
pub(crate) use successor::{Socket, Successor};

/// Tells the new process that it is one. It holds the process id of the old one, so that an inherited variable has no effect.
const VARIABLE: &str = "NUTHATCH_UPGRADE_FROM";

#[cfg(test)]
mod tests;
