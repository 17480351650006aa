//! What a client does for a while.

use std::time::{Duration, Instant};

use super::Client;
use crate::request::Ask;

/// Most requests that wait for replies when a client stops reading.
const MUCH: u64 = 600;

/// Most bytes that a client that sends slowly sends at once.
const SLOWLY: u64 = 60;

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Sends requests and reads replies.
    Busy,
    /// The same, but sends a few bytes at a time.
    Dripping,
    /// Reads replies and sends nothing.
    Idle,
    /// Sends what it has, and reads nothing.
    Deaf,
    /// Has sent its last request and reads replies until the end.
    Leaving,
}

impl Client {
    /// Draws what to do next, and returns for how long.
    pub(super) fn change_mood(&mut self) -> Duration {
        if self.mood == Mood::Leaving {
            return Duration::from_millis(50);
        }
        let chance = self.random.below(100);
        let name = match chance {
            0..50 => {
                self.mood = Mood::Busy;
                "busy"
            }
            50..60 => {
                self.mood = Mood::Dripping;
                "sending slowly"
            }
            60..70 => {
                self.mood = Mood::Idle;
                "idle"
            }
            70..80 => {
                self.mood = Mood::Deaf;
                self.was_deaf = true;
                self.ask_for_much();
                "not reading"
            }
            80..91 => {
                self.leave_abruptly();
                "left abruptly"
            }
            _ => {
                self.take_leave(chance.is_multiple_of(2));
                "left in order"
            }
        };
        let is_slow = self.mood == Mood::Dripping;
        let most = match is_slow {
            true => 1 + self.random.below(SLOWLY) as usize,
            false => usize::MAX,
        };
        if let Some(link) = &mut self.link {
            link.most_at_once = most;
        }
        *self.tally.moods.entry(name).or_default() += 1;
        Duration::from_millis(20 + self.random.below(380))
    }

    /// Asks for more than the kernel's buffers hold.
    fn ask_for_much(&mut self) {
        let most = MUCH.saturating_sub(self.pending.len() as u64);
        for _ in 0..self.random.below(most + 1) {
            let ask = self.keyspace.read_many(&mut self.random);
            self.ask(ask);
        }
    }

    /// Closes the connection while requests are outstanding, often in the middle of a request.
    fn leave_abruptly(&mut self) {
        // At least one request of which only a part arrives: it must never be carried out. The model is not
        // told that it failed, so its value would be noticed.
        let Some(link) = &mut self.link else {
            return;
        };
        link.write();
        if link.is_flushed() {
            let ask = self.keyspace.set(0);
            ask.push(&mut link.out, self.rules.protocol, self.keyspace.owner);
            let part = self.random.below(link.unsent() as u64) as usize;
            link.cut_output(part);
            link.write();
        }
        if self.random.below(2) == 0 {
            link.reset_at_close();
        }
        self.leave();
    }

    /// Sends what it has, says that this was all, and waits for the last replies.
    fn take_leave(&mut self, quits: bool) {
        if quits {
            self.ask(Ask::Quit);
        }
        self.mood = Mood::Leaving;
        self.heard = Instant::now();
        while self.link.as_ref().is_some_and(|link| !link.is_flushed()) {
            self.step();
        }
        if let Some(link) = &self.link
            && !quits
        {
            link.half_close();
        }
    }
}
