//! Messages to the log's thread.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime};

use proxy::limits::{LOG_EVERY, LOG_LASTING_EVERY};

/// A message to the log's thread.
#[derive(Debug)]
pub(super) enum Order {
    /// Write this.
    Write(Record),
    /// Write this, unless there was one like it a moment ago; then count it.
    Limit(Record, Repeats),
    /// Close the file and reopen it.
    Reopen,
    /// Write everything out, then reply.
    Flush(SyncSender<()>),
}

/// One record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: SystemTime,
    /// File and line of the source, if positions are logged.
    pub(super) position: Option<(&'static str, u32)>,
    pub(super) text: String,
}

/// Which records are alike, and how often one of them is written.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// What happened.
    pub(crate) kind: &'static str,
    /// To whom: a pool, a server, a name.
    pub(crate) whom: String,
    /// The interval in which one is written.
    pub(crate) every: Duration,
    /// How many this one stands for.
    pub(crate) count: u64,
}

impl Repeats {
    /// One record per second.
    pub(crate) fn of(kind: &'static str, whom: &str) -> Self {
        Self {
            kind,
            whom: whom.into(),
            every: LOG_EVERY,
            count: 1,
        }
    }

    /// One record in ten seconds, for what may go on for long.
    pub(crate) fn of_lasting(kind: &'static str, whom: &str) -> Self {
        Self {
            every: LOG_LASTING_EVERY,
            ..Self::of(kind, whom)
        }
    }
}
