//! Subscribers in a small world of their own: clients of several workers subscribe, publish and read, servers fail, and
//! everything is cut and delayed. It checks that
//!
//! - a client gets messages only of what it is subscribed to, whole, and never within a reply;
//! - the messages of one channel and server come in order and once;
//! - none is missing unless the worker has counted a gap;
//! - when the faults are over, every subscriber gets messages again.

mod checks;
mod client;
mod server;

use std::sync::Arc;

use hashkit::{Distribution, Member, Placement, Ring};
use proxy::limits::{SPARE_BUFFERS, SPARE_BYTES};
use proxy::metrics::PoolMetric;
use proxy::settings::{
    Address, EjectPolicy, PoolSettings, ProtocolSettings, RedisSettings, ServerSettings,
};
use proxy::{
    Action, Cause, Chunk, ConnectionId, Memory, Pool, PoolShare, SessionId, Time, WorkerContext,
};

use crate::rng::Rng;
use client::Client;
use server::Link;

/// What is subscribed to and published to.
const CHANNELS: [&str; 6] = ["c0", "c1", "c2", "{c1}d", "e", "__keyspace@0__:k"];
const PATTERNS: [&str; 3] = ["c*", "*", "{c1}*"];

/// What a worker may keep for the next replies.
const SPARE: usize = SPARE_BUFFERS * SPARE_BYTES;

/// Counts of what occurred, to show that something did.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    messages: usize,
    missed: usize,
    gaps: i64,
    refused: usize,
    replies: usize,
    closed: usize,
}

/// The world of one seed.
pub(crate) struct Play {
    rng: Rng,
    now: u64,
    /// Whether servers fail.
    is_stormy: bool,
    share: Arc<PoolShare>,
    pools: Vec<Pool>,
    ring: Ring,
    placement: Placement,
    servers: usize,
    down: Vec<bool>,
    links: Vec<Link>,
    clients: Vec<Client>,
    /// The number of the next message.
    next: u64,
    counts: Counts,
}

#[test]
fn subscribers_get_what_is_theirs_in_order_and_all_of_it() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let (first, count) = match number("NUTHATCH_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => {
            let first = number("NUTHATCH_SIM_FIRST").unwrap_or(0);
            (first, number("NUTHATCH_SIM_SEEDS").unwrap_or(2_000))
        }
    };
    let mut all = Counts::default();
    for seed in first..first + count {
        let played = std::panic::catch_unwind(|| Play::new(seed).run());
        let counts = played.unwrap_or_else(|_| panic!("seed {seed} of subscribers"));
        all.messages += counts.messages;
        all.missed += counts.missed;
        all.gaps += counts.gaps;
        all.refused += counts.refused;
        all.replies += counts.replies;
        all.closed += counts.closed;
    }
    println!("{count} seeds: {all:?}");
    if count >= 500 {
        assert!(
            all.messages > 20_000 && all.replies > 10_000,
            "too little was said: {all:?}"
        );
        assert!(
            all.gaps > 300 && all.missed > 300 && all.refused > 100 && all.closed > 20,
            "too little failed: {all:?}"
        );
    }
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5ab5_c71b_e775_0001);
        let (servers, workers) = (rng.between(1, 3), rng.between(1, 2));
        let is_stormy = rng.chance(2, 3);
        let settings = settings(&mut rng, servers, is_stormy);
        let placement = settings.placement;
        let members: Vec<_> = settings
            .servers
            .iter()
            .map(|server| Member {
                name: server.name.as_bytes(),
                weight: server.weight,
                live: true,
            })
            .collect();
        let ring = placement.ring(&members);
        let memory = Arc::new(Memory::new(0));
        let share = PoolShare::new(settings, None, &memory, workers);
        let pool = |worker| {
            let context = WorkerContext { worker, seed };
            Pool::new(&share, context, Time::from_micros(1))
        };
        Self {
            pools: (0..workers).map(pool).collect(),
            rng,
            now: 1,
            is_stormy,
            ring,
            placement,
            servers,
            down: vec![false; servers],
            links: Vec::new(),
            clients: Vec::new(),
            next: 1,
            share,
            counts: Counts::default(),
        }
    }

    fn run(mut self) -> Counts {
        for _ in 0..self.rng.between(1, 4) {
            self.client_comes();
        }
        for _ in 0..self.rng.between(100, 900) {
            self.take_step();
        }
        // The faults are over.
        for server in 0..self.servers {
            self.down[server] = false;
        }
        self.settle(40_000_000);
        self.check_nothing_is_missing();
        for channel in CHANNELS {
            self.publish(channel, self.home(channel));
        }
        self.settle(0);
        self.check_all_is_there();
        for worker in 0..self.pools.len() {
            self.counts.gaps += self.gaps(worker);
        }
        self.leave_all();
        self.counts
    }

    /// Something happens, chosen at random.
    fn take_step(&mut self) {
        let faults = usize::from(self.is_stormy);
        match self.rng.weighted(&[
            30,
            30,
            30,
            12,
            14,
            6,
            2,
            1,
            2 * faults,
            2 * faults,
            faults,
            2,
        ]) {
            0 => self.move_client_bytes(),
            1 => self.move_server_bytes(),
            2 => self.clients_talk(1),
            3 => self.publish_anywhere(),
            4 => self.clients_talk(3),
            5 => self.pass(500),
            6 => self.client_comes(),
            7 => self.client_goes(),
            8 => self.reset_a_link(),
            9 => self.change_a_server(),
            10 => self.move_a_server(),
            _ => self.pass(300_000),
        }
        self.run_due();
    }

    /// Everything that is under way arrives, and this many microseconds pass.
    fn settle(&mut self, micros: u64) {
        let end = self.now + micros;
        loop {
            self.run_due();
            if self.move_everything() {
                continue;
            }
            let due = self.pools.iter().filter_map(Pool::poll_deadline).min();
            match due.map(Time::as_micros) {
                Some(due) if due <= end => self.now = self.now.max(due),
                _ => break,
            }
        }
        self.now = end;
    }

    fn time(&self) -> Time {
        Time::from_micros(self.now)
    }

    fn pass(&mut self, most: u64) {
        self.now += self.rng.micros(1, most);
    }

    fn run_due(&mut self) {
        let now = self.time();
        for worker in 0..self.pools.len() {
            let mut rounds = 0;
            while self.pools[worker]
                .poll_deadline()
                .is_some_and(|due| due <= now)
            {
                self.pools[worker].handle_timeout(now);
                self.drain(worker);
                rounds += 1;
                assert!(rounds < 100_000, "due again and again");
            }
        }
    }

    /// Performs what a worker's pool asks for.
    fn drain(&mut self, worker: usize) {
        while let Some(action) = self.pools[worker].poll_action() {
            match action {
                Action::Connect {
                    connection, server, ..
                } => {
                    let index = server.name().trim_start_matches('s').parse();
                    let link = Link::new(worker, connection, index.expect("a server"));
                    self.links.push(link);
                }
                Action::CloseConnection { connection } => {
                    let is_it = |link: &Link| link.worker == worker && link.id == connection;
                    self.links.retain(|link| !is_it(link));
                }
                Action::CloseSession { session, .. } => {
                    if let Some(client) = self.client_of(worker, session) {
                        self.clients[client].is_gone = true;
                        self.counts.closed += 1;
                    }
                }
                Action::AskForMap { .. } => {}
                Action::Ask { .. } => unreachable!("no client asks about others"),
                Action::ReadSession { .. } | Action::LookForServers => {}
            }
        }
        while self.pools[worker].poll_flush().is_some() {}
        while self.pools[worker].poll_event().is_some() {}
    }

    fn client_of(&self, worker: usize, id: SessionId) -> Option<usize> {
        let is_it = |client: &Client| client.worker == worker && client.id == id && !client.is_gone;
        self.clients.iter().position(is_it)
    }

    /// The server of a channel while all servers are in use.
    fn home(&self, channel: &str) -> usize {
        let hash = self.placement.hash_of(channel.as_bytes());
        match self.servers {
            1 => 0,
            _ => self.ring.lookup(hash).expect("a server"),
        }
    }

    fn ejections(&self) -> i64 {
        let of = |worker| self.share.counters(worker).get(PoolMetric::ServerEjects);
        (0..self.pools.len()).map(of).sum()
    }

    fn gaps(&self, worker: usize) -> i64 {
        let counters = self.share.counters(worker);
        counters.get(PoolMetric::SubscriptionGaps)
    }

    /// A message is published at a server, and is to reach those who are subscribed there.
    fn publish(&mut self, channel: &str, server: usize) {
        if self.down[server] {
            return;
        }
        let number = self.next;
        self.next += 1;
        let text = format!("{server}/{number}/{}", "x".repeat(self.rng.below(300)));
        server::publish(&mut self.links, server, channel, &text);
        let is_home = server == self.home(channel) || channel.starts_with("__keyspace@");
        for client in self.clients.iter_mut().filter(|client| !client.is_gone) {
            client.expect(channel, number, is_home);
        }
    }

    fn publish_anywhere(&mut self) {
        let channel = self.rng.pick(&CHANNELS);
        let server = match self.rng.chance(4, 5) {
            true => self.home(channel),
            false => self.rng.below(self.servers),
        };
        self.publish(channel, server);
    }

    fn client_comes(&mut self) {
        let worker = self.rng.below(self.pools.len());
        let now = self.time();
        let id = self.pools[worker].open_session("10.1.1.1:5".into(), now);
        let rng = self.rng.fork();
        self.clients.push(Client::new(worker, id, rng));
        self.drain(worker);
    }

    fn client_goes(&mut self) {
        let there: Vec<usize> = (0..self.clients.len())
            .filter(|client| !self.clients[*client].is_gone)
            .collect();
        if there.is_empty() {
            return;
        }
        let client = self.rng.pick(&there);
        self.end_client(client);
    }

    fn end_client(&mut self, client: usize) {
        let (worker, id, now) = (
            self.clients[client].worker,
            self.clients[client].id,
            self.time(),
        );
        self.clients[client].is_gone = true;
        self.pools[worker].handle_session_error(id, now);
        self.drain(worker);
    }

    /// Clients that may send something do, up to so many requests each.
    fn clients_talk(&mut self, most: usize) {
        for client in self.clients.iter_mut().filter(|client| !client.is_gone) {
            for _ in 0..client.rng.below(most + 1) {
                client.talk();
            }
        }
    }

    /// Some bytes go from a client to the proxy, or back.
    fn move_client_bytes(&mut self) {
        for client in 0..self.clients.len() {
            let most = self.rng.pick(&[1, 7, 60, 100_000]);
            self.client_to_proxy(client, most);
            let most = self.rng.pick(&[1, 7, 60, 100_000]);
            self.proxy_to_client(client, most);
        }
    }

    fn client_to_proxy(&mut self, client: usize, most: usize) -> bool {
        let (worker, id, now) = (
            self.clients[client].worker,
            self.clients[client].id,
            self.time(),
        );
        if self.clients[client].is_gone || !self.pools[worker].session_wants_read(id) {
            return false;
        }
        let sent = &mut self.clients[client].sent;
        let count = most.min(sent.len());
        let chunk: Chunk = sent.drain(..count).collect();
        if count == 0 {
            return false;
        }
        self.pools[worker].handle_session_data(id, &chunk, 0..count, now);
        self.drain(worker);
        true
    }

    fn proxy_to_client(&mut self, client: usize, most: usize) -> bool {
        let (worker, id, now) = (
            self.clients[client].worker,
            self.clients[client].id,
            self.time(),
        );
        if self.clients[client].is_gone {
            return false;
        }
        let mut bytes = vec![0; most];
        let count = self.pools[worker].session_output(id).peek(&mut bytes);
        if count == 0 {
            return false;
        }
        self.pools[worker].handle_session_written(id, count, now);
        let may_fail = self.is_stormy;
        self.clients[client].hear(&bytes[..count], may_fail, &mut self.counts);
        self.drain(worker);
        true
    }

    /// Some bytes go between the proxy and a server, or a connection is made.
    fn move_server_bytes(&mut self) {
        for key in self.link_keys() {
            let most = self.rng.pick(&[1, 7, 60, 100_000]);
            self.move_link(key, most);
        }
    }

    fn link_keys(&self) -> Vec<(usize, ConnectionId)> {
        let keys = self.links.iter().map(|link| (link.worker, link.id));
        keys.collect()
    }

    fn find_link(&mut self, (worker, id): (usize, ConnectionId)) -> Option<&mut Link> {
        let mut links = self.links.iter_mut();
        links.find(|link| link.worker == worker && link.id == id)
    }

    fn move_link(&mut self, key: (usize, ConnectionId), most: usize) -> bool {
        let (worker, id) = key;
        let now = self.time();
        let Some(link) = self.find_link(key) else {
            return false;
        };
        let (server, is_connected) = (link.server, link.is_connected);
        if self.down[server] {
            self.lose(
                key,
                if is_connected {
                    Cause::Reset
                } else {
                    Cause::Refused
                },
            );
            return true;
        }
        if !is_connected {
            self.find_link(key).expect("it is there").is_connected = true;
            self.pools[worker].handle_connected(id, now);
            self.drain(worker);
            return true;
        }
        let mut bytes = vec![0; most];
        let count = self.pools[worker].connection_output(id).peek(&mut bytes);
        if count > 0 {
            self.pools[worker].handle_connection_written(id, count, now);
            self.drain(worker);
        }
        let published = match self.find_link(key) {
            Some(link) => link.take(&bytes[..count]),
            None => Vec::new(),
        };
        for channel in published {
            self.publish(&channel, server);
        }
        let Some(link) = self.find_link(key) else {
            return true;
        };
        let back = most.min(link.sent.len());
        let chunk: Chunk = link.sent.drain(..back).collect();
        if back > 0 {
            self.pools[worker].handle_connection_data(id, &chunk, 0..back, now);
            self.drain(worker);
        }
        count + back > 0
    }

    fn lose(&mut self, key: (usize, ConnectionId), cause: Cause) {
        let (worker, id) = key;
        self.links.retain(|link| (link.worker, link.id) != key);
        let now = self.time();
        self.pools[worker].handle_connection_closed(id, cause, now);
        self.drain(worker);
    }

    fn reset_a_link(&mut self) {
        let keys = self.link_keys();
        if !keys.is_empty() {
            let key = self.rng.pick(&keys);
            let cause = self.rng.pick(&[Cause::Reset, Cause::Closed]);
            self.lose(key, cause);
        }
    }

    fn change_a_server(&mut self) {
        let server = self.rng.below(self.servers);
        self.down[server] = !self.down[server] && self.rng.chance(1, 2);
    }

    /// The plan changes: a server has another address.
    fn move_a_server(&mut self) {
        let server = self.rng.below(self.servers);
        let host = format!("10.0.{}.{server}", self.rng.between(1, 9));
        let mut settings = PoolSettings::clone(&self.share.plan().settings);
        settings.servers[server].address = Address::tcp(&host, 7_000);
        self.share.publish(settings, None).expect("a valid plan");
        for worker in 0..self.pools.len() {
            if self.rng.chance(2, 3) {
                self.pools[worker].apply(Time::from_micros(self.now));
                self.drain(worker);
            }
        }
    }

    /// Everything that is under way moves; returns whether there was anything.
    fn move_everything(&mut self) -> bool {
        let mut moved = false;
        for client in 0..self.clients.len() {
            moved |= self.client_to_proxy(client, 1 << 20);
            moved |= self.proxy_to_client(client, 1 << 20);
        }
        for key in self.link_keys() {
            moved |= self.move_link(key, 1 << 20);
        }
        moved
    }
}

fn settings(rng: &mut Rng, servers: usize, is_stormy: bool) -> PoolSettings {
    let server = |index: usize| ServerSettings {
        name: format!("s{index}"),
        pname: format!("10.0.0.{index}:7000:1"),
        address: Address::tcp(&format!("10.0.0.{index}"), 7_000),
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    let protocol = ProtocolSettings::Redis(RedisSettings::default());
    let mut settings = PoolSettings::new("sim", (0..servers).map(server).collect(), protocol);
    settings.placement = Placement {
        distribution: rng.pick(&[Distribution::Ketama, Distribution::Modula]),
        ..Placement::default()
    };
    settings.placement.tag = Some(hashkit::HashTag {
        open: b'{',
        close: b'}',
    });
    settings.auto_eject_hosts = is_stormy && rng.chance(1, 2);
    settings.server_failure_limit = 1;
    settings.server_retry_timeout = std::time::Duration::from_millis(500);
    settings.failure.eject = rng.pick(&[EjectPolicy::Remap, EjectPolicy::Error]);
    settings.failure.probe = rng.chance(1, 2);
    settings
}
