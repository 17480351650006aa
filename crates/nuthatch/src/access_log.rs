//! The access log: a line of JSON for each request that the core tells of (`access_log`), in a file of its own.
//!
//! Like the log it never blocks: lines go through a bounded queue to a thread that writes them. Those that do not fit, and
//! those that the file does not take, are counted, and the log says how many.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use proxy::AccessRecord;
use proxy::limits::LOG_LASTING_EVERY;
use serde::Serialize;

use crate::logger::{Repeats, Sink, WARN, escape, log_limited};
use crate::pool::PoolShare;

/// Lines that may wait to be written: a burst fits, and they take 2 MiB at most.
const MAX_WAITING: usize = 4_096;

/// Lines are collected up to this size before they are written.
const BATCH_BYTES: usize = 64 << 10;

/// How often [`flush`] and [`follow`] retry while the queue is full.
const RETRY: Duration = Duration::from_millis(5);

static LOG: OnceLock<AccessLog> = OnceLock::new();

#[derive(Debug)]
struct AccessLog {
    sender: SyncSender<Order>,
    /// Lines that did not fit since that was told.
    dropped: AtomicU64,
}

/// A message to the thread.
#[derive(Debug)]
enum Order {
    Write(Box<AccessRecord>, Arc<PoolShare>),
    /// Write there from now on.
    Follow(Option<Sink>),
    Reopen,
    /// Write everything out, then reply.
    Flush(SyncSender<()>),
}

/// A file that is open, or none, to be followed.
#[derive(Debug)]
pub(crate) struct Prepared(Option<Sink>);

/// Opens the file for appending, and has a thread ready that writes to it.
///
/// # Errors
///
/// When that fails. What was written to until now is not touched.
pub(crate) fn prepare(path: Option<&Path>) -> io::Result<Prepared> {
    let sink = path.map(|path| Sink::open(Some(path.to_owned())));
    let sink = sink.transpose()?;
    if sink.is_some() && LOG.get().is_none() {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || Writer::default().run(&receiver))?;
        // Only one thread prepares a configuration.
        let _ = LOG.set(AccessLog {
            sender,
            dropped: AtomicU64::new(0),
        });
    }
    Ok(Prepared(sink))
}

/// Lines go there from now on.
pub(crate) fn follow(Prepared(sink): Prepared) {
    let Some(log) = LOG.get() else {
        return;
    };
    let mut order = Order::Follow(sink);
    // The thread may be behind, but never stops.
    while let Err(TrySendError::Full(same)) = log.sender.try_send(order) {
        order = same;
        thread::sleep(RETRY);
    }
}

/// Queues a line; returns false if there is no room.
pub(crate) fn write(record: AccessRecord, pool: &Arc<PoolShare>) -> bool {
    let order = || Order::Write(Box::new(record), Arc::clone(pool));
    // Without a log nothing is lost.
    LOG.get().is_none_or(|log| log.submit(order()))
}

/// Has the file closed and reopened, after it was renamed.
pub(crate) fn reopen() {
    if let Some(log) = LOG.get() {
        // If the queue is full, whoever rotates the file finds it growing still, and tries again.
        let _ = log.sender.try_send(Order::Reopen);
    }
}

/// Waits until everything queued so far is written, at most for `time_limit`.
pub(crate) fn flush(time_limit: Duration) {
    let Some(log) = LOG.get() else {
        return;
    };
    let end = Instant::now() + time_limit;
    let (done, written) = sync_channel(1);
    while log.sender.try_send(Order::Flush(done.clone())).is_err() && Instant::now() < end {
        thread::sleep(RETRY);
    }
    let left = end.saturating_duration_since(Instant::now());
    let _ = written.recv_timeout(left);
}

impl AccessLog {
    /// Queues a line; counts it if there is no room.
    fn submit(&self, order: Order) -> bool {
        let is_queued = self.sender.try_send(order).is_ok();
        if !is_queued {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        is_queued
    }
}

/// What the thread has.
#[derive(Debug, Default)]
struct Writer {
    sink: Option<Sink>,
    lines: String,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            self.perform(order);
            while self.lines.len() < BATCH_BYTES
                && let Ok(order) = orders.try_recv()
            {
                self.perform(order);
            }
            self.write_out();
        }
    }

    fn perform(&mut self, order: Order) {
        match order {
            Order::Write(record, pool) => write_line(&record, &pool, &mut self.lines),
            Order::Follow(sink) => {
                self.write_out();
                self.sink = sink;
            }
            Order::Reopen => {
                self.write_out();
                if let Some(sink) = &mut self.sink {
                    sink.reopen();
                }
            }
            Order::Flush(done) => {
                self.write_out();
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn write_out(&mut self) {
        if let Some(sink) = &mut self.sink
            && !self.lines.is_empty()
        {
            sink.write(self.lines.as_bytes());
            if let Some(lost) = sink.take_lost() {
                tell("lost", lost.lines, &lost.reason);
            }
        }
        self.lines.clear();
        let dropped = LOG.get().map(|log| log.dropped.swap(0, Ordering::Relaxed));
        match dropped {
            None | Some(0) => {}
            Some(count) => tell("dropped", count, "they could not be written fast enough"),
        }
    }
}

fn tell(what: &'static str, count: u64, reason: &str) {
    let repeats = Repeats {
        kind: "access log",
        whom: what.to_owned(),
        every: LOG_LASTING_EVERY,
        count: 1,
    };
    log_limited!(
        WARN,
        repeats,
        "{count} lines of the access log were {what}: {reason}"
    );
}

/// A line. What is not text is escaped as in Rust.
#[derive(Debug, Serialize)]
struct Line<'r> {
    /// When the request ended, in UTC, as RFC 3339 has it.
    time: String,
    pool: &'r str,
    server: &'r str,
    client: &'r str,
    client_name: String,
    command: String,
    key: String,
    key_bytes_left_out: usize,
    bytes_in: usize,
    bytes_out: usize,
    proxy_us: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_us: Option<u128>,
    outcome: &'r str,
}

fn write_line(record: &AccessRecord, pool: &PoolShare, lines: &mut String) {
    let epoch = pool.core().place().process.epoch_micros;
    let at = Timestamp::from_microsecond((epoch + record.at.as_micros()) as i64);
    let line = Line {
        time: at
            .unwrap_or_default()
            .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
            .to_string(),
        pool: pool.name(),
        server: &record.server,
        client: &record.client.0,
        client_name: record.client.1.escape_ascii().to_string(),
        command: record.what.command().escape_ascii().to_string(),
        key: record.what.key().escape_ascii().to_string(),
        key_bytes_left_out: record.what.left_out(),
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        proxy_us: record.waited.as_micros(),
        server_us: record.served.map(|served| served.as_micros()),
        outcome: record.outcome.text(),
    };
    // A struct of texts and numbers can always be written.
    let json = serde_json::to_string(&line).unwrap_or_default();
    lines.push_str(&escape::json(&json));
    lines.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing reads the queue in this test, as when the thread is blocked by its file.
    #[test]
    fn a_full_queue_drops_and_counts_and_never_waits() {
        let (sender, _receiver) = sync_channel(2);
        let log = AccessLog {
            sender,
            dropped: AtomicU64::new(0),
        };
        let begin = Instant::now();
        let kept = (0..100).filter(|_| log.submit(Order::Reopen)).count();
        assert!(begin.elapsed() < Duration::from_secs(1));
        assert_eq!((kept, log.dropped.load(Ordering::Relaxed)), (2, 98));
    }
}
