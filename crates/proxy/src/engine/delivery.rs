//! Replies to sessions, each to the request it belongs to.

use std::ops::Range;

use super::Engine;
use crate::cause::Cause;
use crate::clients::session::Session;
use crate::flow::buffer::{Chunk, Rope};
use crate::id::{ConnectionId, SessionId};
use crate::limits::HOLD_BACK;
use crate::metrics::ServerMetric;
use crate::pool::Flush;
use crate::protocol::{Join, JoinKind, Joined, Protocol, Scan};
use crate::servers::connection::{InFlight, Place, State};
use crate::time::Time;

/// What was found at the start of a server's bytes.
enum Found<K> {
    /// So many bytes that belong to the reply to `entry`; they end it if a kind is given.
    Reply {
        len: usize,
        entry: InFlight,
        first: bool,
        kind: Option<K>,
    },
    /// So many bytes of a push, which answer nobody.
    Push(usize),
}

/// What a batch of replies adds to the counters, so that they are touched once per read.
#[derive(Default)]
struct Tally {
    replies: i64,
    bytes: i64,
    /// Requests that were wholly written, and their bytes.
    sent: (i64, i64),
    /// Requests that were answered before they were.
    unsent: (i64, i64),
}

impl<P: Protocol> Engine<P> {
    pub(crate) fn handle_connection_data(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) {
        self.now = now;
        let mut is_first = false;
        if let Some(connection) = self.connections.get_mut(id) {
            is_first = connection.heard.replace(now).is_none();
        }
        let bytes = range.len();
        let mut pos = range.start;
        while pos < range.end {
            let Some(connection) = self.connections.get(id) else {
                break;
            };
            let rest = pos..range.end;
            let unasked = is_first && !connection.expects_reply();
            let step = match connection.state {
                State::Ready => self.take_replies(id, connection.server, chunk, rest, now),
                State::Handshaking { .. } => self.take_handshake_reply(id, &chunk[rest], now),
                State::Connecting => None,
            };
            match step {
                Some(taken) => {
                    pos += taken;
                    is_first = false;
                }
                None => {
                    match unasked {
                        true => self.handle_unasked(id, &chunk[pos..range.end], now),
                        false => self.break_connection(id, Cause::Protocol, now),
                    }
                    break;
                }
            }
        }
        self.run_ready(now);
        self.note_read(bytes, now);
    }

    /// Passes on all replies in `range`. Returns its length, or `None` when the server is out of step.
    fn take_replies(
        &mut self,
        id: ConnectionId,
        server: usize,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) -> Option<usize> {
        let mut tally = Tally::default();
        let mut marks = std::mem::take(&mut self.marks);
        let is_watched = self.settings_of(server).auto_eject_hosts;
        let mut pos = range.start;
        while pos < range.end {
            marks.clear();
            match self.scan_reply(id, &chunk[pos..range.end], &mut marks, &mut tally) {
                Some(Found::Reply {
                    len,
                    entry,
                    first,
                    kind,
                }) => {
                    let reply = pos..pos + len;
                    pos += len;
                    // A late reply has been counted as a failure and is no success after all.
                    if let Some(kind) = kind
                        && is_watched
                        && !matches!(entry.place, Place::Forgotten { .. })
                    {
                        let start = if first { &chunk[reply.clone()] } else { &[] };
                        self.note_health(server, kind, start, now);
                    }
                    if entry.place == Place::Nowhere && kind.is_some_and(P::is_error_kind) {
                        let line = first.then(|| &chunk[reply.clone()]);
                        self.note_refused(server, line);
                    }
                    self.deliver(id, entry, chunk, reply, kind, &mut marks);
                }
                Some(Found::Push(len)) => pos += len,
                None => break,
            }
        }
        self.marks = marks;
        self.count(server, &tally);
        (pos == range.end).then_some(range.len())
    }

    /// Looks at what comes next. A reply that ends is taken off the queue.
    fn scan_reply(
        &mut self,
        id: ConnectionId,
        data: &[u8],
        marks: &mut Vec<u64>,
        tally: &mut Tally,
    ) -> Option<Found<P::Kind>> {
        let connection = self.connections.get_mut(id)?;
        if P::is_between_replies(&connection.scanner) {
            connection.dropping = P::is_push(data[0]);
        }
        if connection.dropping {
            return match P::scan(&mut connection.scanner, data, None).ok()? {
                Scan::Complete { len, .. } => Some(Found::Push(len)),
                Scan::Partial => Some(Found::Push(data.len())),
            };
        }
        if !connection.expects_reply() {
            return None;
        }
        let entry = *connection.in_flight.front()?;
        let wants_marks = match entry.place {
            Place::Fragment(..) => Some(marks),
            Place::Slot(_) | Place::Nowhere | Place::Follower | Place::Forgotten { .. } => None,
        };
        let first = !connection.mid_reply;
        let (len, kind) = match P::scan(&mut connection.scanner, data, wants_marks).ok()? {
            Scan::Complete { len, kind } => (len, Some(kind)),
            Scan::Partial => (data.len(), None),
        };
        connection.mid_reply = kind.is_none();
        tally.bytes += len as i64;
        if kind.is_some() {
            let whole = connection.pop_front().is_none_or(|(_, whole)| whole);
            tally.add(&entry, whole);
        }
        Some(Found::Reply {
            len,
            entry,
            first,
            kind,
        })
    }

    fn count(&mut self, server: usize, tally: &Tally) {
        let add = |metric, by| self.metrics.add_server(server, metric, by);
        add(ServerMetric::Responses, tally.replies);
        add(ServerMetric::ResponseBytes, tally.bytes);
        add(ServerMetric::OutQueue, -tally.sent.0);
        add(ServerMetric::OutQueueBytes, -tally.sent.1);
        if tally.unsent.0 > 0 {
            add(ServerMetric::InQueue, -tally.unsent.0);
            add(ServerMetric::InQueueBytes, -tally.unsent.1);
        }
    }

    fn note_health(&mut self, server: usize, kind: P::Kind, start: &[u8], now: Time) {
        match P::is_transient_failure(kind, start) {
            true => self.count_failure(server, now, now),
            false => {
                let (health, index) = self.health_of(server);
                health.note_success(index);
            }
        }
    }

    /// Puts a piece of a reply where it belongs; `kind` says that it is the last piece.
    fn deliver(
        &mut self,
        connection: ConnectionId,
        entry: InFlight,
        chunk: &Chunk,
        range: Range<usize>,
        kind: Option<P::Kind>,
        marks: &mut Vec<u64>,
    ) {
        let id = entry.session;
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if kind.is_some() && !self.one_each {
            session.unbind(connection);
        }
        match entry.place {
            Place::Forgotten { .. } => {}
            Place::Nowhere | Place::Follower => {
                session.silent -= usize::from(kind.is_some());
                self.note_progress(id);
                self.close_if_finished(id);
            }
            Place::Slot(slot) => {
                let moved = deliver_whole(session, slot, chunk, range, kind.is_some());
                if session.is_over() && session.watch.is_none() {
                    self.watch(id);
                    return self.after_delivery(id, moved);
                }
                if !moved {
                    return;
                }
                if !session.is_plain() {
                    return self.after_delivery(id, true);
                }
                if !session.dirty {
                    session.dirty = true;
                    self.flushes.push_back(Flush::Session(id));
                }
            }
            Place::Fragment(slot, fragment) => {
                self.deliver_fragment(id, slot, fragment, chunk, range, kind, marks);
                let session = self.sessions.get(id);
                if session.is_some_and(|session| session.is_over() && session.watch.is_none()) {
                    self.watch(id);
                }
            }
        }
    }

    fn after_delivery(&mut self, id: SessionId, moved: bool) {
        if moved {
            self.mark_session(id);
            self.note_progress(id);
            self.close_if_finished(id);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the facts about one piece of a fragment's reply"
    )]
    fn deliver_fragment(
        &mut self,
        id: SessionId,
        slot: u64,
        fragment: u32,
        chunk: &Chunk,
        range: Range<usize>,
        kind: Option<P::Kind>,
        marks: &mut Vec<u64>,
    ) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(position) = session.position(slot) else {
            return;
        };
        let Some(join) = session.slots[position].join.as_mut() else {
            return;
        };
        let part = &mut join.fragments[fragment as usize];
        session.stashed += range.len();
        part.reply.push(chunk, range);
        if join.kind == JoinKind::Array || join.kind == JoinKind::Values {
            part.marks.append(marks);
        }
        if let Some(kind) = kind {
            part.outcome = Some(Ok(kind));
            join.waiting -= 1;
            self.finish_join(id, slot);
        }
    }

    /// Joins the fragments if all have ended.
    pub(super) fn finish_join(&mut self, id: SessionId, slot: u64) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(position) = session.position(slot) else {
            return;
        };
        if session.slots[position]
            .join
            .as_ref()
            .is_none_or(|join| join.waiting > 0)
        {
            return;
        }
        let Some(mut join) = session.slots[position].join.take() else {
            return;
        };
        session.stashed -= join
            .fragments
            .iter()
            .map(|fragment| fragment.reply.len())
            .sum::<usize>();
        let mut joined = Rope::new();
        let end = self.protocol.join(&mut join, &session.client, &mut joined);
        let bytes = joined.len();
        match end {
            Joined::Done => session.slots[position].stash.set(joined),
            Joined::Failed(fragment) => self.fail_join(id, position, &mut join, fragment),
            Joined::Mismatch => {
                self.write_join_error(id, position, &Cause::Protocol, join.fragments[0].server)
            }
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let slot = &mut session.slots[position];
        slot.done = true;
        slot.bytes = bytes;
        session.stashed += slot.stash.len();
        let moved = position == 0 && session.advance();
        self.after_delivery(id, moved);
    }

    /// The whole request fails as one of its fragments did: with the server's own error, or with ours.
    fn fail_join(
        &mut self,
        id: SessionId,
        position: usize,
        join: &mut Join<P::Kind>,
        fragment: usize,
    ) {
        let part = &mut join.fragments[fragment];
        match part.outcome.take() {
            Some(Err(cause)) => self.write_join_error(id, position, &cause, part.server),
            _ => {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.slots[position]
                        .stash
                        .set(std::mem::take(&mut part.reply));
                }
            }
        }
    }

    fn write_join_error(&mut self, id: SessionId, position: usize, cause: &Cause, server: usize) {
        let mut line = Vec::new();
        self.write_error(&mut line, cause, Some(server));
        if let Some(session) = self.sessions.get_mut(id) {
            session.slots[position].stash.clear();
            session.slots[position].stash.extend(&line);
        }
    }
}

/// Adds to the reply in `slot`; straight to the output when it is next. Returns whether output grew
/// or a request was finished.
fn deliver_whole<P: Protocol>(
    session: &mut Session<P>,
    slot: u64,
    chunk: &Chunk,
    range: Range<usize>,
    last: bool,
) -> bool {
    let Some(position) = session.position(slot) else {
        return false;
    };
    let entry = &mut session.slots[position];
    entry.bytes += range.len();
    entry.done = last;
    // A header that is cut waits for the rest: should the server end here, an error line can still be given.
    let begun = !last
        && entry.bytes <= HOLD_BACK
        && entry.bytes == entry.stash.len() + range.len()
        && !chunk[range.clone()].contains(&b'\n');
    if position > 0 || begun {
        session.stashed += range.len();
        entry.stash.push(chunk, range);
        return false;
    }
    if !entry.stash.is_empty() {
        session.stashed -= entry.stash.len();
        entry.stash.drain_to(&mut session.output);
    }
    session.output.push(chunk, range);
    if last {
        session.advance();
    }
    true
}

impl Tally {
    /// A request was answered; `whole` if it had been wholly written.
    fn add(&mut self, entry: &InFlight, whole: bool) {
        self.replies += 1;
        let queue = if whole {
            &mut self.sent
        } else {
            &mut self.unsent
        };
        queue.0 += 1;
        queue.1 += entry.bytes as i64;
    }
}
