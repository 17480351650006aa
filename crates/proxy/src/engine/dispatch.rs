//! Requests to servers.

use std::ops::Range;

use super::Engine;
use super::intake::Taken;
use crate::cause::Cause;
use crate::clients::session::{Phase, Slot};
use crate::event::Event;
use crate::flow::buffer::Rope;
use crate::id::{ConnectionId, SessionId};
use crate::metrics::{PoolMetric, ServerMetric};
use crate::pool::{Action, Flush};
use crate::protocol::{Body, Lane, Plan, Protocol, Reply, Source};
use crate::servers::connection::{Connection, InFlight, Place, State};
use crate::settings::{CrossShard, EjectPolicy, ProtocolSettings};
use crate::time::Time;

/// The key that stands in for none, as in nutcracker 0.5.0.
const PLACEHOLDER: &[u8] = b"placeholder";

/// One whole request: who asks, what, and when.
pub(super) struct Asked<'r, P: Protocol> {
    pub(super) id: SessionId,
    pub(super) parser: &'r P::Parser,
    pub(super) source: Source<'r>,
    pub(super) now: Time,
    /// Whether its reply is wanted, once it has been planned.
    pub(super) reply: Reply,
}

impl<P: Protocol> Engine<P> {
    /// Plans one whole request and carries the plan out.
    pub(super) fn execute(&mut self, mut asked: Asked<'_, P>, bodies: &mut Vec<Body>) -> Taken {
        let Some(session) = self.sessions.get_mut(asked.id) else {
            return Taken::Last;
        };
        self.scratch.clear();
        self.scratch.idle = session.is_idle();
        let text = asked.source.text;
        let client = &mut session.client;
        let planned = self
            .protocol
            .plan(asked.parser, text, client, &mut self.scratch);
        asked.reply = planned.reply;
        let asked = &asked;
        match planned.plan {
            Plan::Forward { key, cut, is_small } => {
                let server = self.route(&text[key.clone()], asked.now);
                self.forward(asked, server, Some(key), bodies, cut, is_small);
            }
            Plan::Local => self.respond(asked.id, asked.reply),
            Plan::Together { command, legacy } => {
                self.forward_together(asked, command, legacy, bodies)
            }
            Plan::Placeholder => {
                let server = self.route(PLACEHOLDER, asked.now);
                self.forward(asked, server, None, bodies, None, false);
            }
            Plan::Split { join } => self.split(asked, bodies, join),
            Plan::Broadcast { join, cut } => self.broadcast(asked, join, cut),
            Plan::Barrier => {
                session.barrier = true;
                return Taken::Later;
            }
            Plan::Upgrade => self.begin_upgrade(asked.id, asked.reply, asked.now),
            Plan::Quit => {
                self.respond(asked.id, asked.reply);
                self.quit(asked.id, false);
                return Taken::Last;
            }
        }
        Taken::Yes
    }

    /// The server that owns `key` at `now`.
    pub(super) fn route(&mut self, key: &[u8], now: Time) -> Option<usize> {
        if self.settings.auto_eject_hosts {
            self.refresh_health(now);
        }
        self.locate(key)
    }

    fn forward(
        &mut self,
        asked: &Asked<'_, P>,
        server: Option<usize>,
        key: Option<Range<usize>>,
        bodies: &mut Vec<Body>,
        cut: Option<Range<usize>>,
        is_small: bool,
    ) {
        let connection = match self.usable_connection(asked.id, server, asked.now) {
            Ok(connection) => connection,
            Err(cause) => return self.answer_failure(asked, &cause, server),
        };
        self.note_sent(asked);
        let place = match asked.reply {
            Reply::Dropped => Place::Nowhere,
            Reply::Wanted => {
                let mut slot = self.slot_with_retry(asked, key.filter(|_| bodies.is_empty()));
                slot.may_be_large = !is_small;
                self.new_slot(asked.id, slot)
            }
        };
        if server.is_some_and(|server| self.is_borrowed(server)) {
            return self.send_capped(asked, connection, place, bodies, cut);
        }
        self.send(asked.id, connection, place, asked.now, |out| {
            write_request(&asked.source, bodies, cut, out)
        });
    }

    /// A command whose keys must be at one server.
    fn forward_together(
        &mut self,
        asked: &Asked<'_, P>,
        command: &'static str,
        legacy: bool,
        bodies: &mut Vec<Body>,
    ) {
        let Some(first) = self.scratch.keys.first().map(|key| key.range()) else {
            return;
        };
        let server = self.route(&asked.source.text[first], asked.now);
        if !self.keys_are_together(server, &asked.source) {
            if !legacy || self.refuses_cross_shard() {
                self.scratch.reply.clear();
                self.scratch.reply.extend_from_slice(
                    b"-CROSSSLOT Keys in request don't hash to the same server\r\n",
                );
                return self.respond(asked.id, asked.reply);
            }
            self.report_cross_shard(command, asked.now);
        }
        self.forward(asked, server, None, bodies, None, false);
    }

    /// Answers a request that cannot be sent: with a miss where the pool's policy says so, else with
    /// an error.
    pub(super) fn answer_failure(
        &mut self,
        asked: &Asked<'_, P>,
        cause: &Cause,
        server: Option<usize>,
    ) {
        if *cause == Cause::Ejected && self.misses(asked) {
            return self.respond(asked.id, asked.reply);
        }
        match asked.reply {
            Reply::Wanted => self.answer_error(asked.id, cause, server),
            Reply::Dropped => self.note_lost(cause, server),
        }
    }

    /// Whether the request is a read whose keys may count as missing; `scratch.reply` is then what it
    /// is answered if all of them do.
    pub(super) fn misses(&mut self, asked: &Asked<'_, P>) -> bool {
        if self.settings.failure.eject != EjectPolicy::Miss {
            return false;
        }
        let Some(session) = self.sessions.get(asked.id) else {
            return false;
        };
        self.scratch.reply.clear();
        self.protocol.miss(
            asked.parser,
            asked.source.text,
            &session.client,
            &mut self.scratch.reply,
        )
    }

    fn keys_are_together(&mut self, server: Option<usize>, source: &Source<'_>) -> bool {
        if self.router.is_random() {
            return true;
        }
        (1..self.scratch.keys.len()).all(|index| {
            let key = self.scratch.keys[index].range();
            self.locate(&source.text[key]) == server
        })
    }

    fn refuses_cross_shard(&self) -> bool {
        matches!(&self.settings.protocol, ProtocolSettings::Redis(redis) if redis.cross_shard == CrossShard::Error)
    }

    fn report_cross_shard(&mut self, command: &'static str, now: Time) {
        self.metrics.add(PoolMetric::CrossShard, 1);
        self.cross_shard.note();
        if let Some(count) = self.cross_shard.due(now) {
            self.events.push(Event::CrossShard { command, count });
        }
    }

    /// A connection that can take a request for `server`, opened if need be.
    pub(super) fn usable_connection(
        &mut self,
        id: SessionId,
        server: Option<usize>,
        now: Time,
    ) -> Result<ConnectionId, Cause> {
        let server = server.ok_or(Cause::Refused)?;
        if self.router.keeps_keys() && self.is_out_of_reach(server) {
            return Err(Cause::Ejected);
        }
        let chosen = self.choose_connection(id, server, now)?;
        match self.connections.get(chosen) {
            Some(connection) if connection.has_room(now) => Ok(chosen),
            _ => Err(Cause::Overloaded),
        }
    }

    /// Whether a server that keeps its keys is ejected. With a failover pool that is what the request was
    /// routed by, so that it does not change half-way.
    pub(super) fn is_out_of_reach(&self, server: usize) -> bool {
        match &self.failover {
            None => !self.health.is_live(server),
            Some(_) => !self.is_borrowed(server) && !self.router.is_live(server),
        }
    }

    /// The session's own connection while it has something outstanding there; else the least loaded.
    fn choose_connection(
        &mut self,
        id: SessionId,
        server: usize,
        now: Time,
    ) -> Result<ConnectionId, Cause> {
        let session = self.sessions.get(id).ok_or(Cause::Closed)?;
        let lane = P::lane(&session.client);
        let open = self.servers[server].connections(lane);
        let most = self.settings_of(server).server_connections;
        if let ([only], 1) = (open, most) {
            return Ok(*only);
        }
        if let Some(bound) = session.bound_to(server, lane) {
            return Ok(bound);
        }
        let load = |id: &ConnectionId| {
            self.connections
                .get(*id)
                .map_or(usize::MAX, |connection| connection.in_flight.len())
        };
        let least = open.iter().min_by_key(|id| load(id));
        if let Some(least) = least
            && (load(least) == 0 || open.len() >= most)
        {
            return Ok(*least);
        }
        match (self.servers[server].refusal(lane, now), least) {
            (None, _) => Ok(self.open_connection(server, lane, now)),
            (Some(_), Some(least)) => Ok(*least),
            (Some(cause), None) => Err(cause.clone()),
        }
    }

    pub(super) fn open_connection(&mut self, server: usize, lane: Lane, now: Time) -> ConnectionId {
        let connection = self
            .connections
            .insert_with(|_| Connection::new(server, lane, now));
        self.servers[server].add(lane, connection);
        self.metrics
            .add_server(server, ServerMetric::ServerTotal, 1);
        self.actions
            .push_back(Action::Connect { connection, server });
        let connect_timeout = self.settings_of(server).failure.connect_timeout;
        self.note_due(connect_timeout.map(|patience| now + patience));
        connection
    }

    /// Appends a request to a connection's output and queue.
    pub(super) fn send(
        &mut self,
        id: SessionId,
        connection_id: ConnectionId,
        place: Place,
        now: Time,
        write: impl FnOnce(&mut Rope),
    ) {
        let Some(connection) = self.connections.get_mut(connection_id) else {
            return;
        };
        let before = connection.output.len();
        write(&mut connection.output);
        let bytes = connection.output.len() - before;
        connection.in_flight.push_back(InFlight {
            session: id,
            place,
            bytes,
            queued: now,
        });
        let (server, lane) = (connection.server, connection.lane);
        if !connection.dirty && matches!(connection.state, State::Ready) {
            connection.dirty = true;
            self.flushes.push_back(Flush::Connection(connection_id));
        }
        self.metrics.note_queued(server, bytes as i64);
        let one_each = self.one_each;
        if (place.is_silent() || !one_each)
            && let Some(session) = self.sessions.get_mut(id)
        {
            session.silent += usize::from(place.is_silent());
            if !one_each {
                session.bind(server, lane, connection_id);
            }
        }
        if let Some(timeout) = self.settings_of(server).timeout
            && self
                .earliest
                .is_none_or(|earliest| earliest > now + timeout)
        {
            self.earliest = Some(now + timeout);
        }
    }

    pub(super) fn new_slot(&mut self, id: SessionId, slot: Slot<P::Kind>) -> Place {
        match self.sessions.get_mut(id) {
            Some(session) => Place::Slot(session.push_slot(slot)),
            None => Place::Nowhere,
        }
    }

    /// Answers the session's next request with `scratch.reply`, in its turn.
    pub(super) fn answer(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.slots.is_empty() {
            session.output.extend(&self.scratch.reply);
            return self.mark_session(id);
        }
        let mut slot = Slot::waiting();
        slot.done = true;
        slot.stash.extend(&self.scratch.reply);
        session.stashed += slot.stash.len();
        session.push_slot(slot);
    }

    pub(super) fn answer_error(&mut self, id: SessionId, cause: &Cause, server: Option<usize>) {
        let mut reply = std::mem::take(&mut self.scratch.reply);
        reply.clear();
        self.write_error(&mut reply, cause, server);
        self.scratch.reply = reply;
        self.answer(id);
    }

    /// Reads nothing further of the session and closes it when it is answered.
    pub(super) fn quit(&mut self, id: SessionId, linger: bool) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.phase = Phase::Quitting { linger };
            session.drop_input();
        }
        self.await_end(id);
    }
}

/// Writes a request as it came, its gathered bodies in their places, without the range `cut`.
pub(super) fn write_request(
    source: &Source<'_>,
    bodies: &mut Vec<Body>,
    cut: Option<Range<usize>>,
    out: &mut Rope,
) {
    let mut pos = 0;
    if let Some(cut) = cut {
        source.write(0..cut.start, out);
        pos = cut.end;
    }
    for mut body in bodies.drain(..) {
        source.write(pos..body.at, out);
        out.append(&mut body.rope);
        pos = body.at;
    }
    source.write(pos..source.text.len(), out);
}
