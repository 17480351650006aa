//! The placement of keys, without the project's hash code.
//!
//! For `modula` with a simple hash the server is computed here. For `ketama` only consistency is checked:
//! while the set of live servers is the same, a key goes to the same server from every worker.

use std::collections::HashMap;
use std::rc::Rc;

/// How the scenario's pool places keys, as far as the oracle knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// `modula` over 32-bit FNV-1a.
    ModulaFnv1a,
    /// `modula` over Bob Jenkins's one-at-a-time.
    ModulaOneAtATime,
    /// `ketama`: consistency only.
    Ketama,
    /// `random`: any live server.
    Random,
}

/// The servers in use from a step on.
#[derive(Debug, Clone)]
pub(crate) struct LiveSet {
    pub(crate) since: u64,
    /// The weights by the plan, 0 for who is not in it.
    weights: Rc<[u32]>,
    /// Bit per server.
    pub(crate) mask: u32,
    /// When the first of the ejected ones may return.
    pub(crate) due: Option<u64>,
}

/// Knows or learns the server of every key.
#[derive(Debug)]
pub(crate) struct PlacementOracle {
    spread: Spread,
    tagged: bool,
    /// Keys stay with their servers, ejected or not.
    keeps: bool,
    history: Vec<LiveSet>,
    /// By the weights of those that were in use.
    learnt: HashMap<(Vec<u32>, Vec<u8>), usize>,
}

impl LiveSet {
    /// Everybody in the plan, a bit each.
    fn full(&self) -> u32 {
        let planned = |(index, weight): (usize, &u32)| u32::from(*weight > 0) << index;
        self.weights.iter().enumerate().map(planned).sum()
    }

    /// The weights of some.
    fn weights_of(&self, mask: u32) -> Vec<u32> {
        let weight = |(index, weight): (usize, &u32)| weight * (mask >> index & 1);
        self.weights.iter().enumerate().map(weight).collect()
    }
}

impl PlacementOracle {
    pub(crate) fn new(spread: Spread, weights: Vec<u32>, tagged: bool, keeps: bool) -> Self {
        let mut first = LiveSet {
            since: 0,
            weights: weights.into(),
            mask: 0,
            due: None,
        };
        first.mask = first.full();
        Self {
            spread,
            tagged,
            keeps,
            history: vec![first],
            learnt: HashMap::new(),
        }
    }

    fn last(&self) -> &LiveSet {
        self.history.last().expect("there was a first")
    }

    /// The servers in use now.
    pub(crate) fn live(&self) -> u32 {
        self.last().mask
    }

    /// Everybody in the plan, a bit each.
    pub(crate) fn full(&self) -> u32 {
        self.last().full()
    }

    /// Another plan came into force at `step`.
    pub(crate) fn replan(&mut self, step: u64, weights: Vec<u32>, mask: u32, due: Option<u64>) {
        self.history.push(LiveSet {
            since: step,
            weights: weights.into(),
            mask,
            due,
        });
    }

    /// The weights by each plan that was in force at any time from `step` on.
    pub(crate) fn plans_since(&self, step: u64) -> Vec<Rc<[u32]>> {
        let sets = self.sets_since(step).iter();
        let mut plans: Vec<_> = sets.map(|set| Rc::clone(&set.weights)).collect();
        plans.dedup();
        plans
    }

    /// The set of live servers changed at `step`.
    pub(crate) fn note(&mut self, step: u64, mask: u32, due: Option<u64>) {
        self.history.push(LiveSet {
            since: step,
            weights: Rc::clone(&self.last().weights),
            mask,
            due,
        });
    }

    /// The sets that were valid at any time from `step` on.
    pub(crate) fn sets_since(&self, step: u64) -> &[LiveSet] {
        let before = self.history.partition_point(|set| set.since < step);
        &self.history[before.saturating_sub(1)..]
    }

    /// Checks that a request sent at `sent` may bring `key` to `server`.
    pub(crate) fn check(&mut self, key: &[u8], server: usize, sent: u64) -> Result<(), String> {
        let sets = self.sets_since(sent).to_vec();
        let masks: Vec<u32> = sets.iter().map(|set| set.mask).collect();
        if !masks.iter().any(|mask| mask & (1 << server) != 0) {
            return Err(format!(
                "went to server {server}, which was ejected all the time (live sets {masks:?})"
            ));
        }
        match &sets[..] {
            [set] if !self.keeps => self.learn(set.weights_of(set.mask), key, server),
            [set, rest @ ..] if self.keeps && rest.iter().all(|it| it.weights == set.weights) => {
                self.learn(set.weights_of(set.full()), key, server);
            }
            _ => {}
        }
        match self.candidates(key, sent) {
            Some(homes) if !homes.contains(&server) => Err(format!(
                "went to server {server}, but belongs to {homes:?} (live sets {sets:?})"
            )),
            _ => Ok(()),
        }
    }

    /// The servers that `key` may have been sent to since `sent`; `None` if unknown.
    pub(crate) fn candidates(&self, key: &[u8], sent: u64) -> Option<Vec<usize>> {
        if self.last().weights.len() == 1 {
            return Some(vec![0]);
        }
        let home = home(key, self.tagged);
        let sets = self
            .sets_since(sent)
            .iter()
            .filter(|set| self.keeps || set.mask != 0);
        let owner = |set: &LiveSet| {
            let mask = if self.keeps { set.full() } else { set.mask };
            self.owner(set.weights_of(mask), home)
        };
        let mut owners = sets.map(owner).collect::<Option<Vec<_>>>()?;
        if self.keeps {
            owners.dedup();
        }
        Some(owners)
    }

    /// Where what is hashed of a key belongs while servers of these weights are in use.
    fn owner(&self, weights: Vec<u32>, home: &[u8]) -> Option<usize> {
        match self.spread {
            Spread::Random => None,
            Spread::Ketama => self.learnt.get(&(weights, home.to_vec())).copied(),
            Spread::ModulaFnv1a => Some(modula(&weights, fnv1a(home))),
            Spread::ModulaOneAtATime => Some(modula(&weights, one_at_a_time(home))),
        }
    }

    fn learn(&mut self, weights: Vec<u32>, key: &[u8], server: usize) {
        if self.spread == Spread::Ketama {
            let home = home(key, self.tagged).to_vec();
            self.learnt.entry((weights, home)).or_insert(server);
        }
    }

    /// Whether any of `servers`, a bit each, was ejected at any time since `step`.
    pub(crate) fn was_ejected(&self, servers: u32, step: u64) -> bool {
        let mut sets = self.sets_since(step).iter();
        sets.any(|set| set.mask & servers != servers & set.full())
    }

    /// Number of servers that own a key that was seen while all servers were live.
    pub(crate) fn owners(&self) -> (usize, usize) {
        let all = &self.last().weights[..];
        let homes = self
            .learnt
            .iter()
            .filter(|((weights, _), _)| weights == all);
        let servers: std::collections::HashSet<usize> =
            homes.clone().map(|(_, server)| *server).collect();
        (homes.count(), servers.len())
    }
}

/// Each server in use holds as many slots as its weight, in index order.
fn modula(weights: &[u32], hash: u32) -> usize {
    let total: u32 = weights.iter().sum();
    let mut slot = hash % total;
    for (server, weight) in weights.iter().enumerate() {
        if slot < *weight {
            return server;
        }
        slot -= weight;
    }
    unreachable!("the slot is below the sum of the weights")
}

/// The part of a key that is hashed.
fn home(key: &[u8], tagged: bool) -> &[u8] {
    if !tagged {
        return key;
    }
    let Some(open) = key.iter().position(|byte| *byte == b'{') else {
        return key;
    };
    let rest = &key[open + 1..];
    match rest.iter().position(|byte| *byte == b'}') {
        Some(close) if close > 0 => &rest[..close],
        _ => key,
    }
}

/// Bytes are signed numbers, as on x86.
fn extended(byte: u8) -> u32 {
    byte as i8 as u32
}

fn fnv1a(key: &[u8]) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ extended(*byte)).wrapping_mul(16_777_619);
    if key.is_empty() {
        0
    } else {
        key.iter().fold(2_166_136_261, step)
    }
}

fn one_at_a_time(key: &[u8]) -> u32 {
    let mut hash = 0u32;
    for byte in key {
        hash = hash.wrapping_add(extended(*byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

#[test]
fn hashes_agree_with_published_values() {
    assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    assert_eq!(one_at_a_time(b"a"), 0xca2e_9442);
    assert_eq!((fnv1a(b""), one_at_a_time(b"")), (0, 0));
}
