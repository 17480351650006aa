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
    /// Look at what has changed: the form of the lines is known now.
    Wake,
    /// Close the file and reopen it.
    Reopen,
    /// Write everything out, then reply.
    Flush(SyncSender<()>),
}

/// One record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: SystemTime,
    pub(super) level: u8,
    /// File and line of the source, if positions are logged.
    pub(super) position: Option<(&'static str, u32)>,
    pub(super) text: String,
    /// What it is about, if that is to be written.
    pub(super) fields: Option<Box<Fields>>,
}

impl Record {
    /// Where in the source it was written, as `file:LINE`, if positions are logged.
    pub(super) fn source(&self) -> Option<String> {
        let (file, line) = self.position?;
        let name = file.rsplit('/').next().unwrap_or(file);
        Some(format!("{name}:{line}"))
    }
}

/// What a record is about, for logs that programs read. Names are of any length here.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// What has happened, in a word.
    pub(crate) event: Option<&'static str>,
    /// The pool.
    pub(crate) pool: Option<Box<str>>,
    /// The server.
    pub(crate) server: Option<Box<str>>,
    /// The client.
    pub(crate) client: Option<Box<str>>,
    /// Why it has happened.
    pub(crate) cause: Option<Box<str>>,
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
