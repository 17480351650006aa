//! The nodes of a Redis Cluster, which tell who has which hash slots.
//!
//! They are asked one after the other until one answers whose cluster is well: first the one that a worker has heard of a
//! change from, then those that were known last, then those of the configuration.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxy::settings::{Address, Replication};

use super::asker::{Asker, Credentials};
use super::cluster_map::{ClusterMap, Reach};
use super::publisher::{Publisher, Source};
use super::reply::Reply;
use crate::config::ClusterConfig;
use crate::logger::{NOTICE, WARN, log};
use crate::map_wanted::MapWanted;
use crate::resolver::Resolver;
use crate::standing::Standing;

/// How long a node may take to be connected and to answer.
const NODE_WITHIN: Duration = Duration::from_millis(500);

/// How long all nodes together may take: with more of them out of order, the others are asked the next time.
const ALL_WITHIN: Duration = Duration::from_secs(3);

/// When the nodes are asked again if none has answered, or the cluster is not well.
const AGAIN: Duration = Duration::from_millis(200);

/// The nodes of one cluster.
pub(crate) struct Cluster {
    config: ClusterConfig,
    resolver: Resolver,
    wanted: MapWanted,
    /// The one that has answered last.
    last: Option<Address>,
    standing: Arc<Standing>,
    /// What was told last that is wrong, so that it is told once.
    told: Option<String>,
    /// A small random number, so that several proxies do not ask at the same moment.
    chance: u64,
}

/// What a node has told.
struct Answer {
    map: ClusterMap,
    /// It says that the cluster is well.
    is_well: bool,
}

impl Cluster {
    /// How it stands is told in `standing`.
    pub(crate) fn new(
        config: &ClusterConfig,
        resolver: &Resolver,
        wanted: MapWanted,
        standing: &Arc<Standing>,
    ) -> Self {
        Self {
            standing: Arc::clone(standing),
            config: config.clone(),
            resolver: resolver.clone(),
            wanted,
            last: None,
            told: None,
            chance: u64::from(std::process::id()) | 1,
        }
    }

    /// The nodes to be asked, in this order.
    fn nodes(&mut self, publisher: &Publisher) -> Vec<Address> {
        let plan = publisher.pool().core().plan();
        let known = plan
            .settings
            .servers
            .iter()
            .map(|server| server.address.clone());
        let first = [self.wanted.take_first(), self.last.clone()];
        let all = first.into_iter().flatten().chain(known);
        let mut seen = HashSet::new();
        let all = all.chain(self.config.seeds.iter().cloned());
        all.filter(|node| seen.insert(node.clone())).collect()
    }

    /// The best answer of those that there are in time, or why there is none.
    fn ask(&mut self, publisher: &Publisher) -> Result<(Address, Answer), String> {
        let until = Instant::now() + ALL_WITHIN;
        // The password may have been renewed since.
        let credentials = Credentials::of(&publisher.pool().core().plan().settings, "");
        let mut best = None;
        let mut problem = "no node is known".to_owned();
        for node in self.nodes(publisher) {
            if Instant::now() >= until {
                break;
            }
            match self.ask_node(&node, &credentials) {
                Ok(answer) if answer.is_well => return Ok((node, answer)),
                Ok(answer) => drop(best.get_or_insert((node, answer))),
                Err(error) => problem = format!("node {node}: {error}"),
            }
        }
        best.ok_or(problem)
    }

    fn ask_node(&self, node: &Address, credentials: &Credentials) -> Result<Answer, String> {
        let told = |error: std::io::Error| error.to_string();
        let mut asker = Asker::open(node, credentials, &self.resolver, NODE_WITHIN);
        let asker = asker.as_mut().map_err(|error| error.to_string())?;
        let Address::Tcp { host, .. } = node else {
            return Err("it is no node of a cluster".into());
        };
        let tls = credentials.security.is_some();
        let reach = Reach { host, tls };
        let info = asker
            .ask(&[b"CLUSTER", b"INFO"], NODE_WITHIN)
            .map_err(told)?;
        let is_well = info
            .text()
            .is_some_and(|text| text.contains("cluster_state:ok"));
        let shards = asker
            .ask(&[b"CLUSTER", b"SHARDS"], NODE_WITHIN)
            .map_err(told)?;
        let map = match &shards {
            // Before Redis 7.
            Reply::Error(line) if !line.starts_with("LOADING") => {
                let slots = asker
                    .ask(&[b"CLUSTER", b"SLOTS"], NODE_WITHIN)
                    .map_err(told)?;
                let mut map = ClusterMap::of_slots(&slots, reach)?;
                let nodes = asker
                    .ask(&[b"CLUSTER", b"NODES"], NODE_WITHIN)
                    .map_err(told)?;
                map.add_nodes(&nodes, reach)?;
                map
            }
            _ => ClusterMap::of_shards(&shards, reach)?,
        };
        match map.masters().is_empty() {
            true => Err("it knows no node that has slots".into()),
            false => Ok(Answer { map, is_well }),
        }
    }

    fn publish(&self, publisher: &Publisher, node: &Address, map: &ClusterMap) {
        let mut masters = 0;
        let is_published = publisher.publish(|pool| {
            let before = pool.plan();
            let (mut servers, slots) = map.plan(&before.settings.servers);
            // What is not read changes no plan.
            if before.settings.reads.is_none() {
                servers
                    .iter_mut()
                    .for_each(|it| it.replication = Replication::default());
            }
            let db = before
                .settings
                .servers
                .first()
                .map_or(0, |server| server.db);
            servers.iter_mut().for_each(|server| server.db = db);
            masters = servers.len();
            pool.publish_map(&servers, &slots).is_some()
        });
        if is_published {
            let name = publisher.pool().name();
            log!(
                NOTICE,
                { pool: name },
                "pool '{name}' follows the map of node {node}: {masters} masters"
            );
        }
    }

    /// Tells what is wrong, unless that was told already.
    fn tell(&mut self, publisher: &Publisher, problem: Option<String>) {
        match &problem {
            Some(problem) => drop(self.standing.note_failure(problem)),
            None => {
                let masters = publisher.pool().core().plan().servers.len();
                self.standing.note_success(masters);
            }
        }
        if self.told == problem || publisher.is_over() {
            return;
        }
        let name = publisher.pool().name();
        match &problem {
            Some(problem) => log!(
                WARN,
                { pool: name },
                "the cluster of pool '{name}': {problem}"
            ),
            None => log!(NOTICE, { pool: name }, "the cluster of pool '{name}' is well again"),
        }
        self.told = problem;
    }

    /// So long, and up to a tenth longer.
    fn vary(&mut self, time: Duration) -> Duration {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let part = (self.chance >> 40) as f64 / f64::from(1 << 24);
        time + time.mul_f64(part / 10.0)
    }
}

impl Source for Cluster {
    fn look(&mut self, publisher: &Publisher, _told: bool) -> Duration {
        let asked = self.ask(publisher);
        let (problem, again) = match asked {
            Ok((node, answer)) => {
                self.publish(publisher, &node, &answer.map);
                self.last = Some(node);
                let problem = answer.map.problem();
                let down = (!answer.is_well).then(|| "its nodes say that it is down".to_owned());
                let again = if answer.is_well {
                    self.config.refresh
                } else {
                    AGAIN
                };
                (problem.or(down), again)
            }
            Err(problem) => {
                self.last = None;
                (Some(format!("no node answers: {problem}")), AGAIN)
            }
        };
        self.tell(publisher, problem);
        self.vary(again)
    }
}
