//! One channel or pattern that clients of this worker are subscribed to.

use std::collections::BTreeSet;

use crate::id::{ServerId, SessionId};

/// A channel: who gets its messages, and at which servers it is subscribed to. It lives as long as anybody wants it.
#[derive(Debug)]
pub(super) struct Topic {
    /// Clients that get its messages.
    members: BTreeSet<SessionId>,
    /// Clients that wait for their subscription to be confirmed.
    waiting: BTreeSet<SessionId>,
    /// The servers that have it.
    homes: Vec<Home>,
}

/// A server that has a channel.
#[derive(Debug, Clone, Copy)]
struct Home {
    server: ServerId,
    state: HomeState,
}

/// How far the subscription at a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HomeState {
    /// The server is to be asked.
    Unasked,
    /// It was asked by the question of this number, so that no answer to an earlier one is taken for its own.
    Asked(u64),
    /// It has confirmed the subscription.
    Confirmed,
}

impl Topic {
    pub(super) fn new(homes: &[ServerId]) -> Self {
        let home = |server: &ServerId| Home {
            server: *server,
            state: HomeState::Unasked,
        };
        Self {
            members: BTreeSet::new(),
            waiting: BTreeSet::new(),
            homes: homes.iter().map(home).collect(),
        }
    }

    /// Whether every server that has it has confirmed the subscription.
    pub(super) fn is_confirmed(&self) -> bool {
        let is = |home: &Home| home.state == HomeState::Confirmed;
        !self.homes.is_empty() && self.homes.iter().all(is)
    }

    /// Whether any client has to do with it.
    pub(super) fn is_wanted(&self) -> bool {
        !self.members.is_empty() || !self.waiting.is_empty()
    }

    pub(super) fn members(&self) -> &BTreeSet<SessionId> {
        &self.members
    }

    pub(super) fn waiting(&self) -> &BTreeSet<SessionId> {
        &self.waiting
    }

    /// A client waits for it to be confirmed.
    pub(super) fn await_by(&mut self, id: SessionId) {
        self.waiting.insert(id);
    }

    /// A client that has waited gets its messages from now on.
    pub(super) fn admit(&mut self, id: SessionId) {
        self.waiting.remove(&id);
        self.members.insert(id);
    }

    /// A client waits no longer.
    pub(super) fn stop_waiting(&mut self, id: SessionId) {
        self.waiting.remove(&id);
    }

    /// A client gets its messages no longer.
    pub(super) fn dismiss(&mut self, id: SessionId) {
        self.members.remove(&id);
    }

    /// How far the subscription at a server is, if that has it.
    pub(super) fn state_at(&self, server: ServerId) -> Option<HomeState> {
        let home = self.homes.iter().find(|home| home.server == server);
        home.map(|home| home.state)
    }

    /// The subscription at a server has come so far.
    pub(super) fn set_state(&mut self, server: ServerId, state: HomeState) {
        let home = self.homes.iter_mut().find(|home| home.server == server);
        if let Some(home) = home {
            home.state = state;
        }
    }

    /// The servers that have it.
    pub(super) fn homes(&self) -> impl Iterator<Item = ServerId> {
        self.homes.iter().map(|home| home.server)
    }

    /// The servers that are to be asked for it.
    pub(super) fn unasked(&self) -> impl Iterator<Item = ServerId> {
        let is = |home: &&Home| home.state == HomeState::Unasked;
        self.homes.iter().filter(is).map(|home| home.server)
    }

    /// A further server has it.
    pub(super) fn add_home(&mut self, server: ServerId) {
        self.homes.push(Home {
            server,
            state: HomeState::Unasked,
        });
    }

    /// A server has it no longer.
    pub(super) fn remove_home(&mut self, server: ServerId) {
        self.homes.retain(|home| home.server != server);
    }
}
