//! The door to a pool: the same calls whatever the protocol.

use std::ops::Range;
use std::sync::Arc;

use crate::cause::Cause;
use crate::engine::Engine;
use crate::event::Event;
use crate::flow::buffer::{Chunk, Rope};
use crate::flow::memory::Memory;
use crate::id::{ConnectionId, SessionId};
use crate::metrics::PoolMetrics;
use crate::protocol::memcached::Memcached;
use crate::protocol::redis::Redis;
use crate::servers::health::Health;
use crate::settings::{PoolSettings, ProtocolSettings};
use crate::time::Time;

/// Which worker a pool lives in.
#[derive(Debug, Clone, Copy)]
pub struct WorkerContext {
    /// The worker's number, from 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
    /// Where chance begins (the `random` distribution).
    pub seed: u64,
}

/// Another pool of the same process, for the keys of ejected servers.
#[derive(Debug, Clone)]
pub struct FailoverPool {
    /// Its settings; it speaks the same protocol.
    pub settings: Arc<PoolSettings>,
    /// Its health, shared like a pool's own.
    pub health: Arc<Health>,
    /// Most seconds that what is written there lives.
    pub seconds: u32,
}

/// Something the shell has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open a socket to a server; answer with [`Pool::handle_connected`] or [`Pool::handle_connection_closed`].
    /// Whatever had the index of this connection has been closed, or is to be by an action before this one.
    Connect {
        /// The connection it is for.
        connection: ConnectionId,
        /// Index into [`PoolSettings::servers`], or behind those into the failover pool's.
        server: usize,
    },
    /// Drop the socket, or stop trying to make it. Nothing is to be reported back.
    CloseConnection {
        /// The connection, already forgotten here.
        connection: ConnectionId,
    },
    /// Close a client's socket. Nothing is to be reported back.
    CloseSession {
        /// The session, already forgotten here.
        session: SessionId,
        /// Unread input may be on its way: end the write side first and read and discard for a
        /// bounded time, so that a reset does not destroy the last reply.
        linger: bool,
    },
    /// A session that refused reading wants it again; with edge-triggered polling, read now.
    ReadSession {
        /// The session.
        session: SessionId,
    },
}

/// Something that has new output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// A client connection, see [`Pool::session_output`].
    Session(SessionId),
    /// A server connection, see [`Pool::connection_output`].
    Connection(ConnectionId),
}

/// One configured pool in one worker.
pub struct Pool(Speaking);

/// The engines are large and there is one per pool and worker.
enum Speaking {
    Redis(Box<Engine<Redis>>),
    Memcached(Box<Engine<Memcached>>),
}

macro_rules! either {
    ($self:expr, $engine:ident => $call:expr) => {
        match $self {
            Pool(Speaking::Redis($engine)) => $call,
            Pool(Speaking::Memcached($engine)) => $call,
        }
    };
}

impl Pool {
    /// A pool without sessions or connections. `health` is shared by all workers, `metrics` is this worker's own.
    pub fn new(
        settings: Arc<PoolSettings>,
        health: Arc<Health>,
        metrics: Arc<PoolMetrics>,
        context: WorkerContext,
    ) -> Self {
        match settings.protocol {
            ProtocolSettings::Redis(_) => Pool(Speaking::Redis(Box::new(Engine::new(
                settings, health, metrics, context,
            )))),
            ProtocolSettings::Memcached(_) => Pool(Speaking::Memcached(Box::new(Engine::new(
                settings, health, metrics, context,
            )))),
        }
    }

    /// Makes the pool part number `part` of `memory`; without this it has no cap. To be called before
    /// anything else.
    pub fn share_memory(&mut self, memory: Arc<Memory>, part: usize) {
        either!(self, engine => engine.share_memory(memory, part));
    }

    /// Bytes that the pool's buffers hold, counted now. This walks all of them.
    pub fn held(&self) -> usize {
        either!(self, engine => engine.held())
    }

    /// The same pool, with another one for the keys of ejected servers. The metrics must have been made
    /// with that one's ([`PoolMetrics::with_failover`]). To be called before anything else.
    #[must_use]
    pub fn with_failover(self, other: FailoverPool) -> Self {
        match self {
            Pool(Speaking::Redis(engine)) => {
                Pool(Speaking::Redis(Box::new(engine.with_failover(other))))
            }
            Pool(Speaking::Memcached(engine)) => {
                Pool(Speaking::Memcached(Box::new(engine.with_failover(other))))
            }
        }
    }

    /// To be called once, before anything else: asks for the connections of `preconnect`.
    pub fn start(&mut self, now: Time) {
        either!(self, engine => engine.start(now));
    }

    /// A client has connected; log lines call it `name`, its address.
    pub fn open_session(&mut self, name: Box<str>, now: Time) -> SessionId {
        either!(self, engine => engine.open_session(name, now))
    }

    /// A client sent `range` of `chunk`. Only to be called while [`Pool::session_wants_read`]; all of it is taken.
    pub fn handle_session_data(
        &mut self,
        id: SessionId,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) {
        either!(self, engine => engine.handle_session_data(id, chunk, range, now));
    }

    /// Whole requests that were looked at since the start: how many one read brings tells whether clients
    /// pipeline.
    pub fn requests_seen(&self) -> u64 {
        either!(self, engine => engine.requests_seen)
    }

    /// A client sends nothing further (FIN). What it has sent is still answered.
    pub fn handle_session_end(&mut self, id: SessionId, now: Time) {
        either!(self, engine => engine.handle_session_end(id, now));
    }

    /// A client's connection is gone (reset, write error); the shell drops the socket itself.
    pub fn handle_session_error(&mut self, id: SessionId, _now: Time) {
        either!(self, engine => engine.handle_session_error(id));
    }

    /// Whether the client's socket is to be read. When this turns true again, [`Action::ReadSession`] says so.
    pub fn session_wants_read(&self, id: SessionId) -> bool {
        either!(self, engine => engine.session_wants_read(id))
    }

    /// What is to be written to the client.
    pub fn session_output(&self, id: SessionId) -> &Rope {
        either!(self, engine => engine.session_output(id))
    }

    /// The first `count` bytes of [`Pool::session_output`] were written.
    pub fn handle_session_written(&mut self, id: SessionId, count: usize, now: Time) {
        either!(self, engine => engine.handle_session_written(id, count, now));
    }

    /// A server connection's socket is connected.
    pub fn handle_connected(&mut self, id: ConnectionId, now: Time) {
        either!(self, engine => engine.handle_connected(id, now));
    }

    /// A server sent `range` of `chunk`; all of it is taken. Server connections are always read.
    pub fn handle_connection_data(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) {
        either!(self, engine => engine.handle_connection_data(id, chunk, range, now));
    }

    /// A server connection could not be made or has ended; the shell drops the socket itself.
    pub fn handle_connection_closed(&mut self, id: ConnectionId, cause: Cause, now: Time) {
        either!(self, engine => engine.handle_connection_closed(id, cause, now));
    }

    /// What is to be written to the server; nothing until it is connected.
    pub fn connection_output(&self, id: ConnectionId) -> &Rope {
        either!(self, engine => engine.connection_output(id))
    }

    /// The first `count` bytes of [`Pool::connection_output`] were written.
    pub fn handle_connection_written(&mut self, id: ConnectionId, count: usize, _now: Time) {
        either!(self, engine => engine.handle_connection_written(id, count));
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        either!(self, engine => engine.poll_action())
    }

    /// The next session or connection with new output; each is named once until it is polled.
    pub fn poll_flush(&mut self) -> Option<Flush> {
        either!(self, engine => engine.poll_flush())
    }

    /// The next thing to log.
    pub fn poll_event(&mut self) -> Option<Event> {
        either!(self, engine => engine.events.pop())
    }

    /// When [`Pool::handle_timeout`] is to be called at the latest.
    pub fn poll_deadline(&self) -> Option<Time> {
        either!(self, engine => engine.poll_deadline())
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        either!(self, engine => engine.handle_timeout(now));
    }

    /// Takes no further requests; what is in flight is answered and sessions close as they empty.
    pub fn begin_shutdown(&mut self, _now: Time) {
        either!(self, engine => engine.begin_shutdown());
    }

    /// Whether no session is left.
    pub fn is_drained(&self) -> bool {
        self.session_count() == 0
    }

    /// Sessions at present.
    pub fn session_count(&self) -> usize {
        either!(self, engine => engine.session_count())
    }
}
