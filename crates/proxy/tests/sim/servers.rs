//! Fake servers: connections that read, take time, answer, and sometimes fail to.

use std::collections::{HashMap, VecDeque};

use crate::events::Event;
use crate::faults::LossCause;
use crate::keys::{self, Tag};
use crate::memcached_server;
use crate::network::{ByteQueue, Direction, ProxySide, Reset};
use crate::redis_server::{Incoming, PUSH, RedisTalk};
use crate::scenario::Condition;
use crate::world::World;

/// The server's end of a connection.
#[derive(Debug)]
pub(crate) struct ServerSide {
    pub(crate) index: usize,
    pub(crate) talk: RedisTalk,
    /// The beginning of an incomplete request.
    inbox: ByteQueue,
    /// Pending replies, oldest first, with the time at which they are ready.
    thinking: VecDeque<(u64, Incoming)>,
    /// Bytes of replies that the network had no room for.
    pub(crate) unsent: ByteQueue,
    /// Total bytes of replies.
    pub(crate) produced: u64,
    /// Replies that the proxy has not read completely yet.
    pub(crate) unread: VecDeque<Reply>,
    /// Reads and answers nothing any more.
    pub(crate) hung: bool,
    /// Closes once everything is sent.
    pub(crate) leaves: bool,
    /// Has sent something invalid, from and up to this position: the proxy must close.
    pub(crate) garbled: Option<(u64, u64)>,
    /// The result of connecting, until the proxy is told.
    pub(crate) outcome: Option<Result<(), LossCause>>,
    pub(crate) opened: u64,
    /// The core asked for it in this step or after it.
    pub(crate) opened_in: u64,
    /// The step in which its server left or moved.
    pub(crate) left: Option<u64>,
    /// Whether its worker followed an outdated plan when it was opened, for what it had taken before.
    pub(crate) by_old_plan: bool,
    /// Opened while the server was ejected: a probe, or a request that was just too late to be one.
    pub(crate) doubtful: bool,
    /// Last time at which the proxy waited for nothing here.
    pub(crate) idle_at: u64,
    /// Last time at which the proxy read something.
    pub(crate) heard_at: u64,
    /// The only request here was one that may be a probe.
    asked_if_well: bool,
    /// The reply to that was read.
    pub(crate) said_so: bool,
    /// The last request of each client that was executed here.
    executed: HashMap<usize, usize>,
}

/// A reply on its way: its position in the stream, and the requests that it answers.
#[derive(Debug)]
pub(crate) struct Reply {
    start: u64,
    pub(crate) end: u64,
    tags: Vec<Tag>,
    handshake: bool,
    probe: bool,
    /// It gives an element to a client that has waited.
    gives: bool,
    transient: bool,
    part: bool,
}

impl ServerSide {
    pub(crate) fn new(index: usize, step: u64, now: u64) -> Self {
        Self {
            index,
            talk: RedisTalk::default(),
            inbox: ByteQueue::default(),
            thinking: VecDeque::new(),
            unsent: ByteQueue::default(),
            produced: 0,
            unread: VecDeque::new(),
            hung: false,
            leaves: false,
            garbled: None,
            outcome: None,
            opened: now,
            opened_in: step,
            left: None,
            by_old_plan: false,
            doubtful: false,
            idle_at: now,
            heard_at: now,
            asked_if_well: false,
            said_so: false,
            executed: HashMap::new(),
        }
    }

    /// Whether every request read was answered and every reply read.
    pub(crate) fn owes_nothing(&self) -> bool {
        let is_within = self.talk.multi.is_open() || self.talk.multi.expects_more();
        self.inbox.is_empty() && self.thinking.is_empty() && self.unread.is_empty() && !is_within
    }

    /// Whether requests have been executed here, so that the handshake is over.
    pub(crate) fn is_warm(&self) -> bool {
        !self.executed.is_empty()
    }

    /// Whether a request waits here for what others push.
    fn is_waiting(&self) -> bool {
        self.thinking.iter().any(|(_, incoming)| incoming.waits())
    }

    /// Ends the wait, if there is one, with this reply; returns the request that has waited.
    pub(crate) fn end_wait(&mut self, now: u64, reply: &[u8]) -> Option<Tag> {
        let mut all = self.thinking.iter_mut();
        let (ready, incoming) = all.find(|(ready, it)| it.waits() && *ready > now)?;
        *ready = now;
        incoming.reply = reply.to_vec();
        tags(incoming).first().copied()
    }

    /// Whether this may be a probe: nothing else was asked here.
    pub(crate) fn may_be_probe(&self) -> bool {
        self.asked_if_well && !self.is_warm()
    }

    /// The error with which a handshake step was refused.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        self.talk.refusal
    }

    pub(crate) fn refused_hello(&self) -> bool {
        self.talk.refused_hello
    }

    /// It answered that it does not support limiting a TTL.
    pub(crate) fn refused_limit(&self) -> bool {
        self.talk.refused_limit
    }

    /// The last request of `client` that was executed here.
    pub(crate) fn last_of(&self, client: usize) -> Option<usize> {
        self.executed.get(&client).copied()
    }

    /// Requests whose replies the proxy has not read completely after `read` bytes, and those of them whose
    /// reply it has read in part.
    pub(crate) fn unanswered(&self, read: u64) -> (Vec<Tag>, Vec<Tag>) {
        let begun = self
            .unread
            .iter()
            .filter(|reply| reply.start < read && read < reply.end);
        let begun = begun.flat_map(|reply| reply.tags.clone()).collect();
        let thinking = self
            .thinking
            .iter()
            .flat_map(|(_, incoming)| tags(incoming));
        let unread = self.unread.iter().flat_map(|reply| reply.tags.clone());
        (unread.chain(thinking).collect(), begun)
    }
}

impl Incoming {
    /// Whether it waits for what others push.
    pub(crate) fn waits(&self) -> bool {
        self.keys
            .iter()
            .any(|key| keys::read(key).is_some_and(|text| text.mark == b'q'))
    }
}

/// The requests that are answered: each client and request once.
fn tags(incoming: &Incoming) -> Vec<Tag> {
    let mut tags: Vec<Tag> = incoming
        .keys
        .iter()
        .filter_map(|key| keys::read(key))
        .map(|key| key.tag())
        .collect();
    tags.dedup();
    tags
}

impl World {
    /// Bytes have arrived at a server, or it works again.
    pub(crate) fn server_reads(&mut self, link: usize) {
        let index = self.links[link].server().index;
        let dying = self.links[link].reset != Reset::None;
        if dying || self.links[link].side == ProxySide::Gone {
            return self.links[link].outbound.destroy();
        }
        if self.links[link].server().hung || self.condition[index] != Condition::Fair {
            return;
        }
        let count = self.links[link].outbound.arrived.len();
        let bytes = self.links[link].outbound.read(count);
        self.links[link].server_mut().inbox.push(&bytes);
        while let Some(incoming) = self.next_request(link) {
            self.server_takes(link, &incoming);
            let ready = self.links[link]
                .server()
                .thinking
                .back()
                .map_or(0, |(at, _)| *at);
            let ready = match incoming.waits() {
                true => self.draw_wait(&incoming),
                false => ready.max(self.now + self.rng.micros(0, self.scenario.thinks)),
            };
            self.links[link]
                .server_mut()
                .thinking
                .push_back((ready, incoming));
            if ready < u64::MAX {
                self.events.plan(ready, Event::Serve { link });
            }
        }
        self.tell_writer(link, Direction::Out);
    }

    fn next_request(&mut self, link: usize) -> Option<Incoming> {
        let (scenario, side) = (&self.scenario, self.links[link].server_mut());
        let index = side.index;
        side.talk.leased.number = link;
        let found = match scenario.redis {
            true => side.talk.next(index, scenario, side.inbox.bytes()),
            false => {
                let limit = scenario.limit_at(index);
                memcached_server::next(index, limit, side.inbox.bytes())
            }
        };
        match found {
            Ok(Some((len, incoming))) => {
                side.inbox.consume(len);
                Some(incoming)
            }
            Ok(None) => None,
            Err(complaint) => panic!("server {index} was sent nonsense: {complaint}"),
        }
    }

    /// Checks a request on arrival: the right server, in order, within the window.
    fn server_takes(&mut self, link: usize, incoming: &Incoming) {
        let server = self.links[link].server().index;
        assert!(
            !self.links[link].server().is_waiting(),
            "server {server} got a request behind one that waits"
        );
        self.trace(|| format!("server {server} takes {incoming:?} on link {link}"));
        self.counts.requests += usize::from(!incoming.handshake && !incoming.part);
        if self.links[link]
            .server()
            .unread
            .iter()
            .any(|reply| reply.handshake)
            && !incoming.handshake
        {
            panic!("server {server} got a request before the handshake was answered");
        }
        if incoming.probe {
            self.links[link].server_mut().asked_if_well = true;
            let opened = self.links[link].server().opened;
            if incoming.handshake {
                self.ejection.is_probed(server, opened);
                self.counts.probes += 1;
            }
        }
        for key in &incoming.keys {
            self.check_shard(key, server);
            if !incoming.limit {
                self.check_written_once(key);
            }
        }
        let changes = !incoming.limit && incoming.keys.iter().any(|key| self.surely_changes(key));
        for tag in tags(incoming) {
            self.check_plan(link, self.clients[tag.client].sent_at_step(tag.seq));
            if !incoming.limit {
                self.check_order(link, server, tag, changes);
            }
            self.check_sees_no_later_change(link, tag, changes);
            let late_ones_stay = self.scenario.policy.answers && self.scenario.timeout.is_some();
            self.clients[tag.client].arrived_at_server(tag.seq, late_ones_stay);
        }
    }

    /// A write is never sent twice, whatever happens to it.
    fn check_written_once(&mut self, key: &[u8]) {
        if keys::read(key).is_some_and(|text| matches!(text.mark, b'w' | b'm' | b'f' | b'q')) {
            let is_new = self.written.insert(key.to_vec());
            let shown = String::from_utf8_lossy(key);
            assert!(is_new || !self.is_change(key), "{shown} was written twice");
        }
    }

    /// `m` is a map for Redis, and not a write.
    fn is_change(&self, key: &[u8]) -> bool {
        !self.scenario.redis || keys::read(key).is_some_and(|text| matches!(text.mark, b'w' | b'q'))
    }

    fn check_shard(&mut self, key: &[u8], server: usize) {
        let Some(tag) = keys::read(key).map(|key| key.tag()) else {
            return;
        };
        let sent = self.clients[tag.client].sent_at_step(tag.seq);
        if let Err(complaint) = self.check_home(key, server, sent) {
            panic!("key {} {complaint}", String::from_utf8_lossy(key));
        }
    }

    /// Checks that a request sent at `sent` may bring `key` to `server`, of either pool.
    pub(crate) fn check_home(
        &mut self,
        key: &[u8],
        server: usize,
        sent: u64,
    ) -> Result<(), String> {
        let own = self.scenario.weights.len();
        let Some(index) = server.checked_sub(own) else {
            return self.placement_oracle.check(key, server, sent);
        };
        let homes = self.placement_oracle.candidates(key, sent);
        let bits = match homes.as_deref() {
            Some(homes) => homes.iter().map(|home| 1 << home).collect(),
            None => vec![u32::MAX],
        };
        if !bits
            .iter()
            .any(|home| self.placement_oracle.was_ejected(*home, sent))
        {
            return Err(format!(
                "went to server {server} although {homes:?} was not ejected"
            ));
        }
        match &mut self.gutter {
            Some(other) => other.placement_oracle.check(key, index, sent),
            None => Err(format!("went to server {server}, which there is not")),
        }
    }

    /// The servers of either pool that `key` may have been sent to since `sent`; `None` if unknown.
    pub(crate) fn homes(&self, key: &[u8], sent: u64) -> Option<Vec<usize>> {
        let mut homes = self.placement_oracle.candidates(key, sent)?;
        let out = homes
            .iter()
            .any(|home| self.placement_oracle.was_ejected(1 << home, sent));
        if let Some(other) = self.gutter.as_ref().filter(|_| out) {
            let own = self.scenario.weights.len();
            let theirs = other.placement_oracle.candidates(key, sent)?;
            homes.extend(theirs.into_iter().map(|index| own + index));
        }
        Some(homes)
    }

    /// A client's requests are executed in order at each server, over any connections. Only open connections
    /// count: what is left in the buffers of a lost one has no order.
    fn check_order(&mut self, link: usize, server: usize, tag: Tag, changes: bool) {
        for other in self.open_links_to(server) {
            let last = self.links[other].server().last_of(tag.client);
            let is_retry = self.scenario.policy.retry_reads && !changes;
            if last.is_some_and(|last| last >= tag.seq)
                && !is_retry
                && !self.may_overtake(link, other)
                && !self.may_have_ended(server, tag)
            {
                panic!(
                    "{tag:?} reached server {server} on link {link} after {last:?} on link {other}"
                );
            }
        }
        self.links[link]
            .server_mut()
            .executed
            .insert(tag.client, tag.seq);
    }

    /// A request must not see the effect of a later request of its client, whatever happened to that one's
    /// connection: neither when first sent nor when retried.
    fn check_sees_no_later_change(&mut self, link: usize, tag: Tag, changes: bool) {
        let server = self.links[link].server().index;
        let last = self.changed.get(&(server, tag.client)).copied();
        if let Some((seq, other)) = last
            && seq > tag.seq
            && !self.may_overtake(link, other)
            && !(self.links[link].server().talk.leased.is_leased
                && self.may_have_ended(server, tag))
        {
            panic!("{tag:?} reached server {server} on link {link} after the change {seq} had");
        }
        if changes {
            self.changed.insert((server, tag.client), (tag.seq, link));
        }
    }

    /// `x` may read or write, and what is not stored changes nothing.
    fn surely_changes(&self, key: &[u8]) -> bool {
        let mark = keys::read(key).map_or(0, |text| text.mark);
        mark == b'w' || (!self.scenario.redis && mark == b'y')
    }

    /// Whether requests on one link may be executed after later ones on another: who has changed the
    /// version or waits, or whose server has moved, when a request had failed for being late does not wait for it.
    fn may_overtake(&self, link: usize, other: usize) -> bool {
        let version3 = |link: usize| self.links[link].server().talk.version3;
        let has_left = self.may_have_left(link) || self.may_have_left(other);
        let is_leased = |link: usize| self.links[link].server().talk.leased.is_leased;
        let is_other = version3(link) != version3(other) || is_leased(link) != is_leased(other);
        self.scenario.policy.answers && (is_other || has_left)
    }

    /// Sends the replies that are ready.
    pub(crate) fn serve(&mut self, link: usize) {
        let index = self.links[link].server().index;
        let silent = matches!(
            self.condition[index],
            Condition::Hung | Condition::BlackHole
        );
        if self.links[link].side == ProxySide::Gone || silent {
            return;
        }
        while !self.links[link].server().hung {
            let now = self.now;
            let thinking = &mut self.links[link].server_mut().thinking;
            if thinking.front().is_none_or(|(ready, _)| *ready > now) {
                break;
            }
            let Some((_, incoming)) = thinking.pop_front() else {
                break;
            };
            self.reply(link, incoming);
        }
        self.send_unsent(link);
    }

    fn reply(&mut self, link: usize, mut incoming: Incoming) {
        let server_error = self.server_error();
        if incoming.probe && incoming.handshake && self.faults_allowed && self.rng.chance(1, 4) {
            incoming.reply = b"-LOADING not yet\r\n".to_vec();
        }
        if incoming.handshake && !incoming.probe {
            self.refuse_step(link, &mut incoming);
        }
        if let Some(number) = incoming.unblocks {
            incoming.reply = self.unblock(link, number);
        }
        let gives = incoming.waits() && incoming.reply.starts_with(b"*2");
        let tags = tags(&incoming);
        let chatty = !incoming.handshake && self.rng.chance(1, 20);
        let side = self.links[link].server_mut();
        if side.talk.version3 && chatty {
            side.unsent.push(PUSH);
            side.produced += PUSH.len() as u64;
        }
        let start = side.produced;
        let end = start + incoming.reply.len() as u64;
        let transient = [&b"-OOM"[..], b"-BUSY", b"-LOADING"]
            .iter()
            .any(|word| incoming.reply.starts_with(word));
        side.unread.push_back(Reply {
            start,
            end,
            tags,
            handshake: incoming.handshake,
            probe: incoming.probe,
            gives,
            transient,
            part: incoming.part,
        });
        match server_error {
            None => {
                side.unsent.push(&incoming.reply);
                side.produced = end;
            }
            Some(server_error) => self.misbehave(link, server_error, &incoming.reply),
        }
    }

    /// Passes to the network what it has room for.
    fn send_unsent(&mut self, link: usize) {
        let room = self.links[link].inbound.room();
        let side = self.links[link].server_mut();
        let count = room.min(side.unsent.len());
        let bytes = side.unsent.take(count);
        let (left, leaves) = (side.unsent.len(), side.leaves);
        self.links[link].inbound.write(&bytes);
        self.links[link].inbound.starved = left > 0;
        if left == 0 && leaves {
            self.links[link].inbound.finish();
        }
        self.pump(link, Direction::In);
    }

    /// The proxy has read up to `read` bytes of a server's stream.
    pub(crate) fn note_replies_read(&mut self, link: usize) {
        let (read, now) = (self.links[link].inbound.read, self.now);
        self.links[link].server_mut().heard_at = now;
        while self.links[link]
            .server()
            .unread
            .front()
            .is_some_and(|reply| reply.end <= read)
        {
            let Some(reply) = self.links[link].server_mut().unread.pop_front() else {
                break;
            };
            let server = self.links[link].server().index;
            if reply.probe {
                self.links[link].server_mut().said_so = true;
                if !reply.transient {
                    self.ejection.answered_probe(server);
                }
            }
            if !reply.handshake && !reply.part {
                // Of the proxy's own probe nothing is learnt but that the server may come back: what hangs since
                // before the ejection says nothing new. A client's looks the same.
                let may_be_late =
                    self.may_be_late(&reply.tags) || reply.probe || self.may_have_left(link);
                self.ejection
                    .replied(server, reply.transient, may_be_late, self.now);
            }
            self.note_received(&reply.tags, reply.end - reply.start);
            for tag in reply.tags {
                if reply.gives {
                    self.note_given(tag);
                }
                self.clients[tag.client].answered_by(server, tag.seq);
            }
        }
    }

    /// Whether the proxy may have given up on a request that is answered now. (A request without a key
    /// belongs to no client.)
    fn may_be_late(&self, tags: &[Tag]) -> bool {
        let Some(timeout) = self
            .scenario
            .timeout
            .filter(|_| self.scenario.policy.answers)
        else {
            return false;
        };
        let sent = |tag: &Tag| self.clients[tag.client].sent_at_time(tag.seq);
        tags.is_empty() || tags.iter().any(|tag| sent(tag) + timeout <= self.now)
    }

    /// An attempt to connect ends, if the server's condition allows it.
    pub(crate) fn connect_ends(&mut self, link: usize) {
        let (index, worker) = (self.links[link].server().index, self.links[link].worker);
        if !matches!(self.links[link].side, ProxySide::Connecting(_))
            || self.links[link].server().outcome.is_some()
        {
            return;
        }
        let outcome = match self.condition[index] {
            Condition::Fair | Condition::Hung => Ok(()),
            Condition::Down | Condition::Missing => Err(LossCause::Refused),
            Condition::BlackHole => return,
        };
        self.links[link].server_mut().outcome = Some(outcome);
        self.make_ready(worker, link);
    }

    /// The condition of a server changes.
    pub(crate) fn change_condition(&mut self, server: usize, condition: Condition) {
        self.trace(|| format!("server {server}: {condition:?}"));
        self.condition[server] = condition;
        for link in self.open_links_to(server) {
            match condition {
                Condition::Down if self.rng.chance(1, 2) => self.server_closes(link),
                Condition::Down | Condition::Missing => self.peer_resets(link),
                Condition::Fair => self.revive(link),
                Condition::Hung | Condition::BlackHole => {}
            }
        }
    }

    /// The server closes a connection normally.
    pub(crate) fn server_closes(&mut self, link: usize) {
        let side = self.links[link].server_mut();
        side.unsent.clear();
        side.hung = true;
        side.leaves = true;
        self.send_unsent(link);
    }

    /// After silence: pending data moves on, or the connection turns out to be dead.
    fn revive(&mut self, link: usize) {
        if matches!(self.links[link].side, ProxySide::Connecting(_)) {
            return self.connect_ends(link);
        }
        if self.rng.chance(1, 3) {
            return self.peer_resets(link);
        }
        self.pump(link, Direction::Out);
        self.server_reads(link);
        self.serve(link);
    }
}
