//! What the shell is to do, to write, and to log.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{Event, Events};
use crate::id::{ConnectionId, SessionId};
use crate::share::{Endpoint, ServerShare};

/// Something the shell has to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// Open a socket to a server; answer with [`Pool::handle_connected`](crate::Pool::handle_connected) or
    /// [`Pool::handle_connection_closed`](crate::Pool::handle_connection_closed). Whatever had the index of this
    /// connection has been closed, or is to be by an action before this one.
    Connect {
        /// The connection it is for.
        connection: ConnectionId,
        /// The server, of the pool itself or of its failover pool.
        server: Arc<ServerShare>,
        /// Where it is.
        endpoint: Arc<Endpoint>,
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
    /// A client connection, see [`Pool::session_output`](crate::Pool::session_output).
    Session(SessionId),
    /// A server connection, see [`Pool::connection_output`](crate::Pool::connection_output).
    Connection(ConnectionId),
}

/// Everything that waits for the shell. It drains all of it after each call, so that none of it grows.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    actions: VecDeque<Action>,
    flushes: VecDeque<Flush>,
    events: Events,
}

impl Outbox {
    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// There is new output. Whoever has it sees to it that it is named once until it is taken.
    #[inline]
    pub(crate) fn flush(&mut self, flush: Flush) {
        self.flushes.push_back(flush);
    }

    pub(crate) fn log(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn next_flush(&mut self) -> Option<Flush> {
        self.flushes.pop_front()
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop()
    }
}
