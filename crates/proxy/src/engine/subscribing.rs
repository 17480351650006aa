//! Clients that subscribe to channels, end their subscriptions, or leave.
//!
//! SUBSCRIBE is a barrier: it is decided when everything before it is answered, and nothing after it is parsed until it
//! is. So a confirmation is never behind a message of its channel, and what is allowed to a subscriber is known when its
//! next request is decided. It is answered as a whole, when every server that has one of the channels has confirmed it,
//! or when one of them has not.

use super::listening::homes;
use super::sending::Asked;
use super::state::Engine;
use crate::clients::order::Expected;
use crate::id::SessionId;
use crate::protocol::Protocol;
use crate::protocol::channel::{Change, ChannelKind};
use crate::protocol::grammar::Reply;
use crate::subscriptions::registry::{Name, Wish};

impl<P: Protocol> Engine<P> {
    /// A client begins or ends subscriptions to the channels that `self.output.keys` name.
    pub(super) fn change_subscriptions(
        &mut self,
        asked: &Asked<'_, P>,
        reply: Reply,
        change: Change,
        kind: ChannelKind,
    ) {
        let keys = self.output.keys.iter();
        let names: Vec<Name> = keys
            .map(|key| asked.source.text[key.range()].into())
            .collect();
        match change {
            Change::Subscribe => self.subscribe(asked.id, reply, kind, names),
            Change::Unsubscribe => self.unsubscribe(asked.id, kind, names),
        }
    }

    fn subscribe(&mut self, client: SessionId, reply: Reply, kind: ChannelKind, names: Vec<Name>) {
        self.follow_subscriptions();
        let Some(session) = self.clients.get_mut(client) else {
            return;
        };
        let slot = session.open_slot(Expected::Reply {
            may_be_large: false,
        });
        session.begin_subscribing();
        let wish = Wish {
            client,
            slot,
            reply,
            kind,
            names,
        };
        let routes = &mut self.routes;
        let mut place = |name: &[u8]| homes(routes, kind, name);
        self.subscriptions.subscribe(wish, self.now, &mut place);
        self.settle_subscriptions();
        self.attend_sites();
    }

    fn unsubscribe(&mut self, id: SessionId, kind: ChannelKind, names: Vec<Name>) {
        let names = (!names.is_empty()).then_some(names);
        let subscriptions = &mut self.subscriptions;
        let (ended, counts) = subscriptions.unsubscribe(id, kind, names, self.now);
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        session.end_subscribing(counts.is_any());
        let client = session.client_mut();
        P::note_subscriptions(client, counts);
        let (change, mut line) = (Change::Unsubscribe, Vec::new());
        for (name, number) in &ended {
            P::confirm(client, change, kind, Some(name), *number, &mut line);
        }
        if ended.is_empty() {
            let number = counts.confirmed(kind);
            P::confirm(client, change, kind, None, number, &mut line);
        }
        self.answer(id, &line);
        self.clients.spend(id, line.len(), self.now);
        self.settle_subscriptions();
        self.attend_sites();
    }

    /// All subscriptions of a client end, and its transaction, and it is not told.
    pub(super) fn end_subscriptions(&mut self, id: SessionId) {
        self.subscriptions.leave(id, self.now);
        if let Some(session) = self.clients.get_mut(id) {
            session.end_subscribing(false);
            session.take_transaction();
        }
        self.settle_subscriptions();
        self.attend_sites();
    }

    /// Ends the subscriptions of the clients that have left.
    pub(super) fn drop_subscribers(&mut self) {
        let left = self.clients.take_subscribers_left();
        if left.is_empty() {
            return;
        }
        for id in left {
            self.subscriptions.leave(id, self.now);
        }
        self.settle_subscriptions();
        self.attend_sites();
    }
}
