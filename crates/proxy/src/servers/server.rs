//! One server: its connections, and when to make no new ones.

use std::time::Duration;

use crate::cause::Cause;
use crate::id::ConnectionId;
use crate::limits::{FIRST_REFUSAL_PAUSE, LONGEST_REFUSAL_PAUSE};
use crate::protocol::{LANES, Lane};
use crate::time::Time;

/// A configured server, as one worker sees it.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// Its connections, by lane; at most `server_connections` each.
    lanes: [Vec<ConnectionId>; LANES],
    /// The last refused handshake of each lane.
    refusals: [Option<Refusal>; LANES],
    /// Whether it speaks RESP3, as far as is known.
    pub(crate) resp3: Resp3Support,
}

/// What a probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Resp3Support {
    /// Not asked, or being asked.
    #[default]
    Unknown,
    /// It accepted HELLO 3.
    Yes,
    /// It refused.
    No,
    /// It could not be asked.
    Unreachable,
}

/// A handshake that the server refused. No other connection is tried before `until`: each request would
/// open one, and be refused again.
#[derive(Debug)]
struct Refusal {
    cause: Cause,
    until: Time,
    /// How long it was waited after this refusal, chance apart.
    pause: Duration,
}

impl Server {
    /// Why no connection is to be opened in `lane` at `now`, if there is a reason.
    pub(crate) fn refusal(&self, lane: Lane, now: Time) -> Option<&Cause> {
        let refusal = self.refusals[lane].as_ref();
        refusal
            .filter(|refusal| now < refusal.until)
            .map(|refusal| &refusal.cause)
    }

    /// The server has refused a connection in `lane`. The next one is tried after a pause that doubles with
    /// each refusal that follows closely, up to a quarter longer by `chance` (of 2^32), so that workers and
    /// proxies do not come back all at once.
    pub(crate) fn note_refusal(&mut self, lane: Lane, cause: Cause, now: Time, chance: u32) {
        let last = self.refusals[lane].take();
        let again = last.filter(|last| now.since(last.until) < LONGEST_REFUSAL_PAUSE);
        let pause = again.map_or(FIRST_REFUSAL_PAUSE, |last| {
            (last.pause * 2).min(LONGEST_REFUSAL_PAUSE)
        });
        let longer = pause.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 4.0);
        self.refusals[lane] = Some(Refusal {
            cause,
            until: now + pause + longer,
            pause,
        });
    }
    pub(crate) fn connections(&self, lane: Lane) -> &[ConnectionId] {
        &self.lanes[lane]
    }

    /// Whether there is any connection.
    pub(crate) fn is_used(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.is_empty())
    }

    pub(crate) fn add(&mut self, lane: Lane, connection: ConnectionId) {
        self.lanes[lane].push(connection);
    }

    pub(crate) fn remove(&mut self, lane: Lane, connection: ConnectionId) {
        self.lanes[lane].retain(|known| *known != connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_refusals_double_and_a_calm_time_begins_anew() {
        let mut server = Server::default();
        let at = |millis: u64| Time::from_micros(millis * 1_000);
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            server.note_refusal(0, Cause::Refused, at(now), 0);
            let end = (now..).find(|millis| server.refusal(0, at(*millis)).is_none());
            pauses.push(end.unwrap() - now);
            now = end.unwrap();
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert!(
            server.refusal(1, at(0)).is_none(),
            "of the other lane nothing is known"
        );
        now += 2_000;
        server.note_refusal(0, Cause::Refused, at(now), u32::MAX);
        assert!(server.refusal(0, at(now + 124)).is_some());
        assert!(server.refusal(0, at(now + 125)).is_none());
    }
}
