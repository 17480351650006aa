//! The proxy, its clients and a cluster in virtual time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hashkit::slot_of;
use proxy::metrics::PoolMetric;
use proxy::settings::{
    Address, PoolSettings, ProtocolSettings, ReadFrom, ReadSettings, RedisSettings,
    ReplicaSettings, ServerSettings,
};
use proxy::{Memory, Pool, PoolShare, SlotMap, Time, WorkerContext};

use crate::clients::{Client, elements};
use crate::nodes::{News, Nodes};
use crate::rng::Rng;
use crate::shell::{Link, Worker};
use crate::steps::Step;

/// A run that lasts for so long, in microseconds, has stopped.
const AT_MOST: u64 = 300_000_000;

/// How long clients may see errors when a node that was gone has been replaced, in microseconds: the news reach all
/// nodes, and then the next map is asked for.
const AFTERMATH: u64 = 2_500_000;

/// How often the nodes are asked for the map without a reason.
const REFRESH: u64 = 1_000_000;

/// What is going to happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something may be due in a worker.
    Tick(usize),
    /// Bytes arrive at the proxy, or at the other end.
    Inward(usize, Vec<u8>),
    Outward(usize, Vec<u8>),
    Connected(usize),
    Reset(usize),
    /// A link takes more.
    Writable(usize),
    Client(usize),
    Step(Step),
    News(usize, News),
    /// A node is asked for the map.
    Map(Option<usize>),
    Apply(usize),
}

/// How often what happened.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) replies: usize,
    pub(crate) errors: usize,
    pub(crate) overtaken: usize,
    pub(crate) transactions: usize,
    /// CLUSTERDOWN, TRYAGAIN, ASK, MOVED.
    pub(crate) redirects: [usize; 4],
    pub(crate) replica_reads: i64,
    pub(crate) moves: usize,
    pub(crate) crashes: usize,
    pub(crate) failovers: usize,
    pub(crate) plans: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.replies += other.replies;
        self.errors += other.errors;
        self.overtaken += other.overtaken;
        self.transactions += other.transactions;
        for (sum, one) in self.redirects.iter_mut().zip(other.redirects) {
            *sum += one;
        }
        self.replica_reads += other.replica_reads;
        self.moves += other.moves;
        self.crashes += other.crashes;
        self.failovers += other.failovers;
        self.plans += other.plans;
    }
}

/// Everything in one run.
pub(crate) struct World {
    pub(crate) rng: Rng,
    /// Microseconds.
    pub(crate) now: u64,
    pub(crate) events: BTreeMap<(u64, u64), Event>,
    numbers: u64,
    pub(crate) nodes: Nodes,
    pub(crate) share: Arc<PoolShare>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) links: Vec<Link>,
    pub(crate) clients: Vec<Client>,
    tags: Vec<String>,
    /// The shortest and the longest time that bytes take, in microseconds.
    pub(crate) pace: (u64, u64),
    /// How long news take at most from node to node.
    pub(crate) gossip: u64,
    /// When errors are excused: from, until.
    pub(crate) excused: Vec<(u64, u64)>,
    /// Steps that will come.
    pub(crate) steps: usize,
    pub(crate) counts: Counts,
    pub(crate) tracing: bool,
}

impl World {
    pub(crate) fn new(seed: u64, tracing: bool) -> Self {
        let mut rng = Rng::new(seed);
        let (masters, replicas) = (rng.between(2, 4), rng.between(0, 2));
        let tags: Vec<String> = (0..rng.between(1, 6))
            .map(|tag| format!("{{t{tag}}}"))
            .collect();
        let slots = tags.iter().map(|tag| slot_of(tag.as_bytes())).collect();
        let lag = rng.pick(&[0, 5_000, 300_000]);
        let nodes = Nodes::new(masters, replicas, slots, lag);
        let workers = rng.between(1, 2);
        let settings = settings(&mut rng, lag);
        let share = PoolShare::new(settings, None, &Arc::new(Memory::new(0)), workers);
        let worker = |number: usize| Worker {
            pool: Pool::new(
                &share,
                WorkerContext {
                    worker: number,
                    seed: seed ^ number as u64,
                },
                Time::from_micros(1_000),
            ),
            sessions: HashMap::new(),
            connections: HashMap::new(),
            planned: None,
        };
        let workers = (0..workers).map(worker).collect();
        let client = |number| Client::new(number, &tags, rng.fork());
        let clients = (0..4).map(client).collect();
        let mut world = Self {
            pace: rng.pick(&[(5, 40), (20, 900), (400, 6_000)]),
            gossip: rng.pick(&[2_000, 40_000, 250_000]),
            rng,
            now: 1_000,
            events: BTreeMap::new(),
            numbers: 0,
            nodes,
            share,
            workers,
            links: Vec::new(),
            clients,
            tags,
            excused: Vec::new(),
            steps: 0,
            counts: Counts::default(),
            tracing,
        };
        world.begin();
        world
    }

    /// A slot begins to move.
    pub(crate) fn note_move(&mut self) {
        self.counts.moves += 1;
        let has_readers = self.share.plan().settings.reads.is_some();
        let clients = self.clients.iter_mut();
        clients.for_each(|client| client.may_miss = has_readers);
    }

    fn begin(&mut self) {
        match self.rng.chance(1, 6) {
            // At first no slot is known.
            true => self.plan(self.now + 20_000, Event::Map(None)),
            false => self.answer_map(None),
        }
        for client in 0..self.clients.len() {
            let at = self.now + self.rng.micros(0, 30_000);
            self.plan(at, Event::Client(client));
        }
        self.draw_steps();
        self.plan(self.now + REFRESH, Event::Map(None));
    }

    pub(crate) fn plan(&mut self, at: u64, event: Event) {
        self.numbers += 1;
        self.events.insert((at.max(self.now), self.numbers), event);
    }

    pub(crate) fn trace(&self, text: impl FnOnce() -> String) {
        if self.tracing {
            println!("{:>9} {}", self.now, text());
        }
    }

    pub(crate) fn time(&self) -> Time {
        Time::from_micros(self.now)
    }

    /// Runs to the end; panics where something is wrong.
    pub(crate) fn run(mut self) -> Counts {
        while !(self.steps == 0 && self.clients.iter().all(Client::is_done)) {
            let ((at, _), event) = self.events.pop_first().expect("the map is asked for again");
            assert!(
                at < AT_MOST,
                "{:?}",
                self.clients
                    .iter()
                    .map(Client::waits_for)
                    .collect::<Vec<_>>()
            );
            self.now = at;
            self.handle(event);
        }
        self.check();
        self.counts.transactions = self.nodes.transactions;
        self.counts.redirects = self.nodes.redirects;
        let reads = |worker| self.share.counters(worker).get(PoolMetric::ReplicaReads);
        self.counts.replica_reads = (0..self.workers.len()).map(reads).sum();
        self.counts
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick(worker) => self.tick(worker),
            Event::Inward(link, bytes) => self.arrive_inward(link, &bytes),
            Event::Outward(link, bytes) => self.arrive_outward(link, &bytes),
            Event::Connected(link) => self.connected(link),
            Event::Reset(link) => self.reset(link),
            Event::Writable(link) => self.write(link),
            Event::Client(client) => self.client_turn(client),
            Event::Step(step) => self.take_step(step),
            Event::News(node, news) => {
                if self.nodes.all[node].is_alive {
                    self.nodes.hear(node, news);
                }
            }
            Event::Map(node) => {
                self.answer_map(node);
                if node.is_none() {
                    self.plan(self.now + REFRESH, Event::Map(None));
                }
            }
            Event::Apply(worker) => {
                let now = self.time();
                self.workers[worker].pool.apply(now);
                self.drain(worker);
            }
        }
    }

    fn check(&mut self) {
        for client in &self.clients {
            client.check_keys(&self.nodes);
            self.counts.replies += client.replies;
            for (sent, failed, error) in &client.errors {
                self.counts.errors += 1;
                if error.contains("was executed while this one waited") {
                    self.counts.overtaken += 1;
                    continue;
                }
                let is_excused = self
                    .excused
                    .iter()
                    .any(|(from, until)| sent <= until && from <= failed);
                assert!(
                    is_excused && !error.starts_with("MOVED") && !error.starts_with("ASK"),
                    "client {} sent something at {sent} and hears at {failed}: {error}",
                    client.number
                );
            }
        }
        for (slot, tag) in self.tags.iter().enumerate() {
            let elements = elements(&self.nodes, tag);
            for client in &self.clients {
                client.check_pushes(slot, &self.nodes, &elements);
            }
        }
    }
}

/// Maps and plans.
impl World {
    /// A node tells its map, which is put in force.
    fn answer_map(&mut self, node: Option<usize>) {
        let living = self.nodes.living();
        let node = node.filter(|node| living.contains(node));
        let node = node.unwrap_or_else(|| self.rng.pick(&living));
        let mut servers: Vec<ServerSettings> = Vec::new();
        let owners: Vec<usize> = self.nodes.view_of(node).collect();
        // Those without slots, too: slots may move to them.
        let is_master = |node: &usize| self.nodes.all[*node].master.is_none();
        let mut masters: Vec<usize> = living.into_iter().filter(is_master).collect();
        masters.extend(&owners);
        masters.sort_unstable();
        masters.dedup();
        for master in &masters {
            servers.push(self.server(*master));
        }
        let mut map = SlotMap::default();
        for (slot, owner) in self.nodes.slots.iter().zip(&owners) {
            let index = masters.binary_search(owner).expect("it is one of them");
            map.set(*slot, index);
        }
        if let Some(plan) = self.share.publish_map(&servers, &Arc::new(map)) {
            self.trace(|| {
                format!(
                    "plan {} by node {node}: masters {masters:?}, slots {owners:?}",
                    plan.number
                )
            });
            self.follow_plan();
        }
    }

    fn server(&self, node: usize) -> ServerSettings {
        let host = Nodes::host(node);
        let name = format!("{host}:7000");
        let replica =
            |node: usize| ReplicaSettings::at(Address::tcp(&Nodes::host(node), 7_000), None);
        let replicas = match self.share.plan().settings.reads {
            Some(_) => self
                .nodes
                .replicas_of(node)
                .into_iter()
                .map(replica)
                .collect(),
            None => Vec::new(),
        };
        ServerSettings {
            pname: format!("{name}:1"),
            address: Address::tcp(&host, 7_000),
            name,
            weight: 1,
            db: 0,
            replication: proxy::settings::Replication {
                zone: None,
                replicas,
            },
        }
    }

    /// An operator changes the configuration: other numbers of connections.
    pub(crate) fn reload(&mut self) {
        let mut settings = PoolSettings::clone(&self.share.plan().settings);
        settings.server_connections = self.rng.between(1, 3);
        self.share
            .publish(settings, None)
            .expect("settings of the same pool");
        self.follow_plan();
    }

    fn follow_plan(&mut self) {
        self.counts.plans += 1;
        for worker in 0..self.workers.len() {
            let at = self.now + self.rng.micros(0, 3_000);
            self.plan(at, Event::Apply(worker));
        }
    }
}

/// Faults.
impl World {
    /// Errors are excused from now on, until a little after [`World::end_excuse`].
    pub(crate) fn excuse(&mut self) -> usize {
        self.excused.push((self.now, u64::MAX));
        self.excused.len() - 1
    }

    /// What is excused is so for a little longer.
    pub(crate) fn end_excuse(&mut self, excuse: usize) {
        self.excused[excuse].1 = self.now + AFTERMATH;
    }
}

fn settings(rng: &mut Rng, lag: u64) -> PoolSettings {
    let protocol = ProtocolSettings::Redis(RedisSettings::default());
    // The first node, by which the others are found.
    let name = "10.0.0.0:7000".to_owned();
    let seed = ServerSettings {
        pname: format!("{name}:1"),
        address: Address::tcp(&Nodes::host(0), 7_000),
        name,
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    let mut settings = PoolSettings::new("sim", vec![seed], protocol);
    settings.slots = Some(Arc::default());
    settings.server_connections = rng.pick(&[1, 1, 2, 3]);
    // Longer than replicas lag, so that clients find what they have written.
    let own_writes = Duration::from_micros(lag + rng.pick(&[1_000, 100_000]));
    settings.reads = rng
        .pick(&[None, Some(ReadFrom::PreferReplica), Some(ReadFrom::Fastest)])
        .map(|from| {
            Arc::new(ReadSettings {
                from,
                own_writes,
                zone: None,
            })
        });
    settings
}
