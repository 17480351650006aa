//! Replies to sessions, each to the request it belongs to.

use std::ops::Range;

use super::endings::Blame;
use super::state::Engine;
use crate::cause::Cause;
use crate::flow::buffer::Chunk;
use crate::flow::outbox::Flush;
use crate::id::{ConnectionId, ServerId};
use crate::protocol::Protocol;
use crate::servers::connection::{Found, Progress, Tally};
use crate::servers::queue::{InFlight, ReplyTo};

impl<P: Protocol> Engine<P> {
    /// A server has sent `range` of `chunk`.
    pub(super) fn take_server_data(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        range: Range<usize>,
    ) {
        let mut is_first = false;
        if let Some(connection) = self.roster.get_mut(id) {
            is_first = connection.hear(self.now);
        }
        let mut pos = range.start;
        while pos < range.end {
            let Some(connection) = self.roster.get(id) else {
                break;
            };
            let unasked = is_first && !connection.expects_reply();
            let taken = match connection.progress() {
                Progress::Ready => self.take_replies(id, chunk, pos..range.end),
                Progress::Handshaking => self.take_step_reply(id, &chunk[pos..range.end]),
                Progress::Connecting => None,
            };
            match taken {
                Some(taken) => pos += taken,
                None if unasked => return self.handle_unasked(id, &chunk[pos..range.end]),
                None => return self.close_connection(id, &Cause::Protocol, Blame::Server),
            }
            is_first = false;
        }
    }

    /// Passes on all replies in `range`. Returns its length, or `None` when the server is out of step.
    fn take_replies(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        range: Range<usize>,
    ) -> Option<usize> {
        let connection = self.roster.get(id)?;
        let server = connection.server();
        let ejects = self.roster.server(server).settings().auto_eject_hosts;
        let is_watched = ejects && !connection.is_leaving();
        let mut tally = Tally::default();
        let mut marks = std::mem::take(&mut self.marks);
        let mut pos = range.start;
        while pos < range.end {
            marks.clear();
            let data = &chunk[pos..range.end];
            let connection = self.roster.get_mut(id);
            let found =
                connection.and_then(|link| link.next_reply(data, &mut marks, &mut tally).ok());
            match found {
                Some(Found::Reply {
                    len,
                    entry,
                    first,
                    kind,
                }) => {
                    let reply = pos..pos + len;
                    pos += len;
                    if let Some(kind) = kind {
                        let start = if first { &chunk[reply.clone()] } else { &[] };
                        self.note_reply(server, &entry, kind, start, is_watched);
                    }
                    self.deliver(id, &entry, chunk, reply, kind, &mut marks);
                }
                Some(Found::Push(len)) => pos += len,
                None => break,
            }
        }
        self.marks = marks;
        if let Some(connection) = self.roster.get(id) {
            connection.count(&tally);
        }
        (pos == range.end).then_some(range.len())
    }

    /// A reply has come to its end: what it says of its server, and of a request whose client does not hear it.
    fn note_reply(
        &mut self,
        server: ServerId,
        entry: &InFlight,
        kind: P::Kind,
        start: &[u8],
        is_watched: bool,
    ) {
        // A late reply has been counted as a failure and is no success after all.
        if is_watched && !matches!(entry.reply_to, ReplyTo::Forgotten { .. }) {
            match P::is_transient_failure(kind, start) {
                true => self.count_failure(server, self.now),
                false => self.roster.server(server).note_success(),
            }
        }
        if entry.reply_to == ReplyTo::Nobody && P::is_error_kind(kind) {
            let line = (!start.is_empty()).then_some(start);
            self.note_refused(server, line);
        }
    }

    /// Puts a piece of a reply where it belongs; `kind` says that it is the last piece.
    #[inline]
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
        let Some((session, spares)) = self.clients.with_spares(id) else {
            return;
        };
        if kind.is_some() && !self.single_connection {
            session.carriers_mut().remove(connection);
        }
        match entry.reply_to {
            ReplyTo::Slot(slot) => {
                let moved = session.deliver(slot, chunk, range, kind.is_some(), spares);
                if session.is_over() {
                    self.clients.watch(id, self.now);
                    if moved {
                        self.note_delivered(id);
                    }
                } else if moved && session.is_plain() {
                    if session.list_for_flush() {
                        self.outbox.flush(Flush::Session(id));
                    }
                } else if moved {
                    self.note_delivered(id);
                }
            }
            ReplyTo::Fragment(slot, fragment) => {
                let place = (slot, fragment);
                let is_whole = session.deliver_fragment(place, chunk, range, kind, marks);
                if session.is_over() {
                    self.clients.watch(id, self.now);
                }
                if is_whole {
                    self.finish_join(id, slot);
                }
            }
            ReplyTo::Nobody | ReplyTo::Follower if kind.is_some() => self.end_silent(id),
            ReplyTo::Nobody | ReplyTo::Follower | ReplyTo::Forgotten { .. } => {}
        }
    }
}
