//! Requests about the pool itself, and about its clients.

use super::sending::Asked;
use super::state::Engine;
use crate::clients::session::Session;
use crate::protocol::Protocol;
use crate::protocol::grammar::Reply;
use crate::protocol::report::{ClientView, PoolView};

impl<P: Protocol> Engine<P> {
    /// Answers a request with what is known of the pool.
    #[cold]
    pub(super) fn report(&mut self, asked: &Asked<'_, P>, reply: Reply) {
        self.write_report(asked);
        self.respond(asked.id, reply);
    }

    fn write_report(&mut self, asked: &Asked<'_, P>) {
        let Some(asking) = self.clients.get(asked.id) else {
            return;
        };
        let mut pool = PoolView {
            now: self.now,
            share: self.plans.pool(),
            plan: self.plans.own(),
            asking: view(asking),
            clients: &mut self.clients.iter().map(|(_, session)| view(session)),
        };
        let out = &mut self.output.reply;
        self.protocol.report(asked.request, &mut pool, out);
    }
}

fn view<P: Protocol>(session: &Session<P>) -> ClientView<'_, P::Client> {
    ClientView {
        name: session.name(),
        client: session.client(),
        active: session.last_active(),
        unparsed: session.unparsed(),
        unread: session.unread(),
        held: session.held(),
    }
}
