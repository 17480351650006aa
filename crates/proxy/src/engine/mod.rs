//! A pool at work: joins sessions to servers. Generic over the protocol, so that nothing is asked
//! twice; [`crate::Pool`] is its door.
//!
//! Where to look: `intake` (bytes to requests), `dispatch` (requests to servers), `delivery` (replies
//! to sessions), `failure` (everything that ends), `failover` (servers of another pool), `upgrade`
//! (handshakes and HELLO 3), `memory` (`max_memory`).

mod delivery;
mod dispatch;
mod failover;
mod failure;
mod intake;
mod memory;
mod probe;
mod readers;
mod retry;
mod split;
mod timers;
mod unheard;
mod upgrade;

pub(crate) use retry::Retry;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::cause::Cause;
use crate::clients::session::{Phase, Session};
use crate::event::Events;
use crate::flow::buffer::{Chunk, Rope};
use crate::id::{ConnectionId, SessionId, Table};
use crate::metrics::{PoolMetric, PoolMetrics};
use crate::pool::{Action, Flush, WorkerContext};
use crate::protocol::{Protocol, Scratch};
use crate::routes::router::Router;
use crate::servers::connection::Connection;
use crate::servers::health::{EjectionPolicy, Health};
use crate::servers::server::Server;
use crate::settings::PoolSettings;
use crate::time::Time;

pub(crate) struct Engine<P: Protocol> {
    settings: Arc<PoolSettings>,
    protocol: P,
    health: Arc<Health>,
    metrics: Arc<PoolMetrics>,
    context: WorkerContext,
    /// When the call that is under way was made.
    now: Time,
    router: Router,
    sessions: Table<SessionId, Session<P>>,
    connections: Table<ConnectionId, Connection<P>>,
    /// The pool's own servers, and behind them those of the failover pool.
    servers: Vec<Server>,
    /// How many of them are the pool's own.
    own: usize,
    failover: Option<Box<failover::Failover<P>>>,
    /// No server has more than one connection in a lane.
    one_each: bool,
    upgrade: upgrade::Upgrade,
    opened_sessions: u64,
    /// Whole requests that were looked at.
    pub(crate) requests_seen: u64,
    shutting_down: bool,

    /// No connection can be late before this.
    earliest: Option<Time>,
    /// When clients are looked at, if any can be late.
    next_client_scan: Option<Time>,
    cross_shard: unheard::LogLimit,
    unheard: unheard::Unheard,
    scale: memory::Scale,
    /// What may be spent on retries; every request adds to it.
    retry_budget: u32,

    actions: VecDeque<Action>,
    flushes: VecDeque<Flush>,
    /// Sessions that were held back and may go on.
    ready: VecDeque<SessionId>,
    /// Sessions that have more to be looked at, when others have had their turn.
    again: Vec<SessionId>,
    /// Since when there are any.
    again_at: Option<Time>,
    readers: readers::Readers,
    pub(crate) events: Events,

    /// Lent to the session whose bytes are looked at; made anew when one keeps it.
    parser: Option<Box<P::Parser>>,
    scratch: Scratch,
    split: split::Work,
    marks: Vec<u64>,
    nothing: Rope,
}

impl<P: Protocol> Engine<P> {
    pub(crate) fn new(
        settings: Arc<PoolSettings>,
        health: Arc<Health>,
        metrics: Arc<PoolMetrics>,
        context: WorkerContext,
    ) -> Self {
        let router = Router::new(&settings, &health, context.seed);
        Self {
            protocol: P::new(&settings),
            router,
            servers: settings.servers.iter().map(|_| Server::default()).collect(),
            own: settings.servers.len(),
            failover: None,
            one_each: settings.server_connections == 1,
            settings,
            health,
            metrics,
            context,
            now: Time::ZERO,
            sessions: Table::new(),
            connections: Table::new(),
            upgrade: upgrade::Upgrade::default(),
            opened_sessions: 0,
            requests_seen: 0,
            shutting_down: false,
            earliest: None,
            next_client_scan: None,
            cross_shard: unheard::LogLimit::default(),
            unheard: unheard::Unheard::default(),
            scale: memory::Scale::default(),
            retry_budget: 0,
            actions: VecDeque::new(),
            flushes: VecDeque::new(),
            ready: VecDeque::new(),
            again: Vec::new(),
            again_at: None,
            readers: readers::Readers::default(),
            events: Events::default(),
            parser: None,
            scratch: Scratch::default(),
            split: split::Work::default(),
            marks: Vec::new(),
            nothing: Rope::new(),
        }
    }

    /// Opens the connections that `preconnect` asks for: one to each server, as nutcracker does.
    pub(crate) fn start(&mut self, now: Time) {
        if self.settings.preconnect {
            for server in 0..self.own {
                self.open_connection(server, 0, now);
            }
        }
    }

    pub(crate) fn open_session(&mut self, name: Box<str>, now: Time) -> SessionId {
        self.schedule_client_scan(now);
        self.opened_sessions += 1;
        let number = (self.opened_sessions - 1) * self.context.workers as u64
            + self.context.worker as u64
            + 1;
        let client = self.protocol.client(number);
        self.metrics.add(PoolMetric::ClientConnections, 1);
        self.metrics.add(PoolMetric::ClientTotal, 1);
        self.scale.memory.add_client();
        self.sessions
            .insert_with(|_| Session::new(name, client, now))
    }

    pub(crate) fn handle_session_data(
        &mut self,
        id: SessionId,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) {
        self.now = now;
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if !session.takes_input() {
            // Nothing further is served: what a client still sends is read so that it can finish sending,
            // and see its last replies.
            return;
        }
        // A request that has begun is timed from its first byte, however slowly it drips in.
        if session.intake.is_none() {
            session.since = now;
        }
        let bytes = range.len();
        session.note_moved(bytes);
        if !session.add_to_backlog(chunk, range.clone()) {
            self.feed(id, chunk, range, now);
        }
        self.stop_reading(id);
        self.run_ready(now);
        self.note_read(bytes, now);
    }

    /// A session has taken its last request. What its client still sends is read and dropped; it ends when its
    /// last replies are read, or not read for too long.
    fn await_end(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if std::mem::take(&mut session.stopped) {
            self.actions.push_back(Action::ReadSession { session: id });
        }
        self.close_if_finished(id);
    }

    /// If a session has as much unparsed input as it may, it is not read until some of that is gone.
    fn stop_reading(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id)
            && session.has_backlog()
            && !session.wants_read(self.settings.clients.backlog)
        {
            session.stopped = true;
        }
    }

    pub(crate) fn handle_session_end(&mut self, id: SessionId, now: Time) {
        self.now = now;
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.phase == Phase::Open {
            session.phase = Phase::Ended;
        }
        if !session.has_backlog() {
            self.drop_incomplete(id);
        }
        self.close_if_finished(id);
        self.run_ready(now);
    }

    pub(crate) fn handle_session_error(&mut self, id: SessionId) {
        if self.forget_session(id) {
            self.metrics.add(PoolMetric::ClientErr, 1);
        }
    }

    pub(crate) fn session_wants_read(&self, id: SessionId) -> bool {
        self.sessions
            .get(id)
            .is_some_and(|session| session.wants_read(self.settings.clients.backlog))
    }

    pub(crate) fn session_output(&self, id: SessionId) -> &Rope {
        self.sessions
            .get(id)
            .map_or(&self.nothing, |session| &session.output)
    }

    pub(crate) fn handle_session_written(&mut self, id: SessionId, count: usize, now: Time) {
        self.now = now;
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.output.consume(count);
        session.note_moved(count);
        // A request that has begun goes on being timed from its first byte.
        if session.intake.is_none() {
            session.since = now;
        }
        if session.held_back {
            self.reconsider(id);
        }
        self.note_progress(id);
        self.close_if_finished(id);
        self.run_ready(now);
    }

    pub(crate) fn connection_output(&self, id: ConnectionId) -> &Rope {
        self.connections
            .get(id)
            .map_or(&self.nothing, Connection::writable)
    }

    pub(crate) fn handle_connection_written(&mut self, id: ConnectionId, count: usize) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let (requests, bytes) = connection.written(count);
        let server = connection.server;
        self.metrics
            .note_sent(server, requests as i64, bytes as i64);
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn poll_flush(&mut self) -> Option<Flush> {
        loop {
            let flush = self.flushes.pop_front()?;
            let live = match flush {
                Flush::Session(id) => self
                    .sessions
                    .get_mut(id)
                    .map(|session| session.dirty = false),
                Flush::Connection(id) => self
                    .connections
                    .get_mut(id)
                    .map(|connection| connection.dirty = false),
            };
            if live.is_some() {
                return Some(flush);
            }
        }
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Takes no further requests; sessions close as they are answered.
    pub(crate) fn begin_shutdown(&mut self) {
        self.shutting_down = true;
        for id in self.sessions.ids() {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            session.drop_input();
            if session.takes_input() {
                // The client may be sending on: without lingering that would reset the
                // connection and destroy the last replies.
                session.phase = Phase::Quitting { linger: true };
            }
            self.close_if_finished(id);
        }
    }

    fn mark_session(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id)
            && !session.dirty
        {
            session.dirty = true;
            self.flushes.push_back(Flush::Session(id));
        }
    }

    fn mark_connection(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id)
            && !connection.dirty
        {
            connection.dirty = true;
            self.flushes.push_back(Flush::Connection(id));
        }
    }

    /// Something of the session has gone out or come back: if it was held back, it may go on.
    fn note_progress(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let waits = session.has_backlog() || session.stopped;
        if waits && !session.queued && session.may_resume() {
            session.queued = true;
            self.ready.push_back(id);
        }
    }

    /// Goes on with sessions that were held back, each with one piece of its input, and tells of what nobody
    /// heard.
    fn run_ready(&mut self, now: Time) {
        while let Some(id) = self.ready.pop_front() {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            session.queued = false;
            session.barrier = false;
            // The time in which its input waited is not the client's fault.
            session.since = now;
            if let Some((chunk, range)) = session.take_backlog() {
                self.feed(id, &chunk, range, now);
            }
            self.after_piece(id, now);
        }
        self.tell_unheard(now);
    }

    /// A session has gone on: is there more that it may do?
    fn after_piece(&mut self, id: SessionId, now: Time) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.stopped && session.wants_read(self.settings.clients.backlog) {
            session.stopped = false;
            self.actions.push_back(Action::ReadSession { session: id });
        }
        if session.has_backlog() {
            if session.may_take() && !session.queued {
                session.queued = true;
                self.again.push(id);
                self.again_at.get_or_insert(now);
            }
            return;
        }
        if session.phase == Phase::Ended {
            self.drop_incomplete(id);
        }
        self.close_if_finished(id);
    }

    /// Sessions that have more to be looked at have their next turn.
    fn take_turns(&mut self, now: Time) {
        self.again_at = None;
        self.ready.extend(self.again.drain(..));
        self.run_ready(now);
    }

    fn close_if_finished(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let Some(linger) = session.is_finished() else {
            if session.must_read_its_last() && session.watch.is_none() {
                self.watch(id);
            }
            return;
        };
        let ended = match session.phase {
            Phase::Broken => PoolMetric::ClientErr,
            Phase::Quitting { linger: true } if !self.shutting_down => PoolMetric::ClientErr,
            _ => PoolMetric::ClientEof,
        };
        self.metrics.add(ended, 1);
        self.forget_session(id);
        self.actions.push_back(Action::CloseSession {
            session: id,
            linger,
        });
    }

    /// Removes a session. Its requests stay at the servers; their replies will find nobody.
    fn forget_session(&mut self, id: SessionId) -> bool {
        let Some(session) = self.sessions.remove(id) else {
            return false;
        };
        if session.held_back {
            self.metrics.add(PoolMetric::ClientHeldBack, -1);
        }
        self.scale.memory.remove_client();
        self.metrics.add(PoolMetric::ClientConnections, -1);
        true
    }

    fn ejection_policy(&self, server: usize) -> EjectionPolicy {
        let settings = self.settings_of(server);
        EjectionPolicy {
            failure_limit: settings.server_failure_limit,
            retry_timeout: settings.server_retry_timeout,
        }
    }

    /// Appends the error line for a request that failed at `server`.
    fn write_error(&self, out: &mut Vec<u8>, cause: &Cause, server: Option<usize>) {
        self.metrics.add(PoolMetric::ForwardError, 1);
        if !self.settings.error_detail && *cause != Cause::Ejected {
            return P::error_line(out, cause, None);
        }
        P::error_line(out, cause, Some(&self.detail(cause, server)));
    }

    /// Why a request failed at `server`, or before there was one, in plain words.
    fn detail(&self, cause: &Cause, server: Option<usize>) -> String {
        match server {
            Some(server) => {
                let server = self.server_settings(server);
                format!(
                    "server '{}' ({}): {}",
                    server.name,
                    server.pname,
                    cause.detail()
                )
            }
            None if *cause == Cause::Overloaded => "the proxy is short of memory".into(),
            None => format!("every server of pool '{}' is ejected", self.settings.name),
        }
    }
}
