//! Bytes to requests: the common case is parsed where it was read; a request that is cut off is
//! gathered in the session's [`Intake`], and what the window holds back waits in its backlog.

use std::ops::Range;
use std::rc::Rc;

use super::Engine;
use super::dispatch::Asked;
use crate::clients::session::{Intake, Session};
use crate::event::Event;
use crate::flow::buffer::{Chunk, Rope};
use crate::id::SessionId;
use crate::limits::PARTIAL_STEP;
use crate::protocol::{Body, Parsed, Protocol, Reply, Source};
use crate::time::Time;

/// What became of a parsed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Accepted; the next one may be looked at.
    Yes,
    /// Not yet: it must be the first of what is looked at next.
    Later,
    /// Accepted, and nothing after it is looked at.
    Last,
}

impl<P: Protocol> Engine<P> {
    /// Takes what a client sent, as far as it may; keeps the rest.
    pub(super) fn feed(&mut self, id: SessionId, chunk: &Chunk, range: Range<usize>, now: Time) {
        let mut pos = range.start;
        while pos < range.end {
            let Some(session) = self.sessions.get_mut(id) else {
                return;
            };
            if !session.takes_input() {
                return;
            }
            if !session.may_take() {
                return self.park(id, &[], chunk, pos..range.end);
            }
            pos = match session.intake.take() {
                Some(intake) => self.feed_partial(id, intake, chunk, pos..range.end, now),
                None => self.feed_fresh(id, chunk, pos..range.end, now),
            };
        }
        let is_over = |session: &Session<P>| session.is_over() && session.watch.is_none();
        if self.sessions.get(id).is_some_and(is_over) {
            self.watch(id);
        }
    }

    /// Parses requests where they lie. Returns where it stopped; what was before is dealt with.
    fn feed_fresh(
        &mut self,
        id: SessionId,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) -> usize {
        let mut parser = self.parser.take().unwrap_or_default();
        let mut pos = range.start;
        let stopped = loop {
            if pos == range.end || !self.may_take(id) {
                break pos;
            }
            let text = &chunk[pos..range.end];
            self.scratch.clear();
            match self.protocol.parse(&mut parser, text, &mut self.scratch) {
                Parsed::Request { len } => {
                    let source = Source {
                        text: &text[..len],
                        chunk: Some((chunk, pos)),
                    };
                    match self.take_request(id, &parser, source, &mut Vec::new(), now) {
                        Taken::Yes => pos += len,
                        Taken::Later => break self.park_all(id, &[], chunk, pos..range.end),
                        Taken::Last => break range.end,
                    }
                    P::reset(&mut parser);
                }
                Parsed::Partial => {
                    let intake = Intake {
                        parser: std::mem::take(&mut *parser),
                        text: text.to_vec(),
                        ..Intake::default()
                    };
                    break self.keep(id, Box::new(intake), range.end);
                }
                other => match self.take_oddity(id, &mut parser, other, chunk, pos..range.end) {
                    Some(next) => pos = next,
                    None => break range.end,
                },
            }
        };
        P::reset(&mut parser);
        self.parser = Some(parser);
        stopped
    }

    /// The rarer results of parsing at `range.start`. Returns where to go on, if anywhere.
    fn take_oddity(
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
            Parsed::Refused { len, skip, reply } => {
                P::reset(parser);
                self.respond(id, reply);
                let after = range.start + len;
                let here = skip.min((range.end - after) as u64);
                if here < skip {
                    self.keep(
                        id,
                        Box::new(Intake {
                            skip: skip - here,
                            ..Intake::default()
                        }),
                        range.end,
                    );
                }
                Some(after + here as usize)
            }
            Parsed::Body { at, len } => {
                let start = range.start + at;
                let mut intake = Intake {
                    parser: std::mem::take(parser),
                    text: chunk[range.start..start].to_vec(),
                    ..Intake::default()
                };
                begin_body(&mut intake, at, len);
                add_to_body(&mut intake, chunk, start..range.end);
                Some(self.keep(id, Box::new(intake), range.end))
            }
            Parsed::Fatal => {
                self.give_up(id);
                None
            }
            Parsed::Request { .. } | Parsed::Partial => None,
        }
    }

    /// Goes on with a request that was cut off. Returns where it stopped in the chunk.
    fn feed_partial(
        &mut self,
        id: SessionId,
        mut intake: Box<Intake<P>>,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
    ) -> usize {
        let available = range.len();
        if intake.skip > 0 {
            let dropped = intake.skip.min(available as u64);
            intake.skip -= dropped;
            if intake.skip > 0 {
                self.keep(id, intake, range.end);
            } else {
                self.begin_anew(id, now);
            }
            return range.start + dropped as usize;
        }
        self.scratch.clear();
        let (pos, parsed) = if intake.body_left > 0 {
            let pos = range.start + intake.body_left.min(available);
            add_to_body(&mut intake, chunk, range.start..pos);
            if intake.body_left > 0 {
                return self.keep(id, intake, pos);
            }
            let Intake {
                parser,
                text,
                body_tail,
                ..
            } = &mut *intake;
            (
                pos,
                self.protocol
                    .after_body(parser, text, *body_tail, &mut self.scratch),
            )
        } else {
            let step = P::missing(&intake.parser, intake.text.len())
                .max(PARTIAL_STEP)
                .min(available);
            let pos = range.start + step;
            intake.text.extend_from_slice(&chunk[range.start..pos]);
            let Intake { parser, text, .. } = &mut *intake;
            (pos, self.protocol.parse(parser, text, &mut self.scratch))
        };
        if !matches!(parsed, Parsed::Partial | Parsed::Body { .. }) {
            self.begin_anew(id, now);
        }
        self.take_partial(id, intake, parsed, chunk, pos..range.end, now)
    }

    /// A request has ended: what follows is another one, with a time of its own.
    fn begin_anew(&mut self, id: SessionId, now: Time) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.since = now;
        }
    }

    /// Acts on what parsing the gathered text gave; `rest` is what of the chunk was not added to it.
    fn take_partial(
        &mut self,
        id: SessionId,
        mut intake: Box<Intake<P>>,
        parsed: Parsed,
        chunk: &Chunk,
        rest: Range<usize>,
        now: Time,
    ) -> usize {
        match parsed {
            Parsed::Request { len } => {
                // Bytes after the request were added in the last step, for it was not whole before:
                // they are taken from the chunk again.
                let pos = rest.start - (intake.text.len() - len);
                let Intake {
                    parser,
                    text,
                    bodies,
                    ..
                } = &mut *intake;
                let source = Source {
                    text: &text[..len],
                    chunk: None,
                };
                match self.take_request(id, parser, source, bodies, now) {
                    Taken::Yes => pos,
                    Taken::Later => self.park_all(id, &intake.text[..len], chunk, pos..rest.end),
                    Taken::Last => rest.end,
                }
            }
            Parsed::Skip { len } => {
                self.pass_over(id);
                rest.start - (intake.text.len() - len)
            }
            Parsed::Partial => self.keep(id, intake, rest.start),
            Parsed::Body { at, len } => {
                begin_body(&mut intake, at, len);
                let begun: Chunk = Rc::from(&intake.text[at..]);
                intake.text.truncate(at);
                add_to_body(&mut intake, &begun, 0..begun.len());
                self.keep(id, intake, rest.start)
            }
            Parsed::Refused { len, skip, reply } => {
                self.respond(id, reply);
                let after = intake.text.len() - len;
                let here = skip.min(after as u64);
                if here < skip {
                    self.keep(
                        id,
                        Box::new(Intake {
                            skip: skip - here,
                            ..Intake::default()
                        }),
                        rest.start,
                    );
                }
                rest.start - (after - here as usize)
            }
            Parsed::Fatal => {
                self.give_up(id);
                rest.end
            }
        }
    }

    fn take_request(
        &mut self,
        id: SessionId,
        parser: &P::Parser,
        source: Source<'_>,
        bodies: &mut Vec<Body>,
        now: Time,
    ) -> Taken {
        let source = match P::rewritten(parser) {
            Some(text) => Source { text, chunk: None },
            None => source,
        };
        let asked = Asked {
            id,
            parser,
            source,
            now,
            reply: Reply::Wanted,
        };
        self.requests_seen += 1;
        self.execute(asked, bodies)
    }

    fn may_take(&self, id: SessionId) -> bool {
        self.sessions
            .get(id)
            .is_some_and(|session| session.takes_input() && session.may_take())
    }

    /// Keeps a request that is not whole. Returns `pos`.
    fn keep(&mut self, id: SessionId, intake: Box<Intake<P>>, pos: usize) -> usize {
        if let Some(session) = self.sessions.get_mut(id) {
            session.intake = Some(intake);
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

    /// Keeps `text` and then the rest of the chunk unparsed until the session may go on.
    fn park(&mut self, id: SessionId, text: &[u8], chunk: &Chunk, range: Range<usize>) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.put_back(text, chunk, range);
        if session.is_over() {
            self.watch(id);
        }
        self.note_progress(id);
    }

    /// Says the last words, if the client wants to hear any, and reads nothing further.
    fn give_up(&mut self, id: SessionId) {
        let reply = self.pass_over(id);
        self.respond(id, reply);
        self.quit(id, true);
    }

    /// Passes over bytes that are not planned; tells whether a reply to them is wanted.
    pub(super) fn pass_over(&mut self, id: SessionId) -> Reply {
        match self.sessions.get_mut(id) {
            Some(session) => P::pass_over(&mut session.client),
            None => Reply::Dropped,
        }
    }

    pub(super) fn report(&mut self) {
        if let Some(event) = self.scratch.event.take() {
            self.events.push(event);
        }
    }

    /// Drops a request that will never be whole, for the client sends nothing further.
    pub(super) fn drop_incomplete(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if let Some(intake) = session.intake.take() {
            let bodies: usize = intake.bodies.iter().map(|body| body.rope.len()).sum();
            self.events.push(Event::IncompleteRequest {
                len: intake.text.len() + bodies,
            });
        }
    }
}

fn begin_body<P: Protocol>(intake: &mut Intake<P>, at: usize, len: usize) {
    intake.bodies.push(Body {
        at,
        rope: Rope::new(),
    });
    intake.body_left = len;
}

fn add_to_body<P: Protocol>(intake: &mut Intake<P>, chunk: &Chunk, range: Range<usize>) {
    let bytes = &chunk[range.clone()];
    match bytes {
        [] => {}
        [only] => intake.body_tail = [intake.body_tail[1], *only],
        [.., last_but_one, last] => intake.body_tail = [*last_but_one, *last],
    }
    intake.body_left -= bytes.len();
    if let Some(body) = intake.bodies.last_mut() {
        body.rope.push(chunk, range);
    }
}
