//! Transactions: requests of a session that are held until EXEC, and are then sent as one block.
//!
//! A block is one request to everything that follows: it has one slot and one entry in its connection's queue, with one
//! deadline. It is written in one piece, so that no other client's request is between its parts. It is never retried, and
//! dropped only while nothing of it is written. The replies to its parts are dropped; that to EXEC is the client's.
//!
//! Before the first one on a connection the server is asked whether it takes transactions
//! ([`crate::servers::trial`]). The session waits for that and parses nothing further.

use super::fanout::fragment_of;
use super::holding::ToHold;
use super::sending::Asked;
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::order::Expected;
use crate::clients::transaction::Transaction;
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::latency::Class;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Facts, TransactionStep};
use crate::protocol::fanout::Body;
use crate::protocol::grammar::{Mark, Reply};
use crate::protocol::pending_join::{Element, Fragment, PendingJoin};
use crate::routes::routing::Destination;
use crate::servers::kept::{Kept, SentAs};
use crate::servers::queue::ReplyTo;
use crate::servers::trial::Verdict;

/// The key that selects the server of a transaction without keys.
const PLACEHOLDER: &[u8] = b"placeholder";

impl<P: Protocol> Engine<P> {
    pub(super) fn step_transaction(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        step: TransactionStep,
        bodies: &mut Vec<Body>,
    ) {
        match step {
            TransactionStep::Begin => {
                if let Some(session) = self.clients.get_mut(asked.id) {
                    session.begin_transaction();
                }
            }
            TransactionStep::Hold {
                has_unknown_keys,
                split,
            } => {
                let request = ToHold {
                    asked,
                    facts,
                    has_unknown_keys,
                    split,
                    script: self.output.script.take(),
                };
                self.hold_request(&request, bodies);
            }
            TransactionStep::Watch => return self.watch(asked, facts, bodies),
            TransactionStep::Unwatch => {
                self.take_transaction(asked.id);
                return self.unwatch(asked.id, facts);
            }
            TransactionStep::Drop => {
                self.take_transaction(asked.id);
                self.drop_watch(asked.id);
            }
            TransactionStep::Execute => return self.execute(asked.id, facts),
        }
        self.respond(asked.id, facts.reply);
    }

    fn take_transaction(&mut self, id: SessionId) -> Option<Box<Transaction>> {
        self.clients.get_mut(id)?.take_transaction()
    }

    fn execute(&mut self, id: SessionId, facts: &Facts<P::Command>) {
        let transaction = self.take_transaction(id);
        let is_watched = self.watched_at(id).is_some();
        let Some(mut transaction) = transaction.filter(|it| is_watched || !it.is_empty()) else {
            return self.respond(id, facts.reply);
        };
        self.output.reply.clear();
        self.note_change(id, facts);
        let reply_to = match facts.reply {
            Reply::Wanted => self.open_slot(id, Expected::Reply { may_be_large: true }),
            Reply::Dropped => ReplyTo::Nobody,
        };
        transaction.execute(reply_to);
        self.counters.add(PoolMetric::Transactions, 1);
        self.send_transaction(id, transaction, reply_to);
    }

    /// Sends a transaction to the servers of its keys, which may be others now than when they were held. Nothing is sent
    /// unless all of it can be.
    fn send_transaction(
        &mut self,
        id: SessionId,
        mut transaction: Box<Transaction>,
        reply_to: ReplyTo,
    ) {
        self.check_health();
        if !self.is_watch_in_force(id) {
            return self.end_unwatched(id, reply_to);
        }
        if let Some((connection, server)) = self.watched_at(id) {
            return match transaction.check_at(server, &mut self.routes) {
                Ok(()) => self.send_watched(id, connection, *transaction, reply_to),
                Err(_) => self.refuse_transaction(id, reply_to, P::transaction_apart),
            };
        }
        let Ok(places) = transaction.find_places(&mut self.routes) else {
            return self.refuse_transaction(id, reply_to, P::transaction_apart);
        };
        let mut connections = Vec::new();
        for place in places {
            let destination = place.unwrap_or_else(|| self.routes.route(PLACEHOLDER));
            if let Destination::Substitute(_) = destination {
                return self.refuse_transaction(id, reply_to, P::transaction_elsewhere);
            }
            let connection = match self.connection_to(id, destination) {
                Ok(connection) => connection,
                Err(cause) => {
                    return self.fail_transaction(id, reply_to, &cause, destination.server());
                }
            };
            if let Some(server) = destination.server()
                && let Some(session) = self.clients.get_mut(id)
            {
                session.note_written_to(server);
                if self.routes.has_readers() {
                    session.note_own_write(server, self.routes.arrangement(), self.now);
                }
            }
            let now = self.now;
            let verdict = self
                .roster
                .get(connection)
                .map(|it| it.takes_transactions(now));
            match verdict {
                Some(Verdict::Supported) => connections.push((connection, destination)),
                Some(Verdict::Refused(line)) => {
                    let line: Box<[u8]> = line.into();
                    let refuse = |out: &mut Vec<u8>| P::transaction_refused(&line, out);
                    return self.refuse_transaction(id, reply_to, refuse);
                }
                Some(Verdict::Unknown) | None => {
                    return self.begin_trial(id, connection, transaction, reply_to);
                }
            }
        }
        self.send_blocks(id, &connections, *transaction, reply_to, SentAs::Shared);
    }

    /// Sends a transaction where the keys are watched on which it depends.
    fn send_watched(
        &mut self,
        id: SessionId,
        connection: ConnectionId,
        mut transaction: Transaction,
        reply_to: ReplyTo,
    ) {
        // Even one of no requests tells whether the keys have changed.
        transaction.part_for(None, false, &mut self.routes).ok();
        let destination = self.watched_destination(id, &mut transaction);
        let now = self.now;
        let found = self.roster.get(connection);
        match found.map(|it| it.takes_transactions(now)) {
            Some(Verdict::Supported) => {
                // EXEC ends what is watched, whatever it answers.
                self.take_watch(id);
                let last = match reply_to {
                    ReplyTo::Slot(slot) => ReplyTo::Last(Some(slot)),
                    _ => ReplyTo::Last(None),
                };
                let to = [(connection, destination)];
                self.send_blocks(id, &to, transaction, last, SentAs::Watched);
                self.wait_until_idle(id);
            }
            Some(Verdict::Refused(line)) => {
                let line: Box<[u8]> = line.into();
                let refuse = |out: &mut Vec<u8>| P::transaction_refused(&line, out);
                self.refuse_transaction(id, reply_to, refuse);
            }
            // It was tried before, and that does not count any more. A trial would end what is watched.
            Some(Verdict::Unknown) | None => self.end_unwatched(id, reply_to),
        }
    }

    /// Where the keys of a transaction are that depends on watched keys, or else these.
    fn watched_destination(&mut self, id: SessionId, transaction: &mut Transaction) -> Destination {
        let places = transaction.find_places(&mut self.routes);
        let place = places
            .ok()
            .and_then(|places| places.into_iter().flatten().next());
        let watch = self.clients.get(id).and_then(|session| session.watch());
        let key = watch.and_then(|watch| watch.keys().next());
        place.unwrap_or_else(|| self.routes.route(key.unwrap_or(PLACEHOLDER)))
    }

    /// What the transaction depends on may have changed.
    fn end_unwatched(&mut self, id: SessionId, reply_to: ReplyTo) {
        let mut reply = Vec::new();
        if let Some(session) = self.clients.get(id) {
            P::watch_failed(session.client(), &mut reply);
        }
        self.refuse_transaction(id, reply_to, |out| out.extend_from_slice(&reply));
    }

    /// Sends each part of a transaction as one block.
    fn send_blocks(
        &mut self,
        id: SessionId,
        connections: &[(ConnectionId, Destination)],
        transaction: Transaction,
        reply_to: ReplyTo,
        sent_as: SentAs,
    ) {
        for (part, (connection, _)) in connections.iter().enumerate() {
            for script in transaction.scripts(part) {
                self.load_script_on(id, *connection, script);
            }
        }
        let is_split = connections.len() > 1;
        // They are needed once more where a block is sent elsewhere.
        let kept_parts = if self.heals { connections.len() } else { 0 };
        let mut scripts: Vec<_> = (0..kept_parts)
            .map(|part| transaction.scripts(part).to_vec())
            .collect();
        let (parts, elements) = transaction.into_parts();
        if let (true, ReplyTo::Slot(slot)) = (is_split, reply_to) {
            let counts = parts.iter().map(|(_, count)| *count);
            let join = self.join_parts(connections, counts, elements);
            if let Some(session) = self.clients.get_mut(id) {
                session.expect_join(slot, join);
            }
        }
        let parts = connections.iter().zip(parts);
        for (part, ((connection, destination), (mut requests, count))) in parts.enumerate() {
            let reply_to = match is_split {
                true => fragment_of(reply_to, part),
                false => reply_to,
            };
            self.send(id, *connection, reply_to, Class::Write, |out| {
                out.extend(P::BEGIN);
                out.append(&mut requests);
                out.extend(P::END);
            });
            let before = count as u16 + 1;
            self.expect_before(*connection, Mark::Transaction, before);
            if let Destination::Slot(_, slot) = *destination {
                let mut kept = Kept::new(slot, sent_as);
                kept.before = before;
                kept.scripts = std::mem::take(&mut scripts[part]);
                self.keep_block(id, *connection, *destination, kept);
            }
        }
    }

    /// Keeps the block that was queued last on a connection.
    fn keep_block(
        &mut self,
        id: SessionId,
        connection: ConnectionId,
        destination: Destination,
        kept: Kept,
    ) {
        if let Some(connection) = self.roster.get_mut(connection) {
            connection.queue_mut().keep(kept);
        }
        self.hold_behind(id, destination);
    }

    fn join_parts(
        &self,
        connections: &[(ConnectionId, Destination)],
        counts: impl Iterator<Item = usize>,
        elements: Vec<Element>,
    ) -> PendingJoin<P::Kind> {
        let servers = connections
            .iter()
            .filter_map(|(id, _)| self.roster.get(*id));
        let fragments = servers.zip(counts);
        let fragments =
            fragments.map(|(connection, count)| Fragment::new(connection.server(), count));
        PendingJoin::of_transaction(fragments.collect(), elements)
    }

    /// Asks the server whether it takes transactions on the connection.
    fn begin_trial(
        &mut self,
        id: SessionId,
        connection: ConnectionId,
        transaction: Box<Transaction>,
        reply_to: ReplyTo,
    ) {
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        // The session is not idle meanwhile, though it may have no slot.
        if reply_to.is_silent() {
            session.note_silent();
        }
        session.await_trial(transaction);
        self.send_trial(id, connection);
    }

    /// The trial that the session's transaction waits for has been answered. Requests before the transaction may have been
    /// sent elsewhere meanwhile: it does not overtake them.
    pub(super) fn end_trial(&mut self, id: SessionId) {
        let session = self.clients.get(id);
        let transaction = session.and_then(|session| session.transaction());
        let waits = transaction.is_some_and(|it| it.reply_to().is_some());
        if waits && self.redirects.has_row_of(id) {
            return self.redirects.wait_behind(id);
        }
        if let Some((transaction, reply_to)) = self.take_waiting_transaction(id) {
            self.send_transaction(id, transaction, reply_to);
            self.clients.settle(id, self.now, &mut self.outbox);
        }
    }

    /// It was not answered: the transaction fails, and nothing of it was sent.
    pub(super) fn fail_trial(&mut self, id: SessionId, cause: &Cause, server: ServerId) {
        if let Some((_, reply_to)) = self.take_waiting_transaction(id) {
            self.fail_transaction(id, reply_to, cause, Some(server));
            self.clients.settle(id, self.now, &mut self.outbox);
        }
    }

    /// The transaction that waits for a trial; a trial may also be that of an earlier one which is sent again, while
    /// its client has begun another.
    fn take_waiting_transaction(&mut self, id: SessionId) -> Option<(Box<Transaction>, ReplyTo)> {
        let session = self.clients.get_mut(id)?;
        let reply_to = session.transaction()?.reply_to()?;
        let transaction = session.take_transaction()?;
        if reply_to.is_silent() {
            session.end_silent();
        }
        Some((transaction, reply_to))
    }

    /// The transaction cannot be sent.
    fn fail_transaction(
        &mut self,
        id: SessionId,
        reply_to: ReplyTo,
        cause: &Cause,
        server: Option<ServerId>,
    ) {
        self.drop_watch(id);
        match reply_to {
            ReplyTo::Slot(slot) => {
                let line = self.error_line(cause, server);
                self.fill_slot(id, slot, &line);
            }
            _ => self.note_lost(id, cause, server),
        }
    }

    /// The same with an error that `write` writes.
    fn refuse_transaction(
        &mut self,
        id: SessionId,
        reply_to: ReplyTo,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.drop_watch(id);
        let mut line = Vec::new();
        write(&mut line);
        match reply_to {
            ReplyTo::Slot(slot) => self.fill_slot(id, slot, &line),
            _ => self.drop_reply(id, &line),
        }
    }
}
