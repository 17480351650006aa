//! What is known of every name: which address is in use, who waits for it, and when it is looked up next. It
//! looks nothing up itself and knows no clock, so that tests can do both.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::choice::Choice;
use super::told::{Line, Told};

/// Look-ups under way at a time, each on a thread of its own. They cannot be cancelled: with this many names
/// whose name server hangs, the others still get their turn.
const MAX_LOOK_UPS: usize = 64;

/// Maximum requests waiting; further ones are refused.
const MAX_WAITING: usize = 4096;

/// How long a request waits for a look-up when an earlier look-up has succeeded: an answer takes milliseconds,
/// and an address that was good is better than none.
const KNOWN_TIME_LIMIT: Duration = Duration::from_secs(1);

/// The same when there is no address yet: past the first repetition by the system's resolver, which comes after
/// 5 s.
const FIRST_TIME_LIMIT: Duration = Duration::from_secs(10);

/// Servers that a log line names, so that there is room for the rest of it.
const MAX_LABELS: usize = 3;

/// How often it is looked, at most, who has waited too long and which names are due.
const SCAN_EVERY: Duration = Duration::from_millis(20);

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The name.
    pub(crate) host: Arc<str>,
    /// The addresses to try, in this order; at least one.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Takes the answer; `None` if the name cannot be resolved.
pub(crate) type Reply = Box<dyn FnOnce(Option<Resolved>) + Send>;

/// A server that has the name. Called on the resolver's thread.
pub(crate) trait Watch: Send {
    /// The server in words, for log lines.
    fn label(&self) -> &str;

    /// Whether the server has left.
    fn is_over(&self) -> bool;

    /// How often the name is looked up even when nobody connects.
    fn refresh(&self) -> Option<Duration>;

    /// Whether the server is where the name leads now; otherwise its connections stay where they are.
    fn follows(&self) -> bool;

    /// A look-up failed or is late.
    fn count_failure(&self);

    /// The name leads elsewhere.
    fn count_change(&self);

    /// Another address is in use. Only called if the server follows.
    fn follow(&self);
}

/// All names that were asked for or are watched, which are those of the configuration.
#[derive(Default)]
pub(super) struct Names {
    names: HashMap<Arc<str>, Name>,
    /// Names that are to be looked up, each once.
    wanted: VecDeque<Arc<str>>,
    running: usize,
    waiting: usize,
    /// No name is due before this.
    earliest: Option<Instant>,
    lines: Vec<Line>,
}

#[derive(Default)]
struct Name {
    /// The addresses to try as of the last answer, the one in use first. Ports are 0.
    addresses: Vec<SocketAddr>,
    look_up: LookUp,
    waiting: Vec<Waiter>,
    watches: Vec<Box<dyn Watch>>,
    /// When it is looked up even if nobody asks.
    refresh_at: Option<Instant>,
    told: Told,
}

/// A name's look-up; there is one at a time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LookUp {
    #[default]
    None,
    /// It is on the list.
    Wanted,
    /// It began then, and has been counted as late or not.
    Running { since: Instant, is_late: bool },
}

struct Waiter {
    port: u16,
    /// When it waits no longer.
    until: Instant,
    reply: Reply,
}

impl Names {
    /// Somebody wants to connect to `host`.
    pub(super) fn ask(&mut self, host: &Arc<str>, port: u16, reply: Reply, now: Instant) {
        if self.waiting >= MAX_WAITING {
            return reply(None);
        }
        let name = self.names.entry(Arc::clone(host)).or_default();
        let until = match (name.addresses.is_empty(), name.look_up) {
            (true, _) => now + FIRST_TIME_LIMIT,
            (false, LookUp::Running { since, .. }) => since + KNOWN_TIME_LIMIT,
            (false, _) => now + KNOWN_TIME_LIMIT,
        };
        name.waiting.push(Waiter { port, until, reply });
        self.waiting += 1;
        self.note_due(until);
        self.want(host);
    }

    /// A server has the name.
    pub(super) fn watch(&mut self, host: &Arc<str>, watch: Box<dyn Watch>, now: Instant) {
        let name = self.names.entry(Arc::clone(host)).or_default();
        name.watches.push(watch);
        // Watches that come again and again do not put the look-up off.
        let known = name.refresh_at;
        let due = name.plan_refresh(now).into_iter().chain(known).min();
        name.refresh_at = due;
        due.into_iter().for_each(|due| self.note_due(due));
    }

    /// Ends the watches of servers that have left, and forgets names that nobody has any more.
    pub(super) fn forget(&mut self) {
        for name in self.names.values_mut() {
            name.watches.retain(|watch| !watch.is_over());
        }
        let is_used = |name: &Name| {
            let is_idle = name.look_up == LookUp::None && name.waiting.is_empty();
            !name.watches.is_empty() || !is_idle
        };
        self.names.retain(|_, name| is_used(name));
    }

    /// The next name to look up, if there is one and not too many look-ups are under way.
    pub(super) fn next_look_up(&mut self, now: Instant) -> Option<Arc<str>> {
        if self.running >= MAX_LOOK_UPS {
            return None;
        }
        let host = self.wanted.pop_front()?;
        self.running += 1;
        let is_late = false;
        if let Some(name) = self.names.get_mut(&host) {
            name.look_up = LookUp::Running {
                since: now,
                is_late,
            };
        }
        Some(host)
    }

    /// A look-up has ended.
    pub(super) fn take_answer(
        &mut self,
        host: &Arc<str>,
        answer: io::Result<Vec<SocketAddr>>,
        now: Instant,
    ) {
        self.running -= 1;
        let Some(name) = self.names.get_mut(host) else {
            return;
        };
        name.look_up = LookUp::None;
        match answer {
            Ok(answer) if !answer.is_empty() => name.take(host, &answer, &mut self.lines),
            Ok(_) => name.fail(host, "it has no address", &mut self.lines),
            Err(error) => name.fail(host, &error.to_string(), &mut self.lines),
        }
        let waiting = std::mem::take(&mut name.waiting);
        self.waiting -= waiting.len();
        waiting
            .into_iter()
            .for_each(|waiter| waiter.answer(host, &name.addresses));
        let due = name.plan_refresh(now);
        due.into_iter().for_each(|due| self.note_due(due));
    }

    /// A connection to `address` was made, or could not be made in time. The one that could is used first from
    /// now on.
    pub(super) fn note_attempt(&mut self, host: &Arc<str>, address: SocketAddr, reached: bool) {
        let Some(name) = self.names.get_mut(host) else {
            return;
        };
        let mut address = address;
        address.set_port(0);
        let place = name.addresses.iter().position(|it| *it == address);
        match (place, reached) {
            (Some(place), true) => name.addresses[..=place].rotate_right(1),
            (Some(0), false) => name.addresses.rotate_left(1),
            _ => {}
        }
    }

    /// When [`Names::handle_timeout`] is to be called at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// Answers those who have waited too long, and wants the names that are due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return;
        }
        self.earliest = None;
        let mut wanted = Vec::new();
        let mut earliest: Option<Instant> = None;
        for (host, name) in &mut self.names {
            self.waiting -= name.answer_late(host, now, &mut self.lines);
            if name.refresh_at.is_some_and(|at| at <= now) {
                name.refresh_at = None;
                wanted.push(Arc::clone(host));
            }
            let due = name.waiting.iter().map(|waiter| waiter.until);
            earliest = due.chain(name.refresh_at).chain(earliest).min();
        }
        wanted.iter().for_each(|host| self.want(host));
        // Many names are looked at together.
        self.earliest = earliest.map(|at| at.max(now + SCAN_EVERY));
    }

    /// Takes what is to be logged.
    pub(super) fn take_lines(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    fn want(&mut self, host: &Arc<str>) {
        if let Some(name) = self.names.get_mut(host)
            && name.look_up == LookUp::None
        {
            name.look_up = LookUp::Wanted;
            self.wanted.push_back(Arc::clone(host));
        }
    }

    fn note_due(&mut self, at: Instant) {
        self.earliest = Some(self.earliest.map_or(at, |known| known.min(at)));
    }
}

impl Name {
    /// Takes an answer that is not empty: the address in use is kept if it is part of it, or if nobody connects
    /// or follows.
    fn take(&mut self, host: &str, answer: &[SocketAddr], lines: &mut Vec<Line>) {
        let in_use = self.addresses.first().copied();
        let choice = Choice::of(answer, in_use);
        let first = choice.tried[0];
        let labels = self.labels();
        lines.extend(self.told.of_choice(host, &labels, &choice));
        match in_use {
            Some(old) if old != first => {
                let is_followed = self.watches.iter().any(|watch| watch.follows());
                let is_used = is_followed || !self.waiting.is_empty();
                if self.told.is_news(first) {
                    self.watches.iter().for_each(|watch| watch.count_change());
                    lines.push(Line::change(
                        host,
                        &labels,
                        old,
                        first,
                        is_used,
                        is_followed,
                    ));
                }
                if is_used {
                    self.use_addresses(choice.tried);
                }
            }
            _ => {
                self.told.forget_news();
                self.addresses = choice.tried;
            }
        }
    }

    /// Other addresses are in use.
    fn use_addresses(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = addresses;
        self.told.forget_news();
        let followers = self.watches.iter().filter(|watch| watch.follows());
        followers.for_each(|watch| watch.follow());
    }

    /// A look-up failed: the addresses stay as they are.
    fn fail(&mut self, host: &str, reason: &str, lines: &mut Vec<Line>) {
        self.watches.iter().for_each(|watch| watch.count_failure());
        let (labels, in_use) = (self.labels(), self.addresses.first());
        lines.push(Line::failure(host, &labels, reason, in_use));
    }

    /// Answers those who have waited too long, with what is known; returns how many.
    fn answer_late(&mut self, host: &Arc<str>, now: Instant, lines: &mut Vec<Line>) -> usize {
        let late: Vec<Waiter> = self
            .waiting
            .extract_if(.., |waiter| waiter.until <= now)
            .collect();
        let counted = match &mut self.look_up {
            LookUp::Running { is_late, .. } => std::mem::replace(is_late, true),
            LookUp::None | LookUp::Wanted => false,
        };
        if !late.is_empty() && !counted {
            self.fail(host, "there is no answer yet", lines);
        }
        let count = late.len();
        late.into_iter()
            .for_each(|waiter| waiter.answer(host, &self.addresses));
        count
    }

    /// Arranges for the next look-up that nobody asks for; only of names that somebody has connected to.
    fn plan_refresh(&mut self, now: Instant) -> Option<Instant> {
        let every = self
            .watches
            .iter()
            .filter_map(|watch| watch.refresh())
            .min();
        let every = every.filter(|_| !self.addresses.is_empty());
        self.refresh_at = every.map(|every| now + every);
        self.refresh_at
    }

    /// The servers that have the name, for a log line.
    fn labels(&self) -> String {
        let labels = self.watches.iter().map(|watch| watch.label());
        let labels: Vec<&str> = labels.take(MAX_LABELS).collect();
        let labels = labels.join(", ");
        match self.watches.len().saturating_sub(MAX_LABELS) {
            0 => labels,
            more => format!("{labels} and {more} more"),
        }
    }
}

impl Waiter {
    fn answer(self, host: &Arc<str>, addresses: &[SocketAddr]) {
        let with_port = |address: &SocketAddr| {
            let mut address = *address;
            address.set_port(self.port);
            address
        };
        let addresses: Vec<SocketAddr> = addresses.iter().map(with_port).collect();
        let host = Arc::clone(host);
        (self.reply)((!addresses.is_empty()).then_some(Resolved { host, addresses }));
    }
}

#[cfg(test)]
mod tests;
