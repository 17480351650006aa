//! Drives the core: readiness in, reads and writes out. It knows no poll and no clock, so that tests
//! can drive it over streams of their own.
//!
//! A tick is [`Driver::begin_tick`], [`Driver::handle_ready`] for every event, then
//! [`Driver::finish_tick`]: whatever was read goes into the core at once, whatever the core wants
//! written is written once at the end, so that requests and replies leave in batches.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use proxy::{Action, Cause, ConnectionId, Flush, SessionId, Time};
use slab::Slab;

use super::chunks::Chunks;
use super::endpoint::{Endpoint, Read, Readiness, Role, Written};
use super::net::{Caller, Dialled, Net, Target};
use super::pool::PoolPart;
use crate::census::{Occupant, Seat};
use crate::logger::log;
use crate::net::cause_of;

/// How long a client that was told that nothing more will come may take to close.
const LINGER: Duration = Duration::from_secs(2);

/// Clients that may linger at a time; beyond, they are closed at once.
const MAX_LINGERING: usize = 1024;

/// The part of a worker between its poll and the core.
#[derive(Debug)]
pub(super) struct Driver<N: Net> {
    net: N,
    pools: Vec<PoolPart>,
    /// Every socket; the key is its token in the poll.
    endpoints: Slab<Endpoint<N::Stream>>,
    chunks: Chunks,
    now: Time,
    tick: u32,
    /// Endpoints that had more to do than a tick allows.
    waiting: Vec<usize>,
    /// Endpoints that can be written to again and have output.
    writable: Vec<usize>,
    /// Pools whose core was called since it was last drained.
    touched: Vec<u32>,
    /// In order of their deadlines; some have closed already, and another may have their place.
    lingering: VecDeque<(Time, usize)>,
}

impl<N: Net> Driver<N> {
    /// A driver for `pools`, which it starts.
    pub(super) fn new(net: N, pools: Vec<PoolPart>, now: Time) -> Self {
        let mut driver = Self {
            net,
            pools,
            endpoints: Slab::new(),
            chunks: Chunks::default(),
            now,
            tick: 0,
            waiting: Vec::new(),
            writable: Vec::new(),
            touched: Vec::new(),
            lingering: VecDeque::new(),
        };
        for pool in 0..driver.pools.len() as u32 {
            driver.part(pool).core.start(now);
            driver.touch(pool);
        }
        driver.drain();
        driver
    }

    /// The poll has returned at `now`.
    pub(super) fn begin_tick(&mut self, now: Time) {
        self.now = now;
        self.tick = self.tick.wrapping_add(1);
    }

    /// The endpoint with `key` is ready for something. Keys that mean nothing any more do no harm.
    pub(super) fn handle_ready(&mut self, key: usize, ready: Readiness) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        let was_blocked = !endpoint.is_writable();
        endpoint.note(ready);
        match endpoint.role {
            Role::Connecting(_) => self.finish_connect(key),
            // A client that was reset reads no reply and has sent its last.
            Role::Session(id) if ready.error => self.lose_session(key, id),
            _ if was_blocked && endpoint.is_writable() => self.writable.push(key),
            _ => {}
        }
        self.read(key);
    }

    /// Goes on with what was left over, runs timers, and writes everything that is to be written.
    pub(super) fn finish_tick(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for key in waiting.drain(..) {
            self.resume(key);
        }
        // Those that wait again were put on a new list; keep the longer allocation.
        if self.waiting.is_empty() {
            self.waiting = waiting;
        }
        self.run_timers();
        self.drain();
    }

    /// A client has been accepted.
    pub(super) fn open_session(&mut self, pool: u32, mut stream: N::Stream, seat: Seat) {
        // The core may use the index of a departed session again whose socket is still to be closed.
        self.drain();
        let entry = self.endpoints.vacant_entry();
        let key = entry.key();
        if let Err(error) = self.net.register(&mut stream, key) {
            log!(crate::logger::ALERT, "register client failed: {error}");
            return;
        }
        let now = self.now;
        let part = &mut self.pools[pool as usize];
        let id = part.core.open_session(now);
        part.sessions.set(id.index(), key);
        entry.insert(Endpoint::new(pool, Role::Session(id), Some(stream), seat));
        self.touch(pool);
    }

    /// The name of a server was looked up.
    pub(super) fn handle_resolved(&mut self, caller: Caller, address: Option<SocketAddr>) {
        let part = &self.pools[caller.pool as usize];
        let key = part.connections.get(caller.connection.index());
        let wanted = Role::Resolving(caller.connection);
        let Some(key) = key.filter(|&key| self.has_role(key, caller.pool, wanted)) else {
            return;
        };
        let dialled = match address {
            Some(address) => {
                let keepalive = self.pools[caller.pool as usize].keepalive;
                self.net
                    .dial(caller, &Target::Address(address), keepalive, key)
            }
            None => Dialled::Failed(Cause::HostDown),
        };
        self.handle_dialled(caller, key, dialled);
        self.drain();
    }

    /// How long the poll may sleep; `None` is for ever.
    pub(super) fn timeout(&self) -> Option<Duration> {
        if !self.waiting.is_empty() || !self.writable.is_empty() {
            return Some(Duration::ZERO);
        }
        let pools = self.pools.iter().filter_map(|part| part.deadline);
        let lingering = self.lingering.front().map(|&(until, _)| until);
        let next = pools.chain(lingering).min()?;
        Some(next.since(self.now))
    }

    /// Has every pool take no further requests.
    pub(super) fn begin_shutdown(&mut self) {
        for pool in 0..self.pools.len() as u32 {
            let now = self.now;
            self.part(pool).core.begin_shutdown(now);
            self.touch(pool);
        }
        self.drain();
    }

    /// Whether no client is left, nor one that lingers.
    pub(super) fn is_drained(&self) -> bool {
        let client = |role| matches!(role, Role::Session(_) | Role::Lingering(_));
        self.pools.iter().all(|part| part.core.is_drained())
            && !self
                .endpoints
                .iter()
                .any(|(_, endpoint)| client(endpoint.role))
    }

    fn part(&mut self, pool: u32) -> &mut PoolPart {
        &mut self.pools[pool as usize]
    }

    fn has_role(&self, key: usize, pool: u32, role: Role) -> bool {
        let endpoint = self.endpoints.get(key);
        endpoint.is_some_and(|endpoint| endpoint.pool == pool && endpoint.role == role)
    }

    /// The core of `pool` was called, so it may have something to say.
    fn touch(&mut self, pool: u32) {
        let part = &mut self.pools[pool as usize];
        if !part.touched {
            part.touched = true;
            self.touched.push(pool);
        }
    }

    /// Has the endpoint go on in the next tick, without sleep in between.
    fn wait_for_next_tick(&mut self, key: usize) {
        let endpoint = &mut self.endpoints[key];
        if !endpoint.queued {
            endpoint.queued = true;
            self.waiting.push(key);
        }
    }

    fn resume(&mut self, key: usize) {
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.queued = false;
            self.writable.push(key);
            self.read(key);
        }
    }

    fn run_timers(&mut self) {
        for pool in 0..self.pools.len() as u32 {
            let now = self.now;
            let part = self.part(pool);
            if part.deadline.is_some_and(|deadline| deadline <= now) {
                part.core.handle_timeout(now);
                self.touch(pool);
            }
        }
        while let Some(&(until, key)) = self.lingering.front()
            && until <= self.now
        {
            self.lingering.pop_front();
            let endpoint = self.endpoints.get(key);
            if endpoint.is_some_and(|endpoint| endpoint.role == Role::Lingering(until)) {
                self.endpoints.remove(key);
            }
        }
    }
}

/// Reading.
impl<N: Net> Driver<N> {
    /// Reads while there is something, it is wanted, and the tick's share is not used up.
    fn read(&mut self, key: usize) {
        while let Some(endpoint) = self.endpoints.get_mut(key) {
            let (pool, role) = (endpoint.pool, endpoint.role);
            let part = &mut self.pools[pool as usize];
            let wanted = match role {
                // When the core wants it again, it says so with an action.
                Role::Session(id) => part.core.session_wants_read(id),
                Role::Connection(_) | Role::Lingering(_) => true,
                Role::Resolving(_) | Role::Connecting(_) => false,
            };
            if !endpoint.is_readable() || !wanted {
                return;
            }
            if !endpoint.take_read(self.tick) {
                return self.wait_for_next_tick(key);
            }
            let read = endpoint.read(&mut self.chunks);
            match role {
                Role::Session(id) => self.handle_session_read(key, id, read),
                Role::Connection(id) => self.handle_connection_read(key, id, read),
                _ => self.handle_lingering_read(key, read),
            }
        }
    }

    fn handle_session_read(&mut self, key: usize, id: SessionId, read: Read) {
        let (now, pool) = (self.now, self.endpoints[key].pool);
        let core = &mut self.pools[pool as usize].core;
        match read {
            Read::Data(count) => core.handle_session_data(id, self.chunks.current(), 0..count, now),
            Read::End => core.handle_session_end(id, now),
            Read::Nothing => return,
            Read::Failed(_) => return self.lose_session(key, id),
        }
        self.touch(pool);
    }

    fn handle_connection_read(&mut self, key: usize, id: ConnectionId, read: Read) {
        let (now, pool) = (self.now, self.endpoints[key].pool);
        let core = &mut self.pools[pool as usize].core;
        match read {
            Read::Data(count) => {
                core.handle_connection_data(id, self.chunks.current(), 0..count, now);
            }
            Read::End => return self.lose_connection(key, id, Cause::Closed),
            Read::Nothing => return,
            Read::Failed(error) => return self.lose_connection(key, id, cause_of(&error)),
        }
        self.touch(pool);
    }

    fn handle_lingering_read(&mut self, key: usize, read: Read) {
        if matches!(read, Read::End | Read::Failed(_)) {
            self.endpoints.remove(key);
        }
    }

    /// A client's connection broke.
    fn lose_session(&mut self, key: usize, id: SessionId) {
        let endpoint = self.endpoints.remove(key);
        let now = self.now;
        self.part(endpoint.pool).core.handle_session_error(id, now);
        self.touch(endpoint.pool);
    }

    /// A server connection ended.
    fn lose_connection(&mut self, key: usize, id: ConnectionId, cause: Cause) {
        let endpoint = self.endpoints.remove(key);
        let now = self.now;
        let core = &mut self.part(endpoint.pool).core;
        core.handle_connection_closed(id, cause, now);
        self.touch(endpoint.pool);
    }
}

/// Writing, and whatever else the core asks for.
impl<N: Net> Driver<N> {
    /// Does what the cores ask until they ask for nothing more. It ends because every endpoint has
    /// a limited share of reads and writes in a tick.
    pub(super) fn drain(&mut self) {
        while !self.touched.is_empty() || !self.writable.is_empty() {
            let mut touched = std::mem::take(&mut self.touched);
            for &pool in &touched {
                self.part(pool).touched = false;
                while let Some(action) = self.part(pool).core.poll_action() {
                    self.perform(pool, action);
                }
            }
            for &pool in &touched {
                while let Some(flush) = self.part(pool).core.poll_flush() {
                    self.flush(pool, flush);
                }
            }
            let mut writable = std::mem::take(&mut self.writable);
            for key in writable.drain(..) {
                self.write(key);
            }
            for pool in touched.drain(..) {
                self.part(pool).settle();
            }
            // Writing may have put new ones on either list; keep the allocations otherwise.
            if self.touched.is_empty() {
                self.touched = touched;
            }
            if self.writable.is_empty() {
                self.writable = writable;
            }
        }
    }

    fn perform(&mut self, pool: u32, action: Action) {
        match action {
            Action::Connect { connection, server } => self.connect(pool, connection, server),
            Action::CloseConnection { connection } => self.close_connection(pool, connection),
            Action::CloseSession { session, linger } => self.close_session(pool, session, linger),
            Action::ReadSession { session } => {
                if let Some(key) = self.key_of_session(pool, session) {
                    self.read(key);
                }
            }
        }
    }

    fn flush(&mut self, pool: u32, flush: Flush) {
        let key = match flush {
            Flush::Session(id) => self.key_of_session(pool, id),
            Flush::Connection(id) => self.key_of_connection(pool, id),
        };
        if let Some(key) = key {
            self.write(key);
        }
    }

    /// Writes while there is output, it is taken, and the tick's share is not used up.
    fn write(&mut self, key: usize) {
        while let Some(endpoint) = self.endpoints.get_mut(key) {
            let (pool, role, now) = (endpoint.pool, endpoint.role, self.now);
            let core = &mut self.pools[pool as usize].core;
            let output = match role {
                Role::Session(id) => core.session_output(id),
                Role::Connection(id) => core.connection_output(id),
                Role::Lingering(_) | Role::Resolving(_) | Role::Connecting(_) => return,
            };
            if output.is_empty() || !endpoint.is_writable() {
                return;
            }
            if !endpoint.take_write(self.tick) {
                return self.wait_for_next_tick(key);
            }
            match (endpoint.write(output), role) {
                (Written::Bytes(count), Role::Session(id)) => {
                    core.handle_session_written(id, count, now);
                }
                (Written::Bytes(count), Role::Connection(id)) => {
                    core.handle_connection_written(id, count, now);
                }
                (Written::Failed(_), Role::Session(id)) => return self.lose_session(key, id),
                (Written::Failed(error), Role::Connection(id)) => {
                    return self.lose_connection(key, id, cause_of(&error));
                }
                // The next edge will say when to go on.
                _ => return,
            }
            self.touch(pool);
        }
    }

    fn key_of_session(&self, pool: u32, id: SessionId) -> Option<usize> {
        let key = self.pools[pool as usize].sessions.get(id.index())?;
        self.has_role(key, pool, Role::Session(id)).then_some(key)
    }

    /// The key of an established connection.
    fn key_of_connection(&self, pool: u32, id: ConnectionId) -> Option<usize> {
        let key = self.pools[pool as usize].connections.get(id.index())?;
        self.has_role(key, pool, Role::Connection(id))
            .then_some(key)
    }
}

/// Opening and closing.
impl<N: Net> Driver<N> {
    fn connect(&mut self, pool: u32, connection: ConnectionId, server: usize) {
        let part = &mut self.pools[pool as usize];
        let seat = part.census.seat(Occupant::Server);
        let endpoint = Endpoint::new(pool, Role::Resolving(connection), None, seat);
        let key = self.endpoints.insert(endpoint);
        part.connections.set(connection.index(), key);
        let caller = Caller { pool, connection };
        let target = &part.targets[server];
        let dialled = self.net.dial(caller, target, part.keepalive, key);
        self.handle_dialled(caller, key, dialled);
    }

    fn handle_dialled(&mut self, caller: Caller, key: usize, dialled: Dialled<N::Stream>) {
        match dialled {
            Dialled::Stream(stream) => {
                self.endpoints[key].begin_connecting(caller.connection, stream);
            }
            Dialled::Resolving => {}
            Dialled::Failed(cause) => self.lose_connection(key, caller.connection, cause),
        }
    }

    /// An attempt to connect may be over.
    fn finish_connect(&mut self, key: usize) {
        let endpoint = &mut self.endpoints[key];
        let Role::Connecting(id) = endpoint.role else {
            return;
        };
        match endpoint.finish_connect() {
            Ok(true) => {
                endpoint.role = Role::Connection(id);
                let (pool, now) = (endpoint.pool, self.now);
                self.part(pool).core.handle_connected(id, now);
                self.touch(pool);
                self.writable.push(key);
            }
            Ok(false) => {}
            Err(error) => self.lose_connection(key, id, cause_of(&error)),
        }
    }

    fn close_connection(&mut self, pool: u32, id: ConnectionId) {
        let Some(key) = self.pools[pool as usize].connections.get(id.index()) else {
            return;
        };
        let roles = [
            Role::Resolving(id),
            Role::Connecting(id),
            Role::Connection(id),
        ];
        if roles.into_iter().any(|role| self.has_role(key, pool, role)) {
            self.endpoints.remove(key);
        }
    }

    fn close_session(&mut self, pool: u32, id: SessionId, linger: bool) {
        let Some(key) = self.key_of_session(pool, id) else {
            return;
        };
        let endpoint = &mut self.endpoints[key];
        if !linger || endpoint.has_ended() || self.lingering.len() >= MAX_LINGERING {
            self.endpoints.remove(key);
            return;
        }
        let until = self.now + LINGER;
        endpoint.shut_write();
        endpoint.role = Role::Lingering(until);
        self.lingering.push_back((until, key));
        self.read(key);
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
