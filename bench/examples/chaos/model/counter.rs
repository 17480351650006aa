//! A key that is incremented.

use super::{Kills, Place, Span, Verdict};

/// What is known of the key.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) place: Place,
    /// Increments that were sent.
    sent: u64,
    /// Its value, without the increments that float; 0 also if it does not exist.
    value: u64,
    /// When that was known.
    known: Kills,
    /// Increments that failed and may still take effect.
    floating: u64,
}

impl Counter {
    /// One that does not exist.
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// An increment is sent; returns how many that makes.
    pub(crate) fn next_increment(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// How many were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// An increment has failed.
    pub(crate) fn note_failed(&mut self) {
        self.floating += 1;
    }

    /// Nothing that failed can take effect any more.
    pub(crate) fn settle(&mut self) {
        self.floating = 0;
    }

    /// Checks that increment number `bound` gave `value`.
    pub(crate) fn judge_increment(&mut self, value: u64, bound: u64, span: &Span) -> Verdict {
        self.judge(value, 1, bound, span)
    }

    /// Checks that `value` was read when `bound` increments had been sent.
    pub(crate) fn judge_value(&mut self, value: u64, bound: u64, span: &Span) -> Verdict {
        self.judge(value, 0, bound, span)
    }

    /// Checks a reply that says that it does not exist.
    pub(crate) fn judge_missing(&mut self, span: &Span) -> Verdict {
        self.forget_what_was_lost(span);
        if self.value > 0 {
            return Verdict::Wrong("a counter that was incremented is not there")
                .unless_moved(&self.place);
        }
        self.known = span.sent;
        Verdict::Right
    }

    fn judge(&mut self, value: u64, fresh: u64, bound: u64, span: &Span) -> Verdict {
        if value > bound {
            return Verdict::Wrong("the counter was incremented more often than asked");
        }
        self.forget_what_was_lost(span);
        let least = self.value + fresh;
        if value < least {
            return Verdict::Wrong("the counter has lost increments").unless_moved(&self.place);
        }
        let extra = value - least;
        if extra > self.floating {
            return Verdict::Wrong("an increment was carried out twice").unless_moved(&self.place);
        }
        self.floating -= extra;
        self.value = value;
        self.known = span.sent;
        Verdict::Right
    }

    fn forget_what_was_lost(&mut self, span: &Span) {
        if self.place.is_lost(&self.known, &span.read) && self.value > 0 {
            // The reply may be from before the loss.
            self.floating += self.value;
            self.value = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Span = Span {
        sent: [0; 8],
        read: [0; 8],
    };

    /// After three increments.
    fn counter() -> Counter {
        let mut counter = Counter::default();
        for value in 1..=3 {
            let bound = counter.next_increment();
            let verdict = counter.judge_increment(value, bound, &CALM);
            assert_eq!(verdict, Verdict::Right);
        }
        counter
    }

    #[test]
    fn each_increment_counts_once() {
        let mut counter = counter();
        assert_eq!(counter.judge_value(3, 3, &CALM), Verdict::Right);
        assert_ne!(counter.judge_value(2, 3, &CALM), Verdict::Right);
        let bound = counter.next_increment();
        assert_ne!(counter.judge_increment(5, bound, &CALM), Verdict::Right);
        assert_ne!(counter.judge_increment(3, bound, &CALM), Verdict::Right);
        assert_ne!(counter.judge_missing(&CALM), Verdict::Right);
    }

    #[test]
    fn one_that_failed_counts_once_at_most() {
        let mut counter = counter();
        counter.next_increment();
        counter.note_failed();
        assert_eq!(counter.judge_value(3, 4, &CALM), Verdict::Right);
        let bound = counter.next_increment();
        assert_eq!(counter.judge_increment(5, bound, &CALM), Verdict::Right);
        let bound = counter.next_increment();
        assert_ne!(counter.judge_increment(7, bound, &CALM), Verdict::Right);
    }

    #[test]
    fn a_loss_begins_it_anew() {
        let mut counter = counter();
        let mut span = CALM;
        span.read[2] = 1;
        assert_eq!(counter.judge_missing(&span), Verdict::Right);
        counter.known = span.read;
        let bound = counter.next_increment();
        assert_eq!(counter.judge_increment(1, bound, &span), Verdict::Right);
    }
}
