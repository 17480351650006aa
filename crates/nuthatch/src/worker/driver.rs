//! Drives the core: turns readiness into reads and writes. It knows no poll and no clock, so that tests can
//! drive it over streams of their own.
//!
//! A tick is [`Driver::begin_tick`], [`Driver::handle_ready`] for every event, then [`Driver::finish_tick`].
//! What is read goes to the core at once; what the core wants to write is written once at the end, so that
//! requests and replies leave in batches.

mod asking;
mod depth;
mod greeting;
mod handshakes;
mod opening;
mod pools;
mod reading;
mod state;
mod writing;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proxy::{Cause, Departure, Time};
use slab::Slab;

use depth::Depth;
use handshakes::Handshakes;

use super::chunks::Chunks;
use super::link::Role;
use super::message::{Grouped, Listed};
use super::net::{Caller, Net};
use super::path::{Opening, Path};
use super::pool::PoolParts;
use crate::connections::ConnectionCounts;
use crate::logger;
use crate::net::Readiness;
use crate::resolver::Resolved;

pub(super) use state::Driver;

/// Bytes read in a tick after which pending output is written before more is read: the data is still in the
/// cache, its chunks are soon free again, and larger writes would not be more efficient.
const WRITE_AFTER: usize = 512 << 10;

/// Bytes read in a tick before it can count as busy. With less, clients are served at once.
const BUSY_AFTER: usize = 2 << 10;

impl<N: Net> Driver<N> {
    /// A driver without pools, which counts server connections in `counts`.
    pub(super) fn new(net: N, counts: Arc<ConnectionCounts>, now: Time) -> Self {
        Self {
            net,
            pools: PoolParts::default(),
            counts,
            links: Slab::new(),
            chunks: Chunks::default(),
            now,
            tick: 0,
            log_level: 0,
            unwritten: 0,
            depth: Depth::default(),
            waiting: Vec::new(),
            writable: Vec::new(),
            touched: Vec::new(),
            lingering: VecDeque::new(),
            handshakes: Handshakes::default(),
            leaving: Vec::new(),
            end: None,
        }
    }

    /// The poll has returned at `now`.
    pub(super) fn begin_tick(&mut self, now: Time) {
        self.now = now;
        self.tick = self.tick.wrapping_add(1);
        self.depth.begin_tick();
        self.handshakes.begin_tick();
        let level = logger::level();
        if level != self.log_level {
            self.follow_log_level(level);
        }
    }

    /// A signal has changed the level of the log, or this is the first tick.
    #[cold]
    fn follow_log_level(&mut self, level: u8) {
        self.log_level = level;
        self.each_core(|core, _| core.set_log_level(level));
    }

    /// The poll has reported `ready` for the link with `key`. Stale keys are ignored.
    pub(super) fn handle_ready(&mut self, key: usize, ready: Readiness) {
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        if matches!(link.role, Role::Greeting(_)) {
            return self.continue_greeting(key, ready);
        }
        let was_blocked = !link.is_writable();
        let ready = link.note(ready);
        match link.role {
            Role::Connecting(_) => self.finish_connect(key),
            // A client that was reset reads no reply and has sent its last.
            Role::Session(id) if ready.error => self.lose_session(key, id),
            _ if was_blocked && link.is_writable() => self.writable.push(key),
            _ => {}
        }
        self.read(key);
        self.finish_lingering(key);
        if self.unwritten >= WRITE_AFTER {
            self.drain();
        }
    }

    /// Whether to poll again before writing. Where clients pipeline, more is likely to be ready by now, and
    /// writing it together saves system calls. Where each client waits for one reply, another poll costs a
    /// system call and gains nothing.
    pub(super) fn is_busy(&self) -> bool {
        self.unwritten >= BUSY_AFTER && self.depth.is_deep()
    }

    /// It is `now`: continues what the last tick left over, runs timers, and writes all pending output. The time since
    /// the tick began is what requests have waited in here.
    pub(super) fn finish_tick(&mut self, now: Time) {
        self.now = now;
        let mut waiting = std::mem::take(&mut self.waiting);
        for key in waiting.drain(..) {
            self.resume(key);
        }
        // Links that wait again were put on a new list; keep the longer allocation.
        if self.waiting.is_empty() {
            self.waiting = waiting;
        }
        for (key, ready) in self.handshakes.take_put_off() {
            self.handle_ready(key, ready);
        }
        self.run_timers();
        self.drain();
        self.remove_left_pools();
        self.chunks.retire(self.now);
    }

    /// The name of a server was resolved.
    pub(super) fn handle_resolved(&mut self, caller: Caller, resolved: Option<Resolved>) {
        let Some(part) = self.pools.get(caller.pool) else {
            return;
        };
        let key = part.connections.get(caller.connection.index());
        let wanted = Role::Resolving(caller.connection);
        let Some(key) = key.filter(|&key| self.has_role(key, caller.pool, wanted)) else {
            return;
        };
        if let (Some(resolved), Some(opening)) = (resolved, &mut self.links[key].opening)
            && let Opening::Server { path, .. } = &mut **opening
        {
            *path = Some(Path::new(resolved));
        }
        self.dial_next(caller, key, Cause::HostDown);
        self.drain();
    }

    /// Plans may have changed: every pool looks which one is in force.
    pub(super) fn follow_plans(&mut self) {
        self.each_core(|core, now| core.apply(now));
        self.drain();
    }

    /// There may be more connections to servers than there should be: every pool closes those that are too many.
    pub(super) fn keep_budget(&mut self) {
        self.each_core(|core, now| core.keep_budget(now));
        self.drain();
    }

    /// How long the poll may sleep; `None` means without limit.
    pub(super) fn timeout(&self) -> Option<Duration> {
        if !self.waiting.is_empty() || !self.writable.is_empty() || self.handshakes.must_go_on() {
            return Some(Duration::ZERO);
        }
        let pools = self.pools.iter().filter_map(|part| part.deadline);
        let lingering = self.lingering.front().map(|&(until, _)| until);
        let chunks = self.chunks.retire_at();
        let leaving = self.leaving.iter().map(|&(_, end)| end).min();
        let handshakes = self.handshakes.deadline();
        let rest = [lingering, handshakes, chunks, leaving]
            .into_iter()
            .flatten();
        let next = pools.chain(rest).min()?;
        Some(next.since(self.now))
    }

    /// The process is about to leave: clients that want to know are told. Returns how many.
    pub(super) fn announce(&mut self, departure: Departure) -> usize {
        let mut told = 0;
        self.each_core(|core, now| told += core.announce(departure, now));
        self.drain();
        told
    }

    /// The clients that hold most memory, of each pool at most so many.
    pub(super) fn list_clients(&self, most: usize) -> Listed {
        let mut listed = Vec::new();
        for part in self.pools.iter() {
            let share = part.share.clone();
            let clients = part.core.clients(most, self.now).into_iter();
            listed.extend(clients.map(|client| (Arc::clone(&share), client)));
        }
        listed
    }

    /// The clients of each pool by what they say of themselves.
    pub(super) fn group_clients(&self) -> Grouped {
        let mut grouped = Vec::new();
        for part in self.pools.iter() {
            let groups = part.core.client_groups(self.now).into_iter();
            grouped.extend(groups.map(|group| (Arc::clone(&part.share), group)));
        }
        grouped
    }

    /// Closes the clients with this address; returns how many there were.
    pub(super) fn kill(&mut self, address: &str) -> usize {
        let mut killed = 0;
        self.each_core(|core, now| killed += core.kill(address, now));
        self.drain();
        killed
    }

    /// Closes the clients one after the other, within this time.
    pub(super) fn begin_leaving(&mut self, within: Duration) {
        self.each_core(|core, now| core.begin_leaving(now, within));
        self.drain();
    }

    /// Tells every pool to take no further requests; at `end` the driver will be dropped, with all links.
    pub(super) fn begin_shutdown(&mut self, end: Time) {
        self.end = Some(end);
        self.end_greetings();
        self.each_core(|core, now| core.begin_shutdown(now));
        self.drain();
    }

    /// Whether no clients are left, not even lingering ones.
    pub(super) fn is_drained(&self) -> bool {
        let client = |role| matches!(role, Role::Session(_) | Role::Lingering(_));
        self.pools.iter().all(|part| part.core.is_drained())
            && !self.links.iter().any(|(_, link)| client(link.role))
    }

    fn resume(&mut self, key: usize) {
        if let Some(link) = self.links.get_mut(key) {
            link.queued = false;
            self.writable.push(key);
            self.read(key);
        }
    }

    fn run_timers(&mut self) {
        let now = self.now;
        for slot in self.pools.slots() {
            if let Some(part) = self.pools.at(slot)
                && part.deadline.is_some_and(|deadline| deadline <= now)
            {
                part.core.handle_timeout(now);
                let pool = part.share.id();
                self.touch(pool);
            }
        }
        while let Some((until, key)) = self.handshakes.take_late(now) {
            self.end_handshake(key, until);
        }
        while let Some(&(until, key)) = self.lingering.front()
            && until <= self.now
        {
            self.lingering.pop_front();
            self.end_lingering(key, until);
        }
    }

    /// Closes the link if it has a handshake that was to be over by now.
    fn end_handshake(&mut self, key: usize, until: Time) {
        let Some(link) = self.links.get(key) else {
            return;
        };
        let is_late = link.opening.as_deref().is_some_and(|it| it.ends(until));
        match link.role {
            Role::Greeting(end) if end == until => {
                self.refuse_greeting(key, "it takes too long");
            }
            Role::Connecting(connection) if is_late => {
                let pool = link.pool;
                self.dial_next(Caller { pool, connection }, key, Cause::TimedOut);
            }
            _ => {}
        }
    }

    /// Closes a client that has lingered `until` now. In a shutdown one that sends on stays until the end: it may not
    /// have read its replies yet.
    fn end_lingering(&mut self, key: usize, until: Time) {
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        if link.role != Role::Lingering(until) {
            return;
        }
        match self.end {
            // Needs no deadline of its own.
            Some(end) if link.sends_on => link.role = Role::Lingering(end),
            _ => drop(self.links.remove(key)),
        }
    }
}
