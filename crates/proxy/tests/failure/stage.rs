//! A pool with one or more workers, and the test as its network: it decides who connects, sends and receives
//! what, and when. Nothing happens by itself except timeouts.

mod budget;
mod departure;
mod links;
mod questions;

mod actors;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hashkit::{Member, Ring};
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{PoolSettings, ProtocolSettings};
use proxy::{
    AccessRecord, Action, Cause, Chunk, FailoverPool, Flush, Memory, PlannedServer, Pool,
    PoolShare, ServerShare, Time, WorkerContext,
};

use actors::{Client, Link, Worker};

pub(crate) use crate::pools::{ConnectResult, memcached_pool, millis, redis_pool};
use crate::pools::{place, servers_of};
use crate::words::{flat, logged, text};

/// The pool's network.
pub(crate) struct Stage {
    /// Microseconds.
    now: u64,
    settings: Arc<PoolSettings>,
    pub(crate) share: Arc<PoolShare>,
    /// The pool's own, and behind them those of the failover pool.
    servers: Vec<PlannedServer>,
    workers: Vec<Worker>,
    clients: Vec<Client>,
    links: Vec<Link>,
    connect_results: Vec<ConnectResult>,
    /// How many bytes new links accept.
    room: usize,
    /// Everything that was logged.
    pub(crate) log: Vec<String>,
    /// How often the shell was to look for the servers.
    pub(crate) looks: usize,
    /// What the access log tells.
    accesses: Vec<AccessRecord>,
    /// Which nodes were to be asked for the map of slots.
    pub(crate) maps_asked: Vec<Option<String>>,
    /// What is due at once waits for [`Stage::tick`].
    pub(crate) ticks_by_hand: bool,
    /// A worker that answers no other one, and one that cannot even be asked.
    pub(crate) busy_workers: [Option<usize>; 2],
}

impl Stage {
    pub(crate) fn new(settings: PoolSettings) -> Self {
        Self::with_workers(settings, 1, 7)
    }

    /// A pool in several workers that share its health.
    pub(crate) fn with_workers(settings: PoolSettings, workers: usize, seed: u64) -> Self {
        Self::start_with(settings, None, workers, seed, 0)
    }

    /// The same, with `max_memory`.
    pub(crate) fn with_memory(
        settings: PoolSettings,
        workers: usize,
        seed: u64,
        cap: usize,
    ) -> Self {
        Self::start_with(settings, None, workers, seed, cap)
    }

    /// The same with a failover pool, where keys live for at most one minute.
    pub(crate) fn with_failover(
        settings: PoolSettings,
        other: Option<PoolSettings>,
        workers: usize,
        seed: u64,
    ) -> Self {
        Self::start_with(settings, other, workers, seed, 0)
    }

    fn start_with(
        settings: PoolSettings,
        other: Option<PoolSettings>,
        workers: usize,
        seed: u64,
        cap: usize,
    ) -> Self {
        let memory = Arc::new(Memory::new(cap));
        let apart = Arc::new(Memory::new(0));
        let failover = other.map(|other| FailoverPool {
            pool: PoolShare::new(other, None, &apart, workers),
            seconds: 60,
        });
        let share = PoolShare::at(place(), settings, failover.clone(), &memory, workers);
        let plans = std::iter::once(&share).chain(failover.iter().map(|other| &other.pool));
        let servers: Vec<_> = plans
            .flat_map(|pool| servers_of(pool).collect::<Vec<_>>())
            .collect();
        let mut stage = Self {
            now: 1_000_000,
            settings: Arc::clone(&share.plan().settings),
            workers: Vec::new(),
            clients: Vec::new(),
            links: Vec::new(),
            connect_results: vec![ConnectResult::Open; servers.len()],
            room: usize::MAX,
            servers,
            share,
            log: Vec::new(),
            looks: 0,
            accesses: Vec::new(),
            maps_asked: Vec::new(),
            ticks_by_hand: false,
            busy_workers: [None; 2],
        };
        for number in 0..workers {
            let context = WorkerContext {
                worker: number,
                seed: seed + number as u64,
            };
            stage.workers.push(Worker {
                pool: Pool::new(&stage.share, context, stage.time()),
                sessions: HashMap::new(),
                connections: HashMap::new(),
            });
        }
        stage
    }

    /// Puts other settings in force; workers notice when they are asked something, or have time. A server that
    /// is new comes behind those that there were.
    pub(crate) fn publish(&mut self, settings: PoolSettings) {
        let failover = self.share.plan().failover.clone();
        let plan = self.share.publish(settings, failover);
        let plan = plan.expect("settings of the same pool");
        self.settings = Arc::clone(&plan.settings);
        let others = self.servers.split_off(0);
        self.servers = others
            .into_iter()
            .map(|known| {
                let mut planned = plan.servers_and_replicas();
                let same = planned.find(|planned| Arc::ptr_eq(&planned.share, &known.share));
                same.cloned().unwrap_or(known)
            })
            .collect();
        for planned in plan.servers_and_replicas() {
            if self.number_of(&planned.share).is_none() {
                self.servers.push(planned.clone());
                self.connect_results.push(ConnectResult::Open);
            }
        }
    }

    /// The same, and every worker follows at once.
    pub(crate) fn apply(&mut self, settings: PoolSettings) {
        self.publish(settings);
        let now = self.time();
        for worker in 0..self.workers.len() {
            self.workers[worker].pool.apply(now);
            self.drain(worker);
        }
    }

    /// Puts other settings of the failover pool in force.
    pub(crate) fn publish_failover(&mut self, settings: PoolSettings) {
        let plan = self.share.plan();
        let failover = plan.failover.as_ref().expect("there is a failover pool");
        let published = failover.pool.publish(settings, None);
        published.expect("settings of the same pool");
    }

    fn number_of(&self, share: &Arc<ServerShare>) -> Option<usize> {
        let is_it = |known: &PlannedServer| Arc::ptr_eq(&known.share, share);
        self.servers.iter().position(is_it)
    }

    /// From now on the log has this level.
    pub(crate) fn log_level(&mut self, level: u8) {
        for worker in &mut self.workers {
            worker.pool.set_log_level(level);
        }
    }

    /// Does what the pool asks for at its start, as the shell does; only preconnect makes a difference.
    pub(crate) fn start(&mut self) {
        for worker in 0..self.workers.len() {
            self.drain(worker);
        }
    }

    pub(crate) fn set_connect_result(&mut self, server: usize, result: ConnectResult) {
        self.connect_results[server] = result;
    }

    /// A client connects.
    pub(crate) fn client(&mut self) -> usize {
        self.client_of(0)
    }

    pub(crate) fn client_of(&mut self, worker: usize) -> usize {
        let now = self.time();
        let id = self.workers[worker]
            .pool
            .open_session(format!("10.1.0.{}:5000", self.clients.len()).into(), now);
        let client = self.clients.len();
        self.workers[worker].sessions.insert(id, client);
        self.clients.push(Client {
            worker,
            id,
            pending: VecDeque::new(),
            closed: false,
        });
        self.drain(worker);
        client
    }

    /// A client sends bytes; those that the proxy does not want yet stay in the socket.
    pub(crate) fn say(&mut self, client: usize, bytes: impl AsRef<[u8]>) {
        self.clients[client].pending.extend(bytes.as_ref());
        self.hand_over(client);
        self.drain(self.clients[client].worker);
    }

    /// How many of a client's bytes the proxy has not read yet.
    pub(crate) fn unread_by_proxy(&self, client: usize) -> usize {
        self.clients[client].pending.len()
    }

    /// A client closes its write side.
    pub(crate) fn end(&mut self, client: usize) {
        let (now, worker, id) = (
            self.time(),
            self.clients[client].worker,
            self.clients[client].id,
        );
        self.workers[worker].pool.handle_session_end(id, now);
        self.drain(worker);
    }

    /// A client's connection is lost.
    pub(crate) fn vanish(&mut self, client: usize) {
        let (now, worker, id) = (
            self.time(),
            self.clients[client].worker,
            self.clients[client].id,
        );
        self.clients[client].closed = true;
        self.workers[worker].sessions.remove(&id);
        self.workers[worker].pool.handle_session_error(id, now);
        self.drain(worker);
    }

    /// Returns everything that a client can read now.
    pub(crate) fn hear(&mut self, client: usize) -> String {
        self.hear_some(client, usize::MAX)
    }

    /// The first `most` bytes of that.
    pub(crate) fn hear_some(&mut self, client: usize, most: usize) -> String {
        let (now, worker, id) = (
            self.time(),
            self.clients[client].worker,
            self.clients[client].id,
        );
        let mut bytes = flat(self.workers[worker].pool.session_output(id));
        bytes.truncate(most);
        if !bytes.is_empty() {
            let count = bytes.len();
            self.workers[worker]
                .pool
                .handle_session_written(id, count, now);
            self.drain(worker);
        }
        text(bytes)
    }

    /// Sends a request and returns the immediate reply.
    pub(crate) fn ask(&mut self, client: usize, request: impl AsRef<[u8]>) -> String {
        self.say(client, request);
        self.hear(client)
    }

    pub(crate) fn is_closed(&self, client: usize) -> bool {
        self.clients[client].closed
    }

    /// The open links to a server, oldest first.
    pub(crate) fn links(&self, server: usize) -> Vec<usize> {
        let open = |link: &usize| self.links[*link].open && self.links[*link].server == server;
        (0..self.links.len()).filter(open).collect()
    }

    /// The only open link to a server.
    pub(crate) fn link(&self, server: usize) -> usize {
        match self.links(server)[..] {
            [link] => link,
            ref links => panic!("links {links:?} to server {server}, not one"),
        }
    }

    /// How many links to a server there have been in total.
    pub(crate) fn links_ever(&self, server: usize) -> usize {
        let of = |link: &&Link| link.server == server;
        self.links.iter().filter(of).count()
    }

    /// When each link to a server was opened, in milliseconds from the start.
    pub(crate) fn opened(&self, server: usize) -> Vec<f64> {
        let of = |link: &&Link| link.server == server;
        let at = |link: &Link| (link.opened - 1_000_000) as f64 / 1_000.0;
        self.links.iter().filter(of).map(at).collect()
    }

    pub(crate) fn is_open(&self, link: usize) -> bool {
        self.links[link].open
    }

    /// What was written to a server since the last call.
    pub(crate) fn heard(&mut self, link: usize) -> String {
        text(std::mem::take(&mut self.links[link].heard))
    }

    /// A server sends bytes.
    pub(crate) fn answer(&mut self, link: usize, bytes: impl AsRef<[u8]>) {
        assert!(self.links[link].open, "link {link} is closed");
        let chunk: Chunk = bytes.as_ref().into();
        let (now, worker, id) = (self.time(), self.links[link].worker, self.links[link].id);
        let pool = &mut self.workers[worker].pool;
        pool.handle_connection_data(id, &chunk, 0..chunk.len(), now);
        self.drain(worker);
    }

    /// A pending attempt to connect succeeds.
    pub(crate) fn let_in(&mut self, link: usize) {
        let (now, worker, id) = (self.time(), self.links[link].worker, self.links[link].id);
        self.workers[worker].pool.handle_connected(id, now);
        self.drain(worker);
    }

    /// From now on the link accepts this many bytes.
    pub(crate) fn narrow(&mut self, link: usize, room: usize) {
        self.links[link].room = room;
        let (worker, id) = (self.links[link].worker, self.links[link].id);
        self.write(worker, id);
    }

    /// From now on new links accept this many bytes.
    pub(crate) fn next_links_take(&mut self, room: usize) {
        self.room = room;
    }

    /// Number of requests that all workers have received.
    pub(crate) fn asked(&self) -> u64 {
        let asked = |worker: &Worker| worker.pool.requests_seen();
        self.workers.iter().map(asked).sum()
    }

    /// Bytes in the buffers of all workers.
    pub(crate) fn held(&self) -> usize {
        self.workers.iter().map(|worker| worker.pool.held()).sum()
    }

    /// A server closes its connection.
    pub(crate) fn hang_up(&mut self, link: usize, cause: Cause) {
        let (now, worker, id) = (self.time(), self.links[link].worker, self.links[link].id);
        self.links[link].open = false;
        self.workers[worker].connections.remove(&id);
        self.workers[worker]
            .pool
            .handle_connection_closed(id, cause, now);
        self.drain(worker);
    }

    /// Lets time pass; due events happen at their time.
    pub(crate) fn wait(&mut self, count: u64) {
        let end = self.now + count * 1_000;
        while let Some((due, worker)) = self.next_due().filter(|(due, _)| *due <= end) {
            self.now = self.now.max(due);
            let now = self.time();
            self.workers[worker].pool.handle_timeout(now);
            self.drain(worker);
        }
        self.now = end;
    }

    /// What is due in worker 0 is done, once.
    pub(crate) fn tick(&mut self) {
        let now = self.time();
        self.workers[0].pool.handle_timeout(now);
        self.drain(0);
    }

    /// Starts the shutdown; true once nothing is left.
    pub(crate) fn shut_down(&mut self) -> bool {
        let now = self.time();
        for worker in 0..self.workers.len() {
            self.workers[worker].pool.begin_shutdown(now);
            self.drain(worker);
        }
        self.workers.iter().all(|worker| worker.pool.is_drained())
    }

    pub(crate) fn is_live(&self, server: usize) -> bool {
        self.servers[server].is_live()
    }

    /// Ejects a server by refusing a connection; requires a failure limit of 1.
    pub(crate) fn eject(&mut self, server: usize) {
        assert!(self.settings.auto_eject_hosts && self.settings.server_failure_limit == 1);
        for link in self.links(server) {
            self.hang_up(link, Cause::Closed);
        }
        self.set_connect_result(server, ConnectResult::Refusing);
        let victim = self.client();
        let request = match self.settings.protocol {
            ProtocolSettings::Redis(_) => crate::words::get(&self.key(server)),
            ProtocolSettings::Memcached(_) => format!("get {}\r\n", self.key(server)),
        };
        self.ask(victim, request);
        self.vanish(victim);
        assert!(!self.is_live(server), "server {server} is not ejected");
    }

    /// A key of a server.
    pub(crate) fn key(&self, server: usize) -> String {
        self.keys(server, 1).remove(0)
    }

    /// Keys of a server while all servers are live.
    pub(crate) fn keys(&self, server: usize, count: usize) -> Vec<String> {
        let (ring, plan) = (self.ring(), self.share.plan());
        let names = (0..).map(|number| format!("key{number}"));
        let mine = |key: &String| {
            let hash = self.settings.placement.hash_of(key.as_bytes());
            let owner = match self.settings.servers.len() {
                1 => Some(0),
                _ => ring.lookup(hash),
            };
            owner.and_then(|owner| self.number_of(&plan.servers[owner].share)) == Some(server)
        };
        names.filter(mine).take(count).collect()
    }

    fn ring(&self) -> Ring {
        let servers = &self.settings.servers;
        let members: Vec<_> = servers
            .iter()
            .map(|server| Member {
                name: server.name.as_bytes(),
                weight: server.weight,
                live: true,
            })
            .collect();
        self.settings.placement.ring(&members)
    }

    pub(crate) fn count(&self, metric: PoolMetric) -> i64 {
        let of = |worker| self.share.counters(worker).get(metric);
        (0..self.workers.len()).map(of).sum()
    }

    pub(crate) fn count_at(&self, server: usize, metric: ServerMetric) -> i64 {
        let of = |worker| self.servers[server].share.counters(worker).get(metric);
        (0..self.workers.len()).map(of).sum()
    }

    /// Microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// What the access log tells since the last call.
    pub(crate) fn take_accesses(&mut self) -> Vec<AccessRecord> {
        std::mem::take(&mut self.accesses)
    }

    fn time(&self) -> Time {
        Time::from_micros(self.now)
    }

    /// When the next worker has something to do without being asked, and which.
    pub(crate) fn next_due(&self) -> Option<(u64, usize)> {
        let due = |(number, worker): (usize, &Worker)| {
            let deadline = worker.pool.poll_deadline()?;
            Some((deadline.as_micros(), number))
        };
        self.workers.iter().enumerate().filter_map(due).min()
    }

    /// Passes a client's bytes to the proxy, as far as it wants them.
    fn hand_over(&mut self, client: usize) {
        let (now, worker, id) = (
            self.time(),
            self.clients[client].worker,
            self.clients[client].id,
        );
        let pool = &mut self.workers[worker].pool;
        if self.clients[client].pending.is_empty() || !pool.session_wants_read(id) {
            return;
        }
        let chunk: Chunk = self.clients[client].pending.drain(..).collect();
        pool.handle_session_data(id, &chunk, 0..chunk.len(), now);
    }

    /// Performs a worker's actions.
    fn drain(&mut self, worker: usize) {
        loop {
            if let Some(action) = self.workers[worker].pool.poll_action() {
                self.act(worker, action);
            } else if let Some(flush) = self.workers[worker].pool.poll_flush() {
                if let Flush::Connection(id) = flush {
                    self.write(worker, id);
                }
            } else if let Some(record) = self.workers[worker].pool.poll_event() {
                self.log.push(logged(&record));
            } else if let Some(record) = self.workers[worker].pool.poll_access() {
                self.accesses.push(record);
            } else if self.is_due(worker) && !self.ticks_by_hand {
                let now = self.time();
                self.workers[worker].pool.handle_timeout(now);
            } else {
                return;
            }
        }
    }

    /// Whether the pool has something to do at once, such as continuing with a client.
    fn is_due(&self, worker: usize) -> bool {
        let due = self.workers[worker].pool.poll_deadline();
        due.is_some_and(|due| due <= self.time())
    }

    fn act(&mut self, worker: usize, action: Action) {
        match action {
            Action::Connect {
                connection, server, ..
            } => {
                let server = self.number_of(&server);
                self.connect(worker, connection, server.expect("a server of the stage"));
            }
            Action::CloseConnection { connection } => {
                if let Some(link) = self.workers[worker].connections.remove(&connection) {
                    self.links[link].open = false;
                }
            }
            Action::CloseSession { session, .. } => {
                if let Some(client) = self.workers[worker].sessions.remove(&session) {
                    self.clients[client].closed = true;
                }
            }
            Action::LookForServers => self.looks += 1,
            Action::Ask { question } => self.ask_workers(worker, &question),
            Action::AskForMap { node } => self.maps_asked.push(node.map(|node| node.to_string())),
            Action::ReadSession { session } => {
                if let Some(client) = self.workers[worker].sessions.get(&session) {
                    self.hand_over(*client);
                }
            }
        }
    }
}
