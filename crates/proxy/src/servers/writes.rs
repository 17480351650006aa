//! When the requests on a connection were written, and how many of them were answered at once.

use std::collections::VecDeque;

use crate::latency::{Class, ServerLatency};
use crate::limits::KEEP_IN_FLIGHT;
use crate::time::Time;

/// When each request was wholly written that is not answered, oldest first. Requests are written many at once and
/// answered many at once: what is to be known of each is kept once for all of them, as it is the same.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// How many requests were ever taken off the front.
    taken: u64,
    /// How many of the oldest write were answered by the replies that are being looked at.
    answered: Answered,
    /// The oldest write.
    oldest: Write,
    /// The others, if there are any.
    later: VecDeque<Write>,
    /// Writes whose last requests were answered by the replies that are being looked at.
    done: Vec<(Time, Answered)>,
}

/// Requests that were wholly written at the same time.
#[derive(Debug, Clone, Copy, Default)]
struct Write {
    /// The number of the first request after them, counted from the first that there ever was.
    end: u64,
    at: Time,
}

/// Answered requests by their class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Answered {
    all: u64,
    reads: u64,
}

impl Writes {
    /// Further requests were written at `now`, so that so many are written and not answered, one at least.
    #[inline]
    pub(super) fn note(&mut self, written: usize, now: Time) {
        let end = self.taken + written as u64;
        let write = Write { end, at: now };
        match self.oldest.end > self.taken {
            true => self.later.push_back(write),
            false => self.oldest = write,
        }
    }

    /// The number of the oldest request that is not answered.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// When the oldest request was written, which is.
    pub(super) fn oldest(&self) -> Time {
        self.oldest.at
    }

    /// The oldest request, which is written, is answered.
    #[inline(always)]
    pub(super) fn take(&mut self, class: Class) {
        self.taken += 1;
        self.answered.all += 1;
        self.answered.reads += u64::from(class == Class::Read);
        if self.taken == self.oldest.end {
            self.go_on();
        }
    }

    /// The oldest request, which is not wholly written, is answered all the same. It is not measured.
    pub(super) fn pass_over(&mut self) {
        self.taken += 1;
    }

    /// The request that was just answered is not to be measured.
    pub(super) fn exclude(&mut self, class: Class) {
        let latest = match self.answered.all {
            0 => self.done.last_mut().map(|(_, answered)| answered),
            _ => Some(&mut self.answered),
        };
        if let Some(latest) = latest {
            latest.all = latest.all.saturating_sub(1);
            let reads = u64::from(class == Class::Read);
            latest.reads = latest.reads.saturating_sub(reads);
        }
    }

    /// The replies of one read were looked at, which came at `now`: records how long their requests took.
    pub(super) fn record(&mut self, latency: &ServerLatency, now: Time) {
        let current = std::mem::take(&mut self.answered);
        for (at, answered) in self.done.drain(..).chain([(self.oldest.at, current)]) {
            let took = now.since(at);
            latency.record_serving(Class::Read, took, answered.reads);
            latency.record_serving(Class::Write, took, answered.all - answered.reads);
        }
        if self.done.capacity() > KEEP_IN_FLIGHT {
            self.done = Vec::new();
        }
    }

    /// All of the oldest write are answered.
    #[inline(never)]
    fn go_on(&mut self) {
        self.done
            .push((self.oldest.at, std::mem::take(&mut self.answered)));
        if let Some(next) = self.later.pop_front() {
            self.oldest = next;
        }
        if self.later.is_empty() && self.later.capacity() > KEEP_IN_FLIGHT {
            self.later = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Durations;

    fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    /// How many reads and writes were recorded, and how long all of them took together.
    fn recorded(latency: &ServerLatency) -> (u64, u64, u128) {
        let of = |class| {
            let mut durations = Durations::default();
            durations.add(latency.serving(class));
            durations
        };
        let (reads, writes) = (of(Class::Read), of(Class::Write));
        let sum = reads.sum() + writes.sum();
        (reads.count(), writes.count(), sum.as_micros())
    }

    #[test]
    fn each_request_is_measured_from_its_write() {
        let latency = ServerLatency::default();
        let mut writes = Writes::default();
        writes.note(2, at(10));
        writes.note(3, at(20));
        writes.take(Class::Read);
        writes.take(Class::Write);
        writes.note(2, at(30));
        writes.take(Class::Read);
        writes.record(&latency, at(100));
        assert_eq!(recorded(&latency), (2, 1, 90 + 90 + 80));
        writes.record(&latency, at(200));
        assert_eq!(recorded(&latency), (2, 1, 260), "each once");
        writes.take(Class::Write);
        writes.record(&latency, at(200));
        assert_eq!(recorded(&latency), (2, 2, 260 + 170));
        // Nothing is written: one was answered early.
        writes.pass_over();
        writes.note(1, at(300));
        writes.take(Class::Read);
        writes.record(&latency, at(301));
        assert_eq!(recorded(&latency), (3, 2, 430 + 1));
    }

    #[test]
    fn what_is_not_to_be_measured_is_left_out_whether_its_write_goes_on_or_not() {
        let latency = ServerLatency::default();
        let mut writes = Writes::default();
        writes.note(3, at(10));
        writes.take(Class::Read);
        writes.take(Class::Write);
        writes.exclude(Class::Write);
        writes.take(Class::Read);
        writes.exclude(Class::Read);
        writes.record(&latency, at(20));
        assert_eq!(recorded(&latency), (1, 0, 10));
    }
}
