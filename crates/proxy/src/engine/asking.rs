//! Requests about all clients of the pool, which all of its workers serve. Each worker does its part and tells what came of
//! it; the one that has the client that asks makes the reply of all parts. Until then the request has a slot as if a
//! server was asked.
//!
//! ```text
//!  ask_workers ──▶ own part ──▶ Action::Ask ──▶ (shell) ──▶ answer_question, in each other worker
//!                                                                     │
//!  finish_asking ◀── handle_answer, once for each ◀── (shell) ◀─────┘
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use super::sending::Asked;
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::ending::Ending;
use crate::clients::order::Expected;
use crate::clients::questions::Asked as Waiting;
use crate::flow::outbox::Action;
use crate::id::SessionId;
use crate::limits::MAX_QUESTION;
use crate::protocol::Protocol;
use crate::protocol::decision::{Facts, Request};
use crate::protocol::grammar::{Parsed, Reply};
use crate::protocol::report::{Deed, WorkerView};
use crate::question::Question;
use crate::servers::queue::ReplyTo;

/// Why a request gets an error though some workers may have done their part.
const UNANSWERED: &str = "a worker of the proxy is too busy to answer; others may have done it";

/// Why one is not asked at all.
const TOO_MUCH: &str = "too much is asked of the workers of the proxy";

impl<P: Protocol> Engine<P> {
    /// Answers a request with what all workers contribute; with `only` it is about another worker's clients alone. Returns
    /// whether the session ends.
    pub(super) fn ask_workers(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        only: Option<usize>,
    ) -> bool {
        let Some(session) = self.clients.get(asked.id) else {
            return true;
        };
        let asker = P::number_of(session.client());
        let workers = 0..self.plans.pool().workers();
        let question = Question::new(0, self.context.worker, only, asker, b"");
        let others = workers.filter(|worker| question.is_for(*worker)).count();
        let mut text = Vec::new();
        if others > 0 {
            P::question(asked.request, &mut text);
        }
        if text.len() > MAX_QUESTION || (others > 0 && self.questions.are_full()) {
            let line = self.error_line(&Cause::Other(TOO_MUCH.into()), None);
            self.output.reply.clear();
            self.output.reply.extend_from_slice(&line);
            self.respond(asked.id, facts.reply);
            return false;
        }
        let (mut parts, mut ends) = (Vec::new(), false);
        if only.is_none() {
            let (part, is_closed) = self.contribute(asked.request, asker);
            parts.push(part);
            ends = is_closed;
        }
        match others {
            0 => {
                self.write_joined(asked.id, asked.request, &parts);
                self.respond(asked.id, facts.reply);
            }
            others => self.pose(asked, facts, only, (&text, parts, others)),
        }
        if ends {
            let (now, outbox) = (self.now, &mut self.outbox);
            self.clients.quit(asked.id, false, now, outbox);
        }
        ends
    }

    /// Has the other workers asked.
    fn pose(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        only: Option<usize>,
        (text, parts, others): (&[u8], Vec<Vec<u8>>, usize),
    ) {
        let Some(session) = self.clients.get(asked.id) else {
            return;
        };
        let asker = P::number_of(session.client());
        let number = self.questions.number();
        let worker = self.context.worker;
        let question = Arc::new(Question::new(number, worker, only, asker, text));
        let may_be_large = true;
        let slot = match facts.reply {
            Reply::Wanted => match self.open_slot(asked.id, Expected::Reply { may_be_large }) {
                ReplyTo::Slot(slot) => Some(slot),
                _ => None,
            },
            Reply::Dropped => None,
        };
        let to = (asked.id, slot);
        self.questions
            .begin(Arc::clone(&question), to, parts, others, self.now);
        self.outbox.act(Action::Ask { question });
        self.clients.spend(asked.id, 0, self.now);
    }

    /// Answers the requests for which other workers have taken too long.
    pub(super) fn give_up_questions(&mut self) {
        while let Some(asked) = self.questions.take_late(self.now) {
            self.finish_asking(asked);
        }
    }

    pub(super) fn finish_asking(&mut self, asked: Waiting) {
        let Some(slot) = asked.slot else {
            return;
        };
        if asked.missing > 0 {
            let cause = Cause::Other(UNANSWERED.into());
            return self.fail_slot(asked.session, slot, &cause, None);
        }
        let mut parser = P::Parser::default();
        let text = asked.question.request();
        if let Parsed::Request { .. } = self.protocol.parse(&mut parser, text) {
            self.output.reply.clear();
            self.write_joined(asked.session, request(text, &parser), &asked.parts);
            let reply = std::mem::take(&mut self.output.reply);
            self.fill_slot(asked.session, slot, &reply);
            self.output.reply = reply;
            self.output.shrink();
        }
    }

    /// Writes the reply of all parts to the output.
    fn write_joined(&mut self, id: SessionId, request: Request<'_, P>, parts: &[Vec<u8>]) {
        if let Some(session) = self.clients.get(id) {
            let out = &mut self.output.reply;
            out.clear();
            self.protocol.joined(request, session.client(), parts, out);
        }
    }

    /// This worker's part of a request of the client with this number, which is done; whether that client is to be closed.
    pub(super) fn contribute(&mut self, request: Request<'_, P>, asker: u64) -> (Vec<u8>, bool) {
        let mut part = Vec::new();
        let deed =
            self.view_worker(|protocol, worker| protocol.part(request, asker, worker, &mut part));
        match deed {
            Deed::None => {}
            Deed::Close(victims) => return (part, self.close_victims(&victims, asker)),
            Deed::Unblock { client, with_error } => {
                let waits = self.unblock_for_other(client, with_error);
                part.push(u8::from(waits));
            }
            Deed::Pause(pause) => self.set_pause(pause),
        }
        (part, false)
    }

    /// Has `ask` look at the clients of this worker.
    fn view_worker<R>(&mut self, ask: impl FnOnce(&P, &mut WorkerView<'_, P::Client>) -> R) -> R {
        let subscriptions = &self.subscriptions;
        let mut worker = WorkerView {
            now: self.now,
            share: self.plans.pool(),
            subscribers: &|kind, name| subscriptions.subscribers(kind, name),
            channels: &|kind, each| subscriptions.each_channel(kind, each),
            clients: &mut self
                .clients
                .iter()
                .map(|(_, session)| super::reports::view(session, &self.roster)),
        };
        ask(&self.protocol, &mut worker)
    }

    /// Closes clients; returns whether the one that has asked for it is among them. That one is not closed yet, as it is to
    /// get its reply.
    fn close_victims(&mut self, victims: &HashSet<u64>, asker: u64) -> bool {
        let all = self.clients.iter();
        let numbers = all.map(|(id, session)| (id, P::number_of(session.client())));
        let others = numbers.filter(|(_, number)| *number != asker && victims.contains(number));
        let found: Vec<SessionId> = others.map(|(id, _)| id).collect();
        for id in found {
            self.clients.close(id, Ending::Killed, &mut self.outbox);
        }
        victims.contains(&asker)
    }

    /// The worker that has the client with this number, if it is another one.
    pub(super) fn other_worker_of(&self, client: u64) -> Option<usize> {
        let workers = self.plans.pool().workers();
        let worker = (client.checked_sub(1)? % workers as u64) as usize;
        (worker != self.context.worker).then_some(worker)
    }
}

pub(super) fn request<'a, P: Protocol>(text: &'a [u8], parser: &'a P::Parser) -> Request<'a, P> {
    Request {
        text,
        parser,
        is_idle: true,
    }
}
