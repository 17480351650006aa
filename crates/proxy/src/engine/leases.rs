//! Leases: what ends one, and what its client is told. A lease ends when its session gives it back or leaves, when its
//! connection is lost, when its server is ejected, removed or has another endpoint, when a key that its wait is for is
//! served elsewhere, when it is not used for too long, and at a shutdown. In each case it is taken off its session's
//! list ([`Session::leases`](crate::clients::session::Session::leases)), so that whoever depends on it finds out there.
//!
//! A wait on it is answered with an error (`Waiting::ended_wait`) where it does not end by its own reply or by the loss of
//! its connection. Its server is then told that nobody waits any more: over another connection, as the leased one is
//! not read by the server meanwhile. What it has given before it was told is reported, see `report_taken`.

use super::state::Engine;
use crate::cause::Cause;
use crate::event::Event;
use crate::flow::buffer::Chunk;
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::latency::Class;
use crate::limits::{LOGGED_KEY, MAX_TAKEN};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Lane, Version};
use crate::protocol::waiting::{Taken, Takes};
use crate::servers::leases::{Lease, Wait, WaitKeys};
use crate::servers::purpose::Purpose;
use crate::servers::queue::{InFlight, ReplyTo};

impl<P: Protocol> Engine<P> {
    /// Leases a connection to a server to a session.
    ///
    /// # Errors
    ///
    /// When there are too many already (`leased_connections`), or the server has refused a handshake just now.
    pub(super) fn lease(&mut self, id: SessionId, server: ServerId) -> Result<ConnectionId, Cause> {
        let session = self.clients.get_mut(id).ok_or(Cause::Closed)?;
        let lane = P::lane(session.client());
        let (now, outbox) = (self.now, &mut self.outbox);
        let connection = self.roster.lease(server, lane, id, now, outbox)?;
        session.add_lease(connection);
        self.wait_watch.begin(now);
        Ok(connection)
    }

    /// A session needs its lease no more, or the connection was held back until something else had ended there.
    pub(super) fn give_back(&mut self, id: ConnectionId) {
        self.take_off(id);
        let (is_awaited, now) = (self.unblocks.are_out_for(id), self.now);
        match self.lease_mut(id) {
            // What is to end the last wait would end the next one.
            Some(lease) if is_awaited => lease.release(now),
            Some(_) => self.roster.give_back(id, now, &mut self.outbox),
            None => {}
        }
    }

    pub(super) fn lease_mut(&mut self, id: ConnectionId) -> Option<&mut Lease> {
        self.roster.get_mut(id)?.lease_mut()
    }

    /// Takes the lease off its session's list.
    pub(super) fn take_off(&mut self, id: ConnectionId) {
        let holder = self.lease_mut(id).and_then(|lease| lease.holder());
        if let Some(session) = holder.and_then(|holder| self.clients.get_mut(holder)) {
            session.remove_lease(id);
        }
    }

    /// Ends a lease that its session has not given back. A reply that is under way is still passed on.
    pub(super) fn end_lease(&mut self, id: ConnectionId) {
        let Some(connection) = self.roster.get(id) else {
            return;
        };
        if connection.is_mid_reply() {
            return;
        }
        let Some(lease) = connection.lease() else {
            return;
        };
        let wait = lease.holder().zip(lease.wait());
        let waiting = wait.map(|(holder, wait)| (holder, wait.reply_to));
        let cause = match self.roster.server(connection.server()).health().is_live() {
            true => Cause::Left,
            false => Cause::Ejected,
        };
        self.take_off(id);
        if let Some((holder, reply_to)) = waiting {
            self.answer_ended(holder, reply_to, &cause);
        }
        self.leave(id);
    }

    /// Tells the client of a wait that this has ended.
    fn answer_ended(&mut self, id: SessionId, reply_to: ReplyTo, cause: &Cause) {
        let mut line = Vec::new();
        P::ended_wait(&mut line);
        match reply_to {
            ReplyTo::Slot(slot) => {
                self.counters.add(PoolMetric::ForwardError, 1);
                self.fill_slot(id, slot, &line);
            }
            ReplyTo::Fragment(slot, fragment) => self.fail_fragment(id, slot, fragment, cause),
            ReplyTo::Nobody => {
                self.drop_reply(id, &line);
                self.end_silent(id);
            }
            _ => {}
        }
    }

    /// The session of a lease has left, or has been told that the lease has ended. What waits is cancelled; a connection
    /// whose state is not known is not used again.
    pub(super) fn leave(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(connection) = self.roster.get_mut(id) else {
            return;
        };
        let is_drained = connection.is_drained();
        let has_begun = connection.queue().begun().is_some();
        let Some(lease) = connection.lease_mut() else {
            return;
        };
        match lease.wait() {
            None => {
                lease.mark_unclean();
                lease.release(now);
                if is_drained {
                    self.roster.close_leased(id, &mut self.outbox);
                }
            }
            Some(_) if !has_begun => self.drop_wait(id),
            // Its server is told already.
            Some(wait) if wait.is_cancelled() => lease.cancel(true, now),
            Some(_) => {
                lease.cancel(true, now);
                self.tell_server(id);
            }
        }
    }

    /// The request that waits has not been sent, and is not.
    fn drop_wait(&mut self, id: ConnectionId) {
        if let Some(connection) = self.roster.get_mut(id) {
            let dropped = connection.queue_mut().drop_unsent(|_| true);
            let (requests, bytes) = (dropped.requests as i64, dropped.bytes as i64);
            connection.counters().note_dropped(requests, bytes);
        }
        if let Some(lease) = self.lease_mut(id) {
            lease.end_wait();
        }
        self.give_back(id);
    }

    /// The client of a wait has ended its side. A server would close it then; here it may still get what there is at
    /// once, as when it had sent the end later.
    pub(super) fn cancel_ended(&mut self, id: SessionId) {
        let Some(session) = self.clients.get(id) else {
            return;
        };
        let now = self.now;
        for connection in session.leases().to_vec() {
            if let Some(lease) = self.lease_mut(connection)
                && lease
                    .wait()
                    .is_some_and(|wait| !matches!(wait.keys, WaitKeys::None))
            {
                lease.cancel(false, now);
                lease.tell_again(now);
                self.roster.note_deadline(connection);
            }
        }
    }

    /// Tells the server of a lease that nobody waits any more.
    pub(super) fn tell_server(&mut self, id: ConnectionId) {
        let Some(connection) = self.roster.get(id) else {
            return;
        };
        let Purpose::Leased { version, .. } = connection.purpose() else {
            return;
        };
        let (server, has_begun) = (connection.server(), connection.queue().begun().is_some());
        let Some(lease) = connection.lease() else {
            return;
        };
        let told = match (lease.number(), lease.holder()) {
            _ if !has_begun => None,
            // It has ended by itself.
            _ if connection.is_mid_reply() => Some(true),
            (Some(number), Some(holder)) => {
                Some(self.send_end(id, server, version, number, holder))
            }
            _ => Some(false),
        };
        let now = self.now;
        if let Some(lease) = self.lease_mut(id) {
            match told {
                Some(true) => lease.note_told(),
                Some(false) => lease.give_up(now),
                None => lease.tell_again(now),
            }
        }
        self.roster.note_deadline(id);
    }

    /// Sends the request that ends a wait; returns whether it could be sent.
    fn send_end(
        &mut self,
        id: ConnectionId,
        server: ServerId,
        version: Version,
        number: u64,
        holder: SessionId,
    ) -> bool {
        let (now, outbox) = (self.now, &mut self.outbox);
        let found = self
            .roster
            .connection_for(server, Lane::of(version), |_| None, now, outbox);
        let Ok(mut connection) = found else {
            return false;
        };
        let reply_to = ReplyTo::Unblock(self.unblocks.begin(id, None));
        connection.send(holder, reply_to, Class::Write, now, outbox, |out| {
            out.extend_with(|out| P::end_wait(number, false, out));
        });
        true
    }

    /// Where the reply to a request on a leased connection goes.
    pub(super) fn addressed(&self, id: ConnectionId, entry: &InFlight) -> InFlight {
        let lease = self
            .roster
            .get(id)
            .and_then(|connection| connection.lease());
        addressed(lease, entry)
    }

    /// A piece of the reply to a request that waits was passed on, the last one if `is_over`.
    pub(super) fn note_waited(&mut self, id: ConnectionId, piece: &[u8], is_over: bool) {
        let Some(wait) = self.lease_mut(id).and_then(Lease::wait_mut) else {
            return;
        };
        // The client may leave before the rest has come.
        if wait.is_cancelled() || !is_over {
            wait.keep(piece, MAX_TAKEN);
        }
        if !is_over {
            return;
        }
        let server = self.roster.get(id).map(|connection| connection.server());
        let wait = self.lease_mut(id).and_then(Lease::end_wait);
        if let (Some(server), Some(wait)) = (server, wait)
            && wait.is_cancelled()
        {
            self.report_taken(server, &wait);
        }
        self.give_back(id);
    }

    /// A server has answered a request to end a wait, or a piece of the answer has come.
    pub(super) fn note_unblocked(
        &mut self,
        connection: ConnectionId,
        number: u64,
        (chunk, range): (&Chunk, std::ops::Range<usize>),
        kind: Option<P::Kind>,
    ) {
        let Some(unblock) = self.unblocks.find(number) else {
            return;
        };
        let answer = &chunk[range.clone()];
        if let Some((id, slot)) = unblock.asker {
            let (now, outbox, last) = (self.now, &mut self.outbox, kind.is_some());
            if last && let Some(session) = self.clients.get_mut(id) {
                session.pinned_mut().remove(connection);
            }
            let to = (id, slot);
            self.clients.deliver(to, chunk, range, last, now, outbox);
        }
        let Some(kind) = kind else {
            return;
        };
        let cannot = P::is_error_kind(kind);
        self.end_unblock(number, cannot, !cannot && P::had_no_wait(answer));
    }

    /// The request to end a wait was answered or is lost. `again`: it has ended none.
    fn end_unblock(&mut self, number: u64, cannot: bool, again: bool) {
        let Some(unblock) = self.unblocks.end(number) else {
            return;
        };
        let (id, now) = (unblock.connection, self.now);
        let connection = self.roster.get(id);
        let has_ended = connection.is_some_and(|it| it.is_mid_reply());
        let Some(lease) = self.lease_mut(id) else {
            return;
        };
        match () {
            () if lease.wait().is_none() && lease.holder().is_none() => self.give_back(id),
            () if has_ended => {}
            () if cannot => lease.give_up(now),
            () if again => lease.tell_again(now),
            () => {}
        }
        self.roster.note_deadline(id);
    }

    /// The request to end a wait was lost. It may be executed still, when that connection is used for another wait.
    pub(super) fn fail_unblock(&mut self, number: u64, cause: &Cause, server: ServerId) {
        let Some(unblock) = self.unblocks.find(number) else {
            return;
        };
        if let Some(lease) = self.lease_mut(unblock.connection) {
            lease.mark_unclean();
        }
        if let Some((id, slot)) = unblock.asker {
            self.fail_slot(id, slot, cause, server);
        }
        self.end_unblock(number, true, false);
    }

    /// The connection of a lease has ended.
    pub(super) fn note_lease_lost(&mut self, id: ConnectionId, lease: &Lease, server: ServerId) {
        if let Some(session) = lease.holder().and_then(|it| self.clients.get_mut(it)) {
            session.remove_lease(id);
        }
        if let Some(wait) = lease.wait().filter(|wait| wait.is_cancelled()) {
            self.report_taken(server, wait);
        }
    }

    /// The reply to a wait that was cancelled has come, or will not: what it has taken from the server's data is nowhere
    /// now, or with a client that had ended its side.
    fn report_taken(&mut self, server: ServerId, wait: &Wait) {
        let first = wait.keys.first();
        let (key, is_certain) = match P::taken(wait.takes, wait.start()) {
            Taken::From(key) => (key, true),
            Taken::FromFirst => (first, true),
            Taken::Nothing if wait.start().is_empty() && wait.takes != Takes::Nothing => {
                (first, false)
            }
            Taken::Nothing => return,
        };
        self.counters.add(PoolMetric::ElementsLost, 1);
        let key = &key[..key.len().min(LOGGED_KEY)];
        self.outbox.log(Event::ElementLost {
            server: self.roster.server(server).name().to_owned(),
            key: key.escape_ascii().to_string(),
            is_certain: is_certain && wait.reply_to == ReplyTo::Proxy,
        });
    }
}

/// When it is looked at whether leases are in force still.
impl<P: Protocol> Engine<P> {
    /// Ends the leases of sessions that have left, and those that other servers or another plan have ended.
    pub(super) fn tend_leases(&mut self) {
        for id in self.clients.take_left() {
            self.leave(id);
        }
        if !self.wait_watch.take_change() {
            return;
        }
        for id in self.roster.held_leases() {
            if !self.is_in_force(id) {
                self.end_lease(id);
            }
        }
    }

    /// Looks whether another worker has ejected a server, if that is due.
    pub(super) fn watch_waits(&mut self) {
        if self.wait_watch.next().is_some_and(|due| due <= self.now) {
            self.check_health();
            let goes_on = !self.roster.held_leases().is_empty();
            self.wait_watch.note_look(goes_on, self.now);
        }
    }

    /// Whether the server of a lease is in use, and has the keys that are waited for.
    fn is_in_force(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.roster.get(id) else {
            return true;
        };
        let server = connection.server();
        let wait = connection.lease().and_then(Lease::wait);
        // It is about the server itself, and ends with it.
        if wait.is_some_and(|wait| matches!(wait.keys, WaitKeys::None)) {
            return true;
        }
        // A node of a cluster tells itself when what is waited for is elsewhere.
        if self.heals && wait.is_some() {
            return true;
        }
        if connection.is_draining() || !self.roster.server(server).health().is_live() {
            return false;
        }
        let Some(wait) = wait else {
            return true;
        };
        let routes = &mut self.routes;
        match &wait.keys {
            _ if routes.is_random() => true,
            WaitKeys::None => true,
            WaitKeys::Many(_) => false,
            WaitKeys::Known(keys) => keys.iter().all(|key| routes.route(key).is_at(server)),
        }
    }

    /// The proxy shuts down: nobody waits for it.
    pub(super) fn end_leases(&mut self) {
        for id in self.roster.held_leases() {
            self.end_lease(id);
        }
    }
}

/// Where the reply to a request goes, on a connection with this lease.
pub(super) fn addressed(lease: Option<&Lease>, entry: &InFlight) -> InFlight {
    let wait = lease.and_then(Lease::wait);
    match (entry.reply_to, wait) {
        (ReplyTo::Leased, Some(wait)) => entry.with_reply_to(wait.reply_to),
        (ReplyTo::Leased, None) => entry.with_reply_to(ReplyTo::Proxy),
        _ => *entry,
    }
}
