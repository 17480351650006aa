//! What servers are asked for the subscriptions, and what follows from their answers, from the end of a connection, and
//! from channels that are elsewhere.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::{Due, Failure, Name, Subscriptions, Why};
use crate::cause::Cause;
use crate::id::{ConnectionId, ServerId};
use crate::limits::SUBSCRIBER_HEALTH_EVERY;
use crate::protocol::channel::{Change, ChannelKind};
use crate::routes::routing::RouteVersion;
use crate::subscriptions::site::{Asked, Question, Site};
use crate::subscriptions::topic::{HomeState, Topic};
use crate::time::Time;

/// What the next answer of a server must be about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Life,
    Change(Change, ChannelKind, Name),
}

impl Subscriptions {
    /// Whether anything refers to this server.
    pub(crate) fn uses(&self, server: ServerId) -> bool {
        self.sites.contains_key(&server)
    }

    /// When something is due next, where keys are routed by this now.
    pub(crate) fn deadline(&self, by: RouteVersion) -> Option<Time> {
        if self.is_empty() {
            return None;
        }
        let dues = self.sites.values().filter_map(Site::due);
        let due = dues.map(|(at, _)| at).min();
        let place = match self.placed {
            Some((placed, again)) if placed == by => again,
            _ => Time::ZERO,
        };
        Some(due.map_or(place, |due| due.min(place)))
    }

    /// What is due at each server at `now`.
    pub(crate) fn due(&self, now: Time) -> Vec<(ServerId, Due)> {
        let dues = self.sites.iter();
        let dues = dues.filter_map(|(id, site)| Some((*id, site.due()?)));
        let is_due = |(id, (at, due)): (ServerId, (Time, Due))| (at <= now).then_some((id, due));
        dues.filter_map(is_due).collect()
    }

    /// Nothing is to be known of a server any more.
    pub(crate) fn forget_site(&mut self, server: ServerId) {
        self.sites.remove(&server);
    }

    /// The server's connection, if there is one.
    pub(crate) fn connection_to(&self, server: ServerId) -> Option<ConnectionId> {
        self.sites.get(&server)?.connection()
    }

    /// A connection to the server is being opened.
    pub(crate) fn note_opening(&mut self, server: ServerId, connection: ConnectionId) {
        if let Some(site) = self.sites.get_mut(&server) {
            site.open(connection);
        }
    }

    /// It can be used, so that the server can be asked for everything that is to be there; it may take so long to answer.
    pub(crate) fn note_ready(
        &mut self,
        server: ServerId,
        connection: ConnectionId,
        patience: Duration,
        now: Time,
    ) {
        let Some(site) = self.sites.get_mut(&server) else {
            return;
        };
        site.make_ready(connection, patience, now);
        for kind in ChannelKind::ALL {
            let topics = self.topics[kind.index()].iter();
            let here = topics.filter(|(_, topic)| topic.state_at(server).is_some());
            here.for_each(|(name, _)| site.ask(Change::Subscribe, kind, name));
        }
    }

    /// The server has sent something.
    pub(crate) fn note_heard(&mut self, server: ServerId, now: Time) {
        if let Some(site) = self.sites.get_mut(&server) {
            site.note_heard(now);
        }
    }

    /// The server is asked whether it is there.
    pub(crate) fn note_ping(&mut self, server: ServerId, now: Time) {
        if let Some(site) = self.sites.get_mut(&server) {
            site.note_asked(Question::Life, now);
        }
    }

    /// What the server is to be asked next, which counts as asked now.
    pub(crate) fn next_question(
        &mut self,
        server: ServerId,
        now: Time,
    ) -> Option<(Change, ChannelKind, Name)> {
        let site = self.sites.get_mut(&server)?;
        while let Some(todo) = site.next_todo() {
            let (change, kind, name) = (todo.change, todo.kind, todo.name);
            let number = self.next_number;
            self.next_number += 1;
            if change == Change::Subscribe {
                // It may be gone again, or have been asked for by an earlier item of the list.
                let topic = self.topics[kind.index()].get_mut(&name);
                let is_unasked = |it: &&mut Topic| it.state_at(server) == Some(HomeState::Unasked);
                let Some(topic) = topic.filter(is_unasked) else {
                    continue;
                };
                topic.set_state(server, HomeState::Asked(number));
            }
            let question = Question::Change {
                change,
                kind,
                name: Rc::clone(&name),
                number,
            };
            site.note_asked(question, now);
            return Some((change, kind, name));
        }
        None
    }

    /// Takes what the server's next answer must be about.
    pub(crate) fn take_asked(&mut self, server: ServerId) -> Option<(Expected, Asked)> {
        let asked = self.sites.get_mut(&server)?.take_asked()?;
        let expected = match &asked.what {
            Question::Life => Expected::Life,
            Question::Change {
                change, kind, name, ..
            } => Expected::Change(*change, *kind, Rc::clone(name)),
        };
        Some((expected, asked))
    }

    /// The server has answered what it was asked: with an error line, if there is one. Returns whether clients get no
    /// messages of a channel for that error though they were told that they do.
    pub(crate) fn note_answer(
        &mut self,
        server: ServerId,
        asked: &Asked,
        error: Option<&[u8]>,
        now: Time,
    ) -> bool {
        let Question::Change {
            change: Change::Subscribe,
            kind,
            name,
            number,
        } = &asked.what
        else {
            return false;
        };
        let topic = self.topics[kind.index()].get_mut(name);
        let state = Some(HomeState::Asked(*number));
        let Some(topic) = topic.filter(|topic| topic.state_at(server) == state) else {
            return false;
        };
        match error {
            None => {
                let was = topic.is_confirmed();
                topic.set_state(server, HomeState::Confirmed);
                self.note_confirmed(*kind, name, was);
                false
            }
            Some(line) => {
                // Nothing is to be ended at this server. It is asked again with the next connection, if anybody still
                // wants it.
                topic.set_state(server, HomeState::Unasked);
                let has_members = !topic.members().is_empty();
                let why = Why::Refused(line.into());
                self.fail_waiting(*kind, name, &why, now);
                has_members
            }
        }
    }

    /// The server's connection has ended. Whoever waits for a channel there waits in vain; those that get its messages
    /// have missed some, maybe, and it will be subscribed to again. Returns how many channels that are.
    pub(crate) fn lose(&mut self, server: ServerId, cause: &Cause, now: Time) -> usize {
        let Some(site) = self.sites.get_mut(&server) else {
            return 0;
        };
        site.lose(cause, now);
        let mut missed = 0;
        let mut waited_for = Vec::new();
        for kind in ChannelKind::ALL {
            for (name, topic) in &mut self.topics[kind.index()] {
                let Some(state) = topic.state_at(server) else {
                    continue;
                };
                topic.set_state(server, HomeState::Unasked);
                let is_gap = state == HomeState::Confirmed && !topic.members().is_empty();
                missed += usize::from(is_gap);
                if !topic.waiting().is_empty() {
                    waited_for.push((kind, Rc::clone(name)));
                }
            }
        }
        let why = Why::Lost(Failure {
            cause: cause.clone(),
            server: Some(server),
        });
        for (kind, name) in waited_for {
            self.fail_waiting(kind, &name, &why, now);
        }
        missed
    }

    /// Whether a server owes an answer on this connection.
    pub(crate) fn owes_answer(&self, server: ServerId) -> bool {
        self.sites.get(&server).is_some_and(Site::owes_answer)
    }

    /// If keys are routed otherwise than before, channels may be elsewhere now: `place` tells where each is to be. Returns
    /// for each server how many channels it had that clients may have missed messages of.
    pub(crate) fn follow(
        &mut self,
        by: RouteVersion,
        now: Time,
        place: &mut dyn FnMut(ChannelKind, &[u8]) -> Vec<ServerId>,
    ) -> BTreeMap<ServerId, usize> {
        let last = self.placed.replace((by, now + SUBSCRIBER_HEALTH_EVERY));
        if last.is_some_and(|(last, _)| last == by) {
            return BTreeMap::new();
        }
        // What has changed may be that a server is well again.
        self.sites.values_mut().for_each(|site| site.retry_now(now));
        let mut missed = BTreeMap::new();
        for kind in ChannelKind::ALL {
            let names: Vec<Name> = self.topics[kind.index()].keys().cloned().collect();
            for name in names {
                let homes = place(kind, &name);
                self.move_topic(kind, &name, &homes, now, &mut missed);
            }
        }
        missed
    }

    fn move_topic(
        &mut self,
        kind: ChannelKind,
        name: &Name,
        homes: &[ServerId],
        now: Time,
        missed: &mut BTreeMap<ServerId, usize>,
    ) {
        let Some(topic) = self.topics[kind.index()].get_mut(name) else {
            return;
        };
        let was = topic.is_confirmed();
        let left: Vec<ServerId> = topic.homes().filter(|it| !homes.contains(it)).collect();
        for server in left {
            let state = topic.state_at(server);
            topic.remove_home(server);
            if state == Some(HomeState::Confirmed) && !topic.members().is_empty() {
                *missed.entry(server).or_default() += 1;
            }
            if let Some(site) = self.sites.get_mut(&server) {
                site.remove_channel(kind, name, state != Some(HomeState::Unasked), now);
            }
        }
        for server in homes {
            if topic.state_at(*server).is_none() {
                topic.add_home(*server);
                let site = self.sites.entry(*server).or_insert_with(|| Site::new(now));
                site.add_channel(kind, name);
            }
        }
        self.note_confirmed(kind, name, was);
        if homes.is_empty() {
            let (cause, server) = (Cause::Refused, None);
            let why = Why::Lost(Failure { cause, server });
            self.fail_waiting(kind, name, &why, now);
        }
    }
}
