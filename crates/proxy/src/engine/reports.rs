//! Requests about the pool itself, and about its clients.

use super::sending::Asked;
use super::state::Engine;
use crate::clients::session::Session;
use crate::clients::transaction::Transaction;
use crate::id::ConnectionId;
use crate::protocol::Protocol;
use crate::protocol::grammar::Reply;
use crate::protocol::report::{ClientView, PoolView};
use crate::servers::roster::Roster;

impl<P: Protocol> Engine<P> {
    /// Answers a request with what is known of the pool.
    #[cold]
    pub(super) fn report(&mut self, asked: &Asked<'_, P>, reply: Reply) {
        // What this worker has counted may be asked for.
        self.publish_hot_keys();
        self.write_report(asked);
        self.respond(asked.id, reply);
    }

    fn write_report(&mut self, asked: &Asked<'_, P>) {
        let Some(asking) = self.clients.get(asked.id) else {
            return;
        };
        let subscriptions = &self.subscriptions;
        let pool = PoolView {
            channels: &|kind| subscriptions.different(kind),
            now: self.now,
            share: self.plans.pool(),
            plan: self.plans.own(),
            asking: view(asking, &self.roster),
        };
        let out = &mut self.output.reply;
        self.protocol.report(asked.request, &pool, out);
    }
}

impl<P: Protocol> Engine<P> {
    /// Whether the session waits for other clients.
    pub(super) fn waits_for_others(&self, session: &Session<P>) -> bool {
        waits(session, &self.roster)
    }
}

fn waits<P: Protocol>(session: &Session<P>, roster: &Roster<P>) -> bool {
    let waits = |id: &ConnectionId| {
        let lease = roster.get(*id).and_then(|connection| connection.lease());
        let wait = lease.and_then(|lease| lease.wait());
        wait.is_some_and(|wait| !wait.is_cancelled())
    };
    session.leases().iter().any(waits)
}

pub(super) fn view<'v, P: Protocol>(
    session: &'v Session<P>,
    roster: &Roster<P>,
) -> ClientView<'v, P::Client> {
    ClientView {
        queued: session.transaction().map_or(0, Transaction::len),
        waits: waits(session, roster),
        name: session.name(),
        client: session.client(),
        active: session.last_active(),
        unparsed: session.unparsed(),
        unread: session.unread(),
        held: session.held(),
    }
}
