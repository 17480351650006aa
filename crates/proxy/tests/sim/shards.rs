//! Where keys belong, known without the project's hash code.
//!
//! For `modula` with a simple hash the server is computed here. For `ketama` only consistency is
//! asked: while the set of live servers is the same, a key goes to the same server from every worker.

use std::collections::HashMap;

/// How the scenario's pool spreads keys, as far as the oracle knows it.
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveSet {
    pub(crate) since: u64,
    /// Bit per server.
    pub(crate) mask: u32,
    /// When the first of the ejected ones is due back.
    pub(crate) due: Option<u64>,
}

/// Knows or learns the home of every key.
#[derive(Debug)]
pub(crate) struct Shards {
    spread: Spread,
    weights: Vec<u32>,
    tagged: bool,
    /// Keys stay with their servers, ejected or not.
    keeps: bool,
    history: Vec<LiveSet>,
    learnt: HashMap<(u32, Vec<u8>), usize>,
}

impl Shards {
    pub(crate) fn new(spread: Spread, weights: Vec<u32>, tagged: bool, keeps: bool) -> Self {
        let mask = (1u32 << weights.len()) - 1;
        let history = vec![LiveSet {
            since: 0,
            mask,
            due: None,
        }];
        Self {
            spread,
            weights,
            tagged,
            keeps,
            history,
            learnt: HashMap::new(),
        }
    }

    /// The servers in use now.
    pub(crate) fn live(&self) -> u32 {
        self.history.last().map_or(0, |set| set.mask)
    }

    pub(crate) fn full(&self) -> u32 {
        (1u32 << self.weights.len()) - 1
    }

    /// The set of live servers changed at `step`.
    pub(crate) fn note(&mut self, step: u64, mask: u32, due: Option<u64>) {
        self.history.push(LiveSet {
            since: step,
            mask,
            due,
        });
    }

    /// The sets that were in force at any time from `step` on.
    pub(crate) fn sets_since(&self, step: u64) -> &[LiveSet] {
        let before = self.history.partition_point(|set| set.since < step);
        &self.history[before.saturating_sub(1)..]
    }

    /// Judges that a request sent at `sent` brought `key` to `server`.
    pub(crate) fn check(&mut self, key: &[u8], server: usize, sent: u64) -> Result<(), String> {
        let masks: Vec<u32> = self.sets_since(sent).iter().map(|set| set.mask).collect();
        if !masks.iter().any(|mask| mask & (1 << server) != 0) {
            return Err(format!(
                "went to server {server}, which was ejected all the time (live sets {masks:?})"
            ));
        }
        match masks[..] {
            _ if self.keeps => self.learn(self.full(), key, server),
            [mask] => self.learn(mask, key, server),
            _ => {}
        }
        match self.candidates(key, sent) {
            Some(homes) if !homes.contains(&server) => Err(format!(
                "went to server {server}, but belongs to {homes:?} (live sets {masks:?})"
            )),
            _ => Ok(()),
        }
    }

    /// The servers that `key` may have been sent to since `sent`; `None` if not known.
    pub(crate) fn candidates(&self, key: &[u8], sent: u64) -> Option<Vec<usize>> {
        if self.weights.len() == 1 {
            return Some(vec![0]);
        }
        let home = home(key, self.tagged);
        if self.keeps {
            return self.owner(self.full(), home).map(|server| vec![server]);
        }
        let sets = self.sets_since(sent).iter().filter(|set| set.mask != 0);
        sets.map(|set| self.owner(set.mask, home)).collect()
    }

    /// Where what is hashed of a key belongs while these servers are in use.
    fn owner(&self, mask: u32, home: &[u8]) -> Option<usize> {
        match self.spread {
            Spread::Random => None,
            Spread::Ketama => self.learnt.get(&(mask, home.to_vec())).copied(),
            Spread::ModulaFnv1a => Some(self.modula(mask, fnv1a(home))),
            Spread::ModulaOneAtATime => Some(self.modula(mask, one_at_a_time(home))),
        }
    }

    fn learn(&mut self, mask: u32, key: &[u8], server: usize) {
        if self.spread == Spread::Ketama {
            let home = home(key, self.tagged).to_vec();
            self.learnt.entry((mask, home)).or_insert(server);
        }
    }

    /// Each live server holds as many slots as its weight, in index order.
    fn modula(&self, mask: u32, hash: u32) -> usize {
        let live = |server: &usize| mask & (1 << server) != 0;
        let total: u32 = (0..self.weights.len())
            .filter(live)
            .map(|server| self.weights[server])
            .sum();
        let mut slot = hash % total;
        for server in (0..self.weights.len()).filter(live) {
            if slot < self.weights[server] {
                return server;
            }
            slot -= self.weights[server];
        }
        unreachable!("the slot is below the sum of the weights")
    }

    /// Whether any of `servers`, a bit each, was ejected at any time since `step`.
    pub(crate) fn was_ejected(&self, servers: u32, step: u64) -> bool {
        let mut sets = self.sets_since(step).iter();
        sets.any(|set| set.mask & servers != servers)
    }

    /// How many servers own a key that was seen while everybody was live.
    pub(crate) fn owners(&self) -> (usize, usize) {
        let full = self.full();
        let homes = self.learnt.iter().filter(|((mask, _), _)| *mask == full);
        let servers: std::collections::HashSet<usize> =
            homes.clone().map(|(_, server)| *server).collect();
        (homes.count(), servers.len())
    }
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

/// Bytes count as signed numbers, as on x86.
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
