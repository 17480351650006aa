//! What waits to be logged.

use std::collections::VecDeque;
use std::panic::Location;

use super::log_limit::LogLimit;
use crate::event::{Event, Level, Limit, LogRecord};
use crate::limits::MAX_EVENTS;
use crate::time::Time;

/// Events that wait for the shell. Those that a client or a server can cause again and again pass a [`LogLimit`]; the
/// others are in a bounded queue. If the shell does not keep up with that, newer ones are dropped and counted, and the
/// last event says how many.
#[derive(Debug, Default)]
pub(crate) struct Log {
    level: u8,
    queue: VecDeque<LogRecord>,
    dropped: u64,
    limited: LogLimit<(&'static str, Box<str>), LogRecord>,
    /// The pool is shutting down: nothing waits any more for its interval to be over.
    is_ending: bool,
}

impl Log {
    /// Whether events of a level are logged. To be asked before one is made that is not logged by default.
    #[inline]
    pub(crate) fn wants(&self, level: Level) -> bool {
        self.level >= level as u8
    }

    pub(crate) fn set_level(&mut self, level: u8) {
        self.level = level;
    }

    /// Logs `event`; `client` is asked whose doing it was if its line is to be told.
    #[track_caller]
    pub(crate) fn push(&mut self, event: Event, client: impl FnOnce() -> Option<Box<str>>) {
        let place = Location::caller();
        let (kind, server, every) = match event.limit() {
            Limit::None => return self.enqueue(event, client(), place),
            Limit::One {
                kind,
                server,
                every,
            } => (kind, server.into(), every),
        };
        let record = || LogRecord {
            event,
            client: client(),
            more: 0,
            place,
        };
        self.limited.note((kind, server), every, 1, record);
        if self.is_ending {
            self.limited.release();
        }
    }

    fn enqueue(
        &mut self,
        event: Event,
        client: Option<Box<str>>,
        place: &'static Location<'static>,
    ) {
        if self.queue.len() >= MAX_EVENTS {
            self.dropped += 1;
            return;
        }
        self.queue.push_back(LogRecord {
            event,
            client,
            more: 0,
            place,
        });
    }

    /// The next line that may be written at `now`.
    pub(crate) fn pop(&mut self, now: Time) -> Option<LogRecord> {
        if let Some((mut record, more)) = self.limited.take_due(now) {
            record.more = more;
            return Some(record);
        }
        let next = self.queue.pop_front();
        if next.is_some() || self.dropped == 0 {
            return next;
        }
        let count = std::mem::take(&mut self.dropped);
        Some(LogRecord {
            event: Event::Dropped { count },
            client: None,
            more: 0,
            place: Location::caller(),
        })
    }

    /// When something that was left out is to be told.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.limited.deadline()
    }

    /// From now on nothing is left out for a while: there may be no later.
    pub(crate) fn end(&mut self) {
        self.is_ending = true;
        self.limited.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readmitted(number: usize) -> Event {
        let server = number.to_string();
        Event::Readmitted { server }
    }

    fn lost(server: &str) -> Event {
        Event::NoResp3 {
            server: server.into(),
        }
    }

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    /// What is told at a time: the text, and how many more.
    fn told(log: &mut Log, millis: u64) -> Vec<(String, u64)> {
        let records = std::iter::from_fn(|| log.pop(at(millis)));
        records
            .map(|record| (record.event.to_string(), record.more))
            .collect()
    }

    #[test]
    fn what_is_too_much_is_counted_and_told_last() {
        let mut log = Log::default();
        for number in 0..MAX_EVENTS + 3 {
            log.push(readmitted(number), || None);
        }
        for number in 0..MAX_EVENTS {
            let record = log.pop(Time::ZERO);
            assert_eq!(record.map(|it| it.event), Some(readmitted(number)));
        }
        let last = log.pop(Time::ZERO);
        assert_eq!(last.map(|it| it.event), Some(Event::Dropped { count: 3 }));
        assert_eq!(log.pop(Time::ZERO), None);
    }

    #[test]
    fn a_server_does_not_hide_another_and_a_client_is_asked_for_what_is_told_only() {
        let mut log = Log::default();
        let mut asked = 0;
        for _ in 0..3 {
            for server in ["a", "b"] {
                log.push(lost(server), || {
                    asked += 1;
                    Some("10.0.0.1:7".into())
                });
            }
        }
        let line = |server| (lost(server).to_string(), 2);
        assert_eq!(told(&mut log, 0), [line("a"), line("b")]);
        assert_eq!(asked, 2);
    }

    #[test]
    fn ejections_and_returns_are_never_left_out() {
        let mut log = Log::default();
        for _ in 0..20 {
            let (server, millis) = ("a".to_owned(), 1);
            log.push(Event::Ejected { server, millis }, || None);
            log.push(readmitted(1), || None);
        }
        assert_eq!(told(&mut log, 0).len(), 40);
    }

    #[test]
    fn at_the_end_nothing_waits() {
        let mut log = Log::default();
        log.push(lost("a"), || None);
        assert_eq!(told(&mut log, 0).len(), 1);
        (0..3).for_each(|_| log.push(lost("a"), || None));
        assert_eq!(told(&mut log, 1).len(), 0);
        log.end();
        assert_eq!(told(&mut log, 1), [(lost("a").to_string(), 2)]);
        log.push(lost("a"), || None);
        assert_eq!(told(&mut log, 2), [(lost("a").to_string(), 0)]);
    }

    #[test]
    fn a_line_knows_where_in_the_source_it_comes_from() {
        let mut log = Log::default();
        let line = line!() + 1;
        log.push(lost("a"), || None);
        let place = log.pop(Time::ZERO).map(|record| record.place);
        assert_eq!(
            place.map(|it| (it.file(), it.line())),
            Some((file!(), line))
        );
    }

    #[test]
    fn levels_are_those_of_nutcracker() {
        let mut log = Log::default();
        log.set_level(6);
        assert!(log.wants(Level::Info) && !log.wants(Level::Debug));
        log.set_level(11);
        assert!(log.wants(Level::Keys));
    }
}
