//! A request to one server: its connection, its slot and its bytes; and what happens when it cannot be sent or is
//! lost.

use std::ops::Range;
use std::sync::Arc;

use super::state::Engine;
use crate::cause::Cause;
use crate::clients::order::{Expected, Retry};
use crate::clients::retry_budget::RetryBudget;
use crate::flow::buffer::Rope;
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::latency::Class;
use crate::limits::{MAX_RETRY_BYTES, SHARE_AT_LEAST};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Apart, Facts, Key, Request};
use crate::protocol::fanout::{Body, Source};
use crate::protocol::grammar::{Mark, Reply};
use crate::routes::routing::Destination;
use crate::script_memory::Script;
use crate::servers::kept::SentAs;
use crate::servers::queue::ReplyTo;
use crate::settings::EjectPolicy;

/// One whole request, and the session that sent it.
pub(super) struct Asked<'r, P: Protocol> {
    pub(super) id: SessionId,
    pub(super) request: Request<'r, P>,
    pub(super) source: Source<'r>,
}

impl<'r, P: Protocol> Asked<'r, P> {
    /// The request that `parser` has found in `source`.
    #[inline(always)]
    pub(super) fn new(id: SessionId, parser: &'r P::Parser, source: Source<'r>) -> Self {
        let request = Request {
            text: source.text,
            parser,
            is_idle: false,
        };
        Self {
            id,
            request,
            source,
        }
    }
}

impl<P: Protocol> Engine<P> {
    /// A connection that can take a request of the session, opened if necessary.
    pub(super) fn connection_to(
        &mut self,
        id: SessionId,
        destination: Destination,
    ) -> Result<ConnectionId, Cause> {
        let server = destination.usable_server()?;
        let session = self.clients.get(id).ok_or(Cause::Closed)?;
        let lane = P::lane(session.client());
        let pinned_to = |purpose| session.pinned().find(server, purpose);
        let (now, outbox) = (self.now, &mut self.outbox);
        let connection = self
            .roster
            .connection_for(server, lane, pinned_to, now, outbox)?;
        Ok(connection.id())
    }

    /// Which keys of the request are not at its destination, if any. With a random distribution keys belong to no
    /// server, so that none is wrong.
    pub(super) fn find_apart(
        &mut self,
        asked: &Asked<'_, P>,
        has_unknown_keys: bool,
        destination: Destination,
    ) -> Option<Apart> {
        if self.routes.is_random() {
            return None;
        }
        let (keys, routes) = (&self.output.keys[1..], &mut self.routes);
        let text = asked.source.text;
        let is_there = |key: &Key| routes.route(&text[key.range()]) == destination;
        if !keys.iter().all(is_there) {
            return Some(Apart::Keys);
        }
        let is_safe = !has_unknown_keys || self.routes.is_only(destination);
        (!is_safe).then_some(Apart::UnknownKeys)
    }

    /// Opens the next slot of a session.
    #[inline]
    pub(super) fn open_slot(&mut self, id: SessionId, expected: Expected<P::Kind>) -> ReplyTo {
        match self.clients.get_mut(id) {
            Some(session) => ReplyTo::Slot(session.open_slot(expected)),
            None => ReplyTo::Nobody,
        }
    }

    /// A request is sent. If it may change data, reads before it are not retried any more: a retried read could see
    /// what a later request of its own client wrote.
    #[inline]
    pub(super) fn note_change(&mut self, id: SessionId, facts: &Facts<P::Command>) {
        if self.settings.failure.retry_reads
            && !facts.is_pure_read
            && let Some(session) = self.clients.get_mut(id)
        {
            session.note_change();
        }
    }

    /// A request is sent to a server. If it may change data, its client can wait until that is acknowledged.
    pub(super) fn note_written(
        &mut self,
        id: SessionId,
        facts: &Facts<P::Command>,
        server: ServerId,
    ) {
        if !facts.is_pure_read
            && let Some(session) = self.clients.get_mut(id)
        {
            session.note_written_to(server);
            if P::HAS_REPLICAS && self.routes.has_readers() {
                session.note_own_write(server, self.routes.arrangement(), self.now);
            }
        }
    }

    /// Queues a request, whose bytes `write` appends, on a connection.
    #[inline]
    pub(super) fn send(
        &mut self,
        id: SessionId,
        connection: ConnectionId,
        reply_to: ReplyTo,
        class: Class,
        write: impl FnOnce(&mut Rope),
    ) {
        if let Some(mut connection) = self.roster.connection_by_id(connection) {
            connection.send(id, reply_to, class, self.now, &mut self.outbox, write);
        }
        if reply_to.is_silent() || !self.single_connection {
            self.note_outstanding(id, connection, reply_to);
        }
    }

    /// Loads the script that the request needs ([`DecisionOutput::script`](crate::protocol::decision::DecisionOutput)), if
    /// that was not done on the connection that the session's next request to that server takes. A connection that is
    /// full, or a server that is gone, is told by the request itself.
    pub(super) fn load_script(&mut self, id: SessionId, destination: Destination) {
        let Some(script) = self.output.script.take() else {
            return;
        };
        if self.heals {
            self.needed_script = Some(Arc::clone(&script));
        }
        let Ok(connection) = self.connection_to(id, destination) else {
            return;
        };
        self.load_script_on(id, connection, &script);
    }

    /// The same for a script and a connection.
    pub(super) fn load_script_on(
        &mut self,
        id: SessionId,
        connection: ConnectionId,
        script: &Script,
    ) {
        let found = self.roster.get_mut(connection);
        if found.is_some_and(|found| found.scripts_mut().note(script.number())) {
            self.send(id, connection, ReplyTo::Load, Class::Write, |out| {
                out.extend(script.request());
            });
        }
    }

    /// Notes what is special about the reply to the request that was queued last on a connection.
    pub(super) fn mark(&mut self, connection: ConnectionId, mark: Mark) {
        if mark != Mark::None
            && let Some(connection) = self.roster.get_mut(connection)
        {
            connection.mark(mark);
        }
    }

    /// Records what the session has outstanding: dropped replies count for its window, and the connection is pinned.
    fn note_outstanding(&mut self, id: SessionId, connection: ConnectionId, reply_to: ReplyTo) {
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        if reply_to.is_silent() {
            session.note_silent();
        }
        if let Some(open) = self
            .roster
            .get(connection)
            .filter(|_| !self.single_connection)
        {
            let pinned = session.pinned_mut();
            pinned.add(open.server(), open.purpose(), connection);
        }
    }

    /// Answers a request that cannot be sent: with a miss if the pool's `eject` policy says so, else with an error.
    pub(super) fn answer_failure(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        cause: &Cause,
        server: Option<ServerId>,
    ) {
        // Only for an ejected server: any other failure may be over at the next request, and a miss would hide it.
        if *cause == Cause::Ejected && self.counts_as_miss(asked, facts) {
            return self.respond(asked.id, facts.reply);
        }
        match facts.reply {
            Reply::Wanted => self.answer_error(asked.id, cause, server),
            Reply::Dropped => self.note_lost(asked.id, cause, server),
        }
    }

    /// Whether the request is a read whose keys may count as missing. If so, `self.output.reply` is the answer if
    /// all of them are missing.
    pub(super) fn counts_as_miss(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
    ) -> bool {
        if self.settings.failure.eject != EjectPolicy::Miss {
            return false;
        }
        let Some(session) = self.clients.get(asked.id) else {
            return false;
        };
        let out = &mut self.output.reply;
        out.clear();
        self.protocol
            .miss(facts.command, asked.request, session.client(), out)
    }

    /// Retries the request in `slot`, if it is a read and nothing of its reply has arrived. Returns whether it did. A
    /// request is retried once: its `Retry` is taken out of the slot.
    pub(super) fn retry(&mut self, id: SessionId, slot: u64, cause: &Cause) -> bool {
        let session = self.clients.get_mut(id);
        let Some(retry) = session.and_then(|session| session.take_retry(slot)) else {
            return false;
        };
        // A retry would meet the same full queue, or the same ejected server.
        let hopeless = matches!(cause, Cause::Overloaded | Cause::Ejected);
        if hopeless || !self.budget.has_enough() {
            return false;
        }
        // The failure may have ejected the server, or a new plan replaced it: the key is routed again.
        if !self.plans.are_current() {
            self.follow_plans();
        }
        let destination = self.route(&retry.request[retry.key.clone()]);
        // Only reads are retried.
        let destination = match self.routes.has_readers() {
            true => self.choose_reader(id, destination),
            false => destination,
        };
        let Ok(connection) = self.connection_to(id, destination) else {
            return false;
        };
        self.budget.spend();
        self.counters.add(PoolMetric::Retries, 1);
        let stands_in = matches!(destination, Destination::Substitute(_));
        self.counters
            .add(PoolMetric::Failovers, i64::from(stands_in));
        self.send(id, connection, ReplyTo::Slot(slot), Class::Read, |out| {
            out.extend(&retry.request);
        });
        self.mark(connection, retry.mark);
        self.keep_sent(connection, destination, SentAs::Shared);
        true
    }
}

/// What is expected of a request to one server if `retry_reads` is set. A pure read keeps its bytes for a retry.
#[cold]
pub(super) fn retriable<P: Protocol>(
    budget: &mut RetryBudget,
    asked: &Asked<'_, P>,
    facts: &Facts<P::Command>,
    may_be_large: bool,
    key: Option<Range<usize>>,
) -> Expected<P::Kind> {
    budget.earn();
    let text = asked.source.text;
    if let Some(key) = key
        && text.len() <= MAX_RETRY_BYTES
        && facts.is_pure_read
    {
        // The key is before what is left out.
        let request = match &facts.left_out {
            None => text.into(),
            Some(range) => [&text[..range.start], &text[range.end..]].concat().into(),
        };
        let retry = Retry {
            request,
            key,
            mark: P::work(facts).mark,
        };
        return Expected::Retriable {
            may_be_large,
            retry,
        };
    }
    Expected::Reply { may_be_large }
}

/// Writes a request as it came, with its bodies inserted and without the range `left_out`. A small one is copied in
/// one step.
#[inline]
pub(super) fn write_request(
    source: &Source<'_>,
    bodies: &mut Vec<Body>,
    left_out: Option<&Range<usize>>,
    out: &mut Rope,
) {
    let is_small = source.text.len() < SHARE_AT_LEAST;
    if is_small && bodies.is_empty() && left_out.is_none() {
        return out.extend(source.text);
    }
    write_parts(source, bodies, left_out, out);
}

#[inline(never)]
fn write_parts(
    source: &Source<'_>,
    bodies: &mut Vec<Body>,
    left_out: Option<&Range<usize>>,
    out: &mut Rope,
) {
    let mut pos = 0;
    if let Some(left_out) = left_out {
        source.write(0..left_out.start, out);
        pos = left_out.end;
    }
    for mut body in bodies.drain(..) {
        source.write(pos..body.at, out);
        out.append(&mut body.rope);
        pos = body.at;
    }
    source.write(pos..source.text.len(), out);
}
