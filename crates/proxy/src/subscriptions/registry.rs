//! All subscriptions of a pool in one worker. What servers are asked for them is in `servers`.

mod servers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

pub(crate) use super::member::{Failure, Name, Wish};
use super::member::{Member, Pending};
pub(crate) use super::site::Due;
use super::site::Site;
use super::topic::{HomeState, Topic};
use crate::id::{ServerId, SessionId};
use crate::limits::{MAX_TOPIC_BYTES, MAX_TOPICS};
use crate::protocol::channel::{Change, ChannelKind, Counts};
use crate::routes::routing::RouteVersion;
use crate::time::Time;
pub(crate) use servers::Expected;

/// Bytes of memory that a channel takes besides its name, about.
const TOPIC_BYTES: usize = 256;

/// The same for a client's subscription to it.
const SUBSCRIPTION_BYTES: usize = 96;

/// The servers at which a channel is to be subscribed to, or why there are none.
pub(crate) type Homes = Result<Vec<ServerId>, Failure>;

/// Which clients are subscribed to what, and at which servers.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    topics: [BTreeMap<Name, Topic>; 3],
    /// How many there are, and the bytes of their names.
    count: usize,
    bytes: usize,
    /// How many subscriptions clients have, each channel of each client counted.
    subscribed: usize,
    members: BTreeMap<SessionId, Member>,
    sites: BTreeMap<ServerId, Site>,
    /// By what the channels were placed, and when it is to be looked at again whether that has changed.
    placed: Option<(RouteVersion, Time)>,
    /// The number of the next question to a server.
    next_number: u64,
    /// Requests all of whose channels are confirmed.
    settled: VecDeque<SessionId>,
    /// Requests that have failed.
    failed: VecDeque<Failed>,
}

/// A request for subscriptions that was granted.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) wish: Wish,
    /// After each of its names, the number that confirms it.
    pub(crate) numbers: Vec<usize>,
    pub(crate) counts: Counts,
}

/// A request for subscriptions that has failed as a whole.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) wish: Wish,
    pub(crate) why: Why,
}

/// Why a request for subscriptions has failed.
#[derive(Debug, Clone)]
pub(crate) enum Why {
    /// The client, or all of them together, would have too many.
    TooMany,
    /// A server that has one of the channels cannot be asked, or is lost.
    Lost(Failure),
    /// A server has refused one of them with this error line.
    Refused(Rc<[u8]>),
}

impl Subscriptions {
    /// Whether no client is subscribed to anything, and no connection is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.members.is_empty()
    }

    /// Bytes of memory, about.
    pub(crate) fn held(&self) -> usize {
        // The names are shared by all that have to do with them.
        self.bytes + self.count * TOPIC_BYTES + self.subscribed * SUBSCRIPTION_BYTES
    }

    /// How many subscriptions clients have.
    pub(crate) fn subscribed(&self) -> usize {
        self.subscribed
    }

    /// How many a client has.
    pub(crate) fn counts(&self, id: SessionId) -> Counts {
        let member = self.members.get(&id);
        member.map_or_else(Counts::default, Member::counts)
    }

    /// How many clients are subscribed to this channel.
    pub(crate) fn subscribers(&self, kind: ChannelKind, name: &[u8]) -> usize {
        let topic = self.topics[kind.index()].get(name);
        topic.map_or(0, |topic| topic.members().len())
    }

    /// How many different channels of a kind clients are subscribed to.
    pub(crate) fn different(&self, kind: ChannelKind) -> usize {
        let topics = self.topics[kind.index()].values();
        topics.filter(|it| !it.members().is_empty()).count()
    }

    /// Calls back with each channel of a kind that clients are subscribed to.
    pub(crate) fn each_channel(&self, kind: ChannelKind, each: &mut dyn FnMut(&[u8])) {
        let topics = self.topics[kind.index()].iter();
        topics
            .filter(|(_, topic)| !topic.members().is_empty())
            .for_each(|(name, _)| each(name));
    }

    /// The clients that get a message of this channel from this server.
    pub(crate) fn audience(
        &self,
        server: ServerId,
        kind: ChannelKind,
        name: &[u8],
    ) -> Option<&BTreeSet<SessionId>> {
        let topic = self.topics[kind.index()].get(name)?;
        topic.state_at(server)?;
        Some(topic.members())
    }
}

/// What clients ask for.
impl Subscriptions {
    /// A client asks for subscriptions; `place` tells at which servers a channel is to be subscribed to. The answer is
    /// among [`Subscriptions::next_settled`] or [`Subscriptions::next_failed`], at once or later.
    pub(crate) fn subscribe(
        &mut self,
        wish: Wish,
        now: Time,
        place: &mut dyn FnMut(&[u8]) -> Homes,
    ) {
        match self.place_new(&wish, now, place) {
            Err(why) => self.failed.push_back(Failed { wish, why }),
            Ok(new) => {
                for (name, homes) in new {
                    self.add_topic(wish.kind, name, &homes, now);
                }
                self.await_all(wish);
            }
        }
    }

    /// Where the channels are to be that nobody is subscribed to yet.
    fn place_new(
        &self,
        wish: &Wish,
        now: Time,
        place: &mut dyn FnMut(&[u8]) -> Homes,
    ) -> Result<Vec<(Name, Vec<ServerId>)>, Why> {
        let none = Member::default();
        let member = self.members.get(&wish.client).unwrap_or(&none);
        let topics = &self.topics[wish.kind.index()];
        let names: BTreeSet<&Name> = wish.names.iter().collect();
        let more = names.iter().filter(|name| !member.has(wish.kind, name));
        let (channels, bytes) = more.fold((0, 0), |(count, bytes), name| {
            (count + 1, bytes + name.len())
        });
        if !member.has_room(channels, bytes) {
            return Err(Why::TooMany);
        }
        let new = names.into_iter().filter(|name| !topics.contains_key(*name));
        let mut placed = Vec::new();
        let mut bytes = self.bytes;
        for name in new {
            bytes += name.len();
            if self.count + placed.len() >= MAX_TOPICS || bytes > MAX_TOPIC_BYTES {
                return Err(Why::TooMany);
            }
            let homes = place(name).map_err(Why::Lost)?;
            for home in &homes {
                if let Some(cause) = self.sites.get(home).and_then(|site| site.refusal(now)) {
                    return Err(Why::Lost(Failure {
                        cause: cause.clone(),
                        server: Some(*home),
                    }));
                }
            }
            placed.push((Rc::clone(name), homes));
        }
        Ok(placed)
    }

    fn add_topic(&mut self, kind: ChannelKind, name: Name, homes: &[ServerId], now: Time) {
        for home in homes {
            let site = self.sites.entry(*home).or_insert_with(|| Site::new(now));
            site.add_channel(kind, &name);
        }
        self.count += 1;
        self.bytes += name.len();
        self.topics[kind.index()].insert(name, Topic::new(homes));
    }

    /// The client waits for the channels to be confirmed.
    fn await_all(&mut self, wish: Wish) {
        let (id, kind) = (wish.client, wish.kind);
        let member = self.members.entry(id).or_default();
        let names: BTreeSet<&Name> = wish.names.iter().collect();
        let mut open = 0;
        for name in names.into_iter().filter(|name| !member.has(kind, name)) {
            if let Some(topic) = self.topics[kind.index()].get_mut(name) {
                topic.await_by(id);
                open += usize::from(!topic.is_confirmed());
                // A server that has refused it before may be of another mind.
                for home in topic.unasked() {
                    if let Some(site) = self.sites.get_mut(&home) {
                        site.ask(Change::Subscribe, kind, name);
                    }
                }
            }
        }
        member.wait(Pending { wish, open });
        if open == 0 {
            self.settled.push_back(id);
        }
    }

    /// A request that is granted from now on: its client gets the messages.
    pub(crate) fn next_settled(&mut self) -> Option<Settled> {
        while let Some(id) = self.settled.pop_front() {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            if member.pending_mut().is_none_or(|pending| pending.open > 0) {
                continue;
            }
            let Some(Pending { wish, .. }) = member.take_pending() else {
                continue;
            };
            let mut numbers = Vec::with_capacity(wish.names.len());
            for name in &wish.names {
                if member.add(wish.kind, name) {
                    self.subscribed += 1;
                    if let Some(topic) = self.topics[wish.kind.index()].get_mut(name) {
                        topic.admit(id);
                    }
                }
                numbers.push(member.counts().confirmed(wish.kind));
            }
            let counts = member.counts();
            return Some(Settled {
                wish,
                numbers,
                counts,
            });
        }
        None
    }

    /// A request that has failed.
    pub(crate) fn next_failed(&mut self) -> Option<Failed> {
        self.failed.pop_front()
    }

    /// A client ends subscriptions: to `names`, or to all of a kind. Returns each name with the number that confirms it.
    pub(crate) fn unsubscribe(
        &mut self,
        id: SessionId,
        kind: ChannelKind,
        names: Option<Vec<Name>>,
        now: Time,
    ) -> (Vec<(Name, usize)>, Counts) {
        let known = self.members.get(&id);
        let all = || known.map_or_else(Vec::new, |member| member.names(kind).cloned().collect());
        let names = names.unwrap_or_else(all);
        let mut ended = Vec::with_capacity(names.len());
        for name in names {
            let number = match self.members.get_mut(&id) {
                None => 0,
                Some(member) => {
                    let was_there = member.remove(kind, &name);
                    let number = member.counts().confirmed(kind);
                    if was_there {
                        self.subscribed -= 1;
                        self.dismiss(id, kind, &name, now);
                    }
                    number
                }
            };
            ended.push((name, number));
        }
        let counts = self.members.get(&id).map(Member::counts);
        self.forget_member(id);
        (ended, counts.unwrap_or_default())
    }

    /// A client has left, or is as new: it has no subscriptions and waits for none.
    pub(crate) fn leave(&mut self, id: SessionId, now: Time) {
        let Some(mut member) = self.members.remove(&id) else {
            return;
        };
        if let Some(pending) = member.take_pending() {
            self.stop_waiting(&pending.wish, now);
        }
        for kind in ChannelKind::ALL {
            for name in member.names(kind) {
                self.subscribed -= 1;
                self.dismiss(id, kind, name, now);
            }
        }
    }

    fn dismiss(&mut self, id: SessionId, kind: ChannelKind, name: &Name, now: Time) {
        if let Some(topic) = self.topics[kind.index()].get_mut(name) {
            topic.dismiss(id);
            self.forget_topic(kind, name, now);
        }
    }

    /// A client waits for none of the channels any more.
    fn stop_waiting(&mut self, wish: &Wish, now: Time) {
        for name in &wish.names {
            if let Some(topic) = self.topics[wish.kind.index()].get_mut(name) {
                topic.stop_waiting(wish.client);
                self.forget_topic(wish.kind, name, now);
            }
        }
    }

    /// Forgets a channel that nobody wants any more, and has its servers told.
    fn forget_topic(&mut self, kind: ChannelKind, name: &Name, now: Time) {
        let topics = &mut self.topics[kind.index()];
        let Some(topic) = topics.get(name).filter(|topic| !topic.is_wanted()) else {
            return;
        };
        for home in topic.homes() {
            if let Some(site) = self.sites.get_mut(&home) {
                let is_asked = topic.state_at(home) != Some(HomeState::Unasked);
                site.remove_channel(kind, name, is_asked, now);
            }
        }
        topics.remove(name);
        self.count -= 1;
        self.bytes -= name.len();
    }

    fn forget_member(&mut self, id: SessionId) {
        if self.members.get(&id).is_some_and(Member::is_over) {
            self.members.remove(&id);
        }
    }

    /// Whoever waits for this channel waits in vain.
    fn fail_waiting(&mut self, kind: ChannelKind, name: &Name, why: &Why, now: Time) {
        let topic = self.topics[kind.index()].get(name);
        let waiting = topic.map_or_else(Vec::new, |it| it.waiting().iter().copied().collect());
        for id in waiting {
            let member = self.members.get_mut(&id);
            if let Some(pending) = member.and_then(Member::take_pending) {
                self.stop_waiting(&pending.wish, now);
                self.forget_member(id);
                self.failed.push_back(Failed {
                    wish: pending.wish,
                    why: why.clone(),
                });
            }
        }
    }

    /// Whoever waits for this channel has one less, or one more, to wait for.
    fn note_confirmed(&mut self, kind: ChannelKind, name: &Name, was: bool) {
        let Some(topic) = self.topics[kind.index()].get(name) else {
            return;
        };
        let is = topic.is_confirmed();
        for id in topic.waiting() {
            let member = self.members.get_mut(id);
            if let Some(pending) = member.and_then(Member::pending_mut) {
                match (was, is) {
                    (false, true) => pending.open -= 1,
                    (true, false) => pending.open += 1,
                    _ => {}
                }
                if pending.open == 0 {
                    self.settled.push_back(*id);
                }
            }
        }
    }
}
