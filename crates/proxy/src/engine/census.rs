//! Clients as operators see them, and are rid of them.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::state::Engine;
use crate::client_info::{ClientGroup, ClientInfo, ClientKind, Doing};
use crate::clients::ending::Ending;
use crate::clients::session::Session;
use crate::id::SessionId;
use crate::limits::MAX_CLIENT_GROUPS;
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

    /// The clients by what they say of themselves, in no order.
    pub(crate) fn client_groups(&self, now: Time) -> Vec<ClientGroup> {
        let mut groups: HashMap<ClientKind, ClientGroup> = HashMap::new();
        let mut others = ClientGroup::default();
        for (_, session) in self.clients.iter() {
            let client = self.describe(session, session.held(), now);
            let kind = ClientKind {
                name: client.about.name.clone(),
                library: client.about.library.0.clone(),
            };
            let has_room = groups.len() < MAX_CLIENT_GROUPS;
            match groups.get_mut(&kind) {
                Some(group) => group.add_client(&client),
                None if has_room => groups.entry(kind).or_default().add_client(&client),
                None => others.add_client(&client),
            }
        }
        let named = groups.into_iter().map(|(kind, group)| ClientGroup {
            kind: Some(kind),
            ..group
        });
        let others = Some(others).filter(|others| others.clients > 0);
        named.chain(others).collect()
    }

    fn describe(&self, session: &Session<P>, held: usize, now: Time) -> ClientInfo {
        let (opened, traffic) = session.traffic();
        ClientInfo {
            address: session.name().into(),
            traffic,
            age: now.since(opened),
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
