//! Masters that Redis Sentinels tell.
//!
//! All Sentinels are asked, and what most of them say is believed: one may not know of a failover yet, or not at all. A master
//! that is new is asked itself whether it is one before it is used.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxy::Security;
use proxy::limits::MAX_REPLICAS;
use proxy::settings::{Address, PoolSettings, ReplicaSettings, ServerSettings};

use super::asker::{Asker, Credentials};
use super::found::Found;
use super::publisher::{Publisher, Source};
use super::sentinel_watch::{State, Told, View, Watched};
use crate::config::{Discovery, SentinelSource};
use crate::logger::{DEBUG, log};
use crate::resolver::Resolver;
use crate::standing::Wake;

/// Sentinels that are asked at most, those of the settings included: there are three or five, usually.
const MOST_SENTINELS: usize = 32;

/// How often the answers are looked at although nothing is told to be new.
const EVERY: Duration = Duration::from_secs(1);

/// How soon it is looked again when a master does not say yet that it is one.
const SOON: Duration = Duration::from_millis(100);

/// How long a master may take to say that it is one.
const ROLE_WITHIN: Duration = Duration::from_millis(500);

/// How long the first look waits for the Sentinels to answer.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How often Sentinels are asked at most because a master says that it only takes reads.
const ASK_AGAIN_EVERY: Duration = Duration::from_millis(200);

/// How long a Sentinel that is not in the settings is asked without an answer.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// The Sentinels of a pool.
pub(crate) struct Sentinels {
    source: Arc<SentinelSource>,
    discovery: Discovery,
    resolver: Resolver,
    wake: Wake,
    found: Found,
    /// How the connections to Sentinels are secured: as those to the servers.
    security: Option<Security>,
    /// Replicas are read, so that they are asked for.
    asks_replicas: bool,
    watched: HashMap<Address, Watched>,
    /// Other addresses of those.
    aliases: HashSet<Address>,
    /// What was new until the last look.
    seen: u64,
    asked_at: Option<Instant>,
    is_begun: bool,
}

impl Sentinels {
    /// Those of `source`, which `discovery` is about.
    pub(crate) fn new(
        source: &Arc<SentinelSource>,
        discovery: Discovery,
        resolver: &Resolver,
        wake: Wake,
        found: Found,
    ) -> Self {
        Self {
            source: Arc::clone(source),
            discovery,
            resolver: resolver.clone(),
            wake,
            found,
            security: None,
            asks_replicas: false,
            watched: HashMap::new(),
            aliases: HashSet::new(),
            seen: 0,
            asked_at: None,
            is_begun: false,
        }
    }

    /// Asks a further Sentinel, unless there are too many.
    fn watch(&mut self, address: &Address) {
        let is_known = self.watched.contains_key(address) || self.aliases.contains(address);
        if is_known || self.watched.len() >= MOST_SENTINELS {
            return;
        }
        match Watched::start(
            address.clone(),
            &self.source,
            self.security.as_ref(),
            self.asks_replicas,
            &self.resolver,
            &self.wake,
        ) {
            Ok(watched) => {
                self.watched.insert(address.clone(), watched);
            }
            Err(error) => log!(DEBUG, "asking the Sentinel {address} failed: {error}"),
        }
    }

    /// Waits until most of the Sentinels have answered, for the first time.
    fn begin(&mut self) {
        let seeds = self.source.seeds.clone();
        seeds.iter().for_each(|seed| self.watch(seed));
        let until = Instant::now() + FIRST_ANSWER_WITHIN;
        let has_answered = |it: &Watched| it.state().view.is_some();
        while Instant::now() < until
            && self.watched.values().filter(|it| has_answered(it)).count() * 2 <= self.watched.len()
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Follows what the Sentinels say of each other: one that most of them know is asked, too. One that is known under two
    /// addresses is asked at one of them.
    fn refresh(&mut self, states: &HashMap<Address, State>) {
        let mut named: HashMap<&Address, usize> = HashMap::new();
        let views = states.values().filter_map(|it| it.view.as_ref());
        for view in views.clone() {
            for other in &view.others {
                *named.entry(other).or_default() += 1;
            }
        }
        // A Sentinel does not name itself.
        let enough = views.count() / 2;
        for (address, count) in named {
            if count >= enough.max(1) {
                self.watch(address);
            }
        }
        let mut ids: HashMap<&str, bool> = HashMap::new();
        let is_seed = |address: &Address| self.source.seeds.contains(address);
        for (address, state) in states {
            if let Some(id) = &state.id {
                *ids.entry(id).or_default() |= is_seed(address);
            }
        }
        let mut kept: HashSet<&str> = HashSet::new();
        for (address, state) in states.iter().filter(|(address, _)| !is_seed(address)) {
            let id = state.id.as_deref();
            let is_twin = id.is_some_and(|id| ids[id] || !kept.insert(id));
            if is_twin && self.aliases.len() < MOST_SENTINELS {
                self.aliases.insert(address.clone());
            }
            if is_twin || state.since.elapsed() > FORGET_AFTER {
                self.watched.remove(address);
            }
        }
    }

    /// The masters in force, with those that are told and are masters in place of the others; and what is wrong, if anything is.
    fn masters(
        &self,
        settings: &PoolSettings,
        poll: &Poll<'_>,
    ) -> (Vec<ServerSettings>, Option<String>) {
        let mut servers = settings.servers.clone();
        let mut problems = Vec::new();
        for (name, weight) in &self.source.shards {
            let Some(server) = servers.iter_mut().find(|it| it.name == *name) else {
                continue;
            };
            let told = match poll.master(name, server.address != Address::Unknown) {
                Ok(told) => told,
                Err(problem) => {
                    problems.push(format!("shard '{name}': {problem}"));
                    continue;
                }
            };
            let is_known = told.address == server.address;
            let verified = match is_known {
                true => Ok(()),
                false => self.verify(settings, name, &told.address),
            };
            match verified {
                Ok(()) => {
                    server.replication.replicas = poll.replicas(name, &told.address);
                    if is_known {
                        continue;
                    }
                    server.pname = format!("{}:{weight}", told.address);
                    server.db = self.discovery.database_of(&told.address);
                    server.address = told.address.clone();
                }
                Err(error) => {
                    let address = &told.address;
                    problems.push(format!(
                        "shard '{name}': {address} is told as its master: {error}"
                    ));
                }
            }
        }
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        (servers, problem)
    }

    /// Whether the server there says that it is a master.
    fn verify(&self, settings: &PoolSettings, name: &str, address: &Address) -> io::Result<()> {
        let credentials = Credentials::of(settings, name);
        let mut asker = Asker::open(address, &credentials, &self.resolver, ROLE_WITHIN)?;
        let role = asker.ask(&[b"ROLE"], ROLE_WITHIN)?;
        match role.list().and_then(|it| it.first()?.text()) {
            Some("master") => Ok(()),
            Some(_) => Err(io::Error::other("it says that it is none")),
            None => Err(io::Error::other(format!(
                "it does not tell its role: {role}"
            ))),
        }
    }
}

impl Source for Sentinels {
    fn look(&mut self, publisher: &Publisher, told: bool) -> Duration {
        let in_force = publisher.pool().core().plan();
        let security = &in_force.settings.server_security;
        let asks_replicas = in_force.settings.reads.is_some();
        if self.security != *security || self.asks_replicas != asks_replicas {
            self.security.clone_from(security);
            self.asks_replicas = asks_replicas;
            self.watched.clear();
            self.is_begun = false;
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            self.begin();
        }
        let states: HashMap<Address, State> = {
            let watched = self.watched.iter();
            watched
                .map(|(address, it)| (address.clone(), it.state()))
                .collect()
        };
        let seen = states.values().map(|it| it.version).sum();
        let is_old = std::mem::replace(&mut self.seen, seen) == seen;
        let may_ask = self
            .asked_at
            .is_none_or(|at| at.elapsed() >= ASK_AGAIN_EVERY);
        if told && is_old && may_ask {
            // A master says that it is none, and no Sentinel has told yet of another.
            self.asked_at = Some(Instant::now());
            self.watched.values().for_each(Watched::ask_again);
        }
        self.refresh(&states);
        let poll = Poll::of(&states, &self.source.seeds);
        let in_force = publisher.pool().core().plan();
        let (servers, problem) = self.masters(&in_force.settings, &poll);
        self.found
            .take_known(publisher, &servers, problem.as_deref());
        if problem.is_some() { SOON } else { EVERY }
    }
}

/// What the Sentinels say together.
struct Poll<'s> {
    /// Those that answer, each once.
    views: Vec<&'s View>,
    /// How many there are.
    voters: usize,
    /// Why one does not answer.
    silent: Option<String>,
}

impl<'s> Poll<'s> {
    fn of(states: &'s HashMap<Address, State>, seeds: &[Address]) -> Self {
        let ids: HashSet<&str> = states.values().filter_map(|it| it.id.as_deref()).collect();
        let is_new = |seed: &&Address| states.get(seed).is_none_or(|it| it.id.is_none());
        let mut by_id: HashMap<&str, &View> = HashMap::new();
        for view in states.values().filter_map(|it| it.view.as_ref()) {
            by_id.insert(&view.id, view);
        }
        let silent = states.iter().find_map(|(address, state)| {
            let problem = state.problem.as_ref()?;
            Some(format!("{address}: {problem}"))
        });
        Self {
            voters: ids.len() + seeds.iter().filter(is_new).count(),
            views: by_id.into_values().collect(),
            silent,
        }
    }

    /// The replicas of a master that most of the Sentinels tell which tell that it is the master.
    fn replicas(&self, name: &str, master: &Address) -> Vec<ReplicaSettings> {
        let views = self.views.iter();
        let told = views.filter_map(|view| view.masters.get(name));
        let told: Vec<&Told> = told.filter(|told| told.address == *master).collect();
        let votes = |it: &Address| {
            told.iter()
                .filter(|told| told.replicas.contains(it))
                .count()
        };
        let all: BTreeMap<String, &Address> = told
            .iter()
            .flat_map(|told| &told.replicas)
            .map(|address| (address.to_string(), address))
            .collect();
        let most = all.into_values().filter(|it| votes(it) * 2 > told.len());
        let most = most.filter(|it| *it != master).take(MAX_REPLICAS);
        most.map(|it| ReplicaSettings::at(it.clone(), None))
            .collect()
    }

    /// The master that most Sentinels tell. If none is known yet, the one that was made a master last is taken, whoever tells it.
    fn master(&self, name: &str, is_known: bool) -> Result<Told, String> {
        let told: Vec<&Told> = {
            let views = self.views.iter();
            views.filter_map(|view| view.masters.get(name)).collect()
        };
        let votes = |it: &Told| {
            told.iter()
                .filter(|other| other.address == it.address)
                .count()
        };
        let best = told.iter().max_by_key(|it| (votes(it), it.epoch));
        let Some(best) = best else {
            return Err(match (self.views.len(), &self.silent) {
                (0, Some(reason)) => format!("no Sentinel answers ({reason})"),
                (0, None) => "no Sentinel answers".to_owned(),
                (count, _) => format!("none of {count} Sentinels knows a master of this name"),
            });
        };
        if votes(best) * 2 > self.voters {
            return Ok((**best).clone());
        }
        if !is_known && let Some(newest) = told.iter().max_by_key(|it| it.epoch) {
            return Ok((**newest).clone());
        }
        let (count, all, address) = (votes(best), self.voters, &best.address);
        Err(format!(
            "only {count} of {all} Sentinels tell that {address} is its master"
        ))
    }
}

#[cfg(test)]
mod tests;
