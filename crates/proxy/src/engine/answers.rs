//! Replies that the proxy makes itself: local answers, error lines, and the joined replies of fragments.
//!
//! A reply that its client does not want (`noreply`, CLIENT REPLY OFF) is dropped. If it is an error it is counted
//! and logged, as nobody would learn of the failure otherwise.
//!
//! `respond`, `refuse` and `answer` answer the request that is being handled, which has no slot yet; `fill_slot` and
//! `fail_slot` complete an earlier one by its slot.

use super::state::Engine;
use crate::cause::Cause;
use crate::clients::order::CutOff;
use crate::event::{Event, UserEvent};
use crate::flow::buffer::Rope;
use crate::id::{ServerId, SessionId};
use crate::limits::LOGGED_ERROR;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::fanout::About;
use crate::protocol::grammar::{Refusal, Reply};
use crate::protocol::pending_join::{JoinOutcome, PendingJoin};

impl<P: Protocol> Engine<P> {
    /// The session has new output, or one request less: it is listed for writing, and resumed or closed if that is
    /// due.
    #[inline]
    pub(super) fn note_delivered(&mut self, id: SessionId) {
        self.clients.flush(id, &mut self.outbox);
        self.clients.settle(id, self.now, &mut self.outbox);
    }

    /// Answers the request with what the decision has put into `self.output`, if a reply is wanted and there is one.
    pub(super) fn respond(&mut self, id: SessionId, reply: Reply) {
        let event = self.output.event.take();
        if let Some(Event::User(UserEvent::NotPermitted { .. })) = event {
            self.counters.add(PoolMetric::NotPermitted, 1);
        }
        let line = std::mem::take(&mut self.output.reply);
        match reply {
            Reply::Wanted => {
                event.into_iter().for_each(|event| self.log_of(id, event));
                if !line.is_empty() {
                    self.answer(id, &line);
                }
            }
            Reply::Dropped => self.drop_reply(id, &line),
        }
        self.clients.spend(id, line.len(), self.now);
        self.output.reply = line;
    }

    /// Answers it with a refusal.
    pub(super) fn refuse(&mut self, id: SessionId, reply: Reply, refusal: Refusal) {
        match reply {
            Reply::Wanted => {
                self.log_of(id, refusal.event);
                self.answer(id, &refusal.reply);
            }
            Reply::Dropped => self.drop_reply(id, &refusal.reply),
        }
        self.clients.spend(id, refusal.reply.len(), self.now);
    }

    /// Answers the request, behind the replies to the session's earlier ones.
    pub(super) fn answer(&mut self, id: SessionId, reply: &[u8]) {
        if let Some(session) = self.clients.get_mut(id)
            && session.answer(reply)
        {
            self.clients.flush(id, &mut self.outbox);
        }
    }

    /// Answers the request with an error.
    pub(super) fn answer_error(&mut self, id: SessionId, cause: &Cause, server: Option<ServerId>) {
        let line = self.error_line(cause, server);
        self.answer(id, &line);
        self.clients.spend(id, line.len(), self.now);
    }

    /// The error line for a request that failed at `server`.
    pub(super) fn error_line(&mut self, cause: &Cause, server: Option<ServerId>) -> Vec<u8> {
        self.counters.add(PoolMetric::ForwardError, 1);
        let mut line = Vec::new();
        // For an ejected server the cause's fixed text (`Connection refused`) alone would be misleading.
        match self.settings.error_detail || *cause == Cause::Ejected {
            true => P::error_line(&mut line, cause, Some(&self.detail(cause, server))),
            false => P::error_line(&mut line, cause, None),
        }
        line
    }

    /// Why a request failed at `server`, or before there was one, in plain words.
    fn detail(&self, cause: &Cause, server: Option<ServerId>) -> String {
        match server {
            Some(server) => {
                let server = self.roster.server(server).description();
                format!("{server}: {}", cause.detail())
            }
            None if *cause == Cause::Overloaded => "the proxy is short of memory".into(),
            None => {
                let (servers, name) = match self.settings.servers.len() {
                    1 => ("the server", &self.settings.name),
                    _ => ("every server", &self.settings.name),
                };
                format!("{servers} of pool '{name}' is ejected")
            }
        }
    }

    /// Completes the request in `slot` with a reply made by the proxy.
    pub(super) fn fill_slot(&mut self, id: SessionId, slot: u64, reply: &[u8]) {
        if let Some(session) = self.clients.get_mut(id)
            && session.fill(slot, reply)
        {
            self.note_delivered(id);
        }
    }

    /// Completes it with an error.
    pub(super) fn fail_slot(
        &mut self,
        id: SessionId,
        slot: u64,
        cause: &Cause,
        server: impl Into<Option<ServerId>>,
    ) {
        // Checked first, as making an error line counts it.
        let session = self.clients.get(id);
        if session.is_some_and(|session| session.is_open(slot)) {
            let line = self.error_line(cause, server.into());
            self.fill_slot(id, slot, &line);
        }
    }

    /// A fragment has failed. The request is answered when every other fragment has ended, too; if its reply has begun,
    /// at once.
    pub(super) fn fail_fragment(&mut self, id: SessionId, slot: u64, fragment: u32, cause: &Cause) {
        if let Some(session) = self.clients.get_mut(id)
            && session.fail_fragment(slot, fragment, cause)
        {
            self.join(id, slot);
        }
    }

    /// Goes on with the joins that were too large for one turn.
    pub(super) fn continue_joins(&mut self) {
        for (id, slot) in self.clients.take_unfinished_joins() {
            self.join(id, slot);
        }
    }

    /// Joins the replies to a split request as far as they are known, and completes its slot if all of them are; unless
    /// it has had its turn.
    pub(super) fn join(&mut self, id: SessionId, slot: u64) {
        if self.clients.is_join_continued(id, slot) {
            return;
        }
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        let Some(mut join) = session.take_join(slot) else {
            return;
        };
        let roster = &self.roster;
        let name_of = |server| roster.server(server).name().into();
        let about = About {
            name_of: &name_of,
            process: self.plans.pool().process(),
            now: self.now,
        };
        let mut piece = Rope::with_room(join.room());
        let outcome = self
            .protocol
            .join(&mut join, session.client(), &about, &mut piece);
        let rest = match outcome {
            JoinOutcome::Done => {
                self.note_parts(id, &join);
                None
            }
            JoinOutcome::Waiting => Some(join),
            JoinOutcome::More => {
                self.clients.continue_join(id, slot, self.now);
                Some(join)
            }
            JoinOutcome::Failed(fragment) => {
                let line = self.failed_join(&mut join, fragment);
                return self.break_off(id, slot, line);
            }
            JoinOutcome::Mismatch => {
                let line = self.failed_reply(&Cause::Protocol, join.fragments[0].server);
                return self.break_off(id, slot, line);
            }
        };
        if let Some(session) = self.clients.get_mut(id)
            && session.put_joined(slot, piece, rest)
        {
            self.note_delivered(id);
        }
    }

    /// A transaction that was split has ended: tells if not all servers have executed their part.
    fn note_parts(&mut self, id: SessionId, join: &PendingJoin<P::Kind>) {
        let (failed, parts) = (join.failed_parts(P::is_error_kind), join.fragments.len());
        if failed > 0 {
            self.counters.add(PoolMetric::TransactionsInPart, 1);
            self.log_of(id, Event::TransactionInPart { failed, parts });
        }
    }

    /// The joined reply would be too large: the request gets an error at once, and what still comes of the replies is
    /// dropped.
    pub(super) fn give_up_join(&mut self, id: SessionId, slot: u64) {
        if let Some(session) = self.clients.get_mut(id)
            && session.take_join(slot).is_some()
        {
            let mut line = Vec::new();
            P::too_large(&mut line);
            let mut reply = Rope::new();
            reply.extend(&line);
            self.break_off(id, slot, reply);
        }
    }

    /// There is no joined reply: completes the slot with an error, unless part of a reply has gone to the output; then
    /// nothing may follow and the client is closed.
    fn break_off(&mut self, id: SessionId, slot: u64, line: Rope) {
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        match session.cut_off(slot) {
            CutOff::NoSlot => {}
            CutOff::NothingSent => {
                if session.put_failed(slot, line) {
                    self.note_delivered(id);
                }
            }
            CutOff::PartlySent => self.clients.await_end(id, self.now, &mut self.outbox),
        }
    }

    /// The whole request fails as one of its fragments did: with the server's own error, or with ours.
    fn failed_join(&mut self, join: &mut PendingJoin<P::Kind>, fragment: usize) -> Rope {
        let part = &mut join.fragments[fragment];
        match part.outcome.take() {
            Some(Err(cause)) => self.failed_reply(&cause, part.server),
            _ => std::mem::take(&mut part.reply),
        }
    }

    fn failed_reply(&mut self, cause: &Cause, server: ServerId) -> Rope {
        let mut reply = Rope::new();
        reply.extend(&self.error_line(cause, Some(server)));
        reply
    }
}

/// Errors that no client gets.
impl<P: Protocol> Engine<P> {
    /// Drops a reply to a client that the proxy has made.
    pub(super) fn drop_reply(&mut self, id: SessionId, reply: &[u8]) {
        if P::is_error(reply) {
            self.note_unheard(id, shown(reply));
        }
    }

    /// A request or fragment of a client without a wanted reply was lost.
    pub(super) fn note_lost(&mut self, id: SessionId, cause: &Cause, server: Option<ServerId>) {
        self.note_unheard(id, self.detail(cause, server));
    }

    /// A server has answered such a request with an error; `line` is its text, if the reply came in one piece.
    pub(super) fn note_refused(&mut self, id: SessionId, server: ServerId, line: Option<&[u8]>) {
        let name = self.roster.server(server).name();
        let reason = match line {
            Some(line) => format!("server '{name}' answered {}", shown(line)),
            None => format!("server '{name}' answered with an error"),
        };
        self.note_unheard(id, reason);
    }

    /// A request without a wanted reply has ended.
    pub(super) fn end_silent(&mut self, id: SessionId) {
        if let Some(session) = self.clients.get_mut(id) {
            session.end_silent();
        }
        // It counted for the window, and a barrier waits for it, too.
        self.clients.settle(id, self.now, &mut self.outbox);
    }

    fn note_unheard(&mut self, id: SessionId, reason: String) {
        self.counters.add(PoolMetric::Unheard, 1);
        self.log_of(id, Event::Unheard { reason });
    }
}

/// The first line of a reply, escaped and shortened for the log.
pub(super) fn shown(reply: &[u8]) -> String {
    let line = reply.split(|byte| *byte == b'\r').next();
    let bytes = line.unwrap_or_default().iter().take(LOGGED_ERROR);
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            odd => text.extend(std::ascii::escape_default(*odd).map(char::from)),
        }
    }
    text
}
