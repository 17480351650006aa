//! A pool on a fake network.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use proxy::settings::{
    Address, GuardrailSettings, MemcachedSettings, PoolSettings, ProtocolSettings, RedisSettings,
    ServerSettings,
};
use proxy::{
    Action, Chunk, ConnectionId, Flush, Memory, Pool, PoolShare, Rope, SessionId, Time,
    WorkerContext,
};

use super::{Ask, Path, TICKS, answer};
use crate::load::{Keyspace, Protocol};

/// Number of different keys.
const KEYS: u32 = 10_000;

/// Size of the shell's reads, and so the maximum that the core gets at once.
const CHUNK_BYTES: usize = (64 << 10) - 16;

/// A pool and everything that a path needs around it.
pub struct Rig {
    path: Path,
    keys: Keyspace,
    pool: Pool,
    now: Time,
    /// When the pool has something to do although nothing arrives.
    due: Option<Time>,
    sessions: Vec<SessionId>,
    ticks: Vec<Tick>,
    answered: usize,
}

/// One tick: every session's batch arrives, then every server's replies.
struct Tick {
    batches: Vec<Arrival<SessionId>>,
    replies: Vec<Arrival<ConnectionId>>,
    /// Bytes that the sessions must get in this tick.
    output: usize,
}

/// Bytes read from one peer.
struct Arrival<Id> {
    from: Id,
    pieces: Vec<(Chunk, Range<usize>)>,
}

/// Bytes that the pool wrote at once.
#[derive(Default)]
struct Written {
    to_sessions: usize,
    to_servers: usize,
}

impl Rig {
    /// A pool with its sessions, after one recorded lap.
    ///
    /// # Panics
    ///
    /// When the core's replies differ from the servers' data.
    pub fn new(path: &Path) -> Self {
        let share = PoolShare::new(settings(path), None, &Arc::new(Memory::new(0)), 1);
        let context = WorkerContext { worker: 0, seed: 1 };
        let now = Time::from_micros(1);
        let mut rig = Self {
            path: *path,
            keys: Keyspace::new(KEYS, path.size),
            pool: Pool::new(&share, context, now),
            now,
            due: None,
            sessions: Vec::new(),
            ticks: Vec::new(),
            answered: 0,
        };
        rig.start();
        rig.record();
        rig
    }

    /// Replies that the sessions have got so far.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// One lap with the recorded replies.
    ///
    /// # Panics
    ///
    /// When the pool writes another number of bytes than in the recorded lap.
    pub fn run_lap(&mut self) {
        let ticks = std::mem::take(&mut self.ticks);
        for tick in &ticks {
            self.tick(tick);
        }
        self.ticks = ticks;
        self.answered += self.path.requests();
    }

    fn tick(&mut self, tick: &Tick) {
        self.now = self.now + Duration::from_micros(100);
        // As the shell does after it has slept.
        if self.due.is_some_and(|due| due <= self.now) {
            self.pool.handle_timeout(self.now);
        }
        for batch in &tick.batches {
            for (chunk, range) in &batch.pieces {
                self.pool
                    .handle_session_data(batch.from, chunk, range.clone(), self.now);
            }
        }
        let mut written = self.write_all();
        for replies in &tick.replies {
            for (chunk, range) in &replies.pieces {
                self.pool
                    .handle_connection_data(replies.from, chunk, range.clone(), self.now);
            }
        }
        written.to_sessions += self.write_all().to_sessions;
        assert_eq!(written.to_sessions, tick.output, "as in the recorded lap");
    }

    /// Writes all pending output, like a network without congestion.
    fn write_all(&mut self) -> Written {
        let mut written = Written::default();
        assert!(self.pool.poll_action().is_none(), "nothing fails here");
        while let Some(flush) = self.pool.poll_flush() {
            match flush {
                Flush::Session(id) => {
                    let count = gather(self.pool.session_output(id));
                    written.to_sessions += count;
                    self.pool.handle_session_written(id, count, self.now);
                }
                Flush::Connection(id) => {
                    let count = gather(self.pool.connection_output(id));
                    written.to_servers += count;
                    self.pool.handle_connection_written(id, count, self.now);
                }
            }
        }
        // The shell asks for this before it sleeps.
        self.due = self.pool.poll_deadline();
        assert!(self.due.is_none_or(|due| due > self.now));
        written
    }

    /// Opens the sessions and the server connections.
    fn start(&mut self) {
        self.sessions = (0..self.path.sessions)
            .map(|_| self.pool.open_session("client".into(), self.now))
            .collect();
        while let Some(action) = self.pool.poll_action() {
            match action {
                Action::Connect { connection, .. } => {
                    self.pool.handle_connected(connection, self.now)
                }
                other => panic!("{other:?} before anything happened"),
            }
        }
        assert!(self.pool.poll_flush().is_none(), "nobody has said anything");
    }

    /// The first lap, against the simulated servers.
    fn record(&mut self) {
        for number in 0..TICKS {
            let requests: Vec<Vec<u8>> = (0..self.sessions.len())
                .map(|session| self.batch(number * self.sessions.len() + session))
                .collect();
            let each = self.sessions.iter().zip(&requests);
            let batches = each.map(|(&id, bytes)| arrival(id, bytes)).collect();
            let tick = self.record_tick(batches, &requests);
            self.ticks.push(tick);
        }
        self.answered += self.path.requests();
    }

    fn record_tick(&mut self, batches: Vec<Arrival<SessionId>>, requests: &[Vec<u8>]) -> Tick {
        for batch in &batches {
            for (chunk, range) in &batch.pieces {
                self.pool
                    .handle_session_data(batch.from, chunk, range.clone(), self.now);
            }
        }
        let mut replies = Vec::new();
        for (id, sent) in self.sent_to_servers() {
            let (bytes, _) = answer(self.path.protocol, &self.keys, &sent);
            replies.push(arrival(id, &bytes));
        }
        for arrival in &replies {
            for (chunk, range) in &arrival.pieces {
                self.pool
                    .handle_connection_data(arrival.from, chunk, range.clone(), self.now);
            }
        }
        let output = self.check_outputs(requests);
        Tick {
            batches,
            replies,
            output,
        }
    }

    fn sent_to_servers(&mut self) -> Vec<(ConnectionId, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(flush) = self.pool.poll_flush() {
            let Flush::Connection(id) = flush else {
                panic!("a client is answered before any server was asked");
            };
            let bytes = self
                .pool
                .connection_output(id)
                .slices()
                .collect::<Vec<_>>()
                .concat();
            self.pool
                .handle_connection_written(id, bytes.len(), self.now);
            sent.push((id, bytes));
        }
        sent
    }

    /// Compares the sessions' replies with what a single server would have sent.
    fn check_outputs(&mut self, requests: &[Vec<u8>]) -> usize {
        let mut total = 0;
        for (&id, asked) in self.sessions.iter().zip(requests) {
            let got = self
                .pool
                .session_output(id)
                .slices()
                .collect::<Vec<_>>()
                .concat();
            let (expected, count) = answer(self.path.protocol, &self.keys, asked);
            assert_eq!(count, self.path.pipeline);
            assert!(
                self.is_same(&got, &expected),
                "{} answers wrongly",
                self.path.name
            );
            total += got.len();
            self.pool.handle_session_written(id, got.len(), self.now);
        }
        while let Some(flush) = self.pool.poll_flush() {
            assert!(matches!(flush, Flush::Session(_)), "{flush:?}");
        }
        assert!(
            self.pool.poll_event().is_none(),
            "nothing is worth a log line"
        );
        total
    }

    /// The values of a memcached multi-get may arrive in another order.
    fn is_same(&self, got: &[u8], expected: &[u8]) -> bool {
        let sorted = |bytes: &[u8]| {
            let mut lines: Vec<Vec<u8>> =
                bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
            lines.sort();
            lines
        };
        match (self.path.protocol, self.path.ask) {
            (Protocol::Memcached, Ask::MultiGet(_)) => sorted(got) == sorted(expected),
            _ => got == expected,
        }
    }

    /// The requests of one session in one tick.
    fn batch(&self, number: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for place in 0..self.path.pipeline {
            // Any step that is coprime to the number of keys works.
            let id = (number * self.path.pipeline + place) as u32 * 7_919 % KEYS;
            self.push_request(&mut out, id);
        }
        out
    }

    fn push_request(&self, out: &mut Vec<u8>, id: u32) {
        let key = |id: u32| {
            let mut key = Vec::new();
            self.keys.push_key(&mut key, id % KEYS);
            key
        };
        let mut value = Vec::new();
        self.keys.push_value(&mut value, id);
        let words: Vec<Vec<u8>> = match self.path.ask {
            Ask::Get | Ask::MetaGet => vec![b"GET".to_vec(), key(id)],
            Ask::Set | Ask::MetaSet => vec![b"SET".to_vec(), key(id), value],
            Ask::MultiGet(count) => {
                let keys = (0..count).map(|offset| key(id + offset));
                std::iter::once(b"MGET".to_vec()).chain(keys).collect()
            }
        };
        match self.path.protocol {
            Protocol::Redis => push_redis(out, &words),
            Protocol::Memcached => push_memcached(out, &words, self.path.ask),
        }
    }
}

fn push_redis(out: &mut Vec<u8>, words: &[Vec<u8>]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn push_memcached(out: &mut Vec<u8>, words: &[Vec<u8>], ask: Ask) {
    match (ask, words) {
        (Ask::Set, [_, key, value]) => {
            out.extend_from_slice(b"set ");
            out.extend_from_slice(key);
            out.extend_from_slice(format!(" 0 0 {}\r\n", value.len()).as_bytes());
            out.extend_from_slice(value);
        }
        (Ask::MetaGet, [_, key]) => {
            out.extend_from_slice(b"mg ");
            out.extend_from_slice(key);
            out.extend_from_slice(b" v");
        }
        (Ask::MetaSet, [_, key, value]) => {
            out.extend_from_slice(b"ms ");
            out.extend_from_slice(key);
            out.extend_from_slice(format!(" {}\r\n", value.len()).as_bytes());
            out.extend_from_slice(value);
        }
        (_, words) => {
            out.extend_from_slice(b"get");
            for key in &words[1..] {
                out.push(b' ');
                out.extend_from_slice(key);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Bytes as the shell passes them on: in chunks of its own size.
fn arrival<Id>(from: Id, bytes: &[u8]) -> Arrival<Id> {
    let pieces = bytes.chunks(CHUNK_BYTES).map(|piece| {
        let mut chunk = vec![0; CHUNK_BYTES];
        chunk[..piece.len()].copy_from_slice(piece);
        (chunk.into(), 0..piece.len())
    });
    Arrival {
        from,
        pieces: pieces.collect(),
    }
}

/// Reads every slice, as gathering them for a write does; returns the sum of their lengths.
fn gather(rope: &Rope) -> usize {
    let count = rope.slices().map(<[u8]>::len).sum();
    assert_eq!(count, rope.len());
    count
}

fn settings(path: &Path) -> PoolSettings {
    let server = |number: usize| ServerSettings {
        name: format!("server-{number}"),
        pname: format!("127.0.0.1:{}:1", 7_000 + number),
        address: Address::tcp("127.0.0.1", 7_000 + number as u16),
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    let protocol = match path.protocol {
        Protocol::Redis => ProtocolSettings::Redis(RedisSettings::default()),
        Protocol::Memcached => ProtocolSettings::Memcached(MemcachedSettings::default()),
    };
    let guardrails = match path.guarded {
        true => guardrails(),
        false => Vec::new(),
    };
    PoolSettings {
        guardrails,
        timeout: Some(Duration::from_millis(400)),
        preconnect: true,
        auto_eject_hosts: true,
        ..PoolSettings::new("bench", (0..path.servers).map(server).collect(), protocol)
    }
}

/// One for all requests, whose rate is never reached, and one for keys that nobody asks for.
fn guardrails() -> Vec<GuardrailSettings> {
    let all = GuardrailSettings {
        deny: ["config", "flushall", "keys"].map(Into::into).to_vec(),
        max_value: Some(1 << 20),
        max_rate: Some(1_000_000),
        ..GuardrailSettings::default()
    };
    let some = GuardrailSettings {
        prefix: Some("another:".into()),
        max_rate: Some(1),
        ..GuardrailSettings::default()
    };
    vec![all, some]
}
