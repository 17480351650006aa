//! Server connections that end, and what happens to their requests.

use super::leases::addressed;
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::order::CutOff;
use crate::event::Event;
use crate::flow::outbox::Action;
use crate::id::{ConnectionId, ServerId};
use crate::metrics::{PoolMetric, ServerMetric};
use crate::protocol::Protocol;
use crate::protocol::decision::Version;
use crate::servers::connection::{Connection, Progress};
use crate::servers::kept::Kept;
use crate::servers::purpose::Purpose;
use crate::servers::queue::{InFlight, ReplyTo};
use crate::servers::redirects::{Redirected, Target};

/// Whether the end of a connection counts as a failure of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// It counts.
    Server,
    /// It does not: the proxy closed the connection, or the server is healthy.
    Nobody,
}

impl<P: Protocol> Engine<P> {
    /// Closes a connection from our side, as for a protocol error or a time-out. The action to close it must come
    /// before `end_connection`: that may retry a read on a new connection, which may get the same index, and the
    /// shell performs actions in order.
    pub(super) fn close_connection(&mut self, id: ConnectionId, cause: &Cause, blame: Blame) {
        self.outbox.act(Action::CloseConnection { connection: id });
        self.end_connection(id, cause, blame);
    }

    /// A connection has ended: forgets it, and fails its requests.
    pub(super) fn end_connection(&mut self, id: ConnectionId, cause: &Cause, blame: Blame) {
        let Some(mut connection) = self.roster.remove(id) else {
            return;
        };
        let version = match connection.purpose() {
            Purpose::Shared { version, .. } => Some(version),
            // What its end means for its session follows below.
            Purpose::Leased { .. } | Purpose::Interrupt => Some(Version::Base),
            Purpose::Subscriber => None,
            // The server is ejected already, and the time of the next probe was set when this one was claimed.
            Purpose::Probe => return,
            // It is asked again after the next connect.
            Purpose::Question => return,
        };
        let server = connection.server();
        count_ending(&connection, cause);
        // A server that closes an idle connection (redis `timeout`) has not failed.
        let was_idle = match connection.purpose() {
            // It is opened only where something is to be asked.
            Purpose::Subscriber => {
                connection.progress() == Progress::Listening
                    && !self.subscriptions.owes_answer(server)
            }
            _ => connection.queue().is_empty(),
        };
        let was_idle = was_idle && *cause == Cause::Closed;
        // A draining connection may lead to an old endpoint: its end says nothing about the current one.
        if !connection.is_draining() {
            if blame == Blame::Server && !was_idle {
                self.count_failure(server, connection.opened());
                self.note_silent_end(&connection, cause);
            }
            match version {
                Some(Version::Base) | None => {}
                Some(Version::Resp3) => self.note_upgrade_ending(server),
            }
        }
        if self.heals && !was_idle {
            self.ask_for_map(None);
        }
        self.log_ending(&connection, cause);
        self.log_lost(&connection, cause);
        match version {
            Some(_) => self.fail_requests(id, &mut connection, cause),
            None => self.lose_subscriptions(server, cause),
        }
    }

    /// Connections that fail without a word from their server are not opened again and again.
    fn note_silent_end(&mut self, connection: &Connection<P>, cause: &Cause) {
        let server = self.roster.server_mut(connection.server());
        if connection.heard().is_none() && server.count_silent_end() {
            let chance = self.routes.draw();
            server.pause(connection.purpose(), cause, self.now, chance);
        }
    }

    fn log_ending(&mut self, connection: &Connection<P>, cause: &Cause) {
        self.outbox.log(Event::ServerClosed {
            server: self.roster.server(connection.server()).name().to_owned(),
            peer: connection.peer().map(Into::into),
            lost: connection.queue().len(),
            cause: cause.clone(),
        });
    }

    fn fail_requests(&mut self, id: ConnectionId, connection: &mut Connection<P>, cause: &Cause) {
        if !self.single_connection {
            // Unpin all of them before any is retried, or a retry would be sent to this connection.
            for entry in connection.queue().iter() {
                if let Some(session) = self.clients.get_mut(entry.session) {
                    session.pinned_mut().remove(id);
                }
            }
        }
        // Only the oldest request can have a part of its reply.
        let mut is_mid_reply = connection.is_mid_reply();
        let server = connection.server();
        let passes_on = self.heals && self.roster.server(server).is_replica();
        let first = connection.queue().number_of_oldest();
        let entries: Vec<InFlight> = connection.queue().iter().copied().collect();
        for (number, entry) in (first..).zip(&entries) {
            let entry = &match entry.reply_to {
                ReplyTo::Redirected(number) => self.end_redirected(number, entry).0,
                _ => addressed(connection.lease(), entry),
            };
            if std::mem::take(&mut is_mid_reply) && self.cut_off(entry) {
                continue;
            }
            if passes_on
                && let Some(kept) = connection.queue_mut().take_kept(number)
                && self.read_at_master(entry, kept, server)
            {
                continue;
            }
            self.fail_request(entry, cause, server);
        }
        if let Some(lease) = connection.lease() {
            self.note_lease_lost(id, lease, connection.server());
        }
    }

    /// A read that a replica of a cluster has lost is sent to its master. Returns whether it will be: its client may have left,
    /// and it may be too large to be kept.
    fn read_at_master(&mut self, entry: &InFlight, mut kept: Kept, server: ServerId) -> bool {
        let Some(session) = self.clients.get_mut(entry.session) else {
            return false;
        };
        let is_wanted = matches!(entry.reply_to, ReplyTo::Slot(_) | ReplyTo::Fragment(..));
        if kept.request.is_none() || !is_wanted {
            return false;
        }
        session.hold_until_drained();
        kept.since = Some(self.now);
        kept.hops += 1;
        self.counters.add(PoolMetric::Retries, 1);
        let lost = Redirected {
            request: *entry,
            kept,
            to: Target::Owner,
            line: Box::default(),
            server,
            wait: None,
        };
        self.redirects.add(lost, self.now);
        true
    }

    /// The reply to a request has broken off. If part of it has gone to the client, no error line may follow, as the
    /// client would take it for the rest of the reply: the client is closed. Returns whether nothing is left to do
    /// for the request.
    fn cut_off(&mut self, entry: &InFlight) -> bool {
        let Some(session) = self.clients.get_mut(entry.session) else {
            return true;
        };
        // Nothing of a quiet request's reply has been passed on.
        let (ReplyTo::Slot(slot) | ReplyTo::Last(Some(slot))) = entry.reply_to else {
            return false;
        };
        match session.cut_off(slot) {
            CutOff::NoSlot => true,
            // As if nothing had arrived: it is answered with an error.
            CutOff::NothingSent => false,
            CutOff::PartlySent => {
                let (now, outbox) = (self.now, &mut self.outbox);
                self.clients.await_end(entry.session, now, outbox);
                true
            }
        }
    }

    /// A request or fragment has failed: it is retried, or answered with an error, or its failure is recorded in the
    /// pending join.
    fn fail_request(&mut self, entry: &InFlight, cause: &Cause, server: ServerId) {
        match entry.reply_to {
            ReplyTo::Slot(slot) | ReplyTo::Quiet(slot, _)
                if self.retry(entry.session, slot, cause) => {}
            _ => self.fail_without_retry(entry, cause, server),
        }
    }

    /// The same without a retry.
    pub(super) fn fail_without_retry(&mut self, entry: &InFlight, cause: &Cause, server: ServerId) {
        let id = entry.session;
        match entry.reply_to {
            // It was answered with an error when it was late.
            ReplyTo::Forgotten { .. } => {}
            ReplyTo::Nobody | ReplyTo::Last(None) => {
                self.note_lost(id, cause, Some(server));
                self.end_silent(id);
            }
            ReplyTo::Follower | ReplyTo::Load => self.end_silent(id),
            ReplyTo::Trial => self.fail_trial(id, cause, server),
            ReplyTo::Unblock(number) => self.fail_unblock(number, cause, server),
            // The wait says where its reply goes; it was asked before.
            ReplyTo::Leased | ReplyTo::Proxy => {}
            ReplyTo::Redirected(number) => {
                let (entry, _) = self.end_redirected(number, entry);
                self.fail_without_retry(&entry, cause, server);
            }
            ReplyTo::Slot(slot)
            | ReplyTo::Later(slot)
            | ReplyTo::Last(Some(slot))
            | ReplyTo::Quiet(slot, _) => self.fail_slot(id, slot, cause, server),
            ReplyTo::Fragment(slot, fragment) => self.fail_fragment(id, slot, fragment, cause),
        }
    }
}

/// Counts the end by its cause, as nutcracker 0.5.0 does, and takes the connection's requests out of the gauges.
fn count_ending<P: Protocol>(connection: &Connection<P>, cause: &Cause) {
    let counters = connection.counters();
    let (sent, waiting) = connection.queue().amounts();
    let metric = match cause {
        Cause::Closed => ServerMetric::ServerEof,
        Cause::TimedOut => ServerMetric::ServerTimedout,
        _ => ServerMetric::ServerErr,
    };
    counters.add(metric, 1);
    counters.note_requests(waiting.requests as i64, waiting.bytes as i64);
    counters.add(ServerMetric::OutQueue, -(sent.requests as i64));
    counters.add(ServerMetric::OutQueueBytes, -(sent.bytes as i64));
}
