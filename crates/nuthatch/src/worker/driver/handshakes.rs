//! Which handshakes are under way, how long they may take, and how much of them is done in a tick.

use std::collections::VecDeque;
use std::time::Duration;

use proxy::Time;

use crate::net::Readiness;

/// How long a handshake may take: many round trips, and retransmissions of some packets.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Steps of handshakes per tick. One may take half a millisecond (a signature by an RSA key of 2,048 bits), in which nobody else
/// is served.
const STEPS: u32 = 4;

/// The handshakes of a worker that are not over.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    /// Their links, in order of the times when they are given up. An entry may be stale: its handshake is over, or the link is
    /// closed, and the key may belong to another one.
    deadlines: VecDeque<(Time, usize)>,
    /// Edges that wait for another tick.
    put_off: VecDeque<(usize, Readiness)>,
    /// Steps in this tick.
    steps: u32,
}

impl Handshakes {
    pub(super) fn begin_tick(&mut self) {
        self.steps = 0;
    }

    /// Whether the next tick is to follow without sleeping.
    pub(super) fn must_go_on(&self) -> bool {
        !self.put_off.is_empty()
    }

    /// When one is to be given up, at the earliest.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadlines.front().map(|&(until, _)| until)
    }

    /// The edges that were put off. A key may be another link's by now, which then looks once without need.
    pub(super) fn take_put_off(&mut self) -> VecDeque<(usize, Readiness)> {
        std::mem::take(&mut self.put_off)
    }

    /// A handshake begins; returns when it is given up.
    pub(super) fn begin(&mut self, key: usize, now: Time) -> Time {
        let until = now + TIME_LIMIT;
        self.deadlines.push_back((until, key));
        until
    }

    /// Whether there may be a step of a client's handshake in this tick; counts it, or else puts it off.
    pub(super) fn take_step(&mut self, key: usize, ready: Readiness) -> bool {
        let may_be = self.steps < STEPS;
        self.steps += u32::from(may_be);
        if !may_be {
            self.put_off.push_back((key, ready));
        }
        may_be
    }

    /// The next one whose time is up.
    pub(super) fn take_late(&mut self, now: Time) -> Option<(Time, usize)> {
        self.deadline().filter(|until| *until <= now)?;
        self.deadlines.pop_front()
    }
}
