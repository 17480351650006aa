//! The window of a session whose requests keep a server busy for long, or may do so.
//!
//! The requests of all clients to a server go one after the other. So whoever has many slow ones outstanding makes
//! everybody wait behind them, in the end for longer than `timeout`, whereupon the server would be ejected for all.
//! What a request takes is known only afterwards; so the window
//!
//! - begins with a few requests when a client pipelines commands that may take long,
//! - is halved when requests of the session have waited at a server for too long,
//! - doubles when half of it was answered quickly, and when nothing has waited for too long for a whole time-out.
//!
//! Each request can have it halved once, and a server that has been silent since the last time not again: what does
//! not answer at all tells nothing of how long requests take. Clients whose commands are known to be short keep a
//! window of [`LONG_WINDOW`] at least. One of [`MAX_WINDOW`] again is that of any other client.

use std::time::Duration;

use crate::limits::{LONG_KNOWN_FOR, LONG_WINDOW, MAX_WINDOW};
use crate::time::Time;

/// What a session's window is judged by, as it follows from the settings of a server and the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Half of a window that is answered within this time may double.
    pub(crate) quick: Duration,
    /// It may double as well when nothing has waited for too long in this time.
    pub(crate) calm: Duration,
}

/// A request that has waited at a server for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delayed {
    /// When it was queued.
    pub(crate) queued: Time,
    /// When its server has sent anything last, if ever.
    pub(crate) heard: Option<Time>,
}

/// A session's window, and what it follows from.
#[derive(Debug)]
pub(super) struct Pace {
    window: usize,
    /// When it was last halved, if ever: requests that were queued before have had their effect.
    halved: Option<Time>,
    /// Since when a request of the client waits for room in the window.
    full_since: Option<Time>,
    /// When the window last changed, or a request was last found to wait for too long.
    changed: Time,
    /// When the client last sent a request that may take long.
    long_at: Option<Time>,
    terms: Terms,
}

impl Pace {
    /// That of a session of which nothing is known.
    pub(super) fn new(terms: Terms, now: Time) -> Self {
        Self {
            window: MAX_WINDOW,
            halved: None,
            full_since: None,
            changed: now,
            long_at: None,
            terms,
        }
    }

    /// How many requests it may have outstanding, at least one.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// Whether that is fewer than any session may have.
    pub(super) fn is_narrow(&self) -> bool {
        self.window < MAX_WINDOW
    }

    /// The session sends a request that may take long. It begins with `first` of them at most, unless it has sent
    /// some just now: then the window tells how long they take.
    pub(super) fn note_long(&mut self, first: usize, terms: Terms, now: Time) {
        if !self.sends_long(now) {
            self.window = self.window.min(first);
            self.changed = now;
        }
        (self.terms, self.long_at) = (terms, Some(now));
    }

    /// Whether the session sends requests that may take long.
    fn sends_long(&self, now: Time) -> bool {
        self.long_at
            .is_some_and(|last| now.since(last) < LONG_KNOWN_FOR)
    }

    /// A request has waited for too long, of so many that are outstanding.
    pub(super) fn note_delay(
        &mut self,
        delayed: Delayed,
        outstanding: usize,
        terms: Terms,
        now: Time,
    ) {
        (self.terms, self.changed) = (terms, now);
        let counts =
            |last: Time| delayed.queued > last && delayed.heard.is_some_and(|heard| heard > last);
        let least = if self.sends_long(now) { 1 } else { LONG_WINDOW };
        if outstanding > least && self.halved.is_none_or(counts) {
            self.window = (self.window.min(outstanding) / 2).max(least);
            self.halved = Some(now);
        }
    }

    /// A request of the client has to wait for room.
    pub(super) fn note_full(&mut self, now: Time) {
        self.full_since.get_or_insert(now);
    }

    /// Half of the window is free, or all of it.
    pub(super) fn note_room(&mut self, now: Time) {
        let since = self.full_since.take();
        if since.is_some_and(|since| now.since(since) <= self.terms.quick) {
            self.double();
            self.changed = now;
        }
        self.note_calm(now);
    }

    /// Doubles it for each time-out in which nothing has waited for too long.
    pub(super) fn note_calm(&mut self, now: Time) {
        while self.is_narrow() && now.since(self.changed) >= self.terms.calm {
            self.double();
            self.changed = self.changed + self.terms.calm;
        }
    }

    fn double(&mut self) {
        self.window = (2 * self.window).min(MAX_WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        quick: Duration::from_millis(10),
        calm: Duration::from_millis(400),
    };

    fn at(millis: u64) -> Time {
        Time::from_micros(1_000 * millis)
    }

    /// A request that was queued then, at a server that has said something last then.
    fn delayed(queued: u64, heard: u64) -> Delayed {
        Delayed {
            queued: at(queued),
            heard: Some(at(heard)),
        }
    }

    #[test]
    fn requests_that_may_take_long_begin_with_few_and_again_after_a_pause() {
        let mut pace = Pace::new(TERMS, at(1_000));
        assert!(!pace.is_narrow());
        pace.note_long(8, TERMS, at(1_000));
        assert_eq!(pace.window(), 8);
        for _ in 0..10 {
            pace.note_full(at(1_500));
            pace.note_room(at(1_510));
        }
        pace.note_long(8, TERMS, at(1_510));
        assert!(!pace.is_narrow(), "they are known to be quick");
        pace.note_long(8, TERMS, at(2_509));
        assert!(!pace.is_narrow());
        pace.note_long(8, TERMS, at(3_509));
        assert_eq!(pace.window(), 8, "that was long ago");
        pace.note_long(2, TERMS, at(3_510));
        assert_eq!(pace.window(), 8);
        pace.note_long(2, TERMS, at(4_510));
        assert_eq!(pace.window(), 2);
    }

    #[test]
    fn a_request_that_waits_for_too_long_halves_the_window_once() {
        let mut pace = Pace::new(TERMS, at(0));
        pace.note_delay(delayed(1, 0), 600, TERMS, at(60));
        assert_eq!(pace.window(), 300);
        pace.note_delay(delayed(2, 61), 600, TERMS, at(61));
        assert_eq!(pace.window(), 300, "it was sent before that was known");
        pace.note_delay(delayed(70, 71), 900, TERMS, at(130));
        assert_eq!(pace.window(), 150);
        pace.note_delay(delayed(140, 130), 900, TERMS, at(200));
        assert_eq!(pace.window(), 150, "the server may have stopped");
        pace.note_delay(delayed(140, 131), 15, TERMS, at(200));
        assert_eq!(pace.window(), 8, "they are no long ones");
        pace.note_long(8, TERMS, at(200));
        pace.note_delay(delayed(201, 202), 3, TERMS, at(260));
        assert_eq!(pace.window(), 1);
        pace.note_delay(delayed(270, 270), 2, TERMS, at(330));
        assert_eq!(pace.window(), 1);
        let mut alone = Pace::new(TERMS, at(0));
        alone.note_delay(delayed(1, 1), 8, TERMS, at(60));
        assert!(!alone.is_narrow());
    }

    #[test]
    fn it_grows_with_quick_replies_and_while_nothing_waits_for_too_long() {
        let mut pace = Pace::new(TERMS, at(0));
        pace.note_delay(delayed(1, 1), 32, TERMS, at(60));
        assert_eq!(pace.window(), 16);
        pace.note_room(at(61));
        assert_eq!(pace.window(), 16, "it was not full");
        pace.note_full(at(70));
        pace.note_full(at(79));
        pace.note_room(at(81));
        assert_eq!(pace.window(), 16, "11 ms are not quick");
        pace.note_full(at(90));
        pace.note_room(at(100));
        assert_eq!(pace.window(), 32);
        pace.note_calm(at(499));
        assert_eq!(pace.window(), 32);
        pace.note_delay(delayed(2, 2), 8, TERMS, at(499));
        pace.note_calm(at(898));
        assert_eq!(pace.window(), 32, "an old request has waited on");
        pace.note_calm(at(899));
        assert_eq!(pace.window(), 64);
        pace.note_calm(at(2_499));
        assert!(!pace.is_narrow());
        assert_eq!(pace.window(), MAX_WINDOW);
    }
}
