//! Bytes of servers to replies, each delivered to the request it answers.
//!
//! Servers answer in the order of the requests, so the next reply belongs to the oldest entry of the connection's
//! queue. A reply is passed on piece by piece as it arrives. Whole replies that are no errors and belong to a single
//! slot are most of the traffic, and have a short loop of their own.

use std::ops::Range;

use super::endings::Blame;
use super::state::Engine;
use crate::cause::Cause;
use crate::flow::buffer::Chunk;
use crate::id::{ConnectionId, ServerId};
use crate::limits::KEEP_KEYS;
use crate::protocol::Protocol;
use crate::servers::connection::{Found, Progress, Tally};
use crate::servers::queue::{InFlight, ReplyTo};

/// What is collected over the replies of one read, so that counters and health are touched once per read.
struct Batch {
    server: ServerId,
    /// Replies count for the server's health: it can be ejected, and the connection leads to its current endpoint.
    counts_for_health: bool,
    /// The server has answered, and that was not reported to its health yet.
    has_succeeded: bool,
    tally: Tally,
    /// Where the elements of the current reply end; a buffer.
    marks: Vec<u64>,
}

impl<P: Protocol> Engine<P> {
    /// A server has sent `range` of `chunk`.
    pub(super) fn handle_server_data(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        range: Range<usize>,
    ) {
        let mut is_first = false;
        if let Some(connection) = self.roster.get_mut(id) {
            is_first = connection.note_received(self.now);
        }
        let mut pos = range.start;
        while pos < range.end {
            let Some(connection) = self.roster.get(id) else {
                break;
            };
            // Bytes before anything was asked can only be a refusal of the connection.
            let unsolicited = is_first && !connection.expects_reply();
            let taken = match connection.progress() {
                Progress::Ready => self.handle_replies(id, chunk, pos..range.end),
                Progress::Handshaking => self.handle_step_reply(id, &chunk[pos..range.end]),
                Progress::Connecting => None,
            };
            // The connection may have been closed meanwhile: the loop looks it up again.
            match taken {
                Some(taken) => pos += taken,
                None if unsolicited => return self.handle_unsolicited(id, &chunk[pos..range.end]),
                None => return self.close_connection(id, &Cause::Protocol, Blame::Server),
            }
            is_first = false;
        }
    }

    /// Passes on all replies in `range`. Returns its length, or `None` when the bytes are no reply to a request.
    fn handle_replies(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        range: Range<usize>,
    ) -> Option<usize> {
        let connection = self.roster.get(id)?;
        let server = connection.server();
        // A server that is never ejected needs no record of its successes.
        let ejects = self.roster.server(server).settings().auto_eject_hosts;
        let mut batch = Batch {
            server,
            counts_for_health: ejects && !connection.is_draining(),
            has_succeeded: false,
            tally: Tally::default(),
            marks: std::mem::take(&mut self.marks),
        };
        let mut pos = range.start;
        while pos < range.end {
            let found = self.deliver_plain_replies(id, chunk, &mut pos, range.end, &mut batch);
            match found {
                Some(found) => pos += self.handle_other_reply(id, chunk, pos, found, &mut batch),
                None => break,
            }
        }
        self.note_success(&mut batch);
        self.marks = batch.marks;
        if let Some(connection) = self.roster.get(id) {
            connection.count(&batch.tally);
        }
        (pos == range.end).then_some(range.len())
    }

    /// Delivers whole replies that are no errors and belong to a slot of a session, as most do. Returns what was
    /// found at the new `pos` that is anything else; `None` at the end of the bytes, or when they are no reply.
    fn deliver_plain_replies(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        pos: &mut usize,
        end: usize,
        batch: &mut Batch,
    ) -> Option<Found<P::Kind>> {
        let connection = self.roster.get_mut(id)?;
        while *pos < end {
            let data = &chunk[*pos..end];
            let found = connection.next_reply(data, &mut batch.marks, &mut batch.tally);
            let found = found.ok()?;
            let Some((len, to, slot)) = found.plain::<P>() else {
                return Some(found);
            };
            batch.has_succeeded = true;
            let reply = *pos..*pos + len;
            *pos += len;
            if !self.single_connection
                && let Some(session) = self.clients.get_mut(to)
            {
                session.pinned_mut().remove(id);
            }
            let slot = (to, slot);
            let (now, outbox) = (self.now, &mut self.outbox);
            self.clients.deliver(slot, chunk, reply, true, now, outbox);
        }
        None
    }

    /// Handles anything else that was found at `pos`. Returns its length.
    #[inline(never)]
    fn handle_other_reply(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        pos: usize,
        found: Found<P::Kind>,
        batch: &mut Batch,
    ) -> usize {
        match found {
            Found::Push(len) => len,
            Found::Reply {
                len,
                entry,
                first,
                kind,
            } => {
                let reply = pos..pos + len;
                if let Some(kind) = kind {
                    // An error's code is at its start, so it is known only if the reply came in one piece.
                    let start = if first { &chunk[reply.clone()] } else { &[] };
                    self.note_reply(&entry, kind, start, batch);
                }
                self.deliver(id, &entry, chunk, reply, kind, &mut batch.marks);
                batch.marks.clear();
                batch.marks.shrink_to(KEEP_KEYS);
                len
            }
        }
    }

    /// Reports to the server's health that it has answered, if it has: once for many replies, and before a failure is
    /// counted, as a reply ends a row of failures.
    fn note_success(&self, batch: &mut Batch) {
        if std::mem::take(&mut batch.has_succeeded) && batch.counts_for_health {
            self.roster.server(batch.server).note_success();
        }
    }

    /// A reply has ended: counts it for the server's health, and logs an error that no client gets.
    fn note_reply(&mut self, entry: &InFlight, kind: P::Kind, start: &[u8], batch: &mut Batch) {
        // A late reply was counted as a failure when its time-out passed, so it is no success now.
        if batch.counts_for_health && !matches!(entry.reply_to, ReplyTo::Forgotten { .. }) {
            match P::is_transient_failure(kind, start) {
                // It may be the script that says so.
                true if entry.is_script => {}
                true => {
                    self.note_success(batch);
                    self.count_failure(batch.server, self.now);
                }
                false => batch.has_succeeded = true,
            }
        }
        if entry.reply_to == ReplyTo::Nobody && P::is_error_kind(kind) {
            let line = (!start.is_empty()).then_some(start);
            self.note_refused(entry.session, batch.server, line);
        }
    }

    /// Delivers a piece of a reply to its request. It is the last piece if there is a `kind`.
    #[inline(never)]
    fn deliver(
        &mut self,
        connection: ConnectionId,
        entry: &InFlight,
        chunk: &Chunk,
        range: Range<usize>,
        kind: Option<P::Kind>,
        marks: &mut Vec<u64>,
    ) {
        let id = entry.session;
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        if kind.is_some() && !self.single_connection {
            session.pinned_mut().remove(connection);
        }
        match entry.reply_to {
            ReplyTo::Slot(slot) => {
                let (now, outbox, last) = (self.now, &mut self.outbox, kind.is_some());
                self.clients
                    .deliver((id, slot), chunk, range, last, now, outbox);
            }
            ReplyTo::Fragment(slot, fragment) => {
                let to = (slot, fragment);
                let all_ended = session.deliver_fragment(to, chunk, range, kind, marks);
                if session.is_over_limit() {
                    self.clients.measure_reader(id, self.now);
                }
                if all_ended {
                    self.finish_join(id, slot);
                }
            }
            ReplyTo::Nobody | ReplyTo::Follower if kind.is_some() => self.end_silent(id),
            ReplyTo::Nobody | ReplyTo::Follower | ReplyTo::Forgotten { .. } => {}
        }
    }
}
