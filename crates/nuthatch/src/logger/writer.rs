//! The log's thread: formats records and writes them.

use std::fmt::Write;
use std::sync::mpsc::Receiver;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::order::{Order, Record};
use super::sink::Sink;

/// Lines are collected up to this size before they are written.
const BATCH_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Writer {
    sink: Sink,
    zone: TimeZone,
    lines: String,
    /// Takes the count of records that were dropped.
    lost: fn() -> u64,
}

impl Writer {
    pub(super) fn new(sink: Sink, lost: fn() -> u64) -> Self {
        Self {
            sink,
            zone: TimeZone::system(),
            lines: String::new(),
            lost,
        }
    }

    /// Handles orders until every sender is gone.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            self.perform(order);
            while self.lines.len() < BATCH_BYTES
                && let Ok(order) = orders.try_recv()
            {
                self.perform(order);
            }
            self.report_lost();
            self.write_out();
        }
    }

    fn perform(&mut self, order: Order) {
        match order {
            Order::Write(record) => self.format(&record),
            Order::Reopen => {
                self.write_out();
                self.sink.reopen();
            }
            Order::Flush(done) => {
                self.report_lost();
                self.write_out();
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn report_lost(&mut self) {
        let lost = (self.lost)();
        if lost > 0 {
            self.format(&Record {
                at: SystemTime::now(),
                file: file!(),
                line: line!(),
                text: format!(
                    "{lost} log records were dropped: the log could not be written fast enough"
                ),
            });
        }
    }

    /// `[YYYY-MM-DD hh:mm:ss.mmm] file:LINE message`, in local time, as in nutcracker 0.5.0.
    fn format(&mut self, record: &Record) {
        let at = Timestamp::try_from(record.at).unwrap_or_default();
        let stamp = at.to_zoned(self.zone.clone());
        let stamp = stamp.strftime("%Y-%m-%d %H:%M:%S.%3f");
        let file = record.file.rsplit('/').next().unwrap_or(record.file);
        let line = record.line;
        // A line feed in a message would look like another record.
        let text = record.text.replace(['\n', '\r'], " ");
        let _ = writeln!(self.lines, "[{stamp}] {file}:{line} {text}");
    }

    fn write_out(&mut self) {
        if !self.lines.is_empty() {
            self.sink.write(self.lines.as_bytes());
            self.lines.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::sync_channel;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn record(text: &str) -> Order {
        Order::Write(Record {
            at: UNIX_EPOCH + Duration::from_millis(1_500_000_000_042),
            file: "src/net/listener.rs",
            line: 7,
            text: text.into(),
        })
    }

    fn written(orders: Vec<Order>, lost: fn() -> u64) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (sender, receiver) = sync_channel(orders.len());
        orders
            .into_iter()
            .for_each(|order| sender.send(order).unwrap());
        drop(sender);
        let mut writer = Writer::new(Sink::open(Some(path.clone())).unwrap(), lost);
        writer.zone = TimeZone::UTC;
        writer.run(&receiver);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn lines_have_nutcrackers_form() {
        let log = written(vec![record("hello\nworld")], || 0);
        assert_eq!(log, "[2017-07-14 02:40:00.042] listener.rs:7 hello world\n");
    }

    #[test]
    fn dropped_records_are_reported() {
        let log = written(vec![record("hello")], || 3);
        assert!(
            log.lines().count() == 2 && log.contains("3 log records were dropped"),
            "{log}"
        );
    }

    #[test]
    fn a_renamed_file_is_left_and_a_new_one_begun() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("log"), dir.path().join("log.1"));
        let mut sink = Sink::open(Some(old.clone())).unwrap();
        sink.write(b"before\n");
        fs::rename(&old, &new).unwrap();
        sink.reopen();
        sink.write(b"after\n");
        assert_eq!(fs::read_to_string(&new).unwrap(), "before\n");
        assert_eq!(fs::read_to_string(&old).unwrap(), "after\n");
    }
}
