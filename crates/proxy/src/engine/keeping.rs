//! Requests that are kept until they are answered, as a node of a Redis Cluster may send them elsewhere.

use super::state::Engine;
use crate::flow::outbox::Action;
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::protocol::Protocol;
use crate::routes::routing::Destination;
use crate::servers::kept::{Kept, SentAs};
use crate::servers::queue::{InFlight, ReplyTo};
use crate::servers::redirects::RowKey;
use crate::settings::Address;

impl<P: Protocol> Engine<P> {
    /// Keeps the request that was queued last on a connection until it is answered, where its server may send it elsewhere.
    pub(super) fn keep_sent(
        &mut self,
        connection: ConnectionId,
        destination: Destination,
        sent_as: SentAs,
    ) {
        let script = self.needed_script.take();
        let Destination::Slot(_, slot) = destination else {
            return;
        };
        let mut kept = Kept::new(slot, sent_as);
        kept.scripts.extend(script);
        if let Some(connection) = self.roster.get_mut(connection) {
            connection.queue_mut().keep(kept);
        }
    }

    /// A request for several keys of a hash slot was sent. While the slot is being moved, its server may answer that it is to be
    /// sent again later, though it serves others of the same keys: its client's later requests wait until it is answered, or
    /// they would overtake it.
    pub(super) fn hold_behind(&mut self, id: SessionId, destination: Destination) {
        if let Destination::Slot(..) = destination
            && let Some(session) = self.clients.get_mut(id)
        {
            session.hold_until_drained();
        }
    }

    /// Has the servers asked for the map of slots, the one with this address first.
    pub(super) fn ask_for_map(&mut self, node: Option<&Address>) {
        if self.redirects.may_ask_for_map(self.now) {
            let node = node.cloned();
            self.outbox.act(Action::AskForMap { node });
        }
    }

    /// A request that was sent elsewhere is answered, or is lost.
    pub(super) fn end_redirected(
        &mut self,
        number: u64,
        entry: &InFlight,
    ) -> (InFlight, Option<Kept>) {
        match self.redirects.take_sent(number) {
            Some(it) => (entry.with_reply_to(it.request.reply_to), Some(it.kept)),
            // Its client has left.
            None => (entry.with_reply_to(ReplyTo::Proxy), None),
        }
    }

    /// Whether a server has still to answer requests of that client for that slot, as they were sent first.
    pub(super) fn has_in_flight(&self, key: RowKey, server: ServerId) -> bool {
        let mut connections = self.roster.connections();
        connections
            .any(|it| it.server() == server && it.queue().kept_slots().any(|kept| kept == key))
    }

    /// Clients with requests at a server that does not have their slots any more have their later ones wait until those
    /// are answered, or they would overtake them.
    pub(super) fn hold_misplaced(&mut self) {
        let mut held = Vec::new();
        for connection in self.roster.connections() {
            let server = connection.server();
            // Reads, which no later request of their clients may overtake but further reads.
            if self.roster.server(server).is_replica() {
                continue;
            }
            for (session, slot) in connection.queue().kept_slots() {
                if !self.routes.route_slot(slot).is_at(server) {
                    held.push(session);
                }
            }
        }
        for id in held {
            if let Some(session) = self.clients.get_mut(id) {
                session.hold_until_drained();
            }
        }
    }
}
