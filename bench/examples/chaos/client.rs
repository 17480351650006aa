//! One client on a thread of its own, which checks each of its replies.

mod link;
mod mood;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nuthatch_bench::faults::Random;
use nuthatch_bench::load::Protocol;

use crate::judge::{Answer, Outcome};
use crate::keyspace::Keyspace;
use crate::model::{Excuse, Verdict};
use crate::reply::{self, Reply};
use crate::request::{Ask, Request};
use crate::shared::Shared;
use crate::tally::Tally;
use link::{End, Link};
use mood::Mood;

/// How long a client waits for a reply without receiving anything; far longer than any fault, which tests have
/// none of.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// Longest sleep, so that moods and the end are noticed in time.
const MAX_SLEEP: Duration = Duration::from_millis(10);

/// One in this many requests of a client that knows RESP3 changes the version.
const CHANGES_ONE_IN: u64 = 300;

/// Pause before another attempt when the proxy has as many clients as it may have.
const REFUSED_PAUSE: Duration = Duration::from_millis(30);

/// What the pool's settings mean for its clients.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
    pub(crate) has_password: bool,
    /// Whether there are more clients than may connect.
    pub(crate) is_limited: bool,
    /// Whether idle clients are closed.
    pub(crate) closes_idle: bool,
}

/// One client and what it knows.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) keyspace: Keyspace,
    pub(crate) tally: Tally,
    rules: Rules,
    shared: Arc<Shared>,
    random: Random,
    /// Number of requests that it keeps outstanding.
    depth: usize,
    /// How long it waits before it sends more.
    pause: Duration,
    /// Whether it asks for RESP3.
    wants_resp3: bool,
    is_resp3: bool,
    link: Option<Link>,
    pending: VecDeque<Request>,
    /// When it last received something, or began to wait.
    heard: Instant,
    mood: Mood,
    /// Replies received on this connection.
    replies: u64,
    /// Whether none of the outstanding requests has been answered since all before were.
    is_fresh: bool,
    /// Whether it has not read for a while on this connection.
    was_deaf: bool,
    is_refused: bool,
}

impl Client {
    pub(crate) fn new(
        keyspace: Keyspace,
        rules: Rules,
        shared: Arc<Shared>,
        mut random: Random,
        wants_resp3: bool,
    ) -> Self {
        let depths = [1, 4, 16, 64, 200];
        Self {
            depth: depths[random.below(depths.len() as u64) as usize],
            pause: Duration::from_millis([0, 0, 1, 4][random.below(4) as usize]),
            keyspace,
            tally: Tally::default(),
            rules,
            shared,
            random,
            wants_resp3,
            is_resp3: false,
            link: None,
            pending: VecDeque::new(),
            heard: Instant::now(),
            mood: Mood::Busy,
            replies: 0,
            is_fresh: true,
            was_deaf: false,
            is_refused: false,
        }
    }

    /// Sends requests of all kinds until the scenario is over, and waits for the last replies.
    pub(crate) fn play(&mut self) {
        let mut mood_ends = Instant::now();
        while !self.shared.is_over() {
            if !self.is_connected() {
                mood_ends = Instant::now();
                continue;
            }
            if Instant::now() >= mood_ends {
                mood_ends = Instant::now() + self.change_mood();
                continue;
            }
            let is_sending = matches!(self.mood, Mood::Busy | Mood::Dripping);
            if is_sending && self.pending.len() <= self.depth / 2 {
                thread::sleep(self.pause);
                while self.pending.len() < self.depth {
                    let ask = self.draw();
                    self.ask(ask);
                }
            }
            self.step();
        }
        if self.mood == Mood::Deaf {
            self.mood = Mood::Busy;
        }
        while !self.pending.is_empty() && self.link.is_some() {
            self.step();
        }
        self.link = None;
        self.lose_pending();
    }

    fn draw(&mut self) -> Ask {
        if self.wants_resp3 && self.random.below(CHANGES_ONE_IN) == 0 {
            let version = 2 + self.random.below(2) as u8;
            return Ask::Hello { version };
        }
        self.keyspace.draw(&mut self.random)
    }

    /// Sends these requests and waits for their replies. Returns whether all have arrived.
    pub(crate) fn ask_all(&mut self, asks: Vec<Ask>) -> bool {
        self.mood = Mood::Busy;
        let end = Instant::now() + PATIENCE;
        while !self.is_connected() && Instant::now() < end {}
        for ask in asks {
            self.ask(ask);
        }
        while !self.pending.is_empty() && self.link.is_some() {
            self.step();
        }
        let is_whole = self.link.is_some();
        self.lose_pending();
        is_whole
    }

    /// Closes the connection.
    pub(crate) fn leave(&mut self) {
        self.link = None;
        self.lose_pending();
    }

    /// Connects unless it is connected, after a pause if it was refused before.
    fn is_connected(&mut self) -> bool {
        if self.link.is_some() {
            return true;
        }
        if std::mem::take(&mut self.is_refused) {
            thread::sleep(REFUSED_PAUSE);
        }
        match Link::connect(self.rules.address) {
            Ok(link) => self.link = Some(link),
            Err(error) => {
                self.tally
                    .flaw(format!("the proxy cannot be connected to: {error}"));
                thread::sleep(REFUSED_PAUSE);
                return false;
            }
        }
        self.tally.connects += 1;
        (self.replies, self.was_deaf, self.is_resp3) = (0, false, false);
        self.mood = Mood::Busy;
        if self.rules.has_password {
            self.ask(Ask::Auth);
        }
        if self.wants_resp3 {
            self.ask(Ask::Hello { version: 3 });
        }
        true
    }

    fn ask(&mut self, ask: Ask) {
        let Some(link) = &mut self.link else {
            return self.keyspace.note_failed(&ask);
        };
        if self.pending.is_empty() {
            self.heard = Instant::now();
            self.is_fresh = true;
        }
        ask.push(&mut link.out, self.rules.protocol, self.keyspace.owner);
        self.tally.requests += 1;
        let is_two =
            self.rules.protocol == Protocol::Redis && matches!(ask, Ask::SetQuietly { .. });
        self.tally.commands += 1 + u64::from(is_two);
        let now = self.shared.kills();
        self.pending.push_back(Request::new(ask, now));
        self.pass_quiet();
    }

    /// Moves data for a moment.
    fn step(&mut self) {
        let reads = self.mood != Mood::Deaf;
        let Some(link) = &mut self.link else {
            return;
        };
        let end = link.exchange(reads, MAX_SLEEP);
        if reads && link.has_news() {
            self.heard = Instant::now();
            self.judge_all();
            if self.link.is_none() {
                return;
            }
        }
        if !reads {
            self.heard = Instant::now();
        }
        match end {
            Some(end) => self.ended(end),
            None if self.heard.elapsed() > PATIENCE && self.waits() => {
                let first = self.pending.front().map(|request| request.ask.clone());
                let count = self.pending.len();
                self.flaw(&format!(
                    "{count} requests got no reply, the first is {first:?}"
                ));
                self.leave();
            }
            None => {}
        }
    }

    /// Whether something must come, if only the end.
    fn waits(&self) -> bool {
        !self.pending.is_empty() || self.mood == Mood::Leaving
    }

    /// Checks the replies that are complete.
    fn judge_all(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        let input = std::mem::take(&mut link.input);
        let mut at = 0;
        loop {
            match reply::read(self.rules.protocol, &input, at) {
                Ok(None) => break,
                Ok(Some((reply, end))) if self.is_refusal(&reply, &input) => {
                    self.is_refused = true;
                    self.tally.refused += 1;
                    at = end;
                }
                Ok(Some((reply, end))) if !self.pending.is_empty() => {
                    self.judge(&reply, &input);
                    at = end;
                }
                _ => {
                    let bytes = &input[at..input.len().min(at + 80)];
                    let bytes = String::from_utf8_lossy(bytes);
                    let first = self.pending.front().map(|request| request.ask.clone());
                    self.flaw(&format!("got {bytes:?}, and waits for {first:?}"));
                    return self.leave();
                }
            }
        }
        if let Some(link) = &mut self.link {
            link.input = input;
            link.input.drain(..at);
        }
    }

    /// Whether the proxy has as many clients as it may have.
    fn is_refusal(&self, reply: &Reply, input: &[u8]) -> bool {
        let texts: [&[u8]; 2] = [
            b"-ERR max number of clients reached",
            b"ERROR Too many open connections",
        ];
        let is_text = matches!(reply, Reply::Error(line) if texts.contains(&&input[line.clone()]));
        is_text && self.rules.is_limited && self.replies == 0
    }

    /// Checks the reply to the oldest request.
    fn judge(&mut self, reply: &Reply, input: &[u8]) {
        let Some(request) = self.pending.pop_front() else {
            return;
        };
        self.replies += 1;
        self.is_fresh = false;
        self.tally.replies += 1;
        let answer = Answer {
            reply,
            input,
            is_resp3: self.is_resp3,
            now: self.shared.kills(),
        };
        if let Ask::Hello { version } = request.ask
            && !matches!(reply, Reply::Error(_))
        {
            self.is_resp3 = version == 3;
        }
        let outcome = self.keyspace.judge(&request, &answer);
        let is_hello = matches!(request.ask, Ask::Hello { .. });
        let is_failure = matches!(outcome, Outcome::Failed(..)) && !is_hello;
        self.tally.failures += u64::from(is_failure);
        let (kind, verdict) = match outcome {
            Outcome::Answered(verdict) => (request.ask.kind(), verdict),
            // Before the first fault it has an excuse only if the statistics show one by then: a machine with much
            // to do may be late.
            Outcome::Failed(text, verdict) => (text, verdict),
        };
        *self.tally.kinds.entry(kind).or_default() += 1;
        let owner = self.keyspace.owner;
        let is_resp3 = self.is_resp3;
        let has_failed = self.shared.has_failed();
        self.tally.note(verdict, has_failed, |what| {
            let reply = shown(reply, input);
            let version = if is_resp3 { " (RESP3)" } else { "" };
            format!(
                "client {}{version}: {what}: {:?} got {reply}",
                owner.client, request.ask
            )
        });
        self.pass_quiet();
    }

    /// Requests without a reply are over when all before them are; their results are not known.
    fn pass_quiet(&mut self) {
        let protocol = self.rules.protocol;
        while self
            .pending
            .front()
            .is_some_and(|request| request.ask.is_quiet(protocol))
        {
            if let Some(request) = self.pending.pop_front() {
                self.keyspace.note_failed(&request.ask);
            }
        }
    }

    /// The connection has ended.
    fn ended(&mut self, end: End) {
        let is_partial = self
            .link
            .as_ref()
            .is_some_and(|link| !link.input.is_empty());
        let count = self.pending.len();
        let is_quit = self.mood == Mood::Leaving;
        // Who has not read for a while may have been idle without knowing.
        let is_idle = self.rules.closes_idle && (self.is_fresh || self.was_deaf);
        // The reset may have overtaken the refusal.
        let is_refused =
            self.is_refused || (self.rules.is_limited && self.replies == 0 && end != End::Eof);
        let what = format!("the connection ended ({end:?}) with {count} requests unanswered");
        let verdict = match count {
            _ if is_refused => Verdict::Right,
            0 if !is_partial && (is_quit || is_idle || self.rules.closes_idle) => Verdict::Right,
            _ if is_partial || (self.was_deaf && end != End::Eof) => {
                Verdict::Doubtful(Excuse::AnyServer, "and no server has failed")
            }
            _ if is_idle => Verdict::Right,
            _ => Verdict::Doubtful(Excuse::Shed, "and memory was not short"),
        };
        let first = self.pending.front().map(|request| request.ask.clone());
        let owner = self.keyspace.owner.client;
        let has_failed = self.shared.has_failed();
        self.tally.note(verdict, has_failed, |why| {
            format!("client {owner}: {what}, {why}; the first is {first:?}")
        });
        self.leave();
    }

    fn lose_pending(&mut self) {
        for request in std::mem::take(&mut self.pending) {
            self.keyspace.note_failed(&request.ask);
        }
    }

    fn flaw(&mut self, what: &str) {
        let owner = self.keyspace.owner.client;
        self.tally.flaw(format!("client {owner}: {what}"));
    }
}

/// The beginning of a reply.
fn shown(reply: &Reply, input: &[u8]) -> String {
    let text = |at: &std::ops::Range<usize>| {
        let end = at.end.min(at.start + 60);
        format!("{:?}", String::from_utf8_lossy(&input[at.start..end]))
    };
    match reply {
        Reply::Line(at) | Reply::Error(at) | Reply::Bulk(at) => text(at),
        Reply::Array(list) | Reply::Map(list) => {
            let list: Vec<_> = list.iter().map(|element| shown(element, input)).collect();
            format!("[{}]", list.join(", "))
        }
        Reply::Values(list) => {
            let pair = |(key, value): &_| format!("{}: {}", text(key), text(value));
            let list: Vec<_> = list.iter().map(pair).collect();
            format!("[{}]", list.join(", "))
        }
        Reply::Number(_) | Reply::Null { .. } => format!("{reply:?}"),
    }
}

#[cfg(test)]
mod tests;
