//! One client with its own keys, which checks each of its replies.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::counts::Counts;
use crate::expected::{Epoch, ExpectedValues, Verdict};
use crate::run_state::RunState;
use crate::wire::{self, MULTI, Reply, Values};
use nuthatch_bench::faults::{KEYS, Owner, Random, push_key};
use nuthatch_bench::load::Protocol;

/// How long a client waits for a reply without receiving anything; far longer than every timeout of the
/// pools.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// A request that waits for its reply.
#[derive(Debug, Clone, Copy)]
enum Request {
    Set {
        key: u16,
        seq: u32,
        sent_in: Epoch,
    },
    /// A read of `count` keys from `first` on; `bounds` are the latest writes sent before it.
    Get {
        first: u16,
        count: u16,
        bounds: [u32; MULTI as usize],
    },
}

/// What all clients of a pool share.
pub(crate) struct Scene<'a> {
    pub(crate) run_state: &'a RunState,
    pub(crate) protocol: Protocol,
    /// Whether a connection that is closed between two replies has not carried out what is unanswered.
    pub(crate) withdraws: bool,
    pub(crate) counts: Counts,
    pub(crate) values: Values,
    pub(crate) buffer: Vec<u8>,
}

/// The result of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Stands,
    /// The connection has ended or its replies cannot be parsed; outstanding requests are accounted for.
    Over,
}

#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    expected: ExpectedValues,
    random: Random,
    /// Number of requests that it keeps outstanding.
    depth: usize,
    pending: VecDeque<Request>,
    out: Vec<u8>,
    sent: usize,
    /// The start of an incomplete reply.
    tail: Vec<u8>,
    /// When it last received something, or began to wait.
    heard: Instant,
}

impl Client {
    pub(crate) fn new(
        stream: TcpStream,
        expected: ExpectedValues,
        random: Random,
        depth: usize,
    ) -> Self {
        Self {
            stream,
            expected,
            random,
            depth,
            pending: VecDeque::new(),
            out: Vec::new(),
            sent: 0,
            tail: Vec::new(),
            heard: Instant::now(),
        }
    }

    /// Continues with another connection.
    pub(crate) fn reconnected(&mut self, stream: TcpStream) {
        self.stream = stream;
        self.out.clear();
        self.sent = 0;
        self.tail.clear();
        self.heard = Instant::now();
    }

    /// Requests that wait for replies.
    pub(crate) fn outstanding(&self) -> usize {
        self.pending.len()
    }

    /// Sends new requests once half of the others are answered, unless the run is over.
    pub(crate) fn go_on(&mut self, scene: &mut Scene<'_>) -> Link {
        if self.pending.len() <= self.depth / 2 && !scene.run_state.is_over() {
            if self.pending.is_empty() {
                self.heard = Instant::now();
            }
            let epoch = scene.run_state.epoch();
            while self.pending.len() < self.depth {
                self.ask(scene.protocol, epoch);
                scene.counts.requests += 1;
            }
        }
        self.flush(scene)
    }

    /// Reads and checks everything that has arrived.
    pub(crate) fn read(&mut self, scene: &mut Scene<'_>) -> Link {
        let mut buffer = std::mem::take(&mut scene.buffer);
        let link = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break self.over(scene, "closed"),
                Ok(count) => {
                    self.heard = Instant::now();
                    if self.take(&buffer[..count], scene) == Link::Over {
                        break Link::Over;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Link::Stands,
                Err(_) => break self.over(scene, "reset"),
            }
        };
        scene.buffer = buffer;
        link
    }

    /// Gives up when nothing was received for too long.
    pub(crate) fn check_stall(&mut self, scene: &mut Scene<'_>, now: Instant) -> Link {
        let waits = now.saturating_duration_since(self.heard);
        if self.pending.is_empty() || waits < TIME_LIMIT {
            return Link::Stands;
        }
        // This reply will never be complete, whatever part of it has arrived.
        self.tail.clear();
        self.over(scene, "silent")
    }

    fn ask(&mut self, protocol: Protocol, epoch: Epoch) {
        let chance = self.random.number();
        let key = (chance >> 32) as u16 % KEYS;
        let owner = self.expected.owner();
        let request = match chance % 100 {
            0..45 => {
                let seq = self.expected.next_write(key);
                wire::push_set(&mut self.out, protocol, owner, key, seq);
                Request::Set {
                    key,
                    seq,
                    sent_in: epoch,
                }
            }
            percent => {
                let count = if percent < 94 { 1 } else { MULTI };
                wire::push_get(&mut self.out, protocol, owner, key, count);
                let mut bounds = [0; MULTI as usize];
                for (bound, key) in bounds.iter_mut().zip(keys_from(key, count)) {
                    *bound = self.expected.latest(key);
                }
                Request::Get {
                    first: key,
                    count,
                    bounds,
                }
            }
        };
        self.pending.push_back(request);
    }

    fn flush(&mut self, scene: &mut Scene<'_>) -> Link {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Link::Stands,
                // What was sent before the connection ended can still be read.
                Err(_) => return self.read(scene),
            }
        }
        self.out.clear();
        self.sent = 0;
        Link::Stands
    }

    fn take(&mut self, fresh: &[u8], scene: &mut Scene<'_>) -> Link {
        if self.tail.is_empty() {
            return match self.judge_all(fresh, scene) {
                Ok(taken) => {
                    self.tail.extend_from_slice(&fresh[taken..]);
                    Link::Stands
                }
                Err(link) => link,
            };
        }
        let mut tail = std::mem::take(&mut self.tail);
        tail.extend_from_slice(fresh);
        match self.judge_all(&tail, scene) {
            Ok(taken) => {
                tail.drain(..taken);
                self.tail = tail;
                Link::Stands
            }
            Err(link) => link,
        }
    }

    /// Checks the complete replies of `input` and returns their length in bytes.
    fn judge_all(&mut self, input: &[u8], scene: &mut Scene<'_>) -> Result<usize, Link> {
        let mut values = std::mem::take(&mut scene.values);
        let (mut at, mut replies) = (0, 0);
        let outcome = loop {
            match wire::read(scene.protocol, input, at, &mut values) {
                Ok(None) => break Ok(at),
                Ok(Some((reply, end))) if !self.pending.is_empty() => {
                    self.judge(&reply, &values, input, scene);
                    at = end;
                    replies += 1;
                }
                _ => {
                    let bytes = String::from_utf8_lossy(&input[at..input.len().min(at + 60)]);
                    break Err(self.garbled(scene, &bytes));
                }
            }
        };
        scene.values = values;
        scene.run_state.note_replies(replies);
        outcome
    }

    /// Checks and counts the reply to the oldest request.
    fn judge(&mut self, reply: &Reply, values: &Values, input: &[u8], scene: &mut Scene<'_>) {
        let request = self.pending.pop_front().expect("the caller looked");
        let now = scene.run_state.epoch();
        let verdict = match (request, reply) {
            (Request::Set { key, seq, sent_in }, Reply::Stored) => {
                self.expected.note_stored(key, seq, sent_in);
                Verdict::Right
            }
            (
                Request::Get {
                    first,
                    bounds,
                    count,
                },
                Reply::Values,
            ) => self.judge_values(first, &bounds[..usize::from(count)], values, input, scene),
            (_, Reply::Error(line)) => {
                if let Request::Set { key, .. } = request {
                    self.expected.note_failed(key, now);
                }
                let fault = scene.run_state.fault(scene.protocol);
                scene.counts.error(fault, &input[line.clone()]);
                return;
            }
            _ => Verdict::Misordered("the reply is to another kind of request"),
        };
        self.count(verdict, request, now, scene);
    }

    fn count(&self, verdict: Verdict, request: Request, now: Epoch, scene: &mut Scene<'_>) {
        let owner = self.expected.owner();
        let fault = scene.run_state.fault(scene.protocol);
        let describe = |what: &str| {
            format!("{what}: {request:?} of {owner:?} in epoch {now}, latest fault {fault:?}")
        };
        match verdict {
            Verdict::Right => scene.counts.right += 1,
            Verdict::Doubtful(what) => {
                // Counted as right until it is confirmed to be wrong.
                scene.counts.right += 1;
                scene
                    .run_state
                    .doubt(usize::from(owner.pool), || describe(what));
            }
            Verdict::Wrong(what) => {
                scene.counts.wrong += 1;
                scene.counts.sample(|| describe(what));
            }
            Verdict::Misordered(what) => {
                scene.counts.misordered += 1;
                scene.counts.sample(|| describe(what));
            }
        }
    }

    /// The worst verdict on any of the values that were read.
    fn judge_values(
        &self,
        first: u16,
        bounds: &[u32],
        values: &Values,
        input: &[u8],
        scene: &Scene<'_>,
    ) -> Verdict {
        let now = scene.run_state.epoch();
        let count = bounds.len() as u16;
        let mut worst = Verdict::Right;
        let is_redis = scene.protocol == Protocol::Redis;
        if is_redis && (values.is_array != (count > 1) || values.list.len() != bounds.len()) {
            return Verdict::Misordered("the reply has another number of values");
        }
        if !is_redis && !are_among(first, count, values, input, self.expected.owner()) {
            return Verdict::Misordered("the reply has keys that were not asked for");
        }
        let mut name = Vec::new();
        for (place, (key, &bound)) in keys_from(first, count).zip(bounds).enumerate() {
            let value = if is_redis {
                values.list[place].1.clone()
            } else {
                name.clear();
                push_key(&mut name, self.expected.owner(), key);
                let found = values.list.iter().find(|(at, _)| input[at.clone()] == name);
                found.and_then(|(_, value)| value.clone())
            };
            let value = value.map(|range| &input[range]);
            worst = worse(worst, self.expected.judge(key, bound, value, now));
        }
        worst
    }

    fn garbled(&mut self, scene: &mut Scene<'_>, bytes: &str) -> Link {
        let owner = self.expected.owner();
        scene
            .counts
            .sample(|| format!("{owner:?} got what is no reply: {bytes:?}"));
        match self.pending.pop_front() {
            Some(request) => {
                scene.counts.wrong += 1;
                self.lose(request, scene);
                self.tail.clear();
                self.over(scene, "garbled")
            }
            None => {
                // Nobody asked for this reply: count one more request, so that the totals agree.
                scene.counts.requests += 1;
                scene.counts.misordered += 1;
                Link::Over
            }
        }
    }

    /// Accounts for the requests that were outstanding when the connection ended.
    fn over(&mut self, scene: &mut Scene<'_>, how: &str) -> Link {
        if scene.withdraws && self.tail.is_empty() && how != "silent" {
            return self.withdraw(scene);
        }
        let count = self.pending.len() as u64;
        if count > 0 && self.tail.is_empty() {
            scene.counts.unanswered += count;
            let owner = self.expected.owner();
            let fault = scene.run_state.fault(scene.protocol);
            let sent = self.sent;
            let unsent = self.out.len() - sent;
            scene.counts.sample(|| {
                format!(
                    "{owner:?}: the connection was {how} with {count} requests unanswered \
                     ({unsent} bytes not sent), latest fault {fault:?}"
                )
            });
        } else {
            scene.counts.broken_off += count;
        }
        while let Some(request) = self.pending.pop_front() {
            self.lose(request, scene);
        }
        Link::Over
    }

    /// What is unanswered was not carried out and never will be.
    fn withdraw(&mut self, scene: &mut Scene<'_>) -> Link {
        scene.counts.withdrawn += self.pending.len() as u64;
        for request in self.pending.drain(..) {
            if let Request::Set { key, seq, .. } = request {
                self.expected.note_withdrawn(key, seq);
            }
        }
        Link::Over
    }

    fn lose(&mut self, request: Request, scene: &Scene<'_>) {
        if let Request::Set { key, .. } = request {
            self.expected.note_failed(key, scene.run_state.epoch());
        }
    }
}

fn keys_from(first: u16, count: u16) -> impl Iterator<Item = u16> {
    (first..first + count).map(|key| key % KEYS)
}

/// Whether each value belongs to a requested key, and none comes twice.
fn are_among(first: u16, count: u16, values: &Values, input: &[u8], owner: Owner) -> bool {
    let mut name = Vec::new();
    let mut found = 0;
    for key in keys_from(first, count) {
        name.clear();
        push_key(&mut name, owner, key);
        let same = values
            .list
            .iter()
            .filter(|(at, _)| input[at.clone()] == name);
        match same.count() {
            0 => {}
            1 => found += 1,
            _ => return false,
        }
    }
    found == values.list.len()
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    let weight = |verdict| match verdict {
        Verdict::Right => 0,
        Verdict::Doubtful(_) => 1,
        Verdict::Misordered(_) => 2,
        Verdict::Wrong(_) => 3,
    };
    if weight(b) > weight(a) { b } else { a }
}
