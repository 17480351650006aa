//! Bytes of servers to replies, each delivered to the request it answers.
//!
//! Servers answer in the order of the requests, so the next reply belongs to the oldest entry of the connection's
//! queue. A reply is passed on piece by piece as it arrives. Whole replies that are no errors and belong to a single
//! slot are most of the traffic, and have a short loop of their own.

use std::ops::Range;
use std::time::Duration;

use super::endings::Blame;
use super::quiet::Piece;
use super::redirects::Healed;
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::order::Joined;
use crate::flow::buffer::Chunk;
use crate::flow::outbox::Action;
use crate::id::{ConnectionId, ServerId};
use crate::limits::KEEP_KEYS;
use crate::protocol::Protocol;
use crate::protocol::grammar::Mark;
use crate::servers::connection::replies::{Found, Noted, Tally};
use crate::servers::connection::{Connection, Progress};
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
    /// The server has said that it only takes reads.
    is_read_only: bool,
    /// No later reply on the connection can be trusted.
    is_out_of_step: bool,
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
        // Bytes before anything was asked can only be a refusal of the connection.
        let mut unsolicited = is_first && self.hear_first(id);
        let mut pos = range.start;
        while pos < range.end {
            let Some(connection) = self.roster.get(id) else {
                break;
            };
            let taken = match connection.progress() {
                Progress::Ready => self.handle_replies(id, chunk, pos..range.end),
                Progress::Listening => self.handle_frames(id, chunk, pos..range.end),
                Progress::Handshaking => self.handle_step_reply(id, &chunk[pos..range.end]),
                Progress::Connecting => None,
            };
            // The connection may have been closed meanwhile: the loop looks it up again.
            match taken {
                Some(taken) => pos += taken,
                None if unsolicited => return self.handle_unsolicited(id, &chunk[pos..range.end]),
                None => return self.close_connection(id, &Cause::Protocol, Blame::Server),
            }
            unsolicited = false;
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
        let ejects = self.roster.server(server).is_judged();
        let mut batch = Batch {
            server,
            counts_for_health: ejects && !connection.is_draining(),
            has_succeeded: false,
            tally: Tally::default(),
            marks: std::mem::take(&mut self.marks),
            is_read_only: false,
            is_out_of_step: false,
        };
        let limit = match self.notes_requests {
            true => self.watch_replies(connection),
            false => None,
        };
        let mut noted = None;
        let mut pos = range.start;
        while pos < range.end {
            let found = match limit {
                _ if !self.redirects.is_empty() => {
                    self.next_reply(id, &chunk[pos..range.end], &mut batch)
                }
                None => self.deliver_plain_replies(id, chunk, &mut pos, range.end, &mut batch),
                Some(limit) => {
                    let to = (limit, &mut noted);
                    self.deliver_noted_replies(id, chunk, &mut pos, range.end, &mut batch, to)
                }
            };
            match found {
                Some(found) => match self.handle_other_reply(id, chunk, pos, found, &mut batch) {
                    Some(len) => pos += len,
                    None => break,
                },
                None => break,
            }
        }
        if let Some(noted) = noted {
            self.take_noted(server, *noted);
        }
        self.note_success(&mut batch);
        self.marks = batch.marks;
        // Before the connection is closed, if it is, as that takes what is still queued out of the gauges.
        match self.roster.get_mut(id) {
            Some(connection) => {
                connection.count(&batch.tally);
                if connection.is_left() {
                    self.roster.close_leased(id, &mut self.outbox);
                    return Some(range.len());
                }
            }
            // It was leased, and is not used again.
            None => {
                batch.tally.count(self.roster.server(server).counters());
                return Some(range.len());
            }
        }
        if batch.is_out_of_step {
            self.close_connection(id, &Cause::Protocol, Blame::Nobody);
            return Some(range.len());
        }
        (pos == range.end).then_some(range.len())
    }

    /// Delivers whole replies that are no errors and belong to a slot of a session, as most do. Returns what was
    /// found at the new `pos` that is anything else; `None` at the end of the bytes, or when they are no reply.
    #[inline(always)]
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

    /// The next reply, whatever it is: while requests are on their way to where they belong, each one is looked at.
    #[cold]
    fn next_reply(
        &mut self,
        id: ConnectionId,
        data: &[u8],
        batch: &mut Batch,
    ) -> Option<Found<P::Kind>> {
        let connection = self.roster.get_mut(id)?;
        let found = connection.next_reply(data, &mut batch.marks, &mut batch.tally);
        found.ok()
    }

    /// The same where something is to be noted of requests, until that is not so any more.
    #[cold]
    #[inline(never)]
    fn deliver_noted_replies(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        pos: &mut usize,
        end: usize,
        batch: &mut Batch,
        (limit, noted): (Duration, &mut Option<Box<Noted>>),
    ) -> Option<Found<P::Kind>> {
        while *pos < end {
            let connection = self.roster.get_mut(id)?;
            if limit == Duration::MAX && !connection.queue().has_samples() {
                return self.deliver_plain_replies(id, chunk, pos, end, batch);
            }
            let (data, marks, tally) = (&chunk[*pos..end], &mut batch.marks, &mut batch.tally);
            let found = connection.next_noted_reply(data, marks, tally, (limit, noted));
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
            let (now, outbox) = (self.now, &mut self.outbox);
            self.clients
                .deliver((to, slot), chunk, reply, true, now, outbox);
        }
        None
    }

    /// Handles anything else that was found at `pos`. Returns its length, or `None` when it is no reply to its request.
    #[inline(never)]
    fn handle_other_reply(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        pos: usize,
        found: Found<P::Kind>,
        batch: &mut Batch,
    ) -> Option<usize> {
        match found {
            Found::Push(len) | Found::Before(len) => Some(len),
            Found::Reply {
                len,
                entry,
                first,
                kind,
            } => {
                let reply = pos..pos + len;
                if self.heals {
                    let is_whole = kind.is_some();
                    batch.has_succeeded |= is_whole;
                    return match self.heal(id, entry, first, kind, &chunk[reply.clone()]) {
                        Healed::Taken => Some(len),
                        Healed::Deliver { entry, withheld } if withheld.is_empty() => {
                            let (parts, first) = ((chunk, reply), first);
                            self.handle_reply(id, entry, (first, kind), parts, batch)
                                .then_some(len)
                        }
                        Healed::Deliver {
                            entry,
                            mut withheld,
                        } => {
                            withheld.extend_from_slice(&chunk[reply]);
                            let all = 0..withheld.len();
                            let parts = (&Chunk::from(withheld), all);
                            self.handle_reply(id, entry, (true, kind), parts, batch)
                                .then_some(len)
                        }
                    };
                }
                let parts = (chunk, reply);
                self.handle_reply(id, entry, (first, kind), parts, batch)
                    .then_some(len)
            }
        }
    }

    /// Handles a reply, or a piece of one, to a request. Returns whether the replies after it can be trusted.
    fn handle_reply(
        &mut self,
        id: ConnectionId,
        entry: InFlight,
        (first, kind): (bool, Option<P::Kind>),
        (chunk, reply): (&Chunk, Range<usize>),
        batch: &mut Batch,
    ) -> bool {
        let mut is_out_of_step = false;
        let is_waited = entry.reply_to == ReplyTo::Leased;
        let entry = match is_waited {
            true => self.addressed(id, &entry),
            false => entry,
        };
        if let Some(kind) = kind {
            // An error's code is at its start, so it is known only if the reply came in one piece.
            let start = if first { &chunk[reply.clone()] } else { &[] };
            self.note_reply(&entry, kind, start, batch);
            if P::lacks_script(kind, start)
                && let Some(connection) = self.roster.get_mut(id)
            {
                connection.scripts_mut().forget();
            }
            is_out_of_step = self.is_out_of_step(id, entry.mark, kind, start);
        }
        let fits = match entry.reply_to {
            ReplyTo::Quiet(..) => self.deliver_quiet(id, entry, chunk, reply.clone(), kind),
            ReplyTo::Unblock(number) => {
                self.note_unblocked(id, number, (chunk, reply.clone()), kind);
                true
            }
            _ => self.deliver(id, &entry, chunk, reply.clone(), kind, &mut batch.marks),
        };
        if is_waited {
            self.note_waited(id, &chunk[reply], kind.is_some());
        }
        batch.marks.clear();
        batch.marks.shrink_to(KEEP_KEYS);
        batch.is_out_of_step = is_out_of_step;
        fits && !is_out_of_step
    }

    /// Whether a whole reply shows that the server does something else with what follows on the connection than its
    /// clients expect. That is no fault of the server's.
    fn is_out_of_step(
        &mut self,
        id: ConnectionId,
        mark: Mark,
        kind: P::Kind,
        start: &[u8],
    ) -> bool {
        match mark {
            Mark::None | Mark::Script | Mark::QuietMiss | Mark::QuietSuccess => false,
            // A server that does not know a command takes the data behind it for further requests.
            Mark::Data | Mark::QuietData => P::is_unknown_command(kind),
            // It may queue them.
            Mark::Transaction => !P::ends_transaction(kind, start),
            Mark::Trial => {
                let connection = self.roster.get_mut(id);
                connection.is_some_and(|it| !it.end_trial(P::is_error_kind(kind), self.now))
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
                true if entry.mark == Mark::Script => {}
                true => {
                    self.note_success(batch);
                    self.count_failure(batch.server, self.now);
                }
                false => batch.has_succeeded = true,
            }
        }
        if P::is_read_only(kind, start) && !std::mem::replace(&mut batch.is_read_only, true) {
            self.outbox.act(Action::LookForServers);
        }
        if matches!(entry.reply_to, ReplyTo::Nobody | ReplyTo::Last(None)) && P::is_error_kind(kind)
        {
            let line = (!start.is_empty()).then_some(start);
            self.note_refused(entry.session, batch.server, line);
        }
    }

    /// Delivers a piece of a reply to its request. It is the last piece if there is a `kind`. Returns false when it is no
    /// reply to that request.
    #[inline(never)]
    fn deliver(
        &mut self,
        connection: ConnectionId,
        entry: &InFlight,
        chunk: &Chunk,
        range: Range<usize>,
        kind: Option<P::Kind>,
        marks: &mut Vec<u64>,
    ) -> bool {
        let id = entry.session;
        let Some(session) = self.clients.get_mut(id) else {
            return true;
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
                let is_nested = self
                    .roster
                    .get(connection)
                    .is_some_and(Connection::is_nested);
                let piece = (chunk, range);
                let joined = session.deliver_fragment(to, piece, kind, marks, is_nested);
                if session.is_over_limit() {
                    self.clients.measure_reader(id, self.now);
                }
                match joined {
                    Joined::Nothing => {}
                    Joined::Ready => self.join(id, slot),
                    Joined::TooLarge => self.give_up_join(id, slot),
                    Joined::Wrong => {
                        if kind.is_some() {
                            self.fail_fragment(id, slot, fragment, &Cause::Protocol);
                        }
                        return false;
                    }
                }
            }
            ReplyTo::Last(slot) => {
                let (now, outbox, last) = (self.now, &mut self.outbox, kind.is_some());
                match slot {
                    Some(slot) => {
                        self.clients
                            .deliver((id, slot), chunk, range, last, now, outbox);
                    }
                    None if last => self.end_silent(id),
                    None => {}
                }
                if last {
                    self.give_back(connection);
                }
            }
            ReplyTo::Trial if kind.is_some() => self.end_trial(id),
            ReplyTo::Trial => {}
            to if to.is_silent() && kind.is_some() => self.end_silent(id),
            ReplyTo::Nobody | ReplyTo::Follower | ReplyTo::Load | ReplyTo::Forgotten { .. } => {}
            // See `deliver_quiet`, and `Found::Before`.
            ReplyTo::Quiet(..) | ReplyTo::Later(_) => {}
            // See `note_waited`, `note_unblocked` and `heal`.
            ReplyTo::Leased | ReplyTo::Unblock(_) | ReplyTo::Proxy | ReplyTo::Redirected(_) => {}
        }
        true
    }

    /// The same for a quiet request.
    fn deliver_quiet(
        &mut self,
        connection: ConnectionId,
        entry: InFlight,
        chunk: &Chunk,
        range: Range<usize>,
        kind: Option<P::Kind>,
    ) -> bool {
        let piece = Piece {
            entry,
            chunk: chunk.clone(),
            range,
            kind,
        };
        let Some(wanted) = self.sift(connection, piece) else {
            return true;
        };
        let (entry, chunk, mut marks) = (&wanted.entry, &wanted.chunk, Vec::new());
        self.deliver(connection, entry, chunk, wanted.range, kind, &mut marks)
    }
}
