//! Replies that nobody wants (`noreply`, CLIENT REPLY OFF). They are dropped, but what their clients
//! would have been told of a failure must not be lost with them: it is counted, and at times logged.

use super::Engine;
use crate::cause::Cause;
use crate::event::Event;
use crate::id::SessionId;
use crate::limits::LOG_EVERY;
use crate::metrics::PoolMetric;
use crate::protocol::{Protocol, Reply};
use crate::time::Time;

/// Counts what is logged at most every [`LOG_EVERY`].
#[derive(Debug, Default)]
pub(super) struct LogLimit {
    since: u64,
    logged: Option<Time>,
}

impl LogLimit {
    pub(super) fn note(&mut self) {
        self.since += 1;
    }

    /// How often it has happened since it was last logged, if it may be logged again.
    pub(super) fn due(&mut self, now: Time) -> Option<u64> {
        let waits = self
            .logged
            .is_some_and(|logged| now.since(logged) < LOG_EVERY);
        if self.since == 0 || waits {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

/// Failures that no client heard of.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    limit: LogLimit,
    /// The first one that was not logged.
    first: String,
}

impl<P: Protocol> Engine<P> {
    /// Answers the session's next request with `scratch.reply`, if that is wanted and there is one.
    pub(super) fn respond(&mut self, id: SessionId, reply: Reply) {
        if reply == Reply::Wanted {
            self.report();
            if !self.scratch.reply.is_empty() {
                self.answer(id);
            }
        } else {
            let line = std::mem::take(&mut self.scratch.reply);
            self.drop_reply(&line);
            self.scratch.reply = line;
        }
    }

    /// Drops a reply that was made here.
    pub(super) fn drop_reply(&mut self, reply: &[u8]) {
        if P::is_error(reply) {
            self.note_unheard(|_| shown(reply));
        }
    }

    /// A request, or a fragment of one, was lost whose reply nobody wanted.
    pub(super) fn note_lost(&mut self, cause: &Cause, server: Option<usize>) {
        self.note_unheard(|engine| engine.detail(cause, server));
    }

    /// A server has answered such a request with an error; `line` is that, if it is at hand.
    pub(super) fn note_refused(&mut self, server: usize, line: Option<&[u8]>) {
        self.note_unheard(|engine| {
            let name = &engine.server_settings(server).name;
            match line {
                Some(line) => format!("server '{name}' answered {}", shown(line)),
                None => format!("server '{name}' answered with an error"),
            }
        });
    }

    fn note_unheard(&mut self, reason: impl FnOnce(&Self) -> String) {
        self.metrics.add(PoolMetric::Unheard, 1);
        if self.unheard.limit.since == 0 {
            self.unheard.first = reason(self);
        }
        self.unheard.limit.note();
    }

    /// Tells of what no client heard, if there is something and it is time.
    pub(super) fn tell_unheard(&mut self, now: Time) {
        if let Some(count) = self.unheard.limit.due(now) {
            let first = std::mem::take(&mut self.unheard.first);
            self.events.push(Event::Unheard { count, first });
        }
    }
}

/// The first line of a reply, fit for the log.
fn shown(reply: &[u8]) -> String {
    let line = reply.split(|byte| *byte == b'\r').next();
    let bytes = line.unwrap_or_default().iter().take(LONGEST_SHOWN);
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            odd => text.extend(std::ascii::escape_default(*odd).map(char::from)),
        }
    }
    text
}

/// Bytes of an error line that are logged.
const LONGEST_SHOWN: usize = 200;
