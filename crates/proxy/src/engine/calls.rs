//! The calls that the shell may make. Each is passed on to the file that carries it out, and most end with
//! `run_ready`, which resumes the sessions that it allowed to go on.

use std::ops::Range;

use super::asking::request;
use super::endings::Blame;
use super::state::Engine;
use crate::access::AccessRecord;
use crate::cause::Cause;
use crate::clients::ending::Ending;
use crate::event::{Event, Level, LogRecord, Trace};
use crate::flow::buffer::{Chunk, Rope};
use crate::flow::outbox::{Action, Flush};
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::grammar::Parsed;
use crate::question::Question;
use crate::time::Time;

/// Clients.
impl<P: Protocol> Engine<P> {
    /// A client has connected. Its state is that of a client that has sent nothing (no password given, RESP2).
    pub(crate) fn open_session(&mut self, name: Box<str>, now: Time) -> SessionId {
        self.now = now;
        let client = self.protocol.client(self.numbers.next(), now);
        let id = self.clients.open(name, client, now);
        if self.outbox.logs(Level::Info) {
            self.log_of(id, Event::Trace(Trace::ClientOpened));
        }
        id
    }

    /// Handles what a client sent: parsed as far as its window allows, else kept.
    pub(crate) fn handle_session_data(
        &mut self,
        id: SessionId,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) {
        self.now = now;
        if self.outbox.logs(Level::Traffic) {
            self.trace_session(id, "read", range.len());
        }
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        if !session.accepts_input() {
            // The session is ending. Its input is read and dropped: closing a socket with unread input would send a
            // reset, which can destroy the last replies on their way to the client.
            return;
        }
        let bytes = range.len();
        session.note_read(bytes, now);
        // Input behind a backlog must wait behind it, or requests would be reordered.
        if session.add_to_backlog(chunk, range.clone()) || self.feed(id, chunk, range) {
            self.clients.stop_reading(id);
            self.close_greedy_stranger(id);
        }
        self.run_ready();
        let seen = self.requests_seen as i64;
        self.counters.set(PoolMetric::ClientRequests, seen);
        // Last, as counting is to see what is left of these bytes after they were handled.
        self.note_read(bytes);
    }

    /// A client has ended its side. What it has sent is still answered, and the session closed afterwards.
    pub(crate) fn handle_session_end(&mut self, id: SessionId, now: Time) {
        self.now = now;
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        session.end();
        // With a backlog this waits until all of it is parsed: the request may yet be completed from there.
        if !session.has_backlog() {
            self.clients.drop_incomplete(id, &mut self.outbox);
        }
        self.cancel_ended(id);
        self.clients.close_if_finished(id, now, &mut self.outbox);
        self.run_ready();
    }

    /// A client's connection is lost: nothing can be written to it any more, so the session ends at once.
    pub(crate) fn handle_session_error(&mut self, id: SessionId, now: Time) {
        self.now = now;
        self.clients.close(id, Ending::Gone, &mut self.outbox);
        self.run_ready();
    }

    pub(crate) fn session_wants_read(&self, id: SessionId) -> bool {
        self.clients.wants_read(id)
    }

    pub(crate) fn session_output(&self, id: SessionId) -> &Rope {
        let session = self.clients.get(id);
        session.map_or(&self.nothing, |session| session.output())
    }

    /// The shell has written to a client. For most sessions that is only accounted for; others may have waited for
    /// it.
    pub(crate) fn handle_session_written(&mut self, id: SessionId, count: usize, now: Time) {
        self.now = now;
        if self.outbox.logs(Level::Traffic) {
            self.trace_session(id, "written", count);
        }
        let Some((session, spares)) = self.clients.with_spares(id) else {
            return;
        };
        session.note_written(count, now, spares);
        if session.is_over_limit() || !session.is_plain() {
            self.settle_written(id);
        }
        self.run_ready();
    }

    /// The session may be resumed, or end, now that some of its output was written.
    #[cold]
    fn settle_written(&mut self, id: SessionId) {
        let session = self.clients.get(id);
        if session.is_some_and(|session| session.is_held_for_memory()) {
            self.reconsider(id);
        }
        self.clients.settle(id, self.now, &mut self.outbox);
    }

    /// Whether no session is left, and no server has to be told that nobody waits any more.
    pub(crate) fn is_drained(&self) -> bool {
        self.clients.len() == 0 && self.roster.held_leases().is_empty()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.clients.len()
    }

    pub(crate) fn requests_seen(&self) -> u64 {
        self.requests_seen
    }
}

/// Other workers.
impl<P: Protocol> Engine<P> {
    /// Another worker asks. Returns this worker's part of the answer.
    pub(crate) fn answer_question(&mut self, question: &Question, now: Time) -> Vec<u8> {
        self.now = now;
        let mut parser = P::Parser::default();
        let text = question.request();
        // It is as whole as the one that was parsed there.
        let Parsed::Request { .. } = self.protocol.parse(&mut parser, text) else {
            return Vec::new();
        };
        let request = request(text, &parser);
        let (part, _) = self.contribute(request, question.asker());
        self.run_ready();
        part
    }

    /// Another worker has answered the question with this number, or cannot.
    pub(crate) fn handle_answer(&mut self, number: u64, answer: Option<Vec<u8>>, now: Time) {
        self.now = now;
        if let Some(asked) = self.questions.note(number, answer) {
            self.finish_asking(asked);
        }
        self.run_ready();
    }
}

/// Servers.
impl<P: Protocol> Engine<P> {
    /// Opens the connections that `preconnect` asks for.
    pub(crate) fn preconnect(&mut self, now: Time) {
        self.now = now;
        let servers: Vec<ServerId> = self.routes.own().collect();
        self.connect_ahead(&servers);
    }

    /// Follows the pool's current plan, if this engine follows an older one.
    pub(crate) fn apply(&mut self, now: Time) {
        self.now = now;
        if !self.plans.are_current() {
            self.follow_plans();
        }
        self.run_ready();
    }

    /// Connections that are too many now are closed once they have answered everything: fewer workers may serve the pool, or
    /// the process has more connections to servers than it may have.
    pub(crate) fn keep_budget(&mut self, now: Time) {
        self.now = now;
        self.drain_connections();
        self.close_drained_connections();
        self.roster.schedule_check(now);
        self.run_ready();
    }

    /// Where the connection was made to, for log lines.
    pub(crate) fn name_peer(&mut self, id: ConnectionId, peer: Box<str>) {
        if let Some(connection) = self.roster.get_mut(id) {
            connection.set_peer(peer);
        }
    }

    /// Whether a client may wait on the connection without end.
    pub(crate) fn may_be_silent(&self, id: ConnectionId) -> bool {
        let connection = self.roster.get(id);
        connection.is_some_and(|connection| connection.purpose().may_be_silent())
    }

    /// The socket of a server connection is connected.
    pub(crate) fn handle_connected(&mut self, id: ConnectionId, now: Time) {
        self.now = now;
        self.begin_handshake(id);
    }

    /// Handles what a server sent, on whatever kind of connection.
    pub(crate) fn handle_connection_data(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) {
        self.now = now;
        let bytes = range.len();
        if self.outbox.logs(Level::Traffic) {
            self.trace_connection(id, "read", bytes);
        }
        self.handle_server_data(id, chunk, range);
        self.run_ready();
        self.note_read(bytes);
    }

    /// A server connection has ended, or could not be made. It is not closed by an action: the shell has no socket
    /// for it any more.
    pub(crate) fn handle_connection_closed(&mut self, id: ConnectionId, cause: &Cause, now: Time) {
        self.now = now;
        self.end_connection(id, cause, Blame::Server);
        self.run_ready();
    }

    pub(crate) fn connection_output(&self, id: ConnectionId) -> &Rope {
        let connection = self.roster.get(id);
        connection.map_or(&self.nothing, |connection| connection.output())
    }

    pub(crate) fn handle_connection_written(&mut self, id: ConnectionId, count: usize, now: Time) {
        if let Some(connection) = self.roster.get_mut(id) {
            connection.written(count, now);
        }
        if self.outbox.logs(Level::Traffic) {
            self.trace_connection(id, "written", count);
        }
    }
}

/// What the shell has to do, and when.
impl<P: Protocol> Engine<P> {
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.outbox.next_action()
    }

    pub(crate) fn poll_flush(&mut self) -> Option<Flush> {
        loop {
            let flush = self.outbox.next_flush()?;
            // Sessions and connections that were closed since they were listed are skipped.
            let live = match flush {
                Flush::Session(id) => self
                    .clients
                    .get_mut(id)
                    .map(|session| session.unlist_for_flush()),
                Flush::Connection(id) => self
                    .roster
                    .get_mut(id)
                    .map(|connection| connection.unlist_for_flush()),
            };
            if live.is_some() {
                return Some(flush);
            }
        }
    }

    pub(crate) fn poll_access(&mut self) -> Option<AccessRecord> {
        self.outbox.next_access()
    }

    pub(crate) fn poll_event(&mut self) -> Option<LogRecord> {
        self.outbox.next_record(self.now)
    }

    pub(crate) fn set_log_level(&mut self, level: u8) {
        self.follow_log_level(level);
    }

    pub(crate) fn poll_deadline(&self) -> Option<Time> {
        self.next_deadline()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.handle_due();
    }

    pub(crate) fn begin_shutdown(&mut self, now: Time) {
        self.now = now;
        self.clients.begin_shutdown(now, &mut self.outbox);
        self.end_leases();
        self.run_ready();
        self.outbox.end_log();
    }

    /// Bytes that all buffers hold.
    pub(crate) fn bytes_held(&self) -> usize {
        self.held()
    }
}
