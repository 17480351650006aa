//! Bytes to requests. Requests that are complete are parsed in the chunk they were read into, without a copy. One
//! that is incomplete is collected in the session's [`Intake`]. What the session's window does not allow yet waits,
//! unparsed, in its backlog.
//!
//! ```text
//!  chunk ──▶ feed ──▶ feed_fresh ──▶ handle_request
//!   ▲          │          └ incomplete ──▶ Intake ──▶ feed_partial ──▶ handle_request
//!   │          └ window full ──▶ backlog
//!   └──────────── resume, one piece per turn ◀─┘
//! ```
//!
//! The order of a client's bytes is kept at all times: Intake, then backlog, then what is read next. A session that
//! has a backlog gets everything further appended to it.

use std::ops::Range;

use super::requests::Handled;
use super::sending::{Asked, write_request};
use super::state::Engine;
use crate::clients::ending::Ending;
use crate::clients::intake::Intake;
use crate::event::Event;
use crate::flow::buffer::{Chunk, Rope};
use crate::id::SessionId;
use crate::limits::UNAUTHENTICATED_BYTES;
use crate::protocol::Protocol;
use crate::protocol::fanout::{Body, Source};
use crate::protocol::grammar::{Parsed, Refusal, Reply};

impl<P: Protocol> Engine<P> {
    /// Ends the leases that are not in force any more, and resumes the sessions that were held back and may go on, each with one piece of its input, so that none keeps
    /// the others waiting.
    #[inline]
    pub(super) fn run_ready(&mut self) {
        if self.clients.is_anybody_ready() || self.wait_watch.has_changed() {
            self.run_all_ready();
        }
    }

    #[cold]
    fn run_all_ready(&mut self) {
        loop {
            // First, as it may let sessions go on.
            self.tend_leases();
            match self.clients.next_ready(self.now) {
                Some(id) => self.resume(id),
                None => break,
            }
        }
        self.drop_subscribers();
    }

    fn resume(&mut self, id: SessionId) {
        let session = self.clients.get_mut(id);
        if session.is_some_and(|session| session.has_split()) {
            self.continue_split(id);
        // There may be no backlog: then the session only waited to be read again.
        } else if let Some(session) = self.clients.get_mut(id)
            && let Some((chunk, range)) = session.take_backlog()
        {
            self.feed(id, &chunk, range);
        }
        self.clients.after_piece(id, self.now, &mut self.outbox);
    }

    /// Handles the requests that a client sent, as far as its window allows; the rest goes to its backlog. Returns
    /// whether there may be such a rest.
    pub(super) fn feed(&mut self, id: SessionId, chunk: &Chunk, range: Range<usize>) -> bool {
        let before = self.requests_seen;
        let mut pos = range.start;
        while pos < range.end {
            let Some(session) = self.clients.get_mut(id) else {
                return false;
            };
            if !session.accepts_input() {
                self.note_fed(id, before);
                return true;
            }
            if !session.may_accept() && !session.may_accept_by_now(self.now) {
                self.note_fed(id, before);
                self.park(id, &[], chunk, pos..range.end);
                return true;
            }
            let must_authenticate = self.protocol.must_authenticate(session.client());
            // An incomplete request comes first; its rest is at the start of these bytes.
            let range = pos..range.end;
            pos = match session.take_intake() {
                Some(intake) => self.feed_partial(id, intake, must_authenticate, chunk, range),
                // Each request by itself, as other limits may apply to the next.
                None if must_authenticate && self.close_greedy_stranger(id) => return false,
                None if must_authenticate => {
                    let intake = Box::new(Intake::new(P::Parser::default(), &[]));
                    self.feed_partial(id, intake, must_authenticate, chunk, range)
                }
                None => self.feed_fresh(id, chunk, range),
            };
        }
        let Some(session) = self.clients.get_mut(id) else {
            return false;
        };
        session.note_requests(self.requests_seen.saturating_sub(before));
        let has_rest = session.has_backlog();
        if session.is_over_limit() {
            self.clients.measure_reader(id, self.now);
        }
        has_rest
    }

    /// Counts the requests of a client that were handled since there were so many.
    #[cold]
    fn note_fed(&mut self, id: SessionId, before: u64) {
        if let Some(session) = self.clients.get_mut(id) {
            session.note_requests(self.requests_seen.saturating_sub(before));
        }
    }

    /// Closes a client that has never given the password, if it leaves too much unread or sends too much; returns
    /// whether it did.
    pub(super) fn close_greedy_stranger(&mut self, id: SessionId) -> bool {
        let Some(session) = self.clients.get(id) else {
            return false;
        };
        let is_greedy = session.unread() + session.unparsed() > UNAUTHENTICATED_BYTES
            && self.protocol.authenticate_by(session.client()).is_some();
        if is_greedy {
            let client = || Some(session.name().into());
            self.outbox.log_of(Event::ClientUnauthenticated, client);
            self.clients.close(id, Ending::Closed, &mut self.outbox);
        }
        is_greedy
    }

    /// Parses and handles requests in the chunk. Returns where it stopped; everything before that is handled or kept.
    fn feed_fresh(&mut self, id: SessionId, chunk: &Chunk, range: Range<usize>) -> usize {
        let mut parser = self.parser.take().unwrap_or_default();
        let mut pos = range.start;
        // The caller has checked it for the first request; each request says whether it is known for the next.
        let mut may_accept = true;
        let stopped = loop {
            if pos == range.end || !(may_accept || self.may_accept(id)) {
                break pos;
            }
            let text = &chunk[pos..range.end];
            match self.protocol.parse(&mut parser, text) {
                Parsed::Request { len } => {
                    let source = Source {
                        text: &text[..len],
                        chunk: Some((chunk, pos)),
                    };
                    let handled = self.handle_parsed(id, &parser, source, &mut Vec::new());
                    may_accept = handled == Handled::NextAllowed;
                    match handled {
                        Handled::NextAllowed | Handled::NextUnknown => pos += len,
                        Handled::Postponed => break self.park_all(id, &[], chunk, pos..range.end),
                        // A request of so many keys does not fit a chunk.
                        Handled::Last | Handled::Large => break range.end,
                    }
                    P::reset(&mut parser);
                }
                // The parser goes with the bytes, so that what it has seen is not parsed again.
                Parsed::Partial => {
                    let intake = Intake::new(std::mem::take(&mut *parser), text);
                    break self.keep(id, Box::new(intake), range.end);
                }
                other => match self.handle_rare(id, &mut parser, other, chunk, pos..range.end) {
                    Some(next) => (pos, may_accept) = (next, false),
                    None => break range.end,
                },
            }
        };
        P::reset(&mut parser);
        self.parser = Some(parser);
        stopped
    }

    /// Handles the rarer results of parsing at `range.start`. Returns where to go on; `None` if nothing further is
    /// parsed.
    fn handle_rare(
        &mut self,
        id: SessionId,
        parser: &mut P::Parser,
        parsed: Parsed,
        chunk: &Chunk,
        range: Range<usize>,
    ) -> Option<usize> {
        match parsed {
            Parsed::Skip { len } => {
                P::reset(parser);
                self.pass_over(id);
                Some(range.start + len)
            }
            Parsed::Refused {
                len,
                skip,
                reply,
                refusal,
            } => {
                P::reset(parser);
                self.refuse(id, reply, *refusal);
                // What is still to come of the refused request is dropped when it arrives; it is never collected.
                let after = range.start + len;
                let here = skip.min((range.end - after) as u64);
                if here < skip {
                    self.keep(id, Box::new(Intake::skipping(skip - here)), range.end);
                }
                Some(after + here as usize)
            }
            Parsed::Body { at, len } => {
                let start = range.start + at;
                let mut intake = Intake::new(std::mem::take(parser), &chunk[range.start..start]);
                intake.begin_body(len, chunk, start..range.end);
                Some(self.keep(id, Box::new(intake), range.end))
            }
            Parsed::Fatal { reply, refusal } => {
                self.give_up(id, reply, *refusal);
                None
            }
            Parsed::Request { .. } | Parsed::Partial => None,
        }
    }

    /// Continues with an incomplete request. Returns where it stopped in the chunk.
    fn feed_partial(
        &mut self,
        id: SessionId,
        mut intake: Box<Intake<P>>,
        must_authenticate: bool,
        chunk: &Chunk,
        range: Range<usize>,
    ) -> usize {
        if let Some((dropped, is_over)) = intake.drop_skipped(range.len()) {
            match is_over {
                true => self.restart_timer(id),
                false => drop(self.keep(id, intake, range.end)),
            }
            return range.start + dropped;
        }
        // It does not add the whole chunk: what follows the request is parsed in the chunk again.
        let (pos, parsed) = intake.read_on(&self.protocol, must_authenticate, chunk, range.clone());
        let Some(parsed) = parsed else {
            return self.keep(id, intake, pos);
        };
        if !matches!(parsed, Parsed::Partial | Parsed::Body { .. }) {
            self.restart_timer(id);
        }
        self.handle_gathered(id, intake, parsed, chunk, pos..range.end)
    }

    /// A request is complete: `client_request_timeout` starts again for the next one.
    fn restart_timer(&mut self, id: SessionId) {
        if let Some(session) = self.clients.get_mut(id) {
            session.restart_timer(self.now);
        }
    }

    /// Handles the result of parsing the collected text; `rest` is the part of the chunk that was not added to it.
    fn handle_gathered(
        &mut self,
        id: SessionId,
        mut intake: Box<Intake<P>>,
        parsed: Parsed,
        chunk: &Chunk,
        rest: Range<usize>,
    ) -> usize {
        let gathered = intake.gathered();
        match parsed {
            Parsed::Request { len } => {
                // The last step may have added bytes behind the request's end. They came from this chunk, as the
                // request was incomplete before, and are parsed from the chunk again.
                let pos = rest.start - (gathered - len);
                let (parser, text, bodies) = intake.parts();
                let source = Source {
                    text: &text[..len],
                    chunk: None,
                };
                match self.handle_outside_chunk(id, parser, source, bodies) {
                    Handled::NextAllowed | Handled::NextUnknown => pos,
                    Handled::Postponed => {
                        self.park_gathered(id, &text[..len], bodies, chunk, pos..rest.end)
                    }
                    Handled::Last => rest.end,
                    Handled::Large => {
                        self.begin_split(id, intake, len);
                        pos
                    }
                }
            }
            Parsed::Skip { len } => {
                self.pass_over(id);
                rest.start - (gathered - len)
            }
            Parsed::Partial => self.keep(id, intake, rest.start),
            Parsed::Body { at, len } => {
                intake.begin_gathered_body(at, len);
                self.keep(id, intake, rest.start)
            }
            Parsed::Refused {
                len,
                skip,
                reply,
                refusal,
            } => {
                self.refuse(id, reply, *refusal);
                let after = gathered - len;
                let here = skip.min(after as u64);
                if here < skip {
                    self.keep(id, Box::new(Intake::skipping(skip - here)), rest.start);
                }
                rest.start - (after - here as usize)
            }
            Parsed::Fatal { reply, refusal } => {
                self.give_up(id, reply, *refusal);
                rest.end
            }
        }
    }

    /// Handles a request that was parsed in its chunk.
    #[inline(always)]
    fn handle_parsed(
        &mut self,
        id: SessionId,
        parser: &P::Parser,
        source: Source<'_>,
        bodies: &mut Vec<Body>,
    ) -> Handled {
        match P::rewritten(parser) {
            Some(text) => {
                self.handle_outside_chunk(id, parser, Source { text, chunk: None }, bodies)
            }
            None => self.handle_request(Asked::new(id, parser, source), bodies),
        }
    }

    /// Handles a request whose bytes are not in a chunk: collected text, or text that the parser rewrote.
    #[inline(never)]
    fn handle_outside_chunk(
        &mut self,
        id: SessionId,
        parser: &P::Parser,
        source: Source<'_>,
        bodies: &mut Vec<Body>,
    ) -> Handled {
        let source = match P::rewritten(parser) {
            Some(text) => Source { text, chunk: None },
            None => source,
        };
        self.handle_request(Asked::new(id, parser, source), bodies)
    }

    #[inline]
    fn may_accept(&self, id: SessionId) -> bool {
        let session = self.clients.get(id);
        session.is_some_and(|session| session.accepts_input() && session.may_accept())
    }

    /// Keeps an incomplete request. Returns `pos`.
    fn keep(&mut self, id: SessionId, intake: Box<Intake<P>>, pos: usize) -> usize {
        if let Some(session) = self.clients.get_mut(id) {
            session.keep_intake(intake);
        }
        pos
    }

    fn park_all(
        &mut self,
        id: SessionId,
        text: &[u8],
        chunk: &Chunk,
        range: Range<usize>,
    ) -> usize {
        let end = range.end;
        self.park(id, text, chunk, range);
        end
    }

    /// The same for a request whose `bodies` were collected outside its text.
    fn park_gathered(
        &mut self,
        id: SessionId,
        text: &[u8],
        bodies: &mut Vec<Body>,
        chunk: &Chunk,
        range: Range<usize>,
    ) -> usize {
        let end = range.end;
        // The bodies are inserted again: the backlog has bytes as the client sent them.
        if bodies.is_empty() {
            return self.park_all(id, text, chunk, range);
        }
        let mut whole = Rope::new();
        write_request(&Source { text, chunk: None }, bodies, None, &mut whole);
        if let Some(session) = self.clients.get_mut(id) {
            session.put_back_gathered(whole, chunk, range);
            self.note_parked(id);
        }
        end
    }

    /// Puts `text` and then the rest of the chunk into the backlog, before what is there, until the session is
    /// resumed.
    fn park(&mut self, id: SessionId, text: &[u8], chunk: &Chunk, range: Range<usize>) {
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        session.put_back(text, chunk, range);
        self.note_parked(id);
    }

    /// The session has a backlog now. If nothing is outstanding that would resume it later, it is put on the ready
    /// list at once.
    fn note_parked(&mut self, id: SessionId) {
        // A request that was collected piece by piece counts for the backlog again, which may be full now though the shell
        // was told that there is room.
        self.clients.stop_reading(id);
        if self
            .clients
            .get(id)
            .is_some_and(|session| session.is_over_limit())
        {
            self.clients.measure_reader(id, self.now);
        }
        self.clients.note_progress(id);
    }

    /// Answers bytes that cannot be parsed with an error, if a reply is wanted, and ends the session: where the next
    /// request begins is unknown.
    fn give_up(&mut self, id: SessionId, reply: Reply, refusal: Refusal) {
        // Either the request or what its client sent before may say that it wants no reply.
        let reply = match self.pass_over(id) {
            Reply::Wanted => reply,
            Reply::Dropped => Reply::Dropped,
        };
        self.refuse(id, reply, refusal);
        self.clients.quit(id, true, self.now, &mut self.outbox);
    }

    /// Skips bytes for which nothing is decided; returns whether a reply to them is wanted.
    pub(super) fn pass_over(&mut self, id: SessionId) -> Reply {
        self.clients.spend(id, 0, self.now);
        match self.clients.get_mut(id) {
            Some(session) => P::pass_over(session.client_mut()),
            None => Reply::Dropped,
        }
    }
}
