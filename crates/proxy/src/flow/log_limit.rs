//! Rate limiting of log lines.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::time::Time;

/// Lets one line of each kind pass per interval and counts the others. The first of a burst passes at once; what was
/// left out is told at the end of the interval, whether anything further happens or not. `K` tells kinds apart, `T` is
/// a line.
///
/// A kind is forgotten when nothing of it was left out in its last interval, so there are never more than were noted
/// within one interval.
#[derive(Debug)]
pub struct LogLimit<K, T> {
    kinds: BTreeMap<K, Kind<T>>,
    /// Lines that may pass and were not taken yet.
    passing: VecDeque<(T, u64)>,
    /// A line waits that was not asked for yet.
    is_fresh: bool,
    /// Nothing else that waits may pass before this.
    earliest: Option<Time>,
}

#[derive(Debug)]
struct Kind<T> {
    every: Duration,
    passed: Option<Time>,
    waiting: Option<Waiting<T>>,
}

/// The first line since one passed, and how many more there were.
#[derive(Debug)]
struct Waiting<T> {
    first: T,
    more: u64,
}

impl<K, T> Default for LogLimit<K, T> {
    fn default() -> Self {
        Self {
            kinds: BTreeMap::new(),
            passing: VecDeque::new(),
            is_fresh: false,
            earliest: None,
        }
    }
}

impl<K: Ord, T> LogLimit<K, T> {
    /// Notes `count` lines (at least one) of the kind `key`, of which one may pass in each interval of `every`. Only
    /// the first that waits is made.
    pub fn note(&mut self, key: K, every: Duration, count: u64, line: impl FnOnce() -> T) {
        let kind = self.kinds.entry(key).or_insert(Kind {
            every,
            passed: None,
            waiting: None,
        });
        if let Some(waiting) = &mut kind.waiting {
            waiting.more += count;
            return;
        }
        kind.waiting = Some(Waiting {
            first: line(),
            more: count - 1,
        });
        self.is_fresh = true;
    }

    /// A line that may pass at `now`, and how many more of its kind it stands for.
    #[inline]
    pub fn take_due(&mut self, now: Time) -> Option<(T, u64)> {
        let is_due = self.earliest.is_some_and(|earliest| earliest <= now);
        if self.is_fresh || is_due {
            self.find_due(now);
        }
        self.passing.pop_front()
    }

    /// Finds all that may pass in one go: there may be many servers.
    #[cold]
    fn find_due(&mut self, now: Time) {
        self.is_fresh = false;
        let passing = &mut self.passing;
        self.kinds.retain(|_, kind| {
            if kind.due() > now {
                return true;
            }
            let Some(waiting) = kind.waiting.take() else {
                return false;
            };
            passing.push_back((waiting.first, waiting.more));
            kind.passed = Some(now);
            true
        });
        let waiting = self.kinds.values().filter(|kind| kind.waiting.is_some());
        self.earliest = waiting.map(Kind::due).min();
    }

    /// When [`LogLimit::take_due`] is to be asked again at the latest, as of the last time that it had nothing.
    #[inline]
    pub fn deadline(&self) -> Option<Time> {
        self.earliest
    }

    /// Everything that waits may pass now, because nobody may ask later.
    pub fn release(&mut self) {
        for kind in self.kinds.values_mut() {
            kind.passed = None;
        }
        self.is_fresh = true;
    }
}

impl<T> Kind<T> {
    /// When a line may pass.
    fn due(&self) -> Time {
        let next = self.passed.map(|passed| passed + self.every);
        next.unwrap_or(Time::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    fn note(limit: &mut LogLimit<&'static str, &'static str>, kind: &'static str) {
        limit.note(kind, EVERY, 1, || kind);
    }

    #[test]
    fn the_first_passes_at_once_and_the_others_are_told_when_the_interval_is_over() {
        let mut limit = LogLimit::default();
        note(&mut limit, "a");
        assert_eq!(limit.take_due(at(5)), Some(("a", 0)));
        assert_eq!((limit.take_due(at(5)), limit.deadline()), (None, None));
        (0..3).for_each(|_| note(&mut limit, "a"));
        assert_eq!(limit.take_due(at(1_004)), None);
        assert_eq!(limit.deadline(), Some(at(1_005)));
        assert_eq!(limit.take_due(at(1_005)), Some(("a", 2)));
        assert_eq!(limit.take_due(at(5_000)), None);
        assert_eq!(limit.deadline(), None);
    }

    #[test]
    fn one_kind_does_not_hide_another() {
        let mut limit = LogLimit::default();
        note(&mut limit, "a");
        assert_eq!(limit.take_due(at(0)), Some(("a", 0)));
        (0..3).for_each(|_| note(&mut limit, "a"));
        note(&mut limit, "b");
        assert_eq!(limit.take_due(at(10)), Some(("b", 0)));
        assert_eq!(limit.take_due(at(10)), None);
        assert_eq!(limit.deadline(), Some(at(1_000)));
        assert_eq!(limit.take_due(at(1_000)), Some(("a", 2)));
    }

    #[test]
    fn a_burst_in_one_go_is_one_line_and_its_line_is_made_once() {
        let mut limit = LogLimit::default();
        let mut made = 0;
        for _ in 0..3_000 {
            limit.note("a", EVERY, 1, || made += 1);
        }
        assert_eq!(limit.take_due(at(0)), Some(((), 2_999)));
        assert_eq!(made, 1);
    }

    #[test]
    fn kinds_that_are_quiet_are_forgotten() {
        let mut limit = LogLimit::default();
        for number in 0..100 {
            limit.note(number, EVERY, 1, || number);
            assert_eq!(limit.take_due(at(number * 10)), Some((number, 0)));
        }
        limit.note(100, EVERY, 1, || 100);
        assert_eq!(limit.take_due(at(60_000)), Some((100, 0)));
        assert_eq!(limit.kinds.len(), 1);
    }

    #[test]
    fn what_waits_at_the_end_is_told_at_once() {
        let mut limit = LogLimit::default();
        note(&mut limit, "a");
        assert_eq!(limit.take_due(at(0)), Some(("a", 0)));
        (0..2).for_each(|_| note(&mut limit, "a"));
        limit.release();
        assert_eq!(limit.take_due(at(1)), Some(("a", 1)));
    }
}
