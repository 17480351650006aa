//! One whole request: what is decided for it, and how that is carried out.
//!
//! Requests for one key, by far the most common, are handled by `handle_request` and `forward`, which are inlined
//! into the parsing loop; everything else is behind `carry_out`, so that it does not weigh on them.

use std::ops::Range;

use super::pacing::note_special;
use super::reads::note_own_change;
use super::sending::{Asked, retriable, write_request};
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::holds::Hold;
use crate::clients::large_split::Decided;
use crate::clients::order::Expected;
use crate::event::Event;
use crate::id::SessionId;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Decision, Facts, Route};
use crate::protocol::fanout::Body;
use crate::protocol::grammar::Reply;
use crate::routes::routing::Destination;
use crate::servers::queue::ReplyTo;

/// The key that selects the server of a command without keys, as in nutcracker 0.5.0.
const PLACEHOLDER: &[u8] = b"placeholder";

/// How the parsing loop goes on after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handled {
    /// It was accepted, and the session may accept the next one.
    NextAllowed,
    /// It was accepted; whether the session may accept the next one must be asked.
    NextUnknown,
    /// It was not accepted yet: it must be put back, and be the first to be parsed when the session is resumed.
    Postponed,
    /// It was accepted, and nothing after it is parsed: the session ends.
    Last,
    /// It was accepted, and has so many keys that it is split in turns ([`Engine::begin_split`]).
    Large,
}

impl<P: Protocol> Engine<P> {
    /// Decides what becomes of one whole request, and does it.
    #[inline(always)]
    pub(super) fn handle_request(
        &mut self,
        mut asked: Asked<'_, P>,
        bodies: &mut Vec<Body>,
    ) -> Handled {
        // First of all, as the decision depends on the settings, and the route on the servers.
        if !self.plans.are_quiet()
            && let Some(handled) = self.precede(&asked)
        {
            return handled;
        }
        let Some(session) = self.clients.get_mut(asked.id) else {
            return Handled::Last;
        };
        self.requests_seen += 1;
        self.output.clear();
        asked.request.is_idle = session.is_idle();
        let (client, output) = (session.client_mut(), &mut self.output);
        let Decision { route, facts } = self.protocol.decide(asked.request, client, output);
        let (asked, facts) = (&asked, &facts);
        match route {
            Route::Key(key) => {
                let destination = self.route(&asked.source.text[key.clone()]);
                let destination = self.reader(asked.id, facts, destination);
                // A request with large arguments is not kept for a retry.
                let key = Some(key).filter(|_| bodies.is_empty());
                let may_be_large = !facts.is_small;
                match self.forward(asked, facts, destination, key, may_be_large, bodies) {
                    true => Handled::NextAllowed,
                    false => Handled::NextUnknown,
                }
            }
            other => self.carry_out(asked, facts, other, bodies),
        }
    }

    /// Carries out any decision but [`Route::Key`].
    #[inline(never)]
    fn carry_out(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        route: Route,
        bodies: &mut Vec<Body>,
    ) -> Handled {
        match route {
            // The caller has handled it.
            Route::Key(_) => {}
            Route::Script(key) => {
                let destination = self.route(&asked.source.text[key.clone()]);
                self.load_script(asked.id, destination);
                let key = Some(key).filter(|_| bodies.is_empty());
                self.forward(asked, facts, destination, key, !facts.is_small, bodies);
            }
            Route::DecodedKey => self.forward_by_decoded_key(asked, facts, bodies),
            Route::Local => self.respond(asked.id, facts.reply),
            Route::Login => {
                let route = self.log_in(asked);
                return self.carry_out(asked, facts, route, bodies);
            }
            Route::Report => self.report(asked, facts.reply),
            Route::SameServer {
                has_unknown_keys,
                else_first_key: to_first,
            } => self.forward_to_same_server(asked, facts, has_unknown_keys, to_first, bodies),
            Route::Placeholder => {
                let destination = self.route(PLACEHOLDER);
                self.forward_unkeyed(asked, facts, destination, bodies);
            }
            Route::Split { join } if self.is_large(asked) => {
                let keys = std::mem::take(&mut self.output.keys);
                let facts = facts.clone();
                let kind = join;
                self.large = Some(Decided { facts, kind, keys });
                return Handled::Large;
            }
            Route::Split { join } => self.split(asked, facts, bodies, join),
            Route::Broadcast { join } => self.broadcast(asked, facts, join, bodies),
            Route::Place { place, join } => self.send_to_place(asked, facts, place, join),
            Route::Transaction(step) => self.step_transaction(asked, facts, step, bodies),
            Route::Acknowledged { join } => self.wait_for_replicas(asked, facts, join, bodies),
            Route::Wait => self.begin_wait(asked, facts, bodies),
            Route::Admin(step) => self.administer(asked, facts, step, bodies),
            Route::Workers if self.ask_workers(asked, facts, None) => return Handled::Last,
            Route::Workers => {}
            Route::Unblock { client, with_error } => match self.other_worker_of(client) {
                Some(worker) => drop(self.ask_workers(asked, facts, Some(worker))),
                None => self.unblock(asked, facts, client, with_error),
            },
            Route::Subscription { change, kind } => {
                self.change_subscriptions(asked, facts.reply, change, kind)
            }
            Route::Reset => {
                self.end_subscriptions(asked.id);
                self.respond(asked.id, facts.reply);
            }
            Route::WhenIdle => return self.postpone(asked.id),
            Route::Upgrade => self.begin_upgrade(asked.id, facts.reply),
            Route::Quit => {
                self.respond(asked.id, facts.reply);
                self.clients
                    .quit(asked.id, false, self.now, &mut self.outbox);
                return Handled::Last;
            }
        }
        self.output.shrink();
        Handled::NextUnknown
    }

    /// A barrier. The request is put back, and decided (and counted) again when everything before it is answered.
    fn postpone(&mut self, id: SessionId) -> Handled {
        self.requests_seen -= 1;
        self.guardrails.give_back();
        if let Some(session) = self.clients.get_mut(id) {
            session.hold(Hold::UntilIdle);
        }
        Handled::Postponed
    }

    /// What precedes a request where not all is quiet. Follows the current plans, if they are not followed yet, logs the
    /// request, if requests are logged, and looks whether guardrails refuse it. `None` if it may go on. It must wait for the end of
    /// a pause, or if its session has requests on a connection that is draining now.
    #[cold]
    fn precede(&mut self, asked: &Asked<'_, P>) -> Option<Handled> {
        if !self.plans.are_current() {
            self.follow_plans();
            let session = self.clients.get(asked.id);
            if !session.is_some_and(|session| session.may_accept()) {
                return Some(Handled::Postponed);
            }
        }
        if self.must_pause(asked) || self.must_await_reads(asked) {
            return Some(Handled::Postponed);
        }
        self.check_health();
        self.log_request(asked.id, asked.request);
        self.is_refused(asked).then_some(Handled::NextUnknown)
    }

    /// Sends a request to one server, with a TTL cap if the server belongs to the failover pool; answers it with an
    /// error if it cannot be sent. `key` is the position of the key by which a retry would be routed. Returns true
    /// if the session is known to accept a further request.
    ///
    /// The slot is opened before the request is queued, so that slots are in the order of the requests. Nothing
    /// between the two may fail.
    #[inline(always)]
    pub(super) fn forward(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        destination: Destination,
        key: Option<Range<usize>>,
        may_be_large: bool,
        bodies: &mut Vec<Body>,
    ) -> bool {
        let server = match destination.usable_server() {
            Ok(server) => server,
            Err(cause) => return self.give_up_sending(asked, facts, &cause, destination),
        };
        let cap = self.ttl_cap(destination);
        let Some(session) = self.clients.get_mut(asked.id) else {
            return false;
        };
        let lane = P::lane(session.client());
        let pinned_to = |purpose| session.pinned().find(server, purpose);
        let (now, outbox) = (self.now, &mut self.outbox);
        let mut connection = match self
            .roster
            .connection_for(server, lane, pinned_to, now, outbox)
        {
            Ok(connection) => connection,
            Err(cause) => return self.give_up_sending(asked, facts, &cause, destination),
        };
        // From here on the request is sent. `note_change` comes before the slot is opened, as it excludes the slots
        // before the next one from retries.
        let follows_reads = self.follows_reads;
        if !facts.is_pure_read {
            session.note_written_to(server);
            if follows_reads {
                note_own_change(session, &self.settings, &self.routes, server, now);
            }
        }
        let reply_to = match facts.reply {
            Reply::Dropped => ReplyTo::Nobody,
            Reply::Wanted => {
                let expected = match follows_reads && self.settings.failure.retry_reads {
                    true => retriable(&mut self.budget, asked, facts, may_be_large, key),
                    false => Expected::Reply { may_be_large },
                };
                ReplyTo::Slot(session.open_slot(expected))
            }
        };
        if let Some(seconds) = cap {
            // This needs the whole engine, so the session and the connection are looked up again; it is rare.
            let to = (connection.id(), reply_to);
            self.send_with_ttl_cap(asked, facts, to, bodies, seconds);
            return false;
        }
        if reply_to.is_silent() {
            session.note_silent();
        }
        if !self.single_connection {
            let pinned = session.pinned_mut();
            pinned.add(server, connection.purpose(), connection.id());
        }
        let (id, class) = (connection.id(), facts.class());
        connection.send(asked.id, reply_to, class, now, &mut self.outbox, |out| {
            write_request(&asked.source, bodies, facts.left_out.as_ref(), out);
        });
        if facts.is_special {
            note_special(facts, session, connection.into_inner(), now);
        }
        let may_accept = session.may_accept();
        self.note_request(asked, id, destination);
        may_accept
    }

    #[cold]
    fn give_up_sending(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        cause: &Cause,
        destination: Destination,
    ) -> bool {
        self.answer_failure(asked, facts, cause, destination.server());
        false
    }

    /// The same for a request that is not retried and whose reply may be large.
    #[inline(never)]
    fn forward_unkeyed(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        destination: Destination,
        bodies: &mut Vec<Body>,
    ) {
        self.load_script(asked.id, destination);
        self.forward(asked, facts, destination, None, true, bodies);
    }

    /// Sends a request by a key that is not in its text, so that it cannot be routed again and is not retried.
    fn forward_by_decoded_key(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        bodies: &mut Vec<Body>,
    ) {
        let key = std::mem::take(&mut self.output.decoded_key);
        let destination = self.route(&key);
        self.output.decoded_key = key;
        self.forward(asked, facts, destination, None, !facts.is_small, bodies);
    }

    /// Sends a command whose keys must all be on one server. If they are not, it goes to the first key's server where
    /// that is named in `to_first`, for the log, and is refused otherwise.
    fn forward_to_same_server(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        has_unknown_keys: bool,
        to_first: Option<&'static str>,
        bodies: &mut Vec<Body>,
    ) {
        let Some(first) = self.output.keys.first().map(|key| key.range()) else {
            return;
        };
        let destination = self.route(&asked.source.text[first]);
        if let Some(apart) = self.find_apart(asked, has_unknown_keys, destination) {
            // No node of a cluster would take it.
            let Some(command) = to_first.filter(|_| !self.heals) else {
                self.counters.add(PoolMetric::CrossShardRefused, 1);
                self.protocol
                    .cross_shard_error(facts.command, apart, &mut self.output.reply);
                return self.respond(asked.id, facts.reply);
            };
            self.report_cross_shard(asked.id, command);
        }
        // What a script needs is loaded where it would run without replicas.
        let destination = match self.output.script {
            Some(_) => destination,
            None => self.reader(asked.id, facts, destination),
        };
        self.forward_unkeyed(asked, facts, destination, bodies);
    }

    fn report_cross_shard(&mut self, id: SessionId, command: &'static str) {
        self.counters.add(PoolMetric::CrossShard, 1);
        self.log_of(id, Event::CrossShard { command });
    }
}
