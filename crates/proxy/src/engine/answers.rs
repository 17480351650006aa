//! Replies that the proxy makes itself: local answers, error lines, and the joined replies of fragments.
//!
//! A reply that its client does not want (`noreply`, CLIENT REPLY OFF) is dropped. If it is an error it is counted
//! and logged, as nobody would learn of the failure otherwise.
//!
//! `respond`, `refuse` and `answer` answer the request that is being handled, which has no slot yet; `fill_slot` and
//! `fail_slot` complete an earlier one by its slot.

use super::state::Engine;
use crate::cause::Cause;
use crate::event::Event;
use crate::flow::buffer::Rope;
use crate::id::{ServerId, SessionId};
use crate::limits::LOGGED_ERROR;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::fanout::{About, JoinOutcome, PendingJoin};
use crate::protocol::grammar::{Refusal, Reply};

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
    fn answer(&mut self, id: SessionId, reply: &[u8]) {
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
    fn error_line(&mut self, cause: &Cause, server: Option<ServerId>) -> Vec<u8> {
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
            None => format!("every server of pool '{}' is ejected", self.settings.name),
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
    pub(super) fn fail_slot(&mut self, id: SessionId, slot: u64, cause: &Cause, server: ServerId) {
        // Checked first, as making an error line counts it.
        let session = self.clients.get(id);
        if session.is_some_and(|session| session.is_open(slot)) {
            let line = self.error_line(cause, Some(server));
            self.fill_slot(id, slot, &line);
        }
    }

    /// A fragment has failed. The request is answered when every other fragment has ended, too.
    pub(super) fn fail_fragment(&mut self, id: SessionId, slot: u64, fragment: u32, cause: &Cause) {
        if let Some(session) = self.clients.get_mut(id)
            && session.fail_fragment(slot, fragment, cause)
        {
            self.finish_join(id, slot);
        }
    }

    /// Joins the replies of a request whose fragments have all ended, and completes its slot.
    pub(super) fn finish_join(&mut self, id: SessionId, slot: u64) {
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
            process: &self.plans.pool().place().process,
            now: self.now,
        };
        let mut joined = Rope::with_room(join.room());
        let end = self
            .protocol
            .join(&mut join, session.client(), &about, &mut joined);
        let is_done = matches!(end, JoinOutcome::Done);
        match end {
            JoinOutcome::Done => {}
            JoinOutcome::Failed(fragment) => joined = self.failed_join(&mut join, fragment),
            JoinOutcome::Mismatch => {
                let server = join.fragments[0].server;
                joined = self.failed_reply(&Cause::Protocol, server);
            }
        }
        if let Some(session) = self.clients.get_mut(id)
            && session.fill_joined(slot, joined, is_done)
        {
            self.note_delivered(id);
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

    fn note_unheard(&mut self, id: SessionId, reason: String) {
        self.counters.add(PoolMetric::Unheard, 1);
        self.log_of(id, Event::Unheard { reason });
    }
}

/// The first line of a reply, escaped and shortened for the log.
fn shown(reply: &[u8]) -> String {
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
