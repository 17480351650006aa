//! What goes through the queue to the log's thread.

use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

/// What the log's thread is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Write this.
    Write(Record),
    /// Close the file and open it again.
    Reopen,
    /// Write out what there is, and then say so.
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
