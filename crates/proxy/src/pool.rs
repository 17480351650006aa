//! The public interface of a pool: the same calls for both protocols.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::access::AccessRecord;
use crate::cause::Cause;
use crate::client_info::{ClientGroup, ClientInfo};
use crate::departure::Departure;
use crate::engine::{Engine, WorkerContext};
use crate::event::LogRecord;
use crate::flow::buffer::{Chunk, Rope};
use crate::flow::outbox::{Action, Flush};
use crate::id::{ConnectionId, SessionId};
use crate::protocol::grammar::Grammar;
use crate::protocol::memcached::Memcached;
use crate::protocol::redis::Redis;
use crate::question::Question;
use crate::settings::ProtocolSettings;
use crate::share::PoolShare;
use crate::time::Time;

/// One configured pool in one worker.
pub struct Pool(AnyEngine);

/// The engine for the pool's protocol. Boxed, as engines are large; the choice is made once per call, not per
/// request.
enum AnyEngine {
    Redis(Box<Engine<Redis>>),
    Memcached(Box<Engine<Memcached>>),
}

/// The error line for a client that is closed because there are too many.
pub fn too_many_clients(pool: &PoolShare) -> &'static [u8] {
    match pool.plan().settings.protocol {
        ProtocolSettings::Redis(_) => Redis::TOO_MANY_CLIENTS,
        ProtocolSettings::Memcached(_) => Memcached::TOO_MANY_CLIENTS,
    }
}

/// The error line for a client that does not speak TLS where it has to.
pub fn tls_required(pool: &PoolShare) -> &'static [u8] {
    match pool.plan().settings.protocol {
        ProtocolSettings::Redis(_) => Redis::TLS_REQUIRED,
        ProtocolSettings::Memcached(_) => Memcached::TLS_REQUIRED,
    }
}

macro_rules! either {
    ($self:expr, $engine:ident => $call:expr) => {
        match $self {
            Pool(AnyEngine::Redis($engine)) => $call,
            Pool(AnyEngine::Memcached($engine)) => $call,
        }
    };
}

impl Pool {
    /// The pool of `share` in one worker, without sessions. With `preconnect` it has actions at once: to connect to
    /// the servers.
    pub fn new(share: &Arc<PoolShare>, context: WorkerContext, now: Time) -> Self {
        let mut pool = match share.plan().settings.protocol {
            ProtocolSettings::Redis(_) => {
                Pool(AnyEngine::Redis(Box::new(Engine::new(share, context))))
            }
            ProtocolSettings::Memcached(_) => {
                Pool(AnyEngine::Memcached(Box::new(Engine::new(share, context))))
            }
        };
        either!(&mut pool, engine => engine.preconnect(now));
        pool
    }

    /// Follows the current plan, see [`PoolShare::publish`]. A pool does so by itself before it routes the next
    /// request. This call is for a pool without traffic: connections to removed servers are closed, and those of
    /// `preconnect` opened.
    pub fn apply(&mut self, now: Time) {
        either!(self, engine => engine.apply(now));
    }

    /// Bytes that the pool's buffers hold, counted now. This walks all of them.
    pub fn held(&self) -> usize {
        either!(self, engine => engine.bytes_held())
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

    /// Whole requests parsed since the start. How many one read brings tells the shell whether clients pipeline.
    pub fn requests_seen(&self) -> u64 {
        either!(self, engine => engine.requests_seen())
    }

    /// A client sends nothing further (FIN). What it has sent is still answered.
    pub fn handle_session_end(&mut self, id: SessionId, now: Time) {
        either!(self, engine => engine.handle_session_end(id, now));
    }

    /// A client's connection is gone (reset, write error); the shell drops the socket itself.
    pub fn handle_session_error(&mut self, id: SessionId, now: Time) {
        either!(self, engine => engine.handle_session_error(id, now));
    }

    /// Whether the client's socket is to be read. When this turns true again, [`Action::ReadSession`] says so.
    pub fn session_wants_read(&self, id: SessionId) -> bool {
        either!(self, engine => engine.session_wants_read(id))
    }

    /// What is to be written to the client. The shell takes the bytes from the front, slice by slice
    /// ([`Rope::slices`]), and reports what it has written with [`Pool::handle_session_written`]; only that
    /// removes them. It may write less than all, and a write that its stream has taken counts as written even if
    /// the stream still buffers it. The slices are valid until the next call.
    pub fn session_output(&self, id: SessionId) -> &Rope {
        either!(self, engine => engine.session_output(id))
    }

    /// The first `count` bytes of [`Pool::session_output`] were written, at most all of them. They are never
    /// offered again.
    pub fn handle_session_written(&mut self, id: SessionId, count: usize, now: Time) {
        either!(self, engine => engine.handle_session_written(id, count, now));
    }

    /// A server connection is being made to `peer`, which log lines name from now on: where its server's name
    /// leads. To be called where that cannot be told from the configuration.
    pub fn name_peer(&mut self, id: ConnectionId, peer: Box<str>) {
        either!(self, engine => engine.name_peer(id, peer));
    }

    /// Whether a server may send nothing on a connection for as long as it likes, because it may be leased to a client
    /// that waits. The shell is to have the system notice when the server's host is gone.
    pub fn may_be_silent(&self, id: ConnectionId) -> bool {
        either!(self, engine => engine.may_be_silent(id))
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
        either!(self, engine => engine.handle_connection_closed(id, &cause, now));
    }

    /// What is to be written to the server; nothing until it is connected. Taken and reported like
    /// [`Pool::session_output`], with [`Pool::handle_connection_written`].
    pub fn connection_output(&self, id: ConnectionId) -> &Rope {
        either!(self, engine => engine.connection_output(id))
    }

    /// The first `count` bytes of [`Pool::connection_output`] were written.
    pub fn handle_connection_written(&mut self, id: ConnectionId, count: usize, now: Time) {
        either!(self, engine => engine.handle_connection_written(id, count, now));
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        either!(self, engine => engine.poll_action())
    }

    /// The next session or connection with new output; each is named once until it is polled. Output that the
    /// shell leaves unwritten is not announced again: the shell goes on when the socket takes more.
    pub fn poll_flush(&mut self) -> Option<Flush> {
        either!(self, engine => engine.poll_flush())
    }

    /// The next thing to log.
    pub fn poll_event(&mut self) -> Option<LogRecord> {
        either!(self, engine => engine.poll_event())
    }

    /// The next request for the access log.
    pub fn poll_access(&mut self) -> Option<AccessRecord> {
        either!(self, engine => engine.poll_access())
    }

    /// What [`Pool::poll_access`] has returned was dropped: it is counted.
    pub fn note_access_dropped(&mut self) {
        either!(self, engine => engine.note_access_dropped());
    }

    /// The level of the log, with nutcracker's numbers. Up to 5, the initial level, it makes no difference: what is
    /// below the default is for the shell to leave out. From 6 on there are further events. See
    /// [`Event::level`](crate::Event::level).
    pub fn set_log_level(&mut self, level: u8) {
        either!(self, engine => engine.set_log_level(level));
    }

    /// When [`Pool::handle_timeout`] is to be called at the latest.
    pub fn poll_deadline(&self) -> Option<Time> {
        either!(self, engine => engine.poll_deadline())
    }

    /// Time has passed: does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        either!(self, engine => engine.handle_timeout(now));
    }

    /// The proxy is about to leave: clients that want to know are told; returns how many.
    pub fn announce(&mut self, departure: Departure, now: Time) -> usize {
        either!(self, engine => engine.announce(departure, now))
    }

    /// The clients by what they say of themselves: name and library. This walks all of them.
    pub fn client_groups(&self, now: Time) -> Vec<ClientGroup> {
        either!(self, engine => engine.client_groups(now))
    }

    /// Closes the clients of now evenly over this time, each between two requests: not while it waits for a reply, is in
    /// the middle of a request, or has begun a transaction. Who never comes to that stays.
    pub fn begin_leaving(&mut self, now: Time, within: Duration) {
        either!(self, engine => engine.begin_leaving(now, within));
    }

    /// Which workers serve the pool has changed, or there are more connections to servers than there may be: those that are too
    /// many are closed when they have answered everything.
    pub fn keep_budget(&mut self, now: Time) {
        either!(self, engine => engine.keep_budget(now));
    }

    /// The clients that hold most memory, at most so many. This walks all of them.
    pub fn clients(&self, most: usize, now: Time) -> Vec<ClientInfo> {
        either!(self, engine => engine.census(most, now))
    }

    /// Closes the clients with this address, whatever they are doing; returns how many there were.
    pub fn kill(&mut self, address: &str, now: Time) -> usize {
        either!(self, engine => engine.kill(address, now))
    }

    /// A worker asks what this one contributes to the answer to a client's request ([`Action::Ask`]): does its part, and
    /// returns the answer.
    pub fn answer_question(&mut self, question: &Question, now: Time) -> Vec<u8> {
        either!(self, engine => engine.answer_question(question, now))
    }

    /// Another worker has answered the question of this number that this one has asked; `None` if it could not be asked.
    pub fn handle_answer(&mut self, question: u64, answer: Option<Vec<u8>>, now: Time) {
        either!(self, engine => engine.handle_answer(question, answer, now));
    }

    /// Takes no further requests; what is in flight is answered and sessions close as they empty.
    pub fn begin_shutdown(&mut self, now: Time) {
        either!(self, engine => engine.begin_shutdown(now));
    }

    /// Whether no session is left, and no server has to be told that its client waits no more.
    pub fn is_drained(&self) -> bool {
        either!(self, engine => engine.is_drained())
    }

    /// Sessions at present.
    pub fn session_count(&self) -> usize {
        either!(self, engine => engine.session_count())
    }
}
