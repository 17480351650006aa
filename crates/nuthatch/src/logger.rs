//! The log: nutcracker's levels and line format. Logging never blocks.
//!
//! A record goes through a bounded queue to a thread of its own, which formats and writes it. If the log
//! cannot be written (a full disk) or not fast enough (a pipe that nobody reads), lines are dropped and counted,
//! and a later line says how many.
//!
//! Use the [`log!`](crate::log) macro, and [`log_limited!`](crate::log_limited) for what may happen often; before
//! [`start`] they do nothing.

mod bounded;
pub(crate) mod escape;
mod json;
mod levels;
mod order;
mod panics;
mod sink;
mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::config::LogFormat;
use bounded::bounded;
pub(crate) use levels::{ALERT, ALWAYS, DEBUG, NOTICE, WARN};
pub(crate) use order::{Fields, Repeats};
use order::{Order, Record};
pub(crate) use panics::log_panics;
pub(crate) use sink::Sink;
use writer::{State, Writer};

/// The highest level.
const MAX_LEVEL: u8 = 11;

/// Maximum records waiting to be written: a burst fits, and memory is bounded by a few MiB.
const MAX_WAITING: usize = 4096;

/// How often [`flush`] retries while the queue is full.
const FLUSH_RETRY: Duration = Duration::from_millis(5);

/// The name of the log's thread.
const THREAD: &str = "log";

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Writes one record at a level, with the arguments of `format!`, if the level is enabled. What is known of it besides can
/// stand before them: `log!(WARN, { pool: name }, "...")`.
macro_rules! log {
    ($level:expr, { $($field:ident: $value:expr),+ }, $($message:tt)+) => {
        if $crate::logger::enabled($level) {
            let heading = $crate::logger::heading!($level, $($field: $value),+);
            $crate::logger::record(heading, format_args!($($message)+));
        }
    };
    ($level:expr, $($message:tt)+) => {
        if $crate::logger::enabled($level) {
            let heading = $crate::logger::heading!($level);
            $crate::logger::record(heading, format_args!($($message)+));
        }
    };
}
pub(crate) use log;

/// Writes one record at a level, unless there was one like it ([`Repeats`]) a moment ago: then it is counted, and told
/// of when its interval is over.
macro_rules! log_limited {
    ($level:expr, $repeats:expr, { $($field:ident: $value:expr),+ }, $($message:tt)+) => {
        if $crate::logger::enabled($level) {
            let heading = $crate::logger::heading!($level, $($field: $value),+);
            $crate::logger::record_limited(heading, $repeats, format_args!($($message)+));
        }
    };
    ($level:expr, $repeats:expr, $($message:tt)+) => {
        if $crate::logger::enabled($level) {
            let heading = $crate::logger::heading!($level);
            $crate::logger::record_limited(heading, $repeats, format_args!($($message)+));
        }
    };
}
pub(crate) use log_limited;

/// The heading of a record that is written here.
macro_rules! heading {
    ($level:expr $(, $field:ident: $value:expr)*) => {
        $crate::logger::Heading {
            level: $level,
            place: (file!(), line!()),
            fields: $crate::logger::fields(|| $crate::logger::Fields {
                $($field: Some($value.into()),)*
                ..$crate::logger::Fields::default()
            }),
        }
    };
}
pub(crate) use heading;

/// What is known of a record besides its message.
#[derive(Debug)]
pub(crate) struct Heading {
    /// Its level.
    pub(crate) level: u8,
    /// File and line of the source.
    pub(crate) place: (&'static str, u32),
    /// See [`fields`].
    pub(crate) fields: Option<Box<Fields>>,
}

/// What a record is about, if the log wants to know it.
pub(crate) fn fields(known: impl FnOnce() -> Fields) -> Option<Box<Fields>> {
    is_json().then(|| Box::new(known()))
}

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

/// Opens the log (standard error without a `path`) at `level`, 0 to 11, and starts its thread. Without a `format`, records
/// are kept until there is one ([`set_format`]), or until they are flushed. Only the first call in a process has an effect.
///
/// # Errors
///
/// When the file cannot be opened for appending, or no thread can be started.
pub(crate) fn start(path: Option<PathBuf>, level: u8, format: Option<LogFormat>) -> io::Result<()> {
    let is_stderr = path.is_none();
    let sink = Sink::open(path)?;
    let (sender, receiver) = sync_channel(MAX_WAITING);
    let logger = Logger::new(sender, level, is_stderr);
    if LOGGER.set(logger).is_ok() {
        if let Some(format) = format {
            set_format(format);
        }
        let state = State {
            dropped,
            shows_positions,
            format: self::format,
        };
        thread::Builder::new()
            .name(THREAD.into())
            .spawn(move || Writer::new(sink, state).run(&receiver))?;
    }
    Ok(())
}

/// Sets the form of the lines. Only the first call has an effect.
pub(crate) fn set_format(format: LogFormat) {
    if let Some(logger) = LOGGER.get() {
        let _ = logger.format.set(format);
        // If the queue is full, its next record will do.
        submit(Order::Wake);
    }
}

/// Whether lines are JSON.
pub(crate) fn is_json() -> bool {
    format() == Some(LogFormat::Json)
}

fn format() -> Option<LogFormat> {
    LOGGER.get()?.format.get().copied()
}

/// Queues one record. Called by [`log!`] after checking the level.
pub(crate) fn record(heading: Heading, message: fmt::Arguments<'_>) {
    submit(Order::Write(made(heading, message)));
}

/// The same for [`log_limited!`].
pub(crate) fn record_limited(heading: Heading, repeats: Repeats, message: fmt::Arguments<'_>) {
    submit(Order::Limit(made(heading, message), repeats));
}

fn made(heading: Heading, message: fmt::Arguments<'_>) -> Record {
    let Heading {
        level,
        place,
        fields,
    } = heading;
    Record {
        at: SystemTime::now(),
        level,
        position: shows_positions().then_some(place),
        text: bounded(message),
        fields,
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
    format: OnceLock<LogFormat>,
}

impl Logger {
    fn new(sender: SyncSender<Order>, level: u8, is_stderr: bool) -> Self {
        Self {
            level: AtomicU8::new(level.min(MAX_LEVEL)),
            dropped: AtomicU64::new(0),
            sender,
            is_stderr,
            format: OnceLock::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
