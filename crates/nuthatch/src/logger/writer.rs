//! The log's thread: formats records and writes them.

use std::fmt::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proxy::{LogLimit, Time};

use super::levels::WARN;
use super::order::{Order, Record};
use super::sink::Sink;
use super::{escape, json};
use crate::config::LogFormat;

/// Lines are collected up to this size before they are written.
const BATCH_BYTES: usize = 64 << 10;

/// How often lines that could not be written are tried to be told of, if nothing else is logged.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Records that are kept at most until the form of the lines is known: the start of the log and the warnings about the
/// configuration, in less than a MiB.
const MAX_HELD: usize = 1024;

/// What the writer asks for now and then.
#[derive(Debug)]
pub(super) struct State {
    /// Takes the count of records that were dropped.
    pub(super) dropped: fn() -> u64,
    /// Whether lines have the position in the source.
    pub(super) shows_positions: fn() -> bool,
    /// The form of the lines, once it is known.
    pub(super) format: fn() -> Option<LogFormat>,
}

#[derive(Debug)]
pub(super) struct Writer {
    sink: Sink,
    zone: TimeZone,
    lines: String,
    /// Records of which one is written per interval and kind, whoever sent them.
    limit: LogLimit<(&'static str, String), Record>,
    /// The limit's time counts from here.
    started: Instant,
    /// Records that wait for the form of the lines, and how many more each stands for.
    held: Vec<(Record, u64)>,
    state: State,
}

impl Writer {
    pub(super) fn new(sink: Sink, state: State) -> Self {
        Self {
            sink,
            zone: TimeZone::system(),
            lines: String::new(),
            limit: LogLimit::default(),
            started: Instant::now(),
            held: Vec::new(),
            state,
        }
    }

    /// Handles orders until every sender is gone.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            match self.wait(orders) {
                Ok(order) => self.perform(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while self.lines.len() < BATCH_BYTES
                && let Ok(order) = orders.try_recv()
            {
                self.perform(order);
            }
            self.write_out();
        }
        self.release();
        self.write_out();
    }

    /// The next order, or the time when something is to be done without one.
    fn wait(&self, orders: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        let left_out = self.limit.deadline().map(|due| due.since(self.now()));
        let retry = self.sink.is_behind().then_some(RETRY_AFTER);
        match left_out.into_iter().chain(retry).min() {
            Some(timeout) => orders.recv_timeout(timeout),
            None => {
                let order = orders.recv();
                order.map_err(|_| RecvTimeoutError::Disconnected)
            }
        }
    }

    fn now(&self) -> Time {
        let micros = self.started.elapsed().as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn perform(&mut self, order: Order) {
        match order {
            Order::Write(record) => self.format(record, 0),
            Order::Wake => {}
            Order::Limit(record, repeats) => {
                let key = (repeats.kind, repeats.whom);
                let (every, count) = (repeats.every, repeats.count);
                self.limit.note(key, every, count, || record);
                self.format_due();
            }
            Order::Reopen => {
                self.write_out();
                self.sink.reopen();
            }
            Order::Flush(done) => {
                self.release();
                self.write_out();
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    /// Formats what may be written of the records that are limited.
    fn format_due(&mut self) {
        let now = self.now();
        while let Some((record, more)) = self.limit.take_due(now) {
            self.format(record, more);
        }
    }

    /// Formats everything that waits for something.
    fn release(&mut self) {
        self.limit.release();
        self.format_due();
        self.format_held();
    }

    fn format_held(&mut self) {
        for (record, more) in std::mem::take(&mut self.held) {
            self.write_line(&record, more);
        }
    }

    /// A record of the log itself.
    fn format_own(&mut self, line: u32, text: String) {
        let record = Record {
            at: SystemTime::now(),
            level: WARN,
            position: (self.state.shows_positions)().then_some((file!(), line)),
            text,
            fields: None,
        };
        self.format(record, 0);
    }

    /// Formats a record as soon as it is known how.
    fn format(&mut self, record: Record, more: u64) {
        if (self.state.format)().is_none() && self.held.len() < MAX_HELD {
            return self.held.push((record, more));
        }
        self.format_held();
        self.write_line(&record, more);
    }

    fn write_line(&mut self, record: &Record, more: u64) {
        match (self.state.format)().unwrap_or_default() {
            LogFormat::Text => self.write_text(record, more),
            LogFormat::Json => json::write_line(record, more, &mut self.lines),
        }
    }

    /// `[YYYY-MM-DD hh:mm:ss.mmm] message`, in local time, as in nutcracker 0.5.0, with `file:LINE` before the message
    /// at the levels for debugging.
    fn write_text(&mut self, record: &Record, more: u64) {
        let at = Timestamp::try_from(record.at).unwrap_or_default();
        let stamp = at.to_zoned(self.zone.clone());
        let stamp = stamp.strftime("%Y-%m-%d %H:%M:%S.%3f");
        let _ = write!(self.lines, "[{stamp}] ");
        if let Some(source) = record.source() {
            let _ = write!(self.lines, "{source} ");
        }
        self.lines.push_str(&escape::one_line(&record.text));
        if more > 0 {
            let _ = write!(self.lines, "; and {more} more like it");
        }
        self.lines.push('\n');
    }

    fn write_out(&mut self) {
        self.format_due();
        if (self.state.format)().is_some() {
            self.format_held();
        }
        let dropped = (self.state.dropped)();
        if dropped > 0 {
            let text = format!(
                "{dropped} log records were dropped: the log could not be written fast enough"
            );
            self.format_own(line!(), text);
        }
        self.tell_lost();
        if !self.lines.is_empty() {
            self.sink.write(self.lines.as_bytes());
            self.lines.clear();
        }
    }

    /// Tells of lines that could not be written, if it can by now, before anything else is written.
    fn tell_lost(&mut self) {
        let Some(lost) = self.sink.take_lost() else {
            if self.sink.is_behind() {
                self.sink.write(b"");
            }
            return;
        };
        let lines = std::mem::take(&mut self.lines);
        let text = format!("{} log lines lost: {}", lost.lines, lost.reason);
        self.format_own(line!(), text);
        if let Err((_, 1..)) = self.sink.try_write(self.lines.as_bytes()) {
            self.sink.put_back(lost);
        }
        self.lines = lines;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::sync_channel;
    use std::time::UNIX_EPOCH;

    use super::super::order::Repeats;
    use super::super::sink::tests::Disk;
    use super::*;

    fn record(text: &str, position: Option<(&'static str, u32)>) -> Record {
        Record {
            at: UNIX_EPOCH + Duration::from_millis(1_500_000_000_042),
            level: 4,
            position,
            text: text.into(),
            fields: None,
        }
    }

    fn plain(text: &str) -> Order {
        Order::Write(record(text, None))
    }

    fn limited(text: &str, whom: &str, count: u64) -> Order {
        let repeats = Repeats {
            kind: "kind",
            whom: whom.into(),
            every: Duration::from_secs(1),
            count,
        };
        Order::Limit(record(text, None), repeats)
    }

    fn writer(sink: Sink, dropped: fn() -> u64) -> Writer {
        formatting_writer(sink, dropped, || Some(LogFormat::Text))
    }

    fn formatting_writer(
        sink: Sink,
        dropped: fn() -> u64,
        format: fn() -> Option<LogFormat>,
    ) -> Writer {
        let state = State {
            dropped,
            shows_positions: || false,
            format,
        };
        let mut writer = Writer::new(sink, state);
        writer.zone = TimeZone::UTC;
        writer
    }

    fn written(orders: Vec<Order>, dropped: fn() -> u64) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (sender, receiver) = sync_channel(orders.len());
        orders
            .into_iter()
            .for_each(|order| sender.send(order).unwrap());
        drop(sender);
        writer(Sink::open(Some(path.clone())).unwrap(), dropped).run(&receiver);
        fs::read_to_string(path).unwrap()
    }

    /// The texts without their stamps.
    fn texts(log: &str) -> Vec<&str> {
        log.lines().map(|line| &line[26..]).collect()
    }

    #[test]
    fn lines_have_nutcrackers_form_and_positions_where_they_are_wanted() {
        let placed = Order::Write(record("hello", Some(("src/net/listener.rs", 7))));
        let log = written(vec![plain("hello\nworld\u{1b}[2J\0"), placed], || 0);
        let stamp = "[2017-07-14 02:40:00.042]";
        let lines = format!("{stamp} hello world\\x1b[2J\\x00\n{stamp} listener.rs:7 hello\n");
        assert_eq!(log, lines);
    }

    #[test]
    fn dropped_records_are_reported() {
        static LEFT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(3);
        let dropped = || LEFT.swap(0, std::sync::atomic::Ordering::Relaxed);
        let log = written(vec![plain("hello")], dropped);
        assert!(
            log.lines().count() == 2 && log.contains("3 log records were dropped"),
            "{log}"
        );
    }

    #[test]
    fn records_alike_are_one_line_and_all_of_them_are_counted() {
        let mut orders: Vec<Order> = (1..=10).map(|count| limited("a", "p", count)).collect();
        orders.push(limited("b", "q", 1));
        let log = written(orders, || 0);
        let lines = ["a", "b", "a; and 53 more like it"];
        assert_eq!(
            texts(&log),
            lines,
            "the first at once, the others at the end"
        );
    }

    #[test]
    fn what_was_left_out_is_told_by_itself() {
        let (disk, room) = Disk::new(10_000);
        let (sender, receiver) = sync_channel(4);
        let writer = writer(Sink::to(Box::new(disk)), || 0);
        let thread = std::thread::spawn(move || writer.run(&receiver));
        for _ in 0..3 {
            sender.send(limited("a", "p", 1)).unwrap();
        }
        let mut log = String::new();
        let begin = Instant::now();
        while log.lines().count() < 2 && begin.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
            log.push_str(&room.text());
        }
        assert_eq!(texts(&log), ["a", "a; and 1 more like it"]);
        assert!(begin.elapsed() >= Duration::from_millis(990));
        drop(sender);
        thread.join().unwrap();
    }

    #[test]
    fn lines_lost_to_a_full_disk_are_told_of_when_there_is_room() {
        let (disk, room) = Disk::new(40);
        let mut writer = writer(Sink::to(Box::new(disk)), || 0);
        for text in ["one", "two", "three"] {
            writer.perform(plain(text));
            writer.write_out();
        }
        // The first line is written, and the second was begun.
        writer.write_out();
        room.make(10_000);
        writer.write_out();
        writer.perform(plain("four"));
        writer.write_out();
        let log = room.text();
        let lines = ["one", "1 log lines lost: No space left on device", "four"];
        let told = texts(&log);
        assert_eq!(told.len(), 4, "{log}");
        assert_eq!([told[0], told[2], told[3]], lines, "{log}");
        assert_eq!(told[1], "two", "a line that was begun is completed");
    }

    #[test]
    fn records_wait_until_it_is_known_how_they_are_written() {
        static FORMAT: std::sync::OnceLock<LogFormat> = std::sync::OnceLock::new();
        let (disk, room) = Disk::new(100_000);
        let format = || FORMAT.get().copied();
        let mut writer = formatting_writer(Sink::to(Box::new(disk)), || 0, format);
        writer.perform(plain("one"));
        writer.write_out();
        writer.perform(limited("two", "p", 1));
        writer.write_out();
        assert_eq!(room.text(), "");
        FORMAT.set(LogFormat::Json).unwrap();
        writer.perform(Order::Wake);
        writer.write_out();
        writer.perform(plain("three"));
        writer.write_out();
        let log = room.text();
        let messages: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let messages: Vec<_> = messages.iter().map(|it| &it["message"]).collect();
        assert_eq!(messages, ["one", "two", "three"], "{log}");
    }

    #[test]
    fn what_waits_is_text_if_it_is_flushed_or_too_much() {
        let (disk, room) = Disk::new(100_000);
        let mut writer = formatting_writer(Sink::to(Box::new(disk)), || 0, || None);
        writer.perform(plain("one"));
        let (done, _wait) = sync_channel(1);
        writer.perform(Order::Flush(done));
        assert_eq!(texts(&room.text()), ["one"]);
        for _ in 0..=MAX_HELD {
            writer.perform(plain("two"));
        }
        writer.write_out();
        assert_eq!(room.text().lines().count(), MAX_HELD + 1);
    }
}
