//! An ejected server is asked whether it is well before it gets requests again. The question goes over
//! a connection of its own: no client's request is spent on it.
//!
//! ```text
//!  ejected ── rest over ──▶ one worker claims the probe ── answered ──▶ live
//!     ▲                                   └─ refused, silent ─┐
//!     └──────────── rest again, a little longer ◀─────────────┘
//! ```

use std::ops::Range;
use std::time::Duration;

use super::Engine;
use crate::event::Event;
use crate::id::ConnectionId;
use crate::limits::{FIRST_PROBE_PAUSE, PROBE_DOUBLINGS};
use crate::pool::Action;
use crate::protocol::Protocol;
use crate::servers::connection::Connection;
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// Takes back the servers whose rest is over, or asks them; routes by those that are live now.
    pub(super) fn refresh_health(&mut self, now: Time) {
        self.look_after(0..self.own, now);
        if self.failover.is_some() {
            self.look_after(self.own..self.servers.len(), now);
        }
        self.refresh_routes(now);
    }

    /// The same for the servers of one pool.
    fn look_after(&mut self, servers: Range<usize>, now: Time) {
        let (health, _) = self.health_of(servers.start);
        let settings = self.settings_of(servers.start);
        if settings.auto_eject_hosts && health.next_retry().is_some_and(|due| due <= now) {
            match settings.failure.probe {
                true => self.probe_due(servers, now),
                false => self.readmit_due(servers.start, now),
            }
        }
    }

    /// Takes back what is due of the pool whose servers begin with `first`.
    fn readmit_due(&mut self, first: usize, now: Time) {
        let mut back = Vec::new();
        let (health, _) = self.health_of(first);
        health.readmit_due(now, |server| back.push(first + server));
        for server in back {
            let server = self.server_settings(server).name.clone();
            self.events.push(Event::Readmitted { server });
        }
    }

    fn probe_due(&mut self, servers: Range<usize>, now: Time) {
        let longest = self.settings_of(servers.start).server_retry_timeout;
        let longest = longest.max(FIRST_PROBE_PAUSE);
        for server in servers.clone() {
            let chance = self.router.draw();
            let (health, index) = self.health_of(server);
            let claimed = health.claim_probe(index, now, |failed| pause(failed, longest, chance));
            if claimed {
                self.open_probe(server, now);
            }
        }
        self.health_of(servers.start).0.refresh_next_retry();
    }

    fn open_probe(&mut self, server: usize, now: Time) {
        let connection = self
            .connections
            .insert_with(|_| Connection::probe(server, now));
        self.actions
            .push_back(Action::Connect { connection, server });
        let due = self
            .connections
            .get(connection)
            .and_then(|connection| self.deadline_of(connection));
        self.note_due(due);
    }

    /// The server has answered its probe.
    pub(super) fn finish_probe(&mut self, id: ConnectionId, now: Time) {
        let Some(connection) = self.connections.remove(id) else {
            return;
        };
        self.note_probe_closed(&connection);
        self.actions
            .push_back(Action::CloseConnection { connection: id });
        let (health, index) = self.health_of(connection.server);
        if health.readmit(index) {
            let server = self.server_settings(connection.server).name.clone();
            self.events.push(Event::Readmitted { server });
        }
        self.refresh_routes(now);
    }
}

/// How long to wait after so many failed probes: doubling, up to the longest, and up to a quarter more
/// by chance, so that many proxies do not ask at once.
fn pause(failed: u32, longest: Duration, chance: u32) -> Duration {
    let doubled = FIRST_PROBE_PAUSE * (1 << failed.min(PROBE_DOUBLINGS));
    let pause = doubled.min(longest);
    pause + pause.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_vary_by_a_quarter() {
        let longest = Duration::from_secs(5);
        let pauses: Vec<_> = (0..5)
            .map(|failed| pause(failed, longest, 0).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        assert_eq!(pause(0, longest, u32::MAX), Duration::from_millis(1_250));
        assert!(pause(u32::MAX, longest, u32::MAX) <= longest.mul_f64(1.25));
    }
}
