//! Keys of an ejected server are served by another pool, where nothing that is written for them lives
//! longer than a given time.
//!
//! The engine borrows that pool's servers: they stand behind its own in the numbering, with connections
//! of this engine's, but with the health, the settings and the counters of their pool. So order, lanes,
//! time-outs, joins and retries are as with any server. Connections are made when an own server is ejected
//! and closed again some time after all of them are back.

use std::ops::Range;
use std::sync::Arc;

use super::Engine;
use super::dispatch::Asked;
use crate::cause::Cause;
use crate::event::Event;
use crate::flow::buffer::Rope;
use crate::id::ConnectionId;
use crate::limits::FAILOVER_LINGER;
use crate::metrics::{PoolMetric, ServerMetric};
use crate::pool::{Action, FailoverPool};
use crate::protocol::{Body, Cap, Key, Lane, Protocol, Source, Step};
use crate::routes::router::Router;
use crate::servers::connection::{Connection, Place, State};
use crate::servers::health::Health;
use crate::settings::{PoolSettings, ServerSettings};
use crate::time::Time;

/// What is borrowed of the other pool.
pub(super) struct Failover<P> {
    pub(super) settings: Arc<PoolSettings>,
    pub(super) health: Arc<Health>,
    router: Router,
    /// Says what connections of that pool are told first.
    protocol: P,
    /// Most seconds that what is written there lives.
    seconds: u32,
    /// When connections that nobody needs are closed.
    retire_at: Option<Time>,
    /// Work space.
    cap: Cap,
}

impl<P: Protocol> Engine<P> {
    /// The same pool, with another one for the keys of ejected servers. To be called before [`Engine::start`].
    pub(crate) fn with_failover(mut self, other: FailoverPool) -> Self {
        let FailoverPool {
            settings,
            health,
            seconds,
        } = other;
        self.router.keep_keys();
        self.one_each &= settings.server_connections == 1;
        self.servers
            .extend(settings.servers.iter().map(|_| Default::default()));
        self.failover = Some(Box::new(Failover {
            router: Router::new(&settings, &health, self.context.seed.rotate_left(32)),
            protocol: P::new(&settings),
            settings,
            health,
            seconds,
            retire_at: None,
            cap: Cap::default(),
        }));
        self
    }

    /// Whether a server is one of the other pool's.
    #[inline]
    pub(super) fn is_borrowed(&self, server: usize) -> bool {
        server >= self.own
    }

    /// The settings that hold for a server.
    #[inline]
    pub(super) fn settings_of(&self, server: usize) -> &PoolSettings {
        match &self.failover {
            Some(failover) if server >= self.own => &failover.settings,
            _ => &self.settings,
        }
    }

    pub(super) fn server_settings(&self, server: usize) -> &ServerSettings {
        let index = self.health_of(server).1;
        &self.settings_of(server).servers[index]
    }

    /// The health record that a server is in, and its index there.
    #[inline]
    pub(super) fn health_of(&self, server: usize) -> (&Health, usize) {
        match &self.failover {
            Some(failover) if server >= self.own => (&failover.health, server - self.own),
            _ => (&self.health, server),
        }
    }

    /// The server that owns `key`, by what was last seen of the servers' health. One of the other pool's
    /// in the place of an ejected one; that one itself if it has no substitute.
    pub(super) fn locate(&mut self, key: &[u8]) -> Option<usize> {
        let server = self.router.route(key)?;
        match &mut self.failover {
            Some(failover) if !self.router.is_live(server) => {
                let substitute = failover.router.route(key);
                let live = substitute.filter(|index| failover.router.is_live(*index));
                Some(live.map_or(server, |index| self.own + index))
            }
            _ => Some(server),
        }
    }

    /// Routes by the servers that are live now.
    pub(super) fn refresh_routes(&mut self, now: Time) {
        self.router.refresh(&self.health);
        let Some(failover) = &mut self.failover else {
            return;
        };
        failover.router.refresh(&failover.health);
        if !self.router.is_whole() {
            failover.retire_at = None;
        } else if failover.retire_at.is_none()
            && self.servers[self.own..]
                .iter()
                .any(|server| server.is_used())
        {
            failover.retire_at = Some(now + FAILOVER_LINGER);
        }
    }

    /// When something of the other pool's is to be looked at.
    pub(super) fn failover_due(&self) -> Option<Time> {
        let failover = self.failover.as_deref()?;
        let watched = failover.settings.auto_eject_hosts;
        let retry = failover.health.next_retry().filter(|_| watched);
        [failover.retire_at, retry].into_iter().flatten().min()
    }

    /// Closes connections to the other pool's servers of which nothing is wanted, if it is time.
    pub(super) fn retire_connections(&mut self, now: Time) {
        match &mut self.failover {
            Some(failover) if failover.retire_at.is_some_and(|due| due <= now) => {
                failover.retire_at = None;
            }
            _ => return,
        }
        for id in self.connections.ids() {
            let idle = |connection: &&mut Connection<P>| {
                connection.server >= self.own
                    && !connection.is_probe
                    && connection.in_flight.is_empty()
                    && connection.output.is_empty()
            };
            if self.connections.get_mut(id).filter(idle).is_some() {
                self.retire(id);
            }
        }
        self.refresh_routes(now);
    }

    fn retire(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(id) else {
            return;
        };
        self.servers[connection.server].remove(connection.lane, id);
        if !matches!(connection.state, State::Connecting) {
            let gauge = ServerMetric::ServerConnections;
            self.metrics.add_server(connection.server, gauge, -1);
        }
        self.actions
            .push_back(Action::CloseConnection { connection: id });
    }

    /// What a connection to a server is told first.
    pub(super) fn handshake_of(&self, lane: Lane, server: usize, is_probe: bool) -> Vec<Step> {
        let mut steps = match &self.failover {
            Some(failover) if server >= self.own => {
                failover.protocol.handshake(lane, server - self.own)
            }
            _ => self.protocol.handshake(lane, server),
        };
        match is_probe {
            true => steps.push(self.protocol.probe()),
            false if self.is_borrowed(server) => steps.extend(self.protocol.can_cap()),
            false => {}
        }
        steps
    }

    /// A server of the other pool cannot limit how long something lives: nothing may be written there.
    pub(super) fn refuse_failover(&mut self, id: ConnectionId, server: usize, now: Time) {
        self.events.push(Event::CannotCap {
            server: self.server_settings(server).name.clone(),
        });
        self.close_because(id, &Cause::Other(CANNOT_CAP.into()), now);
    }

    /// Sends a request to the other pool, changed or followed so that nothing it writes there lives for too
    /// long.
    pub(super) fn send_capped(
        &mut self,
        asked: &Asked<'_, P>,
        connection: ConnectionId,
        place: Place,
        bodies: &mut Vec<Body>,
        cut: Option<Range<usize>>,
    ) {
        let Some((mut cap, seconds)) = self.lend_cap() else {
            return;
        };
        cap.edits.extend(cut.map(|cut| (cut, Vec::new())));
        self.protocol
            .cap(asked.parser, asked.source.text, seconds, &mut cap);
        cap.edits.sort_by_key(|(range, _)| range.start);
        self.send(asked.id, connection, place, asked.now, |out| {
            write_edited(&asked.source, bodies, &cap.edits, out)
        });
        self.send_followers(asked, connection, cap);
    }

    /// Sends what must follow a fragment that writes `keys`.
    pub(super) fn follow_fragment(
        &mut self,
        asked: &Asked<'_, P>,
        connection: ConnectionId,
        keys: impl Iterator<Item = Key>,
    ) {
        let Some((mut cap, seconds)) = self.lend_cap() else {
            return;
        };
        for key in keys {
            let text = asked.source.text;
            self.protocol
                .cap_key(asked.parser, text, key, seconds, &mut cap);
        }
        self.send_followers(asked, connection, cap);
    }

    /// How long what a fragment for a server writes may live there.
    pub(super) fn seconds_at(&self, server: usize) -> Option<u32> {
        let failover = self.failover.as_deref()?;
        self.is_borrowed(server).then_some(failover.seconds)
    }

    /// The work space, emptied, and the most seconds.
    fn lend_cap(&mut self) -> Option<(Cap, u32)> {
        let failover = self.failover.as_deref_mut()?;
        let mut cap = std::mem::take(&mut failover.cap);
        cap.clear();
        Some((cap, failover.seconds))
    }

    /// Sends the requests of the proxy's own behind the client's, and gives the work space back.
    fn send_followers(&mut self, asked: &Asked<'_, P>, connection: ConnectionId, cap: Cap) {
        self.metrics.add(PoolMetric::Failovers, 1);
        for follower in cap.followers() {
            let write = |out: &mut Rope| out.extend(follower);
            self.send(asked.id, connection, Place::Follower, asked.now, write);
        }
        if let Some(failover) = &mut self.failover {
            failover.cap = cap;
        }
    }
}

/// Why a server of the other pool is of no use.
const CANNOT_CAP: &str = "the failover server cannot limit the time to live";

/// Writes a request with its gathered bodies in their places and its edits, which are in order.
fn write_edited(
    source: &Source<'_>,
    bodies: &mut Vec<Body>,
    edits: &[(Range<usize>, Vec<u8>)],
    out: &mut Rope,
) {
    let mut pos = 0;
    let mut bodies = bodies.drain(..).peekable();
    let end = (source.text.len()..source.text.len(), Vec::new());
    for (range, with) in edits.iter().chain([&end]) {
        while let Some(mut body) = bodies.next_if(|body| body.at <= range.start) {
            source.write(pos..body.at, out);
            out.append(&mut body.rope);
            pos = body.at;
        }
        source.write(pos..range.start, out);
        out.extend(with);
        pos = range.end;
    }
}
