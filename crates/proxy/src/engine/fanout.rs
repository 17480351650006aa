//! A request to several servers: split into fragments, one per server, whose replies are joined in the request's
//! slot; or sent to every server as it is.
//!
//! The slot is opened before any fragment is sent. So a fragment that fails at once finds the slot, and the join ends
//! only when every fragment is accounted for.

use super::sending::{Asked, write_request};
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::order::Expected;
use crate::flow::buffer::{Chunk, Rope};
use crate::id::{ConnectionId, ServerId};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Facts, JoinKind, Key};
use crate::protocol::fanout::Body;
use crate::protocol::grammar::Reply;
use crate::protocol::pending_join::{Fragment, PendingJoin};
use crate::routes::grouping::{FragmentKeys, Grouping, Owners};
use crate::routes::routing::Destination;
use crate::servers::queue::ReplyTo;

impl<P: Protocol> Engine<P> {
    /// Splits the request by the servers of its keys, which the decision has put into `self.output.keys`.
    pub(super) fn split(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        bodies: &mut [Body],
        kind: JoinKind,
    ) {
        let mut grouping = std::mem::take(&mut self.grouping);
        grouping.begin(std::mem::take(&mut self.output.keys));
        if self.find_owners(&mut grouping, asked) {
            grouping.group(P::most_key_bytes(facts.command));
            self.read_fragments(asked.id, facts, &mut grouping);
            let reply_to = self.open_split(asked, facts, &grouping, kind);
            self.send_fragments(asked, facts, reply_to, &grouping, bodies);
        } else {
            self.answer_failure(asked, facts, &Cause::Refused, None);
        }
        self.output.keys = grouping.end();
        self.grouping = grouping;
    }

    /// Sends the request to every server.
    pub(super) fn broadcast(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        kind: JoinKind,
        bodies: &mut Vec<Body>,
    ) {
        let mut request = Rope::new();
        write_request(&asked.source, bodies, facts.left_out.as_ref(), &mut request);
        let request: Chunk = request.slices().flatten().copied().collect();
        if self.routes.has_failover() {
            self.check_health();
        }
        let servers: Vec<ServerId> = self.routes.own().collect();
        let reply_to = self.open_join(asked, facts, || {
            let fragments = servers.iter().map(|server| Fragment::new(*server, 0));
            PendingJoin::of_all_servers(kind, fragments.collect())
        });
        for (fragment, server) in servers.into_iter().enumerate() {
            let reply_to = fragment_of(reply_to, fragment);
            // Of these only FLUSHALL and the like change data.
            if kind == JoinKind::Ok {
                self.note_written(asked.id, facts, server);
            }
            self.send_whole(asked, facts, server, reply_to, |out| {
                out.push(&request, 0..request.len());
            });
        }
        // It may have been answered at once, by its failure, and have left the window empty.
        self.clients.spend(asked.id, 0, self.now);
    }

    /// Sends the request, as `self.output.request` has it, to the server at this place in the plan.
    pub(super) fn send_to_place(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        place: usize,
        kind: JoinKind,
    ) {
        self.check_health();
        let Some(server) = self.routes.own().nth(place) else {
            return self.answer_failure(asked, facts, &Cause::Refused, None);
        };
        let reply_to = self.open_join(asked, facts, || {
            PendingJoin::new(kind, false, vec![Fragment::new(server, 0)], Vec::new())
        });
        let request = std::mem::take(&mut self.output.request);
        self.send_whole(asked, facts, server, fragment_of(reply_to, 0), |out| {
            out.extend(&request);
        });
    }

    /// Sends one server a request about all of its data, unless it is ejected: that is tested by a probe, never by a
    /// client's request.
    fn send_whole(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        server: ServerId,
        reply_to: ReplyTo,
        write: impl FnOnce(&mut Rope),
    ) {
        let destination = match self.roster.server(server).health().is_live() {
            true => Destination::Server(server),
            false => Destination::Ejected(server),
        };
        match self.connection_to(asked.id, destination) {
            Ok(connection) => {
                self.send(asked.id, connection, reply_to, facts.class(), write);
                self.note_request(asked, connection, destination);
            }
            Err(cause) => self.fail_unsent(asked, facts, reply_to, &cause, destination),
        }
    }

    /// Opens a slot for a request that is split into the fragments of `grouping`.
    pub(super) fn open_split(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        grouping: &Grouping,
        kind: JoinKind,
    ) -> ReplyTo {
        let count = grouping.fragments().len();
        self.counters.add(PoolMetric::Fragments, count as i64);
        // Asked once for the request: fragments of ejected servers are then missing, not failed.
        let ejected_is_miss = self.counts_as_miss(asked, facts);
        self.open_join(asked, facts, || new_join(grouping, kind, ejected_is_miss))
    }

    /// Opens a slot for a split request, in which `join` collects the replies to its fragments.
    pub(super) fn open_join(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        join: impl FnOnce() -> PendingJoin<P::Kind>,
    ) -> ReplyTo {
        self.note_change(asked.id, facts);
        match facts.reply {
            Reply::Dropped => ReplyTo::Nobody,
            Reply::Wanted => self.open_slot(asked.id, Expected::Fragments(join())),
        }
    }

    /// A fragment cannot be sent. It fails in the join; if no reply is wanted there is no join, and the failure is
    /// only counted.
    pub(super) fn fail_unsent(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        reply_to: ReplyTo,
        cause: &Cause,
        destination: Destination,
    ) {
        match reply_to {
            ReplyTo::Fragment(slot, fragment) => {
                self.fail_fragment(asked.id, slot, fragment, cause);
            }
            _ => self.answer_failure(asked, facts, cause, destination.server()),
        }
    }

    /// Finds each key's server; false when no server is live.
    fn find_owners(&mut self, grouping: &mut Grouping, asked: &Asked<'_, P>) -> bool {
        self.check_health();
        let (routes, text) = (&mut self.routes, asked.source.text);
        let route = |key: Key| routes.route(&text[key.range()]);
        grouping.find_owners(usize::MAX, route) == Owners::Found
    }

    /// Sends each fragment to its destination, or fails it. Some may go to own servers and some to the failover
    /// pool, so whether TTLs are capped is decided for each.
    fn send_fragments(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        reply_to: ReplyTo,
        grouping: &Grouping,
        bodies: &mut [Body],
    ) {
        for (fragment, (destination, keys)) in grouping.fragments().enumerate() {
            let reply_to = fragment_of(reply_to, fragment);
            match self.connection_to(asked.id, destination) {
                Ok(connection) => {
                    destination
                        .server()
                        .into_iter()
                        .for_each(|server| self.note_written(asked.id, facts, server));
                    let seconds = self.ttl_cap(destination);
                    let to = (connection, destination, reply_to);
                    self.send_fragment(asked, facts, to, keys, bodies, seconds);
                }
                Err(cause) => self.fail_unsent(asked, facts, reply_to, &cause, destination),
            }
        }
    }

    /// Writes a fragment directly into the output of its connection, key by key.
    fn send_fragment(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        (connection, destination, reply_to): (ConnectionId, Destination, ReplyTo),
        keys: FragmentKeys<'_>,
        bodies: &mut [Body],
        seconds: Option<u32>,
    ) {
        let (command, request) = (facts.command, asked.request);
        self.send(asked.id, connection, reply_to, facts.class(), |out| {
            P::fragment_start(command, request, keys.len(), seconds, out);
            for key in keys.iter() {
                let body = body_at(bodies, key);
                P::fragment_key(command, request.parser, &asked.source, key, out, body);
            }
            P::fragment_end(command, request, out);
        });
        self.note_fragment(asked, (connection, destination), keys);
        if let Some(seconds) = seconds {
            self.follow_fragment(asked, facts, connection, keys.iter(), seconds);
        }
    }
}

/// The large value of `key`, if it was collected outside the text: the first body that comes after the key.
pub(super) fn body_at(bodies: &mut [Body], key: Key) -> Option<&mut Rope> {
    if bodies.is_empty() {
        return None;
    }
    let end = key.range().end;
    let next = bodies.partition_point(|body| body.at < end);
    bodies.get_mut(next).map(|body| &mut body.rope)
}

/// The join of the fragments. Which fragment has which key is kept only where replies are joined in key order.
fn new_join<K>(grouping: &Grouping, kind: JoinKind, ejected_is_miss: bool) -> PendingJoin<K> {
    let fragments = grouping.fragments().filter_map(|(destination, keys)| {
        let server = destination.server()?;
        Some(Fragment::new(server, keys.len()))
    });
    let owners = match kind.is_ordered() {
        true => grouping.fragments_of_keys(),
        false => Vec::new(),
    };
    PendingJoin::new(kind, ejected_is_miss, fragments.collect(), owners)
}

/// Where the reply to a fragment of the request goes: without a slot it is dropped like the request's.
pub(super) fn fragment_of(reply_to: ReplyTo, fragment: usize) -> ReplyTo {
    match reply_to {
        ReplyTo::Slot(slot) => ReplyTo::Fragment(slot, fragment as u32),
        other => other,
    }
}
