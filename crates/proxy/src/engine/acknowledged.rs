//! Requests that wait until replicas have acknowledged what their client has written (WAIT). Each server to which the
//! client has written since it connected is asked, on a leased connection, and the least is the answer.
//!
//! A server waits for what the connection has written on which it is asked: for its replication offset after the last
//! command there. The client's writes went over other connections. So a command is sent before the request: all writes
//! are answered by then, and the offset after that command is behind them.

use super::fanout::fragment_of;
use super::sending::{Asked, write_request};
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::holds::Hold;
use crate::flow::buffer::{Chunk, Rope};
use crate::id::{ConnectionId, ServerId};
use crate::latency::Class;
use crate::protocol::Protocol;
use crate::protocol::decision::{Facts, JoinKind};
use crate::protocol::fanout::Body;
use crate::protocol::pending_join::{Fragment, PendingJoin};
use crate::protocol::waiting::Takes;
use crate::servers::leases::{Wait, WaitKeys};
use crate::servers::queue::ReplyTo;

impl<P: Protocol> Engine<P> {
    /// Sends the request to the servers to which its client has written; if there are none it is answered with
    /// `self.output.reply`.
    pub(super) fn wait_for_replicas(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        kind: JoinKind,
        bodies: &mut Vec<Body>,
    ) {
        self.check_health();
        let Some(session) = self.clients.get(asked.id) else {
            return;
        };
        let all = self.routes.own().chain(self.routes.failover());
        let servers: Vec<ServerId> = all.filter(|id| session.has_written_to(*id)).collect();
        if servers.is_empty() {
            return self.respond(asked.id, facts.reply);
        }
        let mut request = Rope::new();
        write_request(&asked.source, bodies, facts.left_out.as_ref(), &mut request);
        let request: Chunk = request.slices().flatten().copied().collect();
        let reply_to = self.open_join(asked, facts, || {
            let fragments = servers.iter().map(|server| Fragment::new(*server, 0));
            PendingJoin::new(kind, false, fragments.collect(), Vec::new())
        });
        if let Some(session) = self.clients.get_mut(asked.id) {
            session.hold(Hold::UntilIdle);
        }
        for (fragment, server) in servers.into_iter().enumerate() {
            let reply_to = fragment_of(reply_to, fragment);
            let is_live = self.roster.server(server).health().is_live();
            let lease = match is_live {
                true => self.lease(asked.id, server),
                false => Err(Cause::Ejected),
            };
            match lease {
                Ok(connection) => self.wait_at(asked, connection, reply_to, &request),
                Err(cause) => self.fail_part(asked, server, reply_to, &cause),
            }
        }
        // It may have been answered at once, by its failure.
        self.clients.spend(asked.id, 0, self.now);
    }

    /// One of the servers cannot be asked.
    pub(super) fn fail_part(
        &mut self,
        asked: &Asked<'_, P>,
        server: ServerId,
        reply_to: ReplyTo,
        cause: &Cause,
    ) {
        match reply_to {
            ReplyTo::Fragment(slot, fragment) => {
                self.fail_fragment(asked.id, slot, fragment, cause);
            }
            _ => self.note_lost(asked.id, cause, Some(server)),
        }
    }

    /// Sends it on one of the leased connections.
    fn wait_at(
        &mut self,
        asked: &Asked<'_, P>,
        connection: ConnectionId,
        reply_to: ReplyTo,
        request: &Chunk,
    ) {
        if reply_to.is_silent()
            && let Some(session) = self.clients.get_mut(asked.id)
        {
            session.note_silent();
        }
        let wait = Wait::new(reply_to, WaitKeys::Known(Vec::new()), Takes::Nothing);
        if let Some(lease) = self.lease_mut(connection) {
            lease.begin_wait(wait);
        }
        let (now, outbox) = (self.now, &mut self.outbox);
        if let Some(mut connection) = self.roster.connection_by_id(connection) {
            let command = P::probe().request;
            connection.send(asked.id, ReplyTo::Proxy, Class::Write, now, outbox, |out| {
                out.extend(&command);
            });
            connection.send(
                asked.id,
                ReplyTo::Leased,
                Class::Write,
                now,
                outbox,
                |out| {
                    out.push(request, 0..request.len());
                },
            );
        }
        let has_ended = self.clients.get(asked.id);
        if has_ended.is_some_and(|session| session.is_half_closed()) {
            self.cancel_ended(asked.id);
        }
    }
}
