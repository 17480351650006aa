//! One client: pipelines requests for its own keys, and checks each reply.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Keys of one client that have one hash slot, and others.
const KEYS: usize = 24;
const LOOSE_KEYS: usize = 8;

/// Requests that are written at once, at most.
const BATCH: u64 = 12;

/// Lines that tell what was wrong.
const MOST_TOLD: usize = 20;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// Replies with a value that cannot be.
    pub(crate) wrong: u64,
    /// Of those, replies with an older value than was there already, or a newer one than was sent by then.
    pub(crate) misordered: u64,
    pub(crate) errors: Vec<(Instant, String)>,
    pub(crate) told: Vec<String>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.wrong += other.wrong;
        self.misordered += other.misordered;
        self.errors.extend(other.errors);
        self.told.extend(other.told);
    }
}

/// Whether an error line is one that a client of a cluster would have to deal with.
pub(crate) fn is_of_cluster(line: &str) -> bool {
    ["-MOVED", "-ASK", "-TRYAGAIN", "-CLUSTERDOWN", "-CROSSSLOT"]
        .iter()
        .any(|code| line.starts_with(code))
}

/// The slot of the keys of a client that are moved.
pub(crate) fn slot_of_client(number: u16) -> u16 {
    hashkit::slot_of(tag(number).as_bytes())
}

fn tag(number: u16) -> String {
    format!("{{c{number}}}")
}

/// What a key may hold: numbers of writes. Exactly one if none has failed since.
#[derive(Debug, Clone)]
struct Known {
    /// The write that was acknowledged last; 0 is none.
    last: u64,
    /// Later writes whose outcome is not known.
    maybe: Vec<u64>,
    /// Acknowledged writes may be lost when a master fails, as it has not passed them on.
    may_be_older: bool,
}

/// A request that is under way.
enum Sent {
    Set(usize, u64),
    Get(usize),
    /// MGET of some keys.
    Gets(Vec<usize>),
    /// MSET of some keys to the same number.
    Sets(Vec<usize>, u64),
    /// MULTI, SET, GET, EXEC: three lines before the reply.
    Transaction(usize, u64),
}

/// A reply.
#[derive(Debug, Clone, PartialEq)]
enum Reply {
    Line(String),
    Error(String),
    Bulk(Option<String>),
    List(Vec<Reply>),
}

pub(crate) struct Client {
    port: u16,
    number: u16,
    chance: u64,
    next: u64,
    known: BTreeMap<usize, Known>,
    counts: Counts,
}

impl Client {
    pub(crate) fn new(port: u16, number: u16, seed: u64) -> Self {
        Self {
            port,
            number,
            chance: seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number)) | 1,
            next: 1,
            known: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        (self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    pub(crate) fn run(mut self, stop: &AtomicBool) -> Counts {
        let mut connection = self.connect();
        while !stop.load(Ordering::Relaxed) {
            let (bytes, sent) = self.batch();
            let mut broken = connection.get_mut().write_all(&bytes).is_err();
            for (at, sent) in sent.iter().enumerate() {
                if broken {
                    self.give_up(sent);
                    continue;
                }
                let _ = at;
                broken = !self.check(sent, &mut connection);
            }
            if broken {
                let line = "the connection was lost".to_owned();
                self.counts.errors.push((Instant::now(), line));
                connection = self.connect();
            }
        }
        self.counts
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the proxy listens");
        let limit = Some(Duration::from_secs(30));
        stream
            .set_read_timeout(limit)
            .expect("a time-out can be set");
        stream.set_nodelay(true).expect("a socket has options");
        BufReader::new(stream)
    }

    fn key(&self, key: usize) -> String {
        match key < KEYS {
            true => format!("{}:{key}", tag(self.number)),
            false => format!("c{}:{key}", self.number),
        }
    }

    fn value(&self, key: usize, write: u64) -> String {
        format!("{}={write}", self.key(key))
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Some requests, as bytes and as what they are.
    fn batch(&mut self) -> (Vec<u8>, Vec<Sent>) {
        let mut bytes = Vec::new();
        let mut sent = Vec::new();
        for _ in 0..=self.draw(BATCH) {
            let any = self.draw((KEYS + LOOSE_KEYS) as u64) as usize;
            let tagged = self.draw(KEYS as u64) as usize;
            match self.draw(10) {
                0..4 => {
                    let write = self.number();
                    put(
                        &mut bytes,
                        &["SET", &self.key(any), &self.value(any, write)],
                    );
                    sent.push(Sent::Set(any, write));
                }
                4..7 => {
                    put(&mut bytes, &["GET", &self.key(any)]);
                    sent.push(Sent::Get(any));
                }
                7 => {
                    let keys = vec![tagged, (tagged + 1) % KEYS, any];
                    let names: Vec<String> = keys.iter().map(|key| self.key(*key)).collect();
                    put(&mut bytes, &["MGET", &names[0], &names[1], &names[2]]);
                    sent.push(Sent::Gets(keys));
                }
                8 => {
                    let write = self.number();
                    let keys = vec![tagged, (tagged + 1) % KEYS, KEYS + any % LOOSE_KEYS];
                    let mut words = vec!["MSET".to_owned()];
                    for key in &keys {
                        words.extend([self.key(*key), self.value(*key, write)]);
                    }
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    put(&mut bytes, &words);
                    sent.push(Sent::Sets(keys, write));
                }
                _ => {
                    let write = self.number();
                    put(&mut bytes, &["MULTI"]);
                    put(
                        &mut bytes,
                        &["SET", &self.key(tagged), &self.value(tagged, write)],
                    );
                    put(&mut bytes, &["GET", &self.key(tagged)]);
                    put(&mut bytes, &["EXEC"]);
                    sent.push(Sent::Transaction(tagged, write));
                }
            }
        }
        self.counts.requests += sent.len() as u64;
        (bytes, sent)
    }

    /// Checks the reply to a request; false if the connection is lost.
    fn check(&mut self, sent: &Sent, connection: &mut BufReader<TcpStream>) -> bool {
        if let Sent::Transaction(..) = sent {
            for _ in 0..3 {
                if read_reply(connection).is_none() {
                    self.give_up(sent);
                    return false;
                }
            }
        }
        let Some(reply) = read_reply(connection) else {
            self.give_up(sent);
            return false;
        };
        if let Reply::Error(line) = &reply {
            self.counts.errors.push((Instant::now(), line.clone()));
            self.give_up(sent);
            return true;
        }
        match (sent, reply) {
            (Sent::Set(key, write), Reply::Line(line)) if line == "+OK" => self.note(*key, *write),
            (Sent::Sets(keys, write), Reply::Line(line)) if line == "+OK" => {
                keys.iter().for_each(|key| self.note(*key, *write));
            }
            (Sent::Get(key), Reply::Bulk(value)) => self.compare(*key, value.as_deref()),
            (Sent::Gets(keys), Reply::List(values)) if values.len() == keys.len() => {
                for (key, value) in keys.iter().zip(values) {
                    match value {
                        Reply::Bulk(value) => self.compare(*key, value.as_deref()),
                        other => self.tell(format!("{other:?} in MGET")),
                    }
                }
            }
            (Sent::Transaction(key, write), Reply::List(replies)) if replies.len() == 2 => {
                self.note(*key, *write);
                let expected = Reply::Bulk(Some(self.value(*key, *write)));
                if replies[1] != expected {
                    self.tell(format!("{replies:?} to EXEC instead of {expected:?}"));
                }
            }
            (_, other) => self.tell(format!("{other:?}")),
        }
        true
    }

    fn known(&mut self, key: usize) -> &mut Known {
        self.known.entry(key).or_insert(Known {
            last: 0,
            maybe: Vec::new(),
            may_be_older: false,
        })
    }

    /// A write was acknowledged.
    fn note(&mut self, key: usize, write: u64) {
        let known = self.known(key);
        known.last = write;
        known.maybe.clear();
        known.may_be_older = false;
    }

    /// What became of a request is not known. A master that has failed may have lost what it had acknowledged just before.
    fn give_up(&mut self, sent: &Sent) {
        let (keys, write) = match sent {
            Sent::Set(key, write) | Sent::Transaction(key, write) => (vec![*key], Some(*write)),
            Sent::Sets(keys, write) => (keys.clone(), Some(*write)),
            Sent::Get(_) | Sent::Gets(_) => (Vec::new(), None),
        };
        for key in keys {
            self.known(key).maybe.extend(write);
        }
        self.known
            .values_mut()
            .for_each(|known| known.may_be_older = true);
    }

    fn compare(&mut self, key: usize, value: Option<&str>) {
        let prefix = format!("{}=", self.key(key));
        let found = match value {
            None => Some(0),
            Some(value) => value.strip_prefix(&prefix).and_then(|it| it.parse().ok()),
        };
        let known = self.known(key).clone();
        let Some(found) = found else {
            return self.tell(format!("{value:?} of key {}", self.key(key)));
        };
        let is_known = found == known.last || known.maybe.contains(&found);
        if is_known || (known.may_be_older && found < known.last) {
            return;
        }
        self.counts.misordered += 1;
        self.tell(format!(
            "{found} of key {} instead of {known:?}",
            self.key(key)
        ));
    }

    fn tell(&mut self, what: String) {
        self.counts.wrong += 1;
        if self.counts.told.len() < MOST_TOLD {
            self.counts
                .told
                .push(format!("client {}: {what}", self.number));
        }
    }
}

fn put(bytes: &mut Vec<u8>, words: &[&str]) {
    bytes.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
}

fn read_reply(from: &mut BufReader<TcpStream>) -> Option<Reply> {
    let mut line = String::new();
    if from.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let line = line.trim_end().to_owned();
    let count = || line[1..].parse::<i64>().ok();
    match line.as_bytes().first()? {
        b'-' => Some(Reply::Error(line)),
        b'$' => {
            let Ok(length) = usize::try_from(count()?) else {
                return Some(Reply::Bulk(None));
            };
            let mut bytes = vec![0; length + 2];
            from.read_exact(&mut bytes).ok()?;
            bytes.truncate(length);
            Some(Reply::Bulk(Some(String::from_utf8(bytes).ok()?)))
        }
        b'*' => {
            let count = count()?.max(0);
            let elements = (0..count).map(|_| read_reply(from));
            elements.collect::<Option<Vec<_>>>().map(Reply::List)
        }
        _ => Some(Reply::Line(line)),
    }
}
