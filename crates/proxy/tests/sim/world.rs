//! The whole proxy, its clients and its servers, in virtual time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::{FailoverPool, Memory, PlannedServer, Pool, PoolShare, ServerShare, WorkerContext};

use crate::clients::{Client, Phase};
use crate::ejection::Ejection;
use crate::events::{Event, Events};
use crate::faults::FaultLog;
use crate::network::{Direction, Fin, Link, Peer, ProxySide, Reset};
use crate::placement::PlacementOracle;
use crate::rng::Rng;
use crate::scenario::{ClientPlan, Condition, Ending, Reader, Scenario};
use crate::waiting::{self, Waits};
use crate::worker::Worker;

/// No scenario needs nearly this many events: one that does is in an endless loop.
const MOST_EVENTS: u64 = 12_000_000;

/// If only probes and timers have run for this long, in microseconds, nothing else will happen. Longer than
/// any timeout that is meant to expire.
const ONLY_PROBES: u64 = 60_000_000;

/// Derive further generators from the same seed.
const SHORT_OF_MEMORY: u64 = 0x0f0f_1234_5678_f0f0;
const SHORT_TIMEOUTS: u64 = 0x3c3c_8765_4321_c3c3;
const REFUSED_STEPS: u64 = 0x5a5a_0fed_cba9_a5a5;
const READERS: u64 = 0x6996_1029_3847_9669;
const DEPENDENT: u64 = 0x55aa_5222_55aa_5222;
const CROSS_SHARD: u64 = 0x2d2d_7777_1234_d2d2;
const WAITS: u64 = 0x4d4d_1357_2468_b2b2;
const PLANS: u64 = 0x7117_acca_7117_acca;

/// Counts of what occurred, to show that the simulation tests what it should.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) requests: usize,
    pub(crate) replies: usize,
    pub(crate) lost: usize,
    pub(crate) faults: usize,
    pub(crate) ejections: u64,
    pub(crate) resets: usize,
    pub(crate) most_held: usize,
    /// Longest wait for a reply without server failures, in microseconds.
    pub(crate) slowest: u64,
    pub(crate) events: u64,
    /// Number of times that late requests failed individually.
    pub(crate) late: usize,
    pub(crate) probes: usize,
    pub(crate) retries: usize,
    /// Reads answered as missing, and requests refused by name, because their server was ejected.
    pub(crate) misses: usize,
    pub(crate) refusals: usize,
    /// Clients closed because memory was short, and iterations in which some were held back.
    pub(crate) shed: usize,
    /// Clients closed for sending nothing.
    pub(crate) dawdlers: usize,
    /// Clients closed for reading too slowly, and clients with too much unread that read all of it.
    pub(crate) stalled: usize,
    pub(crate) late_readers: usize,
    pub(crate) held_back: usize,
    /// Requests sent to a failover pool.
    pub(crate) failovers: i64,
    /// Refused handshake steps.
    pub(crate) refused_steps: usize,
    /// Requests refused because of an earlier refusal, those that wanted no reply, and failures that no
    /// client was told of.
    pub(crate) not_executed: usize,
    /// Transactions that a server has executed.
    pub(crate) transactions: usize,
    pub(crate) muted: usize,
    pub(crate) unheard: i64,
    /// Plans that replaced others.
    pub(crate) plans: usize,
    pub(crate) waits: waiting::Tally,
    /// Changes with every byte that the core wrote, with its link and its time.
    pub(crate) digest: u64,
}

/// The state of the failover pool.
pub(crate) struct Other {
    share: Arc<PoolShare>,
    pub(crate) placement_oracle: PlacementOracle,
}

impl Other {
    fn of(scenario: &Scenario) -> Option<Self> {
        let gutter = scenario.gutter.as_ref()?;
        let weights = gutter.weights.clone();
        let (settings, memory) = (scenario.other_settings(gutter), Arc::new(Memory::new(0)));
        Some(Self {
            share: PoolShare::new(settings, None, &memory, scenario.workers),
            placement_oracle: PlacementOracle::new(
                gutter.spread,
                weights,
                scenario.tagged,
                gutter.keeps,
            ),
        })
    }
}

impl Other {
    /// The pool as the other one's plan has it.
    fn stands_in(&self, scenario: &Scenario) -> FailoverPool {
        FailoverPool {
            pool: Arc::clone(&self.share),
            seconds: scenario.gutter.as_ref().map_or(0, |gutter| gutter.seconds),
        }
    }
}

/// The servers of the pools, in their order.
fn servers(
    scenario: &Scenario,
    pool: &PoolShare,
    other: Option<&Other>,
) -> Vec<Option<PlannedServer>> {
    let mut servers: Vec<_> = pool.plan().servers.iter().cloned().map(Some).collect();
    // Those behind them may come later.
    servers.resize(scenario.weights.len(), None);
    let other = other.map(|other| other.share.plan());
    let theirs = other.iter().flat_map(|plan| &plan.servers);
    servers.extend(theirs.cloned().map(Some));
    servers
}

/// Everything in one run.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) rng: Rng,
    /// For choices added last, so that recorded seeds keep their meaning.
    pub(crate) refusals_rng: Rng,
    /// Microseconds.
    pub(crate) now: u64,
    /// Number of events so far.
    pub(crate) step: u64,
    pub(crate) events: Events,
    pub(crate) links: Vec<Link>,
    /// Links to servers that the core has not closed.
    pub(crate) open_links: Vec<usize>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clients: Vec<Client>,
    /// The condition of each server.
    pub(crate) condition: Vec<Condition>,
    pub(crate) faults_allowed: bool,
    pub(crate) shutting_down: bool,
    pub(crate) share: Arc<PoolShare>,
    /// The pool's own servers as its plan has them, if it has them, and behind them those of the other pool.
    pub(crate) servers: Vec<Option<PlannedServer>>,
    /// What servers were in earlier plans.
    pub(crate) former: Vec<(usize, Arc<ServerShare>)>,
    pub(crate) plans_rng: Rng,
    /// The step in which the plan changed last.
    pub(crate) plan_changed_at: Option<u64>,
    /// The other pool, for keys of ejected servers.
    pub(crate) gutter: Option<Other>,
    pub(crate) placement_oracle: PlacementOracle,
    pub(crate) ejection: Ejection,
    pub(crate) faults: FaultLog,
    pub(crate) counts: Counts,
    pub(crate) waits: Waits,
    /// Keys that were written.
    pub(crate) written: HashSet<Vec<u8>>,
    /// The last request of a client that changed something at a server, and its link.
    pub(crate) changed: HashMap<(usize, usize), (usize, usize)>,
    /// When something last happened that was not part of a probe.
    busy_at: u64,
    /// Since when the buffers have exceeded the limit.
    pub(crate) full_since: Option<u64>,
    tracing: bool,
}

impl World {
    /// The world of a seed; with plans that replace each other if `has_plans`.
    pub(crate) fn new(seed: u64, has_plans: bool, tracing: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut scenario = Scenario::new(&mut rng);
        let mut plans_rng = Rng::new(seed ^ PLANS);
        if has_plans {
            scenario.draw_plans(&mut plans_rng);
        }
        scenario.limit_memory(&mut Rng::new(seed ^ SHORT_OF_MEMORY));
        scenario.draw_gutter(&mut Rng::new(!seed));
        scenario.shorten_timeouts(&mut Rng::new(seed ^ SHORT_TIMEOUTS));
        let mut refusals_rng = Rng::new(seed ^ REFUSED_STEPS);
        scenario.draw_refusals(&mut refusals_rng);
        scenario.draw_readers(&mut Rng::new(seed ^ READERS));
        scenario.draw_dependent(&mut Rng::new(seed ^ DEPENDENT));
        scenario.draw_cross_shard(&mut Rng::new(seed ^ CROSS_SHARD));
        scenario.draw_waits(&mut Rng::new(seed ^ WAITS));
        let gutter = Other::of(&scenario);
        let memory = Arc::new(Memory::new(scenario.max_memory));
        let failover = gutter.as_ref().map(|other| other.stands_in(&scenario));
        let share = PoolShare::new(scenario.settings(), failover, &memory, scenario.workers);
        let servers = servers(&scenario, &share, gutter.as_ref());
        let worker = |number: usize| {
            let context = WorkerContext {
                worker: number,
                seed: seed ^ number as u64,
            };
            let mut pool = Pool::new(&share, context, proxy::Time::from_micros(1_000));
            // What is logged must make no difference.
            pool.set_log_level((seed % 12) as u8);
            Worker::new(pool)
        };
        let workers = (0..scenario.workers).map(worker).collect();
        let mut world = World {
            placement_oracle: PlacementOracle::new(
                scenario.spread,
                scenario.planned.clone(),
                scenario.tagged,
                scenario.keeps_keys(),
            ),
            ejection: Ejection::new(&scenario),
            rng,
            refusals_rng,
            now: 1_000,
            step: 0,
            events: Events::default(),
            links: Vec::new(),
            open_links: Vec::new(),
            workers,
            clients: Vec::new(),
            condition: vec![Condition::Fair; scenario.servers()],
            faults_allowed: true,
            shutting_down: false,
            share,
            servers,
            former: Vec::new(),
            plans_rng,
            plan_changed_at: None,
            gutter,
            faults: FaultLog::default(),
            counts: Counts::default(),
            waits: Waits::new(Rng::new(!seed ^ WAITS)),
            written: HashSet::new(),
            changed: HashMap::new(),
            busy_at: 0,
            full_since: None,
            tracing,
            scenario,
        };
        world.set_the_scene();
        world
    }

    fn set_the_scene(&mut self) {
        self.trace(|| format!("{:#?}", self.scenario));
        for plan in self.scenario.clients.clone() {
            self.add_client(plan);
        }
        for (at, server, condition) in self.scenario.condition.clone() {
            self.events
                .plan(self.now + at, Event::Condition { server, condition });
        }
        self.expect_plans();
        if let Some(at) = self.scenario.shutdown_at {
            self.events.plan(self.now + at, Event::Shutdown);
        }
        for worker in 0..self.workers.len() {
            self.plan_tick(worker, self.now);
        }
    }

    fn add_client(&mut self, plan: ClientPlan) {
        let id = self.clients.len();
        self.events
            .plan(self.now + plan.starts_at, Event::Client { client: id });
        let rng = self.rng.fork();
        self.clients.push(Client::new(id, plan, rng));
    }

    /// Runs the scenario to its end; panics if a property is violated.
    pub(crate) fn run(mut self) -> Counts {
        self.settle();
        self.check_nobody_waits();
        self.check_nobody_exceeds_timeouts(self.busy_at + ONLY_PROBES);
        self.check_nobody_stalls();
        self.heal();
        self.settle();
        self.check_all_done();
        if !self.shutting_down {
            self.probe();
            self.settle();
            self.check_all_done();
            self.check_everybody_is_back();
            self.shut_down();
        }
        // Twice, as servers may be told meanwhile that waits are over.
        for _ in 0..2 {
            self.close_servers();
            self.settle();
        }
        self.check_nothing_left();
        self.counts.faults = self.faults.count();
        self.counts.ejections = self.ejection.count;
        self.counts.events = self.step;
        self.counts
    }

    /// Lets time pass until nothing happens any more.
    fn settle(&mut self) {
        self.busy_at = self.now;
        while let Some(at) = self.events.next_at() {
            let out = self.scenario.policy.probe && self.ejection.is_anybody_out();
            // While a client is held back, memory is checked again and again; the same goes for a hanging
            // connection to the failover pool, for an idle client, for one that waits, and for a server that has left.
            let ticking = out
                || self.scenario.max_memory > 0
                || self.gutter.is_some()
                || self.has_leases()
                || self.has_client_timeouts()
                || !self.scenario.plans.is_empty();
            if ticking && at > self.busy_at + ONLY_PROBES {
                break;
            }
            self.take_step();
        }
        self.trace(|| "-- quiet --".into());
    }

    fn take_step(&mut self) {
        let Some((at, event)) = self.events.next() else {
            return;
        };
        self.now = self.now.max(at);
        self.step += 1;
        assert!(self.step < MOST_EVENTS, "this goes round in circles");
        if !self.concerns_probes(&event) {
            self.busy_at = self.now;
        }
        self.handle(event);
    }

    /// Whether an event may concern probes only: a timer, or a connection without a request.
    fn concerns_probes(&self, event: &Event) -> bool {
        match event {
            Event::Tick { .. } => true,
            Event::Deliver { link, .. }
            | Event::ResetArrives { link }
            | Event::ConnectEnds { link }
            | Event::Serve { link } => match &self.links[*link].peer {
                Peer::Server(server) => !server.is_warm(),
                Peer::Client(_) => false,
            },
            Event::Client { .. }
            | Event::ClientLeaves { .. }
            | Event::Condition { .. }
            | Event::Plan
            | Event::Shutdown => false,
        }
    }

    /// Lets this much time pass.
    fn wait(&mut self, micros: u64) {
        let end = self.now + micros;
        while self.events.next_at().is_some_and(|at| at <= end) {
            self.take_step();
        }
        self.now = end;
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { worker } => self.tick(worker),
            Event::Deliver { link, outward } => self.deliver(
                link,
                if outward {
                    Direction::Out
                } else {
                    Direction::In
                },
            ),
            Event::ResetArrives { link } => {
                self.links[link].reset = Reset::Arrived;
                self.links[link].inbound.cut(&mut self.rng);
                let worker = self.links[link].worker;
                self.make_ready(worker, link);
            }
            Event::ConnectEnds { link } => self.connect_ends(link),
            Event::Client { client } => self.client_turn(client),
            Event::ClientLeaves { client } => self.client_leaves(client),
            Event::Serve { link } => self.serve(link),
            Event::Condition { server, condition } => self.change_condition(server, condition),
            Event::Plan => self.change_plan(),
            Event::Shutdown => self.shut_down(),
        }
    }

    /// Plans the delivery of what was written.
    pub(crate) fn pump(&mut self, link: usize, direction: Direction) {
        let pipe = self.links[link].pipe(direction);
        if pipe.has_cargo() && !pipe.scheduled {
            pipe.scheduled = true;
            let delay = self.links[link].delay(&mut self.rng);
            self.events
                .plan(self.now + delay, Event::deliver(link, direction));
        }
    }

    fn deliver(&mut self, link: usize, direction: Direction) {
        self.links[link].pipe(direction).scheduled = false;
        self.links[link].deliver(direction, &mut self.rng);
        let (worker, gone) = (
            self.links[link].worker,
            self.links[link].side == ProxySide::Gone,
        );
        match (direction, &self.links[link].peer) {
            (Direction::In, _) if gone => {
                self.links[link].inbound.destroy();
                self.tell_writer(link, Direction::In);
            }
            (Direction::In, _) => self.make_ready(worker, link),
            (Direction::Out, Peer::Client(client)) => self.client_hears(*client),
            (Direction::Out, Peer::Server(_)) => self.server_reads(link),
        }
        self.pump(link, direction);
    }

    /// The reader has made room: a writer that waited for it continues.
    pub(crate) fn tell_writer(&mut self, link: usize, direction: Direction) {
        let pipe = self.links[link].pipe(direction);
        if !pipe.starved || pipe.room() == 0 {
            return;
        }
        pipe.starved = false;
        let worker = self.links[link].worker;
        match (direction, &self.links[link].peer) {
            (Direction::Out, _) => self.make_ready(worker, link),
            (Direction::In, Peer::Client(client)) => {
                let client = *client;
                self.events.plan(self.now + 1, Event::Client { client });
            }
            (Direction::In, Peer::Server(_)) => {
                self.events.plan(self.now + 1, Event::Serve { link })
            }
        }
    }

    /// The faults end: silent servers die or continue, stalled clients give up.
    fn heal(&mut self) {
        self.trace(|| "-- healing --".into());
        self.faults_allowed = false;
        for server in 0..self.condition.len() {
            self.change_condition(server, Condition::Fair);
        }
        for link in self.open_links.clone() {
            if self.links[link].server().hung {
                self.peer_resets(link);
            }
        }
        for client in 0..self.clients.len() {
            if !self.clients[client].plan.stays() {
                self.events.plan(self.now, Event::ClientLeaves { client });
            }
        }
    }

    /// New clients on every worker must find everything working.
    fn probe(&mut self) {
        self.trace(|| "-- probing --".into());
        self.wait(self.scenario.retry + 10_000_000);
        self.check_everybody_is_back();
        for worker in 0..self.workers.len() {
            let Some(pattern) = self.scenario.clients.last().cloned() else {
                continue;
            };
            self.add_client(ClientPlan {
                worker,
                starts_at: 0,
                requests: 12,
                depth: 4,
                reader: Reader::Fast,
                ending: Ending::Polite,
                large: (0, 0),
                quiet: 0,
                greedy: true,
                dependent: None,
                waits: None,
                ..pattern
            });
        }
    }

    fn shut_down(&mut self) {
        self.trace(|| "-- shutting down --".into());
        self.shutting_down = true;
        for worker in 0..self.workers.len() {
            let now = self.time();
            self.workers[worker].pool.begin_shutdown(now);
            self.plan_tick(worker, self.now);
        }
    }

    /// Servers close the remaining connections.
    fn close_servers(&mut self) {
        for link in self.open_links.clone() {
            self.server_closes(link);
            self.connect_ends(link);
        }
        for client in &self.clients {
            let open = client.phase != Phase::Over
                && client
                    .link
                    .is_some_and(|link| self.links[link].inbound.fin == Fin::None);
            assert!(
                !open || !client.plan.stays(),
                "client {} is still there",
                client.id
            );
        }
    }

    /// A worker's counter of the pool.
    pub(crate) fn counted(&self, worker: usize, metric: PoolMetric) -> i64 {
        self.share.counters(worker).get(metric)
    }

    /// The counter of the pool over all workers.
    pub(crate) fn counted_by_all(&self, metric: PoolMetric) -> i64 {
        let workers = 0..self.workers.len();
        workers.map(|worker| self.counted(worker, metric)).sum()
    }

    /// A worker's counter of the failover pool.
    pub(crate) fn counted_of_other(&self, worker: usize, metric: PoolMetric) -> i64 {
        let other = self.gutter.as_ref();
        other.map_or(0, |other| other.share.counters(worker).get(metric))
    }

    /// A worker's counter of a server.
    pub(crate) fn counted_of(&self, worker: usize, server: usize, metric: ServerMetric) -> i64 {
        let now = self.servers[server].iter().map(|known| &known.share);
        let former = self.former.iter().filter(|(number, _)| *number == server);
        let mut shares: Vec<_> = now.chain(former.map(|(_, share)| share)).collect();
        // One that has moved was there before.
        shares.sort_by_key(|share| Arc::as_ptr(share));
        shares.dedup_by_key(|share| Arc::as_ptr(share));
        let of = |share: &Arc<ServerShare>| share.counters(worker).get(metric);
        shares.into_iter().map(of).sum()
    }

    /// Records what happens, if tracing is on.
    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        if self.tracing {
            eprintln!("{:>9} us #{:<6} {}", self.now, self.step, what());
        }
    }
}

impl Counts {
    /// Records that `bytes` were written to `link` at `now`.
    pub(crate) fn digest(&mut self, link: usize, now: u64, bytes: &[u8]) {
        // FNV-1a.
        let numbers = [link as u64, now].map(u64::to_le_bytes);
        for byte in numbers.as_flattened().iter().chain(bytes) {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        self.requests += other.requests;
        self.replies += other.replies;
        self.lost += other.lost;
        self.faults += other.faults;
        self.ejections += other.ejections;
        self.resets += other.resets;
        self.most_held = self.most_held.max(other.most_held);
        self.slowest = self.slowest.max(other.slowest);
        self.events += other.events;
        self.late += other.late;
        self.probes += other.probes;
        self.retries += other.retries;
        self.misses += other.misses;
        self.refusals += other.refusals;
        self.shed += other.shed;
        self.dawdlers += other.dawdlers;
        self.stalled += other.stalled;
        self.late_readers += other.late_readers;
        self.held_back += other.held_back;
        self.failovers += other.failovers;
        self.refused_steps += other.refused_steps;
        self.not_executed += other.not_executed;
        self.transactions += other.transactions;
        self.muted += other.muted;
        self.unheard += other.unheard;
        self.plans += other.plans;
        self.waits.add(&other.waits);
        self.digest = self.digest.wrapping_add(other.digest);
    }
}
