//! The nodes of a Redis Cluster: what each has, what each believes, and what it answers, as the specification of Redis
//! Cluster and `getNodeByQuery` of redis-server 7.0 have it.

use std::collections::{HashMap, VecDeque};

use hashkit::slot_of;

use crate::resp::Reply;
use crate::rng::Rng;

/// What a key has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
}

/// What a node knows of one connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    asking: bool,
    readonly: bool,
    block: Option<Block>,
}

/// What was queued since MULTI.
#[derive(Debug, Default)]
struct Block {
    commands: Vec<Vec<Vec<u8>>>,
    is_spoilt: bool,
}

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) is_alive: bool,
    /// It takes the cluster for one that is down.
    pub(crate) says_down: bool,
    /// `None` if it is a master.
    pub(crate) master: Option<usize>,
    data: HashMap<Vec<u8>, Value>,
    /// For each slot in use who has it, as it believes, and since when.
    view: Vec<(usize, u64)>,
    migrating: Vec<Option<usize>>,
    importing: Vec<bool>,
    /// What its master has sent and it has not applied, with the time when it will have.
    behind: VecDeque<(u64, Vec<u8>, Option<Value>)>,
}

/// All nodes. Each shard is a master with its replicas.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) all: Vec<Node>,
    /// A master is known to be dead and has not been replaced: all say that the cluster is down.
    pub(crate) is_down: bool,
    /// The hash slots that are used.
    pub(crate) slots: Vec<u16>,
    /// Counts changes of who has what.
    epoch: u64,
    /// The longest that replicas lag, in microseconds.
    lag: u64,
    /// Transactions that were executed, and requests that were sent elsewhere, by kind.
    pub(crate) transactions: usize,
    pub(crate) redirects: [usize; 4],
}

impl Nodes {
    /// So many masters, each with so many replicas behind them all, and the slots divided among them.
    pub(crate) fn new(masters: usize, replicas: usize, slots: Vec<u16>, lag: u64) -> Self {
        let view: Vec<_> = (0..slots.len()).map(|slot| (slot % masters, 0)).collect();
        let node = |number: usize| Node {
            is_alive: true,
            says_down: false,
            master: (number >= masters).then_some(number % masters),
            data: HashMap::new(),
            view: view.clone(),
            migrating: vec![None; slots.len()],
            importing: vec![false; slots.len()],
            behind: VecDeque::new(),
        };
        Self {
            all: (0..masters * (1 + replicas)).map(node).collect(),
            is_down: false,
            slots,
            epoch: 0,
            lag,
            transactions: 0,
            redirects: [0; 4],
        }
    }

    /// Where a node is.
    pub(crate) fn host(node: usize) -> String {
        format!("10.0.0.{node}")
    }

    /// Who has each slot, as a node believes.
    pub(crate) fn view_of(&self, node: usize) -> impl Iterator<Item = usize> {
        self.all[node].view.iter().map(|(owner, _)| *owner)
    }

    /// The replicas of a node that are alive.
    pub(crate) fn replicas_of(&self, master: usize) -> Vec<usize> {
        let is_it =
            |node: &usize| self.all[*node].is_alive && self.all[*node].master == Some(master);
        (0..self.all.len()).filter(is_it).collect()
    }

    pub(crate) fn living(&self) -> Vec<usize> {
        (0..self.all.len())
            .filter(|node| self.all[*node].is_alive)
            .collect()
    }

    /// Whether a slot of this node is being moved, from it or to it.
    pub(crate) fn moves_slots(&self, node: usize) -> bool {
        let node = &self.all[node];
        node.importing.contains(&true) || node.migrating.iter().any(Option::is_some)
    }

    /// What a key has at the node that has its slot.
    pub(crate) fn value(&self, key: &[u8]) -> Option<&Value> {
        let slot = self.slot(key);
        let newest = self
            .all
            .iter()
            .map(|node| node.view[slot])
            .max_by_key(|(_, epoch)| *epoch);
        let owner = newest.expect("there are nodes").0;
        assert_eq!(
            self.all[owner].migrating[slot], None,
            "a slot that still moves"
        );
        self.all[owner].data.get(key)
    }

    fn slot(&self, key: &[u8]) -> usize {
        let slot = slot_of(key);
        let known = self.slots.iter().position(|known| *known == slot);
        known.expect("a key of a slot that is used")
    }
}

/// Answers.
impl Nodes {
    /// The answer of a node to a request.
    pub(crate) fn serve(
        &mut self,
        node: usize,
        connection: &mut Connection,
        mut words: Vec<Vec<u8>>,
        now: u64,
        rng: &mut Rng,
    ) -> Reply {
        self.catch_up(node, now);
        words[0].make_ascii_uppercase();
        let name = String::from_utf8_lossy(&words[0]).into_owned();
        let is_asking = connection.asking;
        let reply = match (name.as_str(), &mut connection.block) {
            ("ASKING", _) => {
                connection.asking = true;
                return Reply::ok();
            }
            ("READONLY", _) => {
                connection.readonly = true;
                Reply::ok()
            }
            ("PING", _) => Reply::Simple("PONG".into()),
            ("MULTI", None) => {
                connection.block = Some(Block::default());
                // Its ASKING holds up to EXEC.
                return Reply::ok();
            }
            ("DISCARD", None) => Reply::error("ERR DISCARD without MULTI"),
            ("DISCARD", block) => {
                *block = None;
                Reply::ok()
            }
            ("EXEC", block) if block.is_some() => {
                let block = block.take().expect("there is one");
                self.exec(node, block, is_asking, now, rng)
            }
            (_, Some(block)) => {
                let keys = keys(&words);
                if let Some(error) = self.elsewhere(node, is_asking, false, &keys, false) {
                    block.is_spoilt = true;
                    return error;
                }
                block.commands.push(words);
                return Reply::Simple("QUEUED".into());
            }
            (_, None) => {
                let readonly = connection.readonly;
                let is_read = matches!(name.as_str(), "GET" | "MGET");
                match self.elsewhere(node, is_asking, readonly, &keys(&words), is_read) {
                    Some(error) => error,
                    None => self.execute(node, &words, now, rng),
                }
            }
        };
        connection.asking = false;
        reply
    }

    fn exec(
        &mut self,
        node: usize,
        block: Block,
        is_asking: bool,
        now: u64,
        rng: &mut Rng,
    ) -> Reply {
        if block.is_spoilt {
            return Reply::error("EXECABORT Transaction discarded because of previous errors.");
        }
        let keys: Vec<&[u8]> = block
            .commands
            .iter()
            .flat_map(|words| keys(words))
            .collect();
        if let Some(error) = self.elsewhere(node, is_asking, false, &keys, false) {
            return error;
        }
        self.transactions += 1;
        let mut replies = Vec::new();
        for words in &block.commands {
            replies.push(self.execute(node, words, now, rng));
        }
        Reply::Array(Some(replies))
    }

    /// The error of a request that the node does not serve.
    fn elsewhere(
        &mut self,
        node: usize,
        is_asking: bool,
        readonly: bool,
        keys: &[&[u8]],
        is_read: bool,
    ) -> Option<Reply> {
        let slot = self.slot(keys.first()?);
        assert!(
            keys.iter().all(|key| self.slot(key) == slot),
            "keys of several slots"
        );
        let it = &self.all[node];
        let missing = keys
            .iter()
            .filter(|key| !it.data.contains_key(**key))
            .count();
        let (owner, _) = it.view[slot];
        let number = self.slots[slot];
        let (kind, error) = if it.says_down || self.is_down {
            (0, "CLUSTERDOWN The cluster is down".into())
        } else if owner == node {
            match it.migrating[slot].filter(|_| missing > 0) {
                None => return None,
                Some(_) if missing < keys.len() => (1, TRY_AGAIN.into()),
                Some(to) => (2, format!("ASK {number} {}:7000", Self::host(to))),
            }
        } else if it.importing[slot] && is_asking {
            match keys.len() > 1 && missing > 0 {
                true => (1, TRY_AGAIN.into()),
                false => return None,
            }
        } else if it.master == Some(owner) && readonly && is_read {
            return None;
        } else {
            (3, format!("MOVED {number} {}:7000", Self::host(owner)))
        };
        self.redirects[kind] += 1;
        Some(Reply::Error(error))
    }

    fn execute(&mut self, node: usize, words: &[Vec<u8>], now: u64, rng: &mut Rng) -> Reply {
        let data = &mut self.all[node].data;
        let text = |value: Option<&Value>| match value {
            Some(Value::Text(text)) => Some(text.clone()),
            Some(Value::List(_)) => panic!("a list that is read as a text"),
            None => None,
        };
        let reply = match &*words[0] {
            b"GET" => return Reply::Bulk(text(data.get(&words[1]))),
            b"MGET" => {
                let values = words[1..]
                    .iter()
                    .map(|key| Reply::Bulk(text(data.get(key))));
                return Reply::Array(Some(values.collect()));
            }
            b"SET" | b"MSET" => {
                for pair in words[1..].chunks(2) {
                    data.insert(pair[0].clone(), Value::Text(pair[1].clone()));
                }
                Reply::ok()
            }
            b"DEL" => {
                let gone = words[1..].iter().filter(|key| data.remove(*key).is_some());
                Reply::Integer(gone.count() as i64)
            }
            b"INCR" => {
                let last = text(data.get(&words[1])).map_or(0, |text| number(&text));
                let next = (last + 1).to_string().into_bytes();
                data.insert(words[1].clone(), Value::Text(next));
                Reply::Integer(last + 1)
            }
            b"RPUSH" => {
                let none = || Value::List(Vec::new());
                let Value::List(list) = data.entry(words[1].clone()).or_insert_with(none) else {
                    panic!("a text that is used as a list");
                };
                list.push(words[2].clone());
                Reply::Integer(list.len() as i64)
            }
            other => panic!("no node knows {}", other.escape_ascii()),
        };
        for key in keys(words) {
            self.replicate(node, key, now, rng);
        }
        reply
    }
}

/// Replicas.
impl Nodes {
    /// Sends what a key has now to the replicas of a node.
    fn replicate(&mut self, node: usize, key: &[u8], now: u64, rng: &mut Rng) {
        let value = self.all[node].data.get(key).cloned();
        for replica in self.replicas_of(node) {
            let behind = &mut self.all[replica].behind;
            let last = behind.back().map_or(0, |(due, ..)| *due);
            let due = last.max(now + rng.micros(0, self.lag));
            behind.push_back((due, key.into(), value.clone()));
        }
    }

    /// Has a replica apply what it has by now.
    fn catch_up(&mut self, node: usize, now: u64) {
        let node = &mut self.all[node];
        let due = node.behind.iter().take_while(|(due, ..)| *due <= now);
        let due = due.count();
        for (_, key, value) in node.behind.drain(..due) {
            match value {
                Some(value) => drop(node.data.insert(key, value)),
                None => drop(node.data.remove(&key)),
            }
        }
    }

    /// A node is a replica of another one, and has all that this one has.
    fn follow(&mut self, node: usize, master: usize) {
        let (data, view) = (self.all[master].data.clone(), self.all[master].view.clone());
        let it = &mut self.all[node];
        it.master = Some(master);
        it.behind.clear();
        it.data = data;
        for (own, theirs) in it.view.iter_mut().zip(view) {
            if own.1 < theirs.1 {
                *own = theirs;
            }
        }
    }

    /// A replica takes the place of its master, and nothing that was written is lost. Returns who has to hear of it: which slots
    /// have whom since when.
    pub(crate) fn promote(&mut self, replica: usize) -> Vec<News> {
        let master = self.all[replica].master.expect("a replica");
        self.catch_up(replica, u64::MAX);
        self.epoch += 1;
        self.all[replica].master = None;
        let mut news = Vec::new();
        for slot in 0..self.slots.len() {
            if self.all[master].view[slot].0 == master {
                self.all[replica].view[slot] = (replica, self.epoch);
                news.push(News {
                    slot,
                    owner: replica,
                    epoch: self.epoch,
                });
            }
        }
        for other in 0..self.all.len() {
            let is_of_master = other == master || self.all[other].master == Some(master);
            if other != replica && is_of_master && self.all[other].is_alive {
                self.follow(other, replica);
            }
        }
        news
    }

    /// Who is the master of a replica by now: its own may have been replaced meanwhile.
    pub(crate) fn master_now(&self, node: usize) -> usize {
        let mut master = self.all[node].master.expect("a replica");
        while let Some(next) = self.all[master].master {
            master = next;
        }
        master
    }

    /// A node that was gone is back, as a replica of who has taken its place.
    pub(crate) fn restart(&mut self, node: usize, master: usize) {
        self.all[node].is_alive = true;
        self.follow(node, master);
    }
}

/// That a slot belongs to another node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct News {
    slot: usize,
    owner: usize,
    epoch: u64,
}

/// Slots that move.
impl Nodes {
    /// Who has a slot, as itself believes.
    pub(crate) fn owner(&self, slot: usize) -> Option<usize> {
        let has_it =
            |node: &usize| self.all[*node].is_alive && self.all[*node].view[slot].0 == *node;
        let mut owners = (0..self.all.len()).filter(has_it);
        owners.next().filter(|_| owners.next().is_none())
    }

    pub(crate) fn begin_move(&mut self, slot: usize, from: usize, to: usize) {
        self.all[from].migrating[slot] = Some(to);
        self.all[to].importing[slot] = true;
    }

    /// Moves a key of the slot; whether there was one.
    pub(crate) fn move_key(
        &mut self,
        slot: usize,
        from: usize,
        to: usize,
        now: u64,
        rng: &mut Rng,
    ) -> bool {
        let mut keys: Vec<Vec<u8>> = self.all[from].data.keys().cloned().collect();
        keys.retain(|key| self.slot(key) == slot);
        keys.sort();
        if keys.is_empty() {
            return false;
        }
        let key = rng.pick(&keys);
        let value = self.all[from].data.remove(&key).expect("it is there");
        self.all[to].data.insert(key.clone(), value);
        self.replicate(from, &key, now, rng);
        self.replicate(to, &key, now, rng);
        true
    }

    /// The slot belongs to another node now, which knows. The others hear of it.
    pub(crate) fn end_move(&mut self, slot: usize, to: usize) -> News {
        self.epoch += 1;
        let news = News {
            slot,
            owner: to,
            epoch: self.epoch,
        };
        self.all[to].importing[slot] = false;
        self.hear(to, news);
        news
    }

    /// A node hears who has a slot. One that a slot moves to does not follow what it hears of it.
    pub(crate) fn hear(&mut self, node: usize, news: News) {
        let it = &mut self.all[node];
        if it.view[news.slot].1 < news.epoch && !it.importing[news.slot] {
            it.view[news.slot] = (news.owner, news.epoch);
            it.migrating[news.slot] = None;
        }
    }
}

const TRY_AGAIN: &str = "TRYAGAIN Multiple keys request during rehashing of slot";

/// The keys of a request.
fn keys(words: &[Vec<u8>]) -> Vec<&[u8]> {
    let (first, step) = (1, if words[0] == b"MSET" { 2 } else { 1 });
    let last = match &*words[0] {
        b"MGET" | b"MSET" | b"DEL" => words.len(),
        _ => 2.min(words.len()),
    };
    (first..last).step_by(step).map(|at| &*words[at]).collect()
}

fn number(text: &[u8]) -> i64 {
    String::from_utf8_lossy(text).parse().expect("a number")
}
