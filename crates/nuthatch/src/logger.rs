//! The log: nutcracker's levels and line format. Logging never blocks.
//!
//! A record goes through a bounded queue to a thread of its own, which formats and writes it. If the log
//! cannot be written (a full disk) or not fast enough (a pipe that nobody reads), lines are dropped and counted,
//! and a later line says how many.
//!
//! Use the [`log!`](crate::log) macro, and [`log_limited!`](crate::log_limited) for what may happen often; before
//! [`start`] they do nothing.

pub(crate) mod escape;
mod order;
mod panics;
mod sink;
mod writer;

use std::fmt::{self, Write};
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

pub(crate) use order::Repeats;
use order::{Order, Record};
pub(crate) use panics::log_panics;
use sink::Sink;
use writer::Writer;

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

/// The highest level.
const MAX_LEVEL: u8 = 11;

/// Maximum bytes of a message; the rest is cut off. nutcracker 0.5.0 cuts at 255.
const MAX_MESSAGE: usize = 1024;

/// Maximum records waiting to be written: a burst fits, and memory is bounded by a few MiB.
const MAX_WAITING: usize = 4096;

/// How often [`flush`] retries while the queue is full.
const FLUSH_RETRY: Duration = Duration::from_millis(5);

/// The name of the log's thread.
const THREAD: &str = "log";

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Writes one record at a level, with the arguments of `format!`, if the level is enabled.
macro_rules! log {
    ($level:expr, $($message:tt)+) => {
        if $crate::logger::enabled($level) {
            $crate::logger::record(file!(), line!(), format_args!($($message)+));
        }
    };
}
pub(crate) use log;

/// Writes one record at a level, unless there was one like it ([`Repeats`]) a moment ago: then it is counted, and told
/// of when its interval is over.
macro_rules! log_limited {
    ($level:expr, $repeats:expr, $($message:tt)+) => {
        if $crate::logger::enabled($level) {
            let message = format_args!($($message)+);
            $crate::logger::record_limited(file!(), line!(), $repeats, message);
        }
    };
}
pub(crate) use log_limited;

/// Whether records of `level` are written.
pub(crate) fn enabled(level: u8) -> bool {
    LOGGER
        .get()
        .is_some_and(|logger| level <= logger.level.load(Ordering::Relaxed))
}

/// The level; 0 before [`start`].
pub(crate) fn level() -> u8 {
    let logger = LOGGER.get();
    logger.map_or(0, |logger| logger.level.load(Ordering::Relaxed))
}

/// Whether lines have the position in the source.
fn shows_positions() -> bool {
    level() >= DEBUG
}

/// Opens the log (standard error without a `path`) at `level`, 0 to 11, and starts its thread. Only the first
/// call in a process has an effect.
///
/// # Errors
///
/// When the file cannot be opened for appending, or no thread can be started.
pub(crate) fn start(path: Option<PathBuf>, level: u8) -> io::Result<()> {
    let is_stderr = path.is_none();
    let sink = Sink::open(path)?;
    let (sender, receiver) = sync_channel(MAX_WAITING);
    if LOGGER.set(Logger::new(sender, level, is_stderr)).is_ok() {
        thread::Builder::new()
            .name(THREAD.into())
            .spawn(move || Writer::new(sink, dropped, shows_positions).run(&receiver))?;
    }
    Ok(())
}

/// Queues one record. Called by [`log!`] after checking the level.
pub(crate) fn record(file: &'static str, line: u32, message: fmt::Arguments<'_>) {
    submit(Order::Write(made(file, line, message)));
}

/// The same for [`log_limited!`].
pub(crate) fn record_limited(
    file: &'static str,
    line: u32,
    repeats: Repeats,
    message: fmt::Arguments<'_>,
) {
    submit(Order::Limit(made(file, line, message), repeats));
}

fn made(file: &'static str, line: u32, message: fmt::Arguments<'_>) -> Record {
    let mut text = Bounded(String::new());
    // The only error is that the text was cut off.
    let _ = text.write_fmt(message);
    Record {
        at: SystemTime::now(),
        position: shows_positions().then_some((file, line)),
        text: text.0,
    }
}

fn submit(order: Order) {
    if let Some(logger) = LOGGER.get() {
        logger.submit(order);
    }
}

/// Raises the level by one; returns the new one if it changed.
pub(crate) fn raise_level() -> Option<u8> {
    change_level(|level| (level < MAX_LEVEL).then(|| level + 1))
}

/// Lowers the level by one; returns the new one if it changed.
pub(crate) fn lower_level() -> Option<u8> {
    change_level(|level| level.checked_sub(1))
}

/// Sets the level, to at most the highest one.
pub(crate) fn set_level(level: u8) {
    change_level(|_| Some(level.min(MAX_LEVEL)));
}

/// Has the file closed and reopened, after it was renamed (log rotation).
pub(crate) fn reopen() {
    submit(Order::Reopen);
}

/// Waits until everything queued so far is written, also what was left out because it was repeated; at most for
/// `time_limit`. Returns whether it is.
pub(crate) fn flush(time_limit: Duration) -> bool {
    let Some(logger) = LOGGER.get() else {
        return false;
    };
    let end = Instant::now() + time_limit;
    let (done, written) = sync_channel(1);
    while logger.sender.try_send(Order::Flush(done.clone())).is_err() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(FLUSH_RETRY);
    }
    let left = end.saturating_duration_since(Instant::now());
    written.recv_timeout(left).is_ok()
}

fn change_level(change: impl Fn(u8) -> Option<u8>) -> Option<u8> {
    let level = &LOGGER.get()?.level;
    let before = level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, &change);
    before.ok().and_then(change)
}

/// Takes the count of records that were dropped since the last call.
fn dropped() -> u64 {
    LOGGER
        .get()
        .map_or(0, |logger| logger.dropped.swap(0, Ordering::Relaxed))
}

#[derive(Debug)]
struct Logger {
    level: AtomicU8,
    dropped: AtomicU64,
    sender: SyncSender<Order>,
    is_stderr: bool,
}

impl Logger {
    fn new(sender: SyncSender<Order>, level: u8, is_stderr: bool) -> Self {
        Self {
            level: AtomicU8::new(level.min(MAX_LEVEL)),
            dropped: AtomicU64::new(0),
            sender,
            is_stderr,
        }
    }

    /// Queues `order` if there is room; returns `false` if it was dropped.
    fn submit(&self, order: Order) -> bool {
        match self.sender.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                false
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

/// A text of at most [`MAX_MESSAGE`] bytes.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_MESSAGE - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let cut = (0..=room).rev().find(|&at| text.is_char_boundary(at));
        self.0.push_str(&text[..cut.unwrap_or(0)]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        let mut text = Bounded("x".repeat(MAX_MESSAGE - 1));
        assert!(text.write_str("é").is_err());
        assert_eq!(text.0.len(), MAX_MESSAGE - 1);
    }

    /// Nothing reads the queue in this test, as when the writer is blocked on a full pipe.
    #[test]
    fn a_full_queue_drops_and_counts_and_never_waits() {
        let (sender, _receiver) = sync_channel(2);
        let logger = Logger::new(sender, 5, false);
        let begin = Instant::now();
        let kept = (0..100).filter(|_| logger.submit(Order::Reopen)).count();
        assert!(begin.elapsed() < Duration::from_secs(1));
        assert_eq!((kept, logger.dropped.load(Ordering::Relaxed)), (2, 98));
    }
}
