//! Messages to the log's thread.

use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

/// A message to the log's thread.
#[derive(Debug)]
pub(super) enum Order {
    /// Write this.
    Write(Record),
    /// Close the file and reopen it.
    Reopen,
    /// Write everything out, then reply.
    Flush(SyncSender<()>),
}

/// One record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: SystemTime,
    pub(super) file: &'static str,
    pub(super) line: u32,
    pub(super) text: String,
}
