//! A request of very many keys, split in turns of so many keys ([`TURN_KEYS`]):
//!
//! ```text
//!  owners of the keys, turn by turn ──▶ fragments, written turn by turn ──▶ all of them are sent
//!          ▲                                   │
//!          └──────── the routes changed ◀──────┘
//! ```
//!
//! The fragments are written to buffers of their own, and sent when all are ready: to the servers it is one request
//! for each, as ever.

use super::fanout::{body_at, fragment_of};
use super::sending::Asked;
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::intake::Intake;
use crate::clients::large_split::LargeSplit;
use crate::flow::buffer::Rope;
use crate::id::SessionId;
use crate::limits::TURN_KEYS;
use crate::protocol::Protocol;
use crate::protocol::decision::Key;
use crate::protocol::fanout::Source;
use crate::routes::grouping::Owners;

impl<P: Protocol> Engine<P> {
    /// Whether a request has so many keys that it is split in turns. It must have been gathered, so that it can be kept.
    pub(super) fn is_large(&self, asked: &Asked<'_, P>) -> bool {
        self.output.keys.len() > TURN_KEYS
            && asked.source.chunk.is_none()
            && P::rewritten(asked.request.parser).is_none()
    }

    /// Begins to split the request that was just decided: the first `len` bytes of `intake`.
    pub(super) fn begin_split(&mut self, id: SessionId, intake: Box<Intake<P>>, len: usize) {
        if let Some(decided) = self.large.take() {
            let split = LargeSplit::new(intake, len, decided, self.routes.version());
            self.clients.keep_split(id, Box::new(split), self.now);
        }
    }

    /// Goes on with a session's request for one turn.
    pub(super) fn continue_split(&mut self, id: SessionId) {
        if !self.plans.are_current() {
            self.follow_plans();
        }
        self.check_health();
        let session = self.clients.get_mut(id);
        // A new plan may hold it back.
        let Some(session) = session.filter(|session| session.may_go_on()) else {
            return;
        };
        let Some(mut split) = session.take_split() else {
            return;
        };
        split.follow(self.routes.version());
        if !self.work_on(id, &mut split) {
            self.clients.keep_split(id, split, self.now);
        }
    }

    /// Does one turn's work; returns whether the request is sent, or has failed.
    fn work_on(&mut self, id: SessionId, split: &mut LargeSplit<P>) -> bool {
        let fragments = split.grouping.fragments().len();
        if fragments == 0 {
            return self.find_more_owners(id, split);
        }
        self.write_more(id, split);
        let is_written = split.fragment == fragments;
        if is_written {
            self.send_written(id, split);
        }
        is_written
    }

    /// Finds owners of further keys; when all are found, the keys are grouped. Returns whether the request has failed.
    fn find_more_owners(&mut self, id: SessionId, split: &mut LargeSplit<P>) -> bool {
        let (parser, text, _) = split.intake.parts();
        let text = &text[..split.len];
        let routes = &mut self.routes;
        let route = |key: Key| routes.route(&text[key.range()]);
        match split.grouping.find_owners(TURN_KEYS, route) {
            Owners::More => {}
            Owners::Found => split.grouping.group(P::most_key_bytes(split.facts.command)),
            Owners::NoServer => {
                let asked = Asked::new(id, parser, Source { text, chunk: None });
                self.answer_failure(&asked, &split.facts, &Cause::Refused, None);
                return true;
            }
        }
        false
    }

    /// Writes further keys to the fragments.
    fn write_more(&mut self, id: SessionId, split: &mut LargeSplit<P>) {
        let (parser, text, bodies) = split.intake.parts();
        let text = &text[..split.len];
        let asked = Asked::<P>::new(id, parser, Source { text, chunk: None });
        let (command, request) = (split.facts.command, asked.request);
        // Large values are moved to the fragments, and could not be written once more by other routes.
        let mut left = if bodies.is_empty() {
            TURN_KEYS
        } else {
            usize::MAX
        };
        while let Some((destination, keys)) = split.grouping.fragment(split.fragment)
            && left > 0
        {
            if split.written.len() == split.fragment {
                let mut out = Rope::new();
                let seconds = self.ttl_cap(destination);
                P::fragment_start(command, request, keys.len(), seconds, &mut out);
                split.written.push(out);
            }
            let out = &mut split.written[split.fragment];
            let end = keys.len().min(split.key.saturating_add(left));
            for key in keys.part(split.key..end).iter() {
                let body = body_at(bodies, key);
                P::fragment_key(command, parser, &asked.source, key, out, body);
            }
            left -= end - split.key;
            split.key = end;
            if end == keys.len() {
                P::fragment_end(command, request, out);
                split.fragment += 1;
                split.key = 0;
            }
        }
    }

    /// Sends the fragments, each to its destination, or fails them.
    fn send_written(&mut self, id: SessionId, split: &mut LargeSplit<P>) {
        let (parser, text, _) = split.intake.parts();
        let text = &text[..split.len];
        let asked = Asked::<P>::new(id, parser, Source { text, chunk: None });
        self.read_fragments(id, &split.facts, &mut split.grouping);
        let (facts, grouping) = (&split.facts, &split.grouping);
        let reply_to = self.open_split(&asked, facts, grouping, split.kind);
        let written = split.written.iter_mut();
        for (fragment, ((destination, keys), bytes)) in
            grouping.fragments().zip(written).enumerate()
        {
            let reply_to = fragment_of(reply_to, fragment);
            match self.connection_to(id, destination) {
                Ok(connection) => {
                    self.send(id, connection, reply_to, facts.class(), |out| {
                        out.append(bytes);
                    });
                    self.note_fragment(&asked, (connection, destination), keys);
                    if let Some(seconds) = self.ttl_cap(destination) {
                        self.follow_fragment(&asked, facts, connection, keys.iter(), seconds);
                    }
                }
                Err(cause) => self.fail_unsent(&asked, facts, reply_to, &cause, destination),
            }
        }
    }
}
