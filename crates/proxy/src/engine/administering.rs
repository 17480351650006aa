//! Requests that administer servers (`AdminStep`).
//!
//! What may keep a server busy for long, or end it, has a leased connection, so that nobody else's requests are lost with
//! it. What ends a script has one to each server: the shared ones are not read while a script runs that was sent there.
//! An ejected server is asked, too, as a script may be why it is ejected.

use super::fanout::fragment_of;
use super::sending::{Asked, write_request};
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::holds::Hold;
use crate::flow::buffer::{Chunk, Rope};
use crate::id::{ServerId, SessionId};
use crate::latency::Class;
use crate::protocol::Protocol;
use crate::protocol::decision::{AdminStep, Facts, JoinKind};
use crate::protocol::fanout::Body;
use crate::protocol::pending_join::{Fragment, PendingJoin};
use crate::protocol::waiting::Takes;
use crate::servers::leases::{Wait, WaitKeys};
use crate::servers::purpose::Purpose;
use crate::servers::queue::ReplyTo;

/// The key that selects the only server.
const PLACEHOLDER: &[u8] = b"placeholder";

impl<P: Protocol> Engine<P> {
    pub(super) fn administer(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        step: AdminStep,
        bodies: &mut Vec<Body>,
    ) {
        match step {
            AdminStep::OnlyServer => {
                self.check_health();
                let destination = self.route(PLACEHOLDER);
                self.wait_there(asked, facts, destination, WaitKeys::None, bodies);
            }
            AdminStep::Interrupt { join } => self.interrupt(asked, facts, join, bodies),
        }
    }

    /// Sends the request to every server, over a new connection to each.
    fn interrupt(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        kind: JoinKind,
        bodies: &mut Vec<Body>,
    ) {
        let servers = self.routes.own().chain(self.routes.failover());
        let servers: Vec<ServerId> = servers.collect();
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
            if let Err(cause) = self.interrupt_at(asked.id, server, reply_to, &request) {
                self.fail_part(asked, server, reply_to, &cause);
            }
        }
        // It may have been answered at once, by its failure.
        self.clients.spend(asked.id, 0, self.now);
    }

    fn interrupt_at(
        &mut self,
        id: SessionId,
        server: ServerId,
        reply_to: ReplyTo,
        request: &Chunk,
    ) -> Result<(), Cause> {
        let session = self.clients.get_mut(id).ok_or(Cause::Closed)?;
        let (now, outbox) = (self.now, &mut self.outbox);
        let new = self.roster.lease_interrupt(server, id, now, outbox)?;
        session.add_lease(new);
        if reply_to.is_silent() {
            session.note_silent();
        }
        let limit = now + Purpose::answer_within(self.roster.server(server).settings());
        let wait = Wait::new(reply_to, WaitKeys::None, Takes::Nothing).until(limit);
        if let Some(lease) = self.lease_mut(new) {
            lease.begin_wait(wait);
        }
        let (now, outbox) = (self.now, &mut self.outbox);
        if let Some(mut connection) = self.roster.connection_by_id(new) {
            connection.send(id, ReplyTo::Leased, Class::Write, now, outbox, |out| {
                out.push(request, 0..request.len());
            });
        }
        self.roster.note_deadline(new);
        Ok(())
    }
}
