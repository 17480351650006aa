//! Fake clients: they pipeline, read in different ways, and end in different ways. Each keeps a list of its
//! expected replies and checks every reply.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::client_timeouts::Clock;
use crate::events::Event;
use crate::expected::Expected;
use crate::keys::Tag;
use crate::network::{ByteQueue, Direction, Fin, Link, Peer, ProxySide, Reset};
use crate::rng::Rng;
use crate::scenario::{ClientPlan, Ending, Reader};
use crate::stalls::Moves;
use crate::world::World;
use crate::{dependent, memcached_client, oracle, redis_client, waiting};

/// Requests that a session may have at servers: the limit for those whose replies may be of any size, and the
/// limit for all.
const LARGE_WINDOW: usize = 48;
const WINDOW: usize = 1_024;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: usize,
    pub(crate) plan: ClientPlan,
    pub(crate) rng: Rng,
    pub(crate) link: Option<usize>,
    /// When each request was sent.
    sent: Vec<(u64, u64)>,
    /// What the proxy's client timeouts know about it.
    pub(crate) clock: Clock,
    pub(crate) moves: Moves,
    /// Expected replies, oldest first.
    pub(crate) owed: VecDeque<Owed>,
    /// Requests that want no reply.
    quiet: Vec<usize>,
    /// Requests with a small reply, according to their command.
    small: HashSet<usize>,
    outbox: ByteQueue,
    pub(crate) inbox: ByteQueue,
    /// When it last read something, or found nothing to read.
    read_at: u64,
    /// When it reads next, if it reads at a fixed rate.
    reads_at: u64,
    /// It has written everything, and reads from now on.
    began_to_read: bool,
    /// Every request has been composed, including the final ones.
    said_all: bool,
    pub(crate) replies: usize,
    /// The state of a Redis client's connection.
    pub(crate) redis: redis_client::State,
    pub(crate) dependent: dependent::State,
    pub(crate) waiting: waiting::State,
    pub(crate) phase: Phase,
    leaving: bool,
    /// Requests at servers, with the number of servers for each.
    at_servers: HashMap<usize, usize>,
    /// For each request, the servers whose replies the proxy has read completely.
    answered: HashMap<usize, u32>,
}

/// An expected reply.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(crate) seq: usize,
    pub(crate) want: Expected,
}

/// The state of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Talking,
    /// Has half-closed.
    Ended,
    /// Has seen the end of the connection, or has closed it.
    Over,
}

impl Client {
    pub(crate) fn new(id: usize, plan: ClientPlan, rng: Rng) -> Self {
        Self {
            id,
            dependent: dependent::State::new(&plan),
            waiting: waiting::State::new(&plan),
            plan,
            rng,
            link: None,
            sent: Vec::new(),
            clock: Clock::default(),
            moves: Moves::default(),
            owed: VecDeque::new(),
            quiet: Vec::new(),
            small: HashSet::new(),
            outbox: ByteQueue::default(),
            inbox: ByteQueue::default(),
            read_at: 0,
            reads_at: 0,
            began_to_read: false,
            said_all: false,
            replies: 0,
            redis: redis_client::State::default(),
            phase: Phase::Waiting,
            leaving: false,
            at_servers: HashMap::new(),
            answered: HashMap::new(),
        }
    }

    /// Number of requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.sent.len()
    }

    /// The step at which a request was sent.
    pub(crate) fn sent_at_step(&self, seq: usize) -> u64 {
        self.sent[seq].0
    }

    /// The time of that step.
    pub(crate) fn sent_at_time(&self, seq: usize) -> u64 {
        self.sent[seq].1
    }

    /// A request that wants no reply and that no server has answered, although the proxy has read it.
    pub(crate) fn forgotten(&self) -> Option<usize> {
        let came = |seq: usize| !self.clock.is_over || self.clock.has_read(seq);
        let unknown = |seq: &&usize| !self.answered.contains_key(seq) && came(**seq);
        self.quiet.iter().find(unknown).copied()
    }

    pub(crate) fn is_answered_by(&self, seq: usize, server: usize) -> bool {
        self.answered
            .get(&seq)
            .is_some_and(|servers| servers & (1 << server) != 0)
    }

    /// A server has read one of its requests: it must be within the window. Where late requests fail
    /// individually, they make room for others but are still at servers.
    pub(crate) fn arrived_at_server(&mut self, seq: usize, late_ones_stay: bool) {
        assert!(
            !self.dependent.is_barred(seq),
            "client {}: request {seq} was carried out although it depends on one that was refused",
            self.id
        );
        *self.at_servers.entry(seq).or_default() += 1;
        let at_servers = self.at_servers.len();
        let is_large = |seq: &&usize| !self.small.contains(seq);
        let large = self.at_servers.keys().filter(is_large).count();
        assert!(
            at_servers <= WINDOW && (large <= LARGE_WINDOW || late_ones_stay),
            "client {} has {at_servers} requests at servers, {large} of them large",
            self.id
        );
    }

    /// The proxy has read a server's reply to one of its requests.
    pub(crate) fn answered_by(&mut self, server: usize, seq: usize) {
        *self.answered.entry(seq).or_default() |= 1 << server;
        self.left_server(seq);
    }

    pub(crate) fn has_nothing_at_servers(&self) -> bool {
        self.at_servers.is_empty()
    }

    /// A request's connection was lost.
    pub(crate) fn left_server(&mut self, seq: usize) {
        if let Some(count) = self.at_servers.get_mut(&seq) {
            *count -= 1;
            if *count == 0 {
                self.at_servers.remove(&seq);
            }
        }
    }

    fn reads(&self, now: u64) -> bool {
        match self.plan.reader {
            Reader::Never(after) => self.replies < after,
            Reader::Late(at) if now < at => false,
            Reader::AfterWriting if !self.has_written_all() => false,
            Reader::Paced(_) if now < self.reads_at => false,
            _ => self.phase != Phase::Over && !self.vanished(),
        }
    }

    fn has_written_all(&self) -> bool {
        self.said_all && self.outbox.is_empty()
    }

    fn vanished(&self) -> bool {
        matches!(self.plan.ending, Ending::Vanish(_)) && self.leaving
    }
}

impl World {
    /// A client's turn: it starts, or continues sending and reading.
    pub(crate) fn client_turn(&mut self, id: usize) {
        match self.clients[id].phase {
            Phase::Waiting => self.client_connects(id),
            Phase::Talking | Phase::Ended => {
                self.client_reads(id);
                self.client_sends(id);
            }
            Phase::Over => {}
        }
    }

    fn client_connects(&mut self, id: usize) {
        let (worker, pace) = (
            self.clients[id].plan.worker,
            self.clients[id].plan.pace.clone(),
        );
        if self.shutting_down {
            self.clients[id].phase = Phase::Over;
            return;
        }
        self.links.push(Link::new(
            worker,
            Peer::Client(id),
            ProxySide::Accepting,
            pace,
        ));
        let link = self.links.len() - 1;
        self.clients[id].link = Some(link);
        self.clients[id].phase = Phase::Talking;
        self.trace(|| format!("client {id} connects as link {link}"));
        if let Reader::Late(at) = self.clients[id].plan.reader {
            self.events.plan(at, Event::Client { client: id });
        }
        self.make_ready(worker, link);
        self.client_sends(id);
    }

    fn client_sends(&mut self, id: usize) {
        if self.clients[id].phase != Phase::Talking {
            return;
        }
        while self.may_compose(id) {
            self.compose(id);
        }
        self.hand_over(id);
        let client = &mut self.clients[id];
        if client.plan.reader == Reader::AfterWriting
            && client.has_written_all()
            && !client.began_to_read
        {
            client.began_to_read = true;
            self.events.plan(self.now + 1, Event::Client { client: id });
        }
        let client = &self.clients[id];
        let all_sent = client.said_all && client.outbox.is_empty();
        let polite = matches!(client.plan.ending, Ending::Polite);
        let closes = matches!(client.plan.ending, Ending::HalfClose | Ending::CutShort)
            || (polite && client.owed.is_empty());
        if all_sent && closes && !client.leaving {
            self.client_half_closes(id);
        }
    }

    fn may_compose(&self, id: usize) -> bool {
        let client = &self.clients[id];
        !client.said_all
            && client.owed.len() < client.plan.depth
            && client.outbox.len() < 100_000
            && !client.leaving
    }

    /// Composes the next request, or the final ones.
    fn compose(&mut self, id: usize) {
        let client = &mut self.clients[id];
        let tag = Tag {
            client: id,
            seq: client.sent.len(),
        };
        let composed = match (
            client.sent.len() < client.plan.requests,
            self.scenario.redis,
        ) {
            (true, true) => redis_client::compose(client, &self.scenario, tag),
            (true, false) => memcached_client::compose(client, &self.scenario, tag),
            (false, true) => {
                let last_words = redis_client::last_words(client, &self.scenario);
                dependent::mute(client, last_words)
            }
            (false, false) => memcached_client::last_words(client, tag),
        };
        let is_last = client.sent.len() >= client.plan.requests;
        let is_part = is_last && matches!(client.plan.ending, Ending::CutShort | Ending::Stall);
        client.said_all = is_last;
        client.sent.push((self.step, self.now));
        client.clock.sends(composed.bytes.len(), is_part);
        client.outbox.push(&composed.bytes);
        if composed.is_quiet {
            client.quiet.push(tag.seq);
        }
        if composed.want.as_ref().is_none_or(Expected::is_small) {
            client.small.insert(tag.seq);
        }
        if let Some(want) = composed.want {
            client.owed.push_back(Owed { seq: tag.seq, want });
        }
        if matches!(client.plan.ending, Ending::Reset(after) | Ending::Vanish(after) if after <= tag.seq)
            && !client.leaving
        {
            client.leaving = true;
            let when = self.now + self.rng.micros(0, 3_000);
            self.events.plan(when, Event::ClientLeaves { client: id });
        }
    }

    /// Passes to the network what it has room for.
    fn hand_over(&mut self, id: usize) {
        let Some(link) = self.clients[id].link else {
            return;
        };
        let room = self.links[link].inbound.room();
        let client = &mut self.clients[id];
        let mut count = room.min(client.outbox.len());
        if count > 1 && client.rng.chance(1, 4) {
            count = client.rng.between(1, count);
        }
        let bytes = client.outbox.take(count);
        let left = client.outbox.len();
        if left > 0 && count < room {
            let pause = client.rng.micros(1, 2_000);
            self.events
                .plan(self.now + pause, Event::Client { client: id });
        }
        self.links[link].inbound.starved = left > 0;
        if left == 0 && self.may_compose(id) {
            self.events.plan(self.now + 1, Event::Client { client: id });
        }
        self.links[link].inbound.write(&bytes);
        self.pump(link, Direction::In);
    }

    fn client_half_closes(&mut self, id: usize) {
        self.trace(|| format!("client {id} half-closes"));
        self.clients[id].phase = Phase::Ended;
        if let Some(link) = self.clients[id].link {
            self.links[link].inbound.finish();
            self.pump(link, Direction::In);
        }
    }

    /// A client closes without waiting for anything.
    pub(crate) fn client_leaves(&mut self, id: usize) {
        let Some(link) = self.clients[id].link else {
            return;
        };
        if self.clients[id].phase == Phase::Over {
            return;
        }
        self.trace(|| format!("client {id} leaves"));
        self.clients[id].phase = Phase::Over;
        self.clients[id].leaving = true;
        self.links[link].peer_gone = true;
        let unread = !self.links[link].outbound.arrived.is_empty();
        match self.clients[id].plan.ending {
            Ending::Vanish(_) if !unread => {
                self.links[link].inbound.finish();
                self.pump(link, Direction::In);
            }
            _ => self.peer_resets(link),
        }
    }

    /// Bytes of a reply have arrived at a client.
    pub(crate) fn client_hears(&mut self, id: usize) {
        let Some(link) = self.clients[id].link else {
            return;
        };
        if self.links[link].peer_gone {
            self.links[link].outbound.arrived.clear();
            return self.peer_resets(link);
        }
        match self.clients[id].plan.reader {
            Reader::Slow => {
                let pause = self.clients[id].rng.micros(100, 4_000);
                self.events
                    .plan(self.now + pause, Event::Client { client: id });
            }
            // It reads at intervals, whatever arrives.
            Reader::Paced(_) if self.clients[id].reads_at > self.now => {}
            Reader::Paced(_) => {
                let pause = self.clients[id].rng.micros(20_000, 200_000);
                let at = self.now + pause;
                self.clients[id].reads_at = at;
                self.events.plan(at, Event::Client { client: id });
            }
            Reader::Fast | Reader::Late(_) | Reader::Never(_) | Reader::AfterWriting => {
                self.client_turn(id)
            }
        }
    }

    fn client_reads(&mut self, id: usize) {
        let Some(link) = self.clients[id].link else {
            return;
        };
        if !self.clients[id].reads(self.now) || self.clients[id].phase == Phase::Over {
            return;
        }
        let available = self.links[link].outbound.arrived.len();
        let client = &mut self.clients[id];
        let count = match client.plan.reader {
            Reader::Slow if available > 0 => {
                client.rng.between(1, available.min(available / 6 + 40))
            }
            Reader::Paced(speed) => {
                let since = self.now - client.read_at;
                available.min((speed as u64 * since / 1_000) as usize + 1)
            }
            _ => available,
        };
        client.read_at = self.now;
        let bytes = self.links[link].outbound.read(count);
        self.clients[id].inbox.push(&bytes);
        self.tell_writer(link, Direction::Out);
        while oracle::take_reply(self, id) {}
        if count < available {
            let pause = match self.clients[id].plan.reader {
                Reader::Paced(_) => self.clients[id].rng.micros(20_000, 200_000),
                _ => self.clients[id].rng.micros(100, 4_000),
            };
            let at = self.now + pause;
            self.clients[id].reads_at = at;
            self.events.plan(at, Event::Client { client: id });
        }
        let drained = self.links[link].outbound.arrived.is_empty();
        if drained && self.links[link].outbound.fin == Fin::Arrived {
            oracle::judge_end(self, id);
            self.clients[id].phase = Phase::Over;
            self.links[link].peer_gone = true;
            self.links[link].inbound.destroy();
            if self.links[link].side != ProxySide::Gone {
                panic!("client {id} saw an end that the core did not ask for");
            }
        }
    }

    /// A peer's reset is on its way to the proxy.
    pub(crate) fn peer_resets(&mut self, link: usize) {
        if self.links[link].reset != Reset::None {
            return;
        }
        self.links[link].reset = Reset::Coming;
        self.links[link].outbound.destroy();
        let delay = self.links[link].delay(&mut self.rng);
        self.events
            .plan(self.now + delay, Event::ResetArrives { link });
    }
}
