//! The keys of one client: what it asks for, and whether the replies can be right.

use std::ops::Range;

use nuthatch_bench::faults::{Owner, Random};
use nuthatch_bench::load::Protocol;

use crate::model::{Counter, Excuse, Journal, Kills, Place, Register};
use crate::request::{Ask, Request};

/// Keys that are written as a whole.
pub(crate) const REGISTERS: Range<u16> = 0..40;

/// Keys that are incremented.
pub(crate) const COUNTERS: Range<u16> = 40..48;

/// Keys that are appended to.
pub(crate) const JOURNALS: Range<u16> = 48..56;

/// All keys.
pub(crate) const ALL: Range<u16> = 0..56;

/// Most keys of one request.
const MOST_KEYS: u64 = 8;

/// A journal with as many tokens begins anew.
const LONG_JOURNAL: usize = 24;

/// What is known of the keys of one client.
#[derive(Debug)]
pub(crate) struct Keyspace {
    pub(crate) owner: Owner,
    pub(crate) protocol: Protocol,
    pub(super) registers: Vec<Register>,
    pub(super) counters: Vec<Counter>,
    pub(super) journals: Vec<Journal>,
    /// If reads may be answered as if there were no value: what must have happened for that.
    pub(super) missed: Option<Excuse>,
}

impl Keyspace {
    /// With `moved`, keys may be on other servers; see [`Place`].
    pub(crate) fn new(
        owner: Owner,
        protocol: Protocol,
        moved: Option<Excuse>,
        missed: Option<Excuse>,
    ) -> Self {
        let place = Place {
            server: None,
            moved,
        };
        Self {
            owner,
            protocol,
            registers: REGISTERS.map(|_| Register::new(place)).collect(),
            counters: COUNTERS.map(|_| Counter::new(place)).collect(),
            journals: JOURNALS.map(|_| Journal::new(place)).collect(),
            missed,
        }
    }

    /// Writes that give each key a value.
    pub(crate) fn first_writes(&mut self) -> Vec<Ask> {
        let mut asks: Vec<Ask> = REGISTERS.map(|key| self.set(key)).collect();
        if self.protocol == Protocol::Memcached {
            asks.extend(COUNTERS.map(|key| Ask::AddCounter { key }));
        }
        asks.extend(COUNTERS.map(|key| self.increment(key)));
        asks.extend(JOURNALS.map(|key| self.restart(key)));
        asks
    }

    /// Reads of all keys.
    pub(crate) fn all_reads(&self) -> Vec<Ask> {
        ALL.map(|key| self.read(key)).collect()
    }

    /// Writes whose results must be exactly right; see [`Keyspace::settle`].
    pub(crate) fn last_writes(&mut self) -> Vec<Ask> {
        let mut asks: Vec<Ask> = REGISTERS.map(|key| self.set(key)).collect();
        asks.extend(JOURNALS.map(|key| self.restart(key)));
        asks.extend(JOURNALS.map(|key| self.append(key)));
        for key in COUNTERS {
            // What it is elsewhere is not known.
            if self.counter(key).place.moved.is_none() {
                if self.protocol == Protocol::Memcached {
                    asks.push(Ask::AddCounter { key });
                }
                asks.push(self.increment(key));
            }
        }
        asks
    }

    /// Reads of what they have written.
    pub(crate) fn last_reads(&self) -> Vec<Ask> {
        let is_exact = |key: &u16| !COUNTERS.contains(key) || self.place(*key).moved.is_none();
        let keys = ALL.filter(is_exact);
        keys.map(|key| self.read(key)).collect()
    }

    /// From now on every reply must be exactly right: nothing has failed for a while.
    pub(crate) fn settle(&mut self) {
        self.missed = None;
        let is_settled = |place: &Place| place.moved == Some(Excuse::Ejected);
        for register in &mut self.registers {
            register.settle();
            if is_settled(&register.place) {
                register.place.moved = None;
            }
        }
        for journal in &mut self.journals {
            journal.settle();
            if is_settled(&journal.place) {
                journal.place.moved = None;
            }
        }
        for counter in &mut self.counters {
            counter.settle();
        }
    }

    /// Sets where a key is.
    pub(crate) fn set_server(&mut self, key: u16, server: Option<usize>) {
        self.place_mut(key).server = server;
    }

    /// Where a key is.
    pub(crate) fn place(&self, key: u16) -> Place {
        if COUNTERS.contains(&key) {
            self.counter(key).place
        } else if JOURNALS.contains(&key) {
            self.journal(key).place
        } else {
            self.registers[usize::from(key)].place
        }
    }

    fn place_mut(&mut self, key: u16) -> &mut Place {
        if COUNTERS.contains(&key) {
            &mut self.counter_mut(key).place
        } else if JOURNALS.contains(&key) {
            &mut self.journal_mut(key).place
        } else {
            &mut self.register_mut(key).place
        }
    }

    /// What a client asks for next.
    pub(crate) fn draw(&mut self, random: &mut Random) -> Ask {
        let is_redis = self.protocol == Protocol::Redis;
        let text = random.number() as u32;
        let key = draw_from(&REGISTERS, random);
        match random.below(100) {
            0..28 => self.set(key),
            28..50 => self.read(key),
            50..58 => self.read_many(random),
            58..62 if is_redis => Ask::SetMany {
                writes: self.draw_writes(random),
            },
            62..67 => Ask::Delete {
                keys: draw_keys(random, if is_redis { MOST_KEYS } else { 1 }),
            },
            67..71 => Ask::SetQuietly {
                key,
                seq: self.register_mut(key).next_write(),
            },
            71..73 if is_redis => Ask::WrongType { key },
            73..76 => Ask::Ping { text },
            76..77 => Ask::Unknown { text },
            77..89 => self.draw_of_counter(random),
            89..100 => self.draw_of_journal(random),
            _ => self.set(key),
        }
    }

    fn draw_writes(&mut self, random: &mut Random) -> Vec<(u16, u32)> {
        let keys = draw_keys(random, MOST_KEYS).into_iter();
        keys.map(|key| (key, self.register_mut(key).next_write()))
            .collect()
    }

    fn draw_of_counter(&mut self, random: &mut Random) -> Ask {
        let key = draw_from(&COUNTERS, random);
        match random.below(6) {
            0..=1 => self.read(key),
            2 if self.protocol == Protocol::Memcached => Ask::AddCounter { key },
            _ => self.increment(key),
        }
    }

    fn draw_of_journal(&mut self, random: &mut Random) -> Ask {
        let key = draw_from(&JOURNALS, random);
        let is_long = self.journal(key).len() >= LONG_JOURNAL;
        match random.below(10) {
            0..=3 => self.read(key),
            4 => self.restart(key),
            _ if is_long => self.restart(key),
            _ => self.append(key),
        }
    }

    pub(crate) fn set(&mut self, key: u16) -> Ask {
        let seq = self.register_mut(key).next_write();
        Ask::Set { key, seq }
    }

    pub(crate) fn increment(&mut self, key: u16) -> Ask {
        let bound = self.counter_mut(key).next_increment();
        Ask::Increment { key, bound }
    }

    pub(crate) fn restart(&mut self, key: u16) -> Ask {
        let token = self.journal_mut(key).next_token();
        Ask::Restart { key, token }
    }

    pub(crate) fn append(&mut self, key: u16) -> Ask {
        let token = self.journal_mut(key).next_token();
        Ask::Append { key, token }
    }

    fn read(&self, key: u16) -> Ask {
        if COUNTERS.contains(&key) {
            let bound = self.counter(key).sent();
            Ask::ReadCounter { key, bound }
        } else if JOURNALS.contains(&key) {
            let bound = self.journal(key).latest();
            Ask::ReadJournal { key, bound }
        } else {
            let keys = vec![(key, self.registers[usize::from(key)].latest())];
            Ask::Get { keys }
        }
    }

    /// A read of several keys.
    pub(crate) fn read_many(&self, random: &mut Random) -> Ask {
        let keys = draw_keys(random, MOST_KEYS).into_iter();
        let bound = |key: u16| self.registers[usize::from(key)].latest();
        Ask::Get {
            keys: keys.map(|key| (key, bound(key))).collect(),
        }
    }

    /// A request has failed, or its result is not known.
    pub(crate) fn note_failed(&mut self, ask: &Ask) {
        match ask {
            Ask::Set { key, seq } | Ask::SetQuietly { key, seq } => {
                self.register_mut(*key).note_failed(Some(*seq));
            }
            Ask::SetMany { writes } => {
                for &(key, seq) in writes {
                    self.register_mut(key).note_failed(Some(seq));
                }
            }
            Ask::Delete { keys } => {
                for &key in keys {
                    self.register_mut(key).note_failed(None);
                }
            }
            Ask::Increment { key, .. } => self.counter_mut(*key).note_failed(),
            Ask::Append { key, token } => self.journal_mut(*key).note_failed(*token),
            Ask::Restart { key, token } => self.journal_mut(*key).note_failed_restart(*token),
            _ => {}
        }
    }

    pub(super) fn register_mut(&mut self, key: u16) -> &mut Register {
        &mut self.registers[usize::from(key)]
    }

    fn counter(&self, key: u16) -> &Counter {
        &self.counters[usize::from(key - COUNTERS.start)]
    }

    pub(super) fn counter_mut(&mut self, key: u16) -> &mut Counter {
        &mut self.counters[usize::from(key - COUNTERS.start)]
    }

    fn journal(&self, key: u16) -> &Journal {
        &self.journals[usize::from(key - JOURNALS.start)]
    }

    pub(super) fn journal_mut(&mut self, key: u16) -> &mut Journal {
        &mut self.journals[usize::from(key - JOURNALS.start)]
    }
}

impl Request {
    /// That is sent now.
    pub(crate) fn new(ask: Ask, now: Kills) -> Self {
        Self { ask, sent: now }
    }
}

fn draw_from(keys: &Range<u16>, random: &mut Random) -> u16 {
    let count = u64::from(keys.end - keys.start);
    keys.start + random.below(count) as u16
}

/// Up to `most` different keys.
fn draw_keys(random: &mut Random, most: u64) -> Vec<u16> {
    let count = 1 + random.below(most);
    let mut keys: Vec<u16> = (0..count).map(|_| draw_from(&REGISTERS, random)).collect();
    keys.sort_unstable();
    keys.dedup();
    random.shuffle(&mut keys);
    keys
}
