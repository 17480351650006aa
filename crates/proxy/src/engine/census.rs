//! Clients as operators see them, and are rid of them.

use std::cmp::Reverse;

use super::state::Engine;
use crate::client_info::{ClientInfo, Doing};
use crate::clients::ending::Ending;
use crate::clients::session::Session;
use crate::id::SessionId;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// The clients that hold most memory, at most so many.
    pub(crate) fn census(&self, most: usize, now: Time) -> Vec<ClientInfo> {
        let held = |(_, session): (SessionId, &Session<P>)| session.held();
        let mut all: Vec<(SessionId, usize)> =
            (self.clients.iter()).map(|it| (it.0, held(it))).collect();
        all.sort_unstable_by_key(|(_, held)| Reverse(*held));
        let infos = all.iter().take(most);
        infos
            .filter_map(|(id, held)| Some(self.describe(self.clients.get(*id)?, *held, now)))
            .collect()
    }

    fn describe(&self, session: &Session<P>, held: usize, now: Time) -> ClientInfo {
        ClientInfo {
            address: session.name().into(),
            about: P::about(session.client()),
            idle: now.since(session.last_active()),
            outstanding: session.outstanding(),
            unparsed: session.unparsed(),
            unread: session.unread(),
            held,
            does: Doing {
                transaction: session.transaction().is_some() || session.watch().is_some(),
                subscribed: session.is_subscriber(),
                waits: self.waits_for_others(session),
            },
        }
    }

    /// Closes the clients with this address; returns how many there were.
    pub(crate) fn kill(&mut self, address: &str, now: Time) -> usize {
        self.now = now;
        let all = self.clients.iter();
        let found: Vec<SessionId> = all
            .filter(|(_, session)| session.name() == address)
            .map(|(id, _)| id)
            .collect();
        for id in &found {
            self.clients.close(*id, Ending::Killed, &mut self.outbox);
        }
        self.run_ready();
        found.len()
    }
}
