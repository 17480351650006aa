//! A request to a server of the failover pool, which serves the keys of ejected servers. The TTL of everything that
//! is written there is capped: once the ejected server is back, nobody reads or updates those keys there any more,
//! and at the next ejection they would be stale.
//!
//! Those servers are in the roster like the pool's own, with connections of this engine, but with the health, the
//! settings and the counters of their own pool. So order, time-outs, joins and retries work as with any server. Which
//! keys they serve is decided by the routes. Connections to them are closed some time after every own server is back.

use std::ops::Range;

use super::pacing::note_special;
use super::sending::Asked;
use super::state::Engine;
use crate::event::{Level, Trace};
use crate::flow::buffer::Rope;
use crate::flow::outbox::Action;
use crate::id::ConnectionId;
use crate::latency::Class;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Facts, Key};
use crate::protocol::fanout::{Body, Source, TtlCap};
use crate::routes::routing::Destination;
use crate::servers::queue::ReplyTo;

impl<P: Protocol> Engine<P> {
    /// Sends a request with the TTL of everything it writes capped at `seconds`, by edits of its text and by requests
    /// that follow it.
    pub(super) fn send_with_ttl_cap(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        (connection, reply_to): (ConnectionId, ReplyTo),
        bodies: &mut Vec<Body>,
        seconds: u32,
    ) {
        let mut cap = self.take_ttl_cap();
        let left_out = facts.left_out.iter().cloned();
        // What servers do not get (`noreply`) is left out by an edit like any other.
        cap.edits.extend(left_out.map(|range| (range, Vec::new())));
        self.protocol
            .cap_ttl(facts.command, asked.request, seconds, &mut cap);
        cap.edits.sort_by_key(|(range, _)| range.start);
        self.send(asked.id, connection, reply_to, facts.class(), |out| {
            write_edited(&asked.source, bodies, &cap.edits, out)
        });
        self.note_request(asked, connection, Destination::NoServer);
        if facts.is_special
            && let Some(connection) = self.roster.get_mut(connection)
            && let Some(session) = self.clients.get_mut(asked.id)
        {
            note_special(facts, session, connection, self.now);
        }
        self.send_followers(asked, connection, cap);
    }

    /// The cap of the TTL of what is written at a destination, in seconds, if there is one.
    pub(super) fn ttl_cap(&self, destination: Destination) -> Option<u32> {
        match destination {
            Destination::Substitute(server) => self.roster.server(server).ttl_cap(),
            Destination::Server(_)
            | Destination::Slot(..)
            | Destination::Ejected(_)
            | Destination::NoReplica(_)
            | Destination::NoServer => None,
        }
    }

    /// Sends the requests that cap the TTL of the keys of a fragment.
    pub(super) fn follow_fragment(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        connection: ConnectionId,
        keys: impl Iterator<Item = Key>,
        seconds: u32,
    ) {
        let mut cap = self.take_ttl_cap();
        for key in keys {
            let (command, request) = (facts.command, asked.request);
            self.protocol
                .cap_key_ttl(command, request, key, seconds, &mut cap);
        }
        self.send_followers(asked, connection, cap);
    }

    /// Takes the buffers for a cap, emptied; `send_followers` puts them back.
    fn take_ttl_cap(&mut self) -> TtlCap {
        let mut cap = std::mem::take(&mut self.ttl_cap_space);
        cap.clear();
        cap
    }

    /// Sends the proxy's own requests right behind the client's, on the same connection: the server executes them in
    /// this order, and nothing of another client can come between.
    fn send_followers(&mut self, asked: &Asked<'_, P>, connection: ConnectionId, cap: TtlCap) {
        self.counters.add(PoolMetric::Failovers, 1);
        for follower in cap.followers() {
            let write = |out: &mut Rope| out.extend(follower);
            self.send(asked.id, connection, ReplyTo::Follower, Class::Write, write);
        }
        self.ttl_cap_space = cap;
    }

    /// Closes idle connections to the failover pool's servers, if that is due.
    pub(super) fn retire_connections(&mut self) {
        let is_due = |due| due <= self.now;
        if !self.retire_at.is_some_and(is_due) {
            return;
        }
        self.retire_at = None;
        // They have no requests, so nothing has to be answered, and that they end is no failure.
        for id in self.roster.connection_ids() {
            if self.may_retire(id)
                && let Some(connection) = self.roster.remove(id)
            {
                self.outbox.act(Action::CloseConnection { connection: id });
                let why = "the pool's own servers are back";
                self.trace_server(Level::Info, connection.server(), |server| {
                    Trace::ServerReleased { server, why }
                });
            }
        }
        self.refresh_routes();
    }

    fn may_retire(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.roster.get(id) else {
            return false;
        };
        // A probe is not idle because its queue is empty: it ends by itself.
        let server = self.roster.server(connection.server());
        let queue = connection.queue();
        connection.purpose().is_shared()
            && server.ttl_cap().is_some()
            && queue.is_empty()
            && queue.output().is_empty()
    }
}

/// Writes a request with its bodies inserted and its edits applied. Both are in order of position.
fn write_edited(
    source: &Source<'_>,
    bodies: &mut Vec<Body>,
    edits: &[(Range<usize>, Vec<u8>)],
    out: &mut Rope,
) {
    let mut pos = 0;
    let mut bodies = bodies.drain(..).peekable();
    // An empty edit at the end makes the loop write what follows the last real one.
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
