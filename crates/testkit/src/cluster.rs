//! A Redis Cluster of real servers: three masters, each with a replica.

use std::net::SocketAddr;
use std::time::Duration;

use crate::{Server, Tool, eventually, free_port, redis_with};

/// How long it may take until all nodes know of a change.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

const MASTERS: usize = 3;

/// Six nodes.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts one in which a node is failed if it is silent for `node_timeout`; `None` if no server is installed.
    pub fn start(node_timeout: Duration) -> Option<Self> {
        Self::start_with(node_timeout, &[])
    }

    /// The same with further options of the servers.
    pub fn start_with(node_timeout: Duration, options: &[&str]) -> Option<Self> {
        let nodes = (0..2 * MASTERS).map(|_| node(node_timeout, options));
        let cluster = Self {
            nodes: nodes.collect::<Option<_>>()?,
        };
        cluster.join();
        Some(cluster)
    }

    /// Starts a further master, which has no slots, and returns it when all know it.
    pub fn add_master(&mut self, node_timeout: Duration) -> Option<usize> {
        self.nodes.push(node(node_timeout, &[])?);
        let new = self.len() - 1;
        self.meet(new);
        let known = format!("cluster_known_nodes:{}\r", self.len());
        self.wait("nodes know the new one", |info| info.contains(&known));
        self.wait_until_well();
        Some(new)
    }

    /// Where the nodes are.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Server::addr).collect()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none, which is not so.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What a node answers.
    pub fn ask(&self, node: usize, words: &[&str]) -> String {
        let mut client = self.nodes[node].client();
        // A node that takes over on a busy machine may take its time.
        client.set_time_limit(SETTLE_LIMIT);
        client.ask(words)
    }

    fn join(&self) {
        for (node, epoch) in (0..self.len()).zip(1..) {
            self.ask(node, &["CLUSTER", "SET-CONFIG-EPOCH", &format!("{epoch}")]);
        }
        for node in 1..self.len() {
            self.meet(node);
        }
        for master in 0..MASTERS {
            let (from, to) = (part(master), part(master + 1) - 1);
            let bounds = [from.to_string(), to.to_string()];
            self.ask(
                master,
                &["CLUSTER", "ADDSLOTSRANGE", &bounds[0], &bounds[1]],
            );
        }
        self.wait("nodes know each other", |info| {
            info.contains("cluster_known_nodes:6\r")
        });
        for replica in MASTERS..self.len() {
            let id = self.id(replica - MASTERS);
            let replicated = eventually(SETTLE_LIMIT, || {
                self.ask(replica, &["CLUSTER", "REPLICATE", &id])
                    .starts_with("+OK")
                    .then_some(())
            });
            assert!(replicated.is_some(), "a node does not become a replica");
        }
        self.wait_until_well();
    }

    /// Node 0 introduces a node to the others.
    fn meet(&self, node: usize) {
        let port = self.nodes[node].port().to_string();
        let bus = self.ask(node, &["CONFIG", "GET", "cluster-port"]);
        let bus = bus.lines().nth(4).unwrap_or_default().to_owned();
        self.ask(0, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
    }

    fn id(&self, node: usize) -> String {
        let id = self.ask(node, &["CLUSTER", "MYID"]);
        id.lines().nth(1).unwrap_or_default().to_owned()
    }

    /// Waits until every node says that the cluster is well, and every replica is in step with its master.
    pub fn wait_until_well(&self) {
        self.wait("the cluster is well", |info| {
            info.contains("cluster_state:ok")
        });
        let in_step = eventually(SETTLE_LIMIT, || {
            let all = (0..self.len()).all(|node| {
                let info = self.ask(node, &["INFO", "replication"]);
                info.contains("role:master") || info.contains("master_link_status:up")
            });
            all.then_some(())
        });
        assert!(in_step.is_some(), "replicas are not in step");
    }

    fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let all = || (0..self.len()).all(|node| is_so(&self.ask(node, &["CLUSTER", "INFO"])));
        let waited = eventually(SETTLE_LIMIT, || all().then_some(()));
        assert!(waited.is_some(), "it takes too long until {what}");
    }

    /// The nodes that have slots.
    pub fn masters(&self) -> Vec<usize> {
        let is_master = |node: &usize| self.ask(*node, &["ROLE"]).contains("master\r");
        (0..self.len()).filter(is_master).collect()
    }

    /// The node that has this slot, by what it says itself.
    pub fn owner(&self, slot: u16) -> Option<usize> {
        self.owner_among(slot, &(0..self.len()).collect::<Vec<_>>())
    }

    /// Kills a master; when its replica has taken over, it is started again and becomes a replica. Returns how long the cluster took
    /// until another node had its slots.
    pub fn fail_over(&mut self, master: usize) -> Duration {
        let slot = (0..MASTERS)
            .map(part)
            .find(|slot| self.owner(*slot) == Some(master));
        let slot = slot.unwrap_or_default();
        let begin = std::time::Instant::now();
        self.nodes[master].kill();
        let others = (0..self.len()).filter(|node| *node != master);
        let others: Vec<usize> = others.collect();
        let taken = eventually(SETTLE_LIMIT, || {
            let is_served = |node: &usize| {
                let reply = self.ask(*node, &["CLUSTER", "SLOTS"]);
                reply.starts_with('*') && self.ask(*node, &["CLUSTER", "INFO"]).contains("state:ok")
            };
            let has_new = || self.owner_among(slot, &others).is_some();
            (has_new() && others.iter().all(is_served)).then(|| begin.elapsed())
        });
        let taken = taken.expect("a replica takes over");
        self.nodes[master].restart();
        self.wait_until_well();
        taken
    }

    fn owner_among(&self, slot: u16, nodes: &[usize]) -> Option<usize> {
        nodes.iter().copied().find(|node| {
            let nodes = self.ask(*node, &["CLUSTER", "NODES"]);
            let myself = nodes
                .lines()
                .find(|line| line.contains("myself") && line.contains("master"));
            let ranges = myself.into_iter().flat_map(|line| line.split(' ').skip(8));
            ranges.filter(|range| !range.starts_with('[')).any(|range| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                let bounds = from.parse().ok().zip(to.parse().ok());
                bounds.is_some_and(|(from, to): (u16, u16)| (from..=to).contains(&slot))
            })
        })
    }

    /// A slot begins to move from one master to another.
    pub fn begin_migration(&self, slot: u16, from: usize, to: usize) {
        let (slot, ids) = (slot.to_string(), [self.id(from), self.id(to)]);
        self.ask(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]);
        self.ask(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]);
    }

    /// Moves a slot with its keys from one master to another, a few keys at a time with a pause after each few. Returns how many
    /// keys it had.
    pub fn migrate(&self, slot: u16, from: usize, to: usize, pause: Duration) -> usize {
        self.begin_migration(slot, from, to);
        let (slot, id) = (slot.to_string(), self.id(to));
        let port = self.nodes[to].port().to_string();
        let mut moved = 0;
        loop {
            let keys = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "2"]);
            let keys: Vec<&str> = keys.lines().skip(2).step_by(2).collect();
            if keys.is_empty() {
                break;
            }
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            words.extend(&keys);
            let reply = self.ask(from, &words);
            assert!(reply.starts_with('+'), "MIGRATE: {reply}");
            moved += keys.len();
            std::thread::sleep(pause);
        }
        let masters = self.masters().into_iter();
        let others = masters.filter(|node| ![from, to].contains(node));
        for node in [to, from].into_iter().chain(others) {
            self.ask(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
        moved
    }
}

/// Whether the installed server has numbered databases in a cluster: Valkey 9 and later.
pub fn has_numbered_databases() -> bool {
    let tool = Tool::find("redis-server");
    let output = tool.and_then(|tool| tool.command().arg("--version").output().ok());
    let text = output.map_or_else(String::new, |it| String::from_utf8_lossy(&it.stdout).into());
    let version = text.strip_prefix("Valkey server v=");
    let major = version.and_then(|version| version.split('.').next()?.parse().ok());
    major.is_some_and(|major: u32| major >= 9)
}

/// Starts a node that is alone.
fn node(node_timeout: Duration, further: &[&str]) -> Option<Server> {
    let timeout = node_timeout.as_millis().to_string();
    // That of the bus is 10,000 higher by default, which may be too high.
    let bus = free_port().to_string();
    let mut options = vec![
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        &timeout,
        "--cluster-port",
        &bus,
        "--cluster-replica-validity-factor",
        "0",
        "--repl-diskless-sync-delay",
        "0",
    ];
    options.extend(further);
    redis_with(&options)
}

/// The first slot of a master.
fn part(master: usize) -> u16 {
    (usize::from(SLOTS) * master / MASTERS) as u16
}
