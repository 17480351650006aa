//! What the shell has to do, to write, and to log.

use std::collections::VecDeque;
use std::sync::Arc;

use super::log::Log;
use crate::access::AccessRecord;
use crate::event::{Event, Level, LogRecord};
use crate::id::{ConnectionId, SessionId};
use crate::limits::MAX_ACCESS_RECORDS;
use crate::question::Question;
use crate::settings::Address;
use crate::share::{Endpoint, ServerShare};
use crate::time::Time;

/// Something the shell has to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// Connect a socket to a server, and report [`Pool::handle_connected`](crate::Pool::handle_connected) or
    /// [`Pool::handle_connection_closed`](crate::Pool::handle_connection_closed). An earlier connection with the same
    /// index was closed before, or is closed by an action before this one.
    Connect {
        /// The connection that the socket is for.
        connection: ConnectionId,
        /// The server, of the pool itself or of its failover pool.
        server: Arc<ServerShare>,
        /// Where it is.
        endpoint: Arc<Endpoint>,
    },
    /// Close the socket, or stop connecting it. Nothing is to be reported back.
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
    /// Have the other workers asked that this question is for: [`Pool::answer_question`](crate::Pool::answer_question) there.
    /// What each answers is reported to [`Pool::handle_answer`](crate::Pool::handle_answer) here, as is, at once, that one cannot be
    /// asked. One that does not have the pool answers with nothing.
    Ask {
        /// The question.
        question: Arc<Question>,
    },
    /// A server has said that it only takes reads: it may be the master no more. Where the servers of the pool are found, they are to be
    /// looked for again.
    LookForServers,
    /// Have the nodes of the pool's Redis Cluster asked which of them has which hash slot, and publish a plan that says so:
    /// [`PoolShare::publish`](crate::PoolShare::publish). Nothing is to be reported back.
    AskForMap {
        /// A node that knows more than this worker, to be asked first.
        node: Option<Address>,
    },
    /// A session for which [`Pool::session_wants_read`](crate::Pool::session_wants_read) was false is to be read
    /// again. With edge-triggered polling, read now: the event for what is in the socket has passed.
    ReadSession {
        /// The session.
        session: SessionId,
    },
}

/// Something that has new output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// A client connection, see [`Pool::session_output`](crate::Pool::session_output).
    Session(SessionId),
    /// A server connection, see [`Pool::connection_output`](crate::Pool::connection_output).
    Connection(ConnectionId),
}

/// Everything that waits for the shell. The shell drains all of it after each call, so it stays small.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    actions: VecDeque<Action>,
    flushes: VecDeque<Flush>,
    log: Log,
    accesses: VecDeque<AccessRecord>,
}

impl Outbox {
    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// There is new output. The session or connection has a flag, so that it is listed only once until it is taken.
    #[inline]
    pub(crate) fn flush(&mut self, flush: Flush) {
        self.flushes.push_back(flush);
    }

    /// Something has happened that no client has caused, or that names its client.
    #[track_caller]
    pub(crate) fn log(&mut self, event: Event) {
        self.log.push(event, || None);
    }

    /// Something has happened because of a client; `client` is asked for its address if that is to be told.
    #[track_caller]
    pub(crate) fn log_of(&mut self, event: Event, client: impl FnOnce() -> Option<Box<str>>) {
        self.log.push(event, client);
    }

    /// A request has ended that the access log tells of. Returns false if the record was dropped, as the shell has not taken
    /// those before it.
    pub(crate) fn log_access(&mut self, record: AccessRecord) -> bool {
        let has_room = self.accesses.len() < MAX_ACCESS_RECORDS;
        if has_room {
            self.accesses.push_back(record);
        }
        has_room
    }

    /// Whether events of a level are logged. To be asked before one is made that is not logged by default.
    #[inline]
    pub(crate) fn logs(&self, level: Level) -> bool {
        self.log.wants(level)
    }

    pub(crate) fn set_log_level(&mut self, level: u8) {
        self.log.set_level(level);
    }

    /// When something is to be logged although nothing happens.
    #[inline]
    pub(crate) fn log_deadline(&self) -> Option<Time> {
        self.log.deadline()
    }

    /// The pool is shutting down: everything that was left out so far is logged.
    pub(crate) fn end_log(&mut self) {
        self.log.end();
    }

    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn next_flush(&mut self) -> Option<Flush> {
        self.flushes.pop_front()
    }

    pub(crate) fn next_access(&mut self) -> Option<AccessRecord> {
        self.accesses.pop_front()
    }

    pub(crate) fn next_record(&mut self, now: Time) -> Option<LogRecord> {
        self.log.pop(now)
    }
}
