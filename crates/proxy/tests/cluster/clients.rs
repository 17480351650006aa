//! Clients: what they send, and whether each reply is what one server would have answered.
//!
//! Registers and counters belong to one client each, so that what they can have is known at every reply. Lists belong to
//! all: what clients push there says who has pushed it, and as which request.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::nodes::{Nodes, Value};
use crate::resp::{Reply, request};
use crate::rng::Rng;

/// Registers of a client in each slot.
const REGISTERS: usize = 2;

/// A request that is not answered, or the part of one of several slots.
#[derive(Debug, Clone)]
enum Asked {
    Get(Vec<usize>),
    Set(Vec<(usize, Vec<u8>)>),
    Delete(Vec<usize>),
    Count(usize),
    Push { slot: usize, number: u64 },
    Multi,
    Queued,
    Exec { slot: usize, number: u64 },
}

/// What a client expects next.
#[derive(Debug)]
struct Expected {
    asked: Asked,
    at: u64,
}

/// What a counter can have.
#[derive(Debug, Clone, Copy, Default)]
struct Range {
    low: i64,
    high: i64,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    Unknown,
}

/// One client.
pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) rng: Rng,
    /// Requests that it will still send.
    pub(crate) left: usize,
    /// How many may be outstanding.
    pub(crate) depth: usize,
    /// Slots move, and replicas are read: those of the node that a key has left do not have it, and do not say where it is.
    pub(crate) may_miss: bool,
    /// Bytes of an incomplete reply.
    unread: Vec<u8>,
    expected: VecDeque<Expected>,
    sent: u64,
    /// The tags of the slots, and what each register can have; `None` is nothing.
    tags: Vec<String>,
    registers: Vec<HashSet<Option<Vec<u8>>>>,
    counters: Vec<Range>,
    /// Those that only transactions count in, each of which pushes too.
    executed: Vec<Range>,
    pushes: HashMap<(usize, u64), Fate>,
    /// The pushes of transactions.
    transactions: HashSet<u64>,
    pub(crate) replies: usize,
    /// When each request was sent that failed, when it did, and the error.
    pub(crate) errors: Vec<(u64, u64, String)>,
}

impl Client {
    pub(crate) fn new(number: usize, tags: &[String], mut rng: Rng) -> Self {
        Self {
            number,
            left: rng.between(20, 160),
            depth: rng.pick(&[1, 1, 4, 24]),
            rng,
            may_miss: false,
            unread: Vec::new(),
            expected: VecDeque::new(),
            sent: 0,
            tags: tags.to_vec(),
            registers: vec![HashSet::from([None]); tags.len() * REGISTERS],
            counters: vec![Range::default(); tags.len()],
            executed: vec![Range::default(); tags.len()],
            transactions: HashSet::new(),
            pushes: HashMap::new(),
            replies: 0,
            errors: Vec::new(),
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.expected.len()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 && self.expected.is_empty()
    }

    /// What it waits for, for messages.
    pub(crate) fn waits_for(&self) -> String {
        format!(
            "client {} waits for {:?}",
            self.number,
            self.expected.front()
        )
    }

    fn register(&self, register: usize) -> String {
        let (slot, number) = (register / REGISTERS, register % REGISTERS);
        format!("{}:c{}:{number}", self.tags[slot], self.number)
    }

    fn counter(&self, slot: usize) -> String {
        format!("{}:n{}", self.tags[slot], self.number)
    }

    fn transaction_counter(&self, slot: usize) -> String {
        format!("{}:x{}", self.tags[slot], self.number)
    }
}

/// The list of a slot.
fn list(tag: &str) -> String {
    format!("{tag}:list")
}

/// Requests.
impl Client {
    /// Its next request.
    pub(crate) fn ask(&mut self, now: u64) -> Vec<u8> {
        self.left -= 1;
        self.sent += 1;
        let number = self.sent;
        let slot = self.rng.below(self.tags.len());
        match self.rng.weighted(&[30, 20, 12, 8, 8, 12, 12, 14]) {
            0 => {
                let register = self.rng.below(self.registers.len());
                self.send(Asked::Get(vec![register]), now)
            }
            1 => {
                let register = self.rng.below(self.registers.len());
                self.send(Asked::Set(vec![(register, self.new_value(register))]), now)
            }
            2 => {
                let registers = self.some_registers();
                self.send(Asked::Get(registers), now)
            }
            3 => {
                let registers = self.some_registers().into_iter();
                let pairs = registers.map(|register| (register, self.new_value(register)));
                let asked = Asked::Set(pairs.collect());
                self.send(asked, now)
            }
            4 => {
                let registers = self.some_registers();
                self.send(Asked::Delete(registers), now)
            }
            5 => self.send(Asked::Count(slot), now),
            6 => self.send(Asked::Push { slot, number }, now),
            _ => self.transaction(slot, number, now),
        }
    }

    /// Counts and pushes in one step.
    fn transaction(&mut self, slot: usize, number: u64, now: u64) -> Vec<u8> {
        self.transactions.insert(number);
        let mut bytes = self.expect(Asked::Multi, &["MULTI".into()], now);
        let count = ["INCR".into(), self.transaction_counter(slot)];
        bytes.extend(self.expect(Asked::Queued, &count, now));
        let push = ["RPUSH".into(), list(&self.tags[slot]), self.element(number)];
        bytes.extend(self.expect(Asked::Queued, &push, now));
        bytes.extend(self.expect(Asked::Exec { slot, number }, &["EXEC".into()], now));
        bytes
    }

    fn some_registers(&mut self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.registers.len()).collect();
        self.rng.shuffle(&mut all);
        all.truncate(self.rng.between(1, 6));
        all
    }

    fn new_value(&self, register: usize) -> Vec<u8> {
        format!("{}={}", self.register(register), self.sent).into_bytes()
    }

    fn element(&self, number: u64) -> String {
        format!("{}:{number}", self.number)
    }

    fn send(&mut self, asked: Asked, now: u64) -> Vec<u8> {
        let keys = |registers: &[usize]| {
            registers
                .iter()
                .map(|it| self.register(*it))
                .collect::<Vec<_>>()
        };
        let mut words: Vec<String> = Vec::new();
        match &asked {
            Asked::Get(registers) => {
                words.push(if registers.len() == 1 { "GET" } else { "MGET" }.into());
                words.extend(keys(registers));
            }
            Asked::Set(pairs) => {
                words.push(if pairs.len() == 1 { "SET" } else { "MSET" }.into());
                for (register, value) in pairs {
                    words.push(self.register(*register));
                    words.push(String::from_utf8_lossy(value).into_owned());
                }
            }
            Asked::Delete(registers) => {
                words.push("DEL".into());
                words.extend(keys(registers));
            }
            Asked::Count(slot) => words.extend(["INCR".into(), self.counter(*slot)]),
            Asked::Push { slot, number } => {
                words.extend([
                    "RPUSH".into(),
                    list(&self.tags[*slot]),
                    self.element(*number),
                ]);
            }
            Asked::Multi | Asked::Queued | Asked::Exec { .. } => {
                unreachable!("a transaction has its own")
            }
        }
        self.expect(asked, &words, now)
    }

    fn expect(&mut self, asked: Asked, words: &[String], at: u64) -> Vec<u8> {
        self.expected.push_back(Expected { asked, at });
        request(words)
    }
}

/// Replies.
impl Client {
    /// Its connection is closed, in the middle of a reply. What it waits for may have been done, and it asks nothing more.
    pub(crate) fn leave(&mut self, now: u64) {
        self.left = 0;
        while let Some(Expected { asked, at }) = self.expected.pop_front() {
            self.errors
                .push((at, now, "the connection was closed".into()));
            self.note_failure(asked);
        }
    }

    /// Takes bytes that the proxy has sent.
    pub(crate) fn hear(&mut self, bytes: &[u8], now: u64) {
        self.unread.extend_from_slice(bytes);
        let mut from = 0;
        while let Some((reply, len)) = Reply::parse(&self.unread[from..]) {
            from += len;
            self.check(reply, now);
        }
        self.unread.drain(..from);
    }

    fn check(&mut self, reply: Reply, now: u64) {
        let Some(Expected { asked, at }) = self.expected.pop_front() else {
            panic!(
                "client {} has asked nothing and hears {reply:?}",
                self.number
            );
        };
        self.replies += 1;
        if let Reply::Error(error) = &reply {
            self.errors.push((at, now, error.clone()));
            return self.note_failure(asked);
        }
        let is_right = self.is_right(&asked, &reply);
        assert!(
            is_right,
            "client {} asked {asked:?} and hears {reply:?}",
            self.number
        );
    }

    /// What was asked may have been done, or not, or in part.
    fn note_failure(&mut self, asked: Asked) {
        match asked {
            Asked::Set(pairs) => {
                for (register, value) in pairs {
                    self.registers[register].insert(Some(value));
                }
            }
            Asked::Delete(registers) => {
                for register in registers {
                    self.registers[register].insert(None);
                }
            }
            Asked::Count(slot) => self.counters[slot].high += 1,
            Asked::Push { slot, number } => {
                self.pushes.insert((slot, number), Fate::Unknown);
            }
            Asked::Exec { slot, number } => {
                self.executed[slot].high += 1;
                self.pushes.insert((slot, number), Fate::Unknown);
            }
            Asked::Get(_) | Asked::Multi | Asked::Queued => {}
        }
    }

    /// Whether this is a right reply. Notes what is known by it.
    fn is_right(&mut self, asked: &Asked, reply: &Reply) -> bool {
        match (asked, reply) {
            (Asked::Get(registers), Reply::Bulk(value)) if registers.len() == 1 => {
                self.is_value(registers[0], value)
            }
            (Asked::Get(registers), Reply::Array(Some(items)))
                if items.len() == registers.len() =>
            {
                let mut pairs = registers.iter().zip(items);
                pairs.all(|(register, item)| match item {
                    Reply::Bulk(value) => self.is_value(*register, value),
                    _ => false,
                })
            }
            (Asked::Set(pairs), Reply::Simple(text)) => {
                for (register, value) in pairs {
                    self.registers[*register] = HashSet::from([Some(value.clone())]);
                }
                text == "OK"
            }
            (Asked::Delete(registers), Reply::Integer(count)) => self.is_deleted(registers, *count),
            (Asked::Count(slot), Reply::Integer(count)) => self.counters[*slot].is_next(*count),
            (Asked::Push { slot, number }, Reply::Integer(length)) => {
                self.pushes.insert((*slot, *number), Fate::Acknowledged);
                *length > 0
            }
            (Asked::Multi, Reply::Simple(text)) => text == "OK",
            (Asked::Queued, Reply::Simple(text)) => text == "QUEUED",
            (Asked::Exec { slot, number }, Reply::Array(Some(items))) => {
                self.pushes.insert((*slot, *number), Fate::Acknowledged);
                match items[..] {
                    [Reply::Integer(count), Reply::Integer(length)] => {
                        length > 0 && self.executed[*slot].is_next(count)
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn is_value(&mut self, register: usize, value: &Option<Vec<u8>>) -> bool {
        if value.is_none() && self.may_miss {
            return true;
        }
        let is_possible = self.registers[register].contains(value);
        self.registers[register] = HashSet::from([value.clone()]);
        is_possible
    }

    fn is_deleted(&mut self, registers: &[usize], count: i64) -> bool {
        let (mut least, mut most) = (0, 0);
        for register in registers {
            let can_have = &mut self.registers[*register];
            most += i64::from(can_have.iter().any(Option::is_some));
            least += i64::from(!can_have.contains(&None));
            *can_have = HashSet::from([None]);
        }
        (least..=most).contains(&count)
    }
}

impl Range {
    /// Whether this can be the next number. Then it is what there is.
    fn is_next(&mut self, count: i64) -> bool {
        let is_possible = (self.low + 1..=self.high + 1).contains(&count);
        *self = Self {
            low: count,
            high: count,
        };
        is_possible
    }
}

/// What there is in the end.
impl Client {
    /// Checks that its own keys have what they can have.
    pub(crate) fn check_keys(&self, nodes: &Nodes) {
        for (register, can_have) in self.registers.iter().enumerate() {
            let key = self.register(register);
            let value = match nodes.value(key.as_bytes()) {
                Some(Value::Text(text)) => Some(text.clone()),
                Some(Value::List(_)) => panic!("{key} is a list"),
                None => None,
            };
            assert!(
                can_have.contains(&value),
                "{key} has {value:?}, and not one of {can_have:?}"
            );
        }
        for (slot, range) in self.counters.iter().enumerate() {
            let (key, value) = (self.counter(slot), count(nodes, &self.counter(slot)));
            assert!(
                (range.low..=range.high).contains(&value),
                "{key} has {value}, and not {range:?}"
            );
        }
    }

    /// Checks what it has pushed to the list of a slot: once each, in its order.
    /// Transactions have pushed as often as they have counted.
    pub(crate) fn check_pushes(&self, slot: usize, nodes: &Nodes, elements: &[(usize, u64)]) {
        let own = elements.iter().filter(|(client, _)| *client == self.number);
        let own: Vec<u64> = own.map(|(_, number)| *number).collect();
        let is_ordered = own.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(
            is_ordered,
            "client {} has pushed {own:?} in slot {slot}",
            self.number
        );
        let executed = own
            .iter()
            .filter(|number| self.transactions.contains(number))
            .count();
        let counted = count(nodes, &self.transaction_counter(slot));
        assert_eq!(
            counted, executed as i64,
            "transactions of client {} in slot {slot}",
            self.number
        );
        for ((_, number), fate) in self.pushes.iter().filter(|((of, _), _)| *of == slot) {
            let is_there = own.contains(number);
            assert!(
                is_there || *fate == Fate::Unknown,
                "client {} pushed {number} in slot {slot}, which is gone",
                self.number
            );
        }
    }
}

/// What the list of a slot has: who has pushed it, as which request.
pub(crate) fn elements(nodes: &Nodes, tag: &str) -> Vec<(usize, u64)> {
    let elements = match nodes.value(list(tag).as_bytes()) {
        Some(Value::List(elements)) => elements.clone(),
        Some(Value::Text(_)) => panic!("the list of {tag} is a text"),
        None => Vec::new(),
    };
    let element = |bytes: &Vec<u8>| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (client, number) = text.split_once(':').expect("two numbers");
        (
            client.parse().expect("a client"),
            number.parse().expect("a request"),
        )
    };
    elements.iter().map(element).collect()
}

fn count(nodes: &Nodes, key: &str) -> i64 {
    match nodes.value(key.as_bytes()) {
        Some(Value::Text(text)) => String::from_utf8_lossy(text).parse().expect("a number"),
        Some(Value::List(_)) => panic!("{key} is a list"),
        None => 0,
    }
}
