//! Reads that go to replicas (`read_from`).
//!
//! What a client sees is in order all the same, unless `read_your_writes` is 0: reads after a write of its own go to the server
//! itself for a while, and a write waits until its client's reads at replicas are answered, as it could be passed on to them
//! before.

use super::state::Engine;
use crate::clients::own_writes::Situation;
use crate::clients::session::Session;
use crate::id::{ServerId, SessionId};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::Facts;
use crate::protocol::grammar::Reply;
use crate::routes::grouping::Grouping;
use crate::routes::readers::Chosen;
use crate::routes::routing::{Destination, Routes};
use crate::settings::PoolSettings;
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// Where a request goes that would go to `destination`: if it is a read, to a replica perhaps.
    #[inline(always)]
    pub(super) fn reader(
        &mut self,
        id: SessionId,
        facts: &Facts<P::Command>,
        destination: Destination,
    ) -> Destination {
        if !P::HAS_REPLICAS
            || !self.routes.has_readers()
            || !facts.is_pure_read
            || facts.reply == Reply::Dropped
        {
            return destination;
        }
        self.choose_reader(id, destination)
    }

    /// The same for a read whose reply is wanted.
    #[inline(never)]
    pub(super) fn choose_reader(&mut self, id: SessionId, destination: Destination) -> Destination {
        let server = match destination {
            Destination::Server(server) | Destination::Slot(server, _) => server,
            // Its replicas have its keys. A cluster makes one of them the server.
            Destination::Ejected(server) if !self.heals => server,
            _ => return destination,
        };
        let Some(readers) = self.routes.readers() else {
            return destination;
        };
        let situation = Situation {
            arrangement: self.routes.arrangement(),
            oldest: 0,
            has_silent: false,
            now: self.now,
            window: readers.settings().own_writes,
        };
        let Some(session) = self.clients.get_mut(id) else {
            return destination;
        };
        if session.must_read_at(server, situation) {
            return destination;
        }
        // Replicas do not know which keys are elsewhere already.
        if let Destination::Slot(_, slot) = destination
            && self.redirects.is_moving(slot, self.now)
        {
            return destination;
        }
        self.probe_replicas(server);
        let replica = match self.choose(id, server, destination) {
            Chosen::Itself => return destination,
            Chosen::Nowhere => return Destination::NoReplica(server),
            Chosen::Replica(replica) => replica,
        };
        self.counters.add(PoolMetric::ReplicaReads, 1);
        if let Some(session) = self.clients.get_mut(id) {
            session.note_replica_read();
        }
        match destination {
            Destination::Slot(_, slot) => Destination::Slot(replica, slot),
            _ => Destination::Server(replica),
        }
    }

    /// The same for the fragments of a request.
    #[inline(always)]
    pub(super) fn read_fragments(
        &mut self,
        id: SessionId,
        facts: &Facts<P::Command>,
        grouping: &mut Grouping,
    ) {
        if self.routes.has_readers() {
            grouping.change_destinations(|destination| self.reader(id, facts, destination));
        }
    }

    fn choose(&mut self, id: SessionId, server: ServerId, destination: Destination) -> Chosen {
        let Some(session) = self.clients.get(id) else {
            return Chosen::Itself;
        };
        let lane = P::lane(session.client());
        let chances = [self.routes.draw(), self.routes.draw()];
        let (roster, now) = (&self.roster, self.now);
        let is_ejected = matches!(destination, Destination::Ejected(_));
        let outstanding = |reader: ServerId| {
            let is_usable = match reader == server {
                true => !is_ejected,
                false => roster.server(reader).health().is_live(),
            };
            if !is_usable {
                return None;
            }
            roster.outstanding(reader, lane, now)
        };
        let answered = |reader: ServerId| roster.server(reader).latency().reads();
        match self.routes.readers_mut() {
            Some(readers) => readers.choose(server, now, chances, outstanding, answered),
            None => Chosen::Itself,
        }
    }
}

/// A request that may change data is sent, where reads are retried or go to replicas.
#[cold]
pub(super) fn note_own_change<P: Protocol>(
    session: &mut Session<P>,
    settings: &PoolSettings,
    routes: &Routes,
    server: ServerId,
    now: Time,
) {
    if routes.has_readers() {
        session.note_own_write(server, routes.arrangement(), now);
    }
    if settings.failure.retry_reads {
        session.note_change();
    }
}
