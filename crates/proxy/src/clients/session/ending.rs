//! How a session ends.

use super::Session;
use crate::clients::phase::{Phase, Reading};
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Session<P> {
    /// The client sends nothing further.
    pub(crate) fn end(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Ended;
        }
    }

    /// Whether the client sends nothing further and all it has sent was parsed.
    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended && self.backlog.is_none()
    }

    /// Accepts nothing further; the session ends when what was accepted is answered and written. `linger` as in
    /// `Action::CloseSession`.
    pub(crate) fn quit(&mut self, linger: bool) {
        self.phase = Phase::Quitting { linger };
        self.drop_input();
    }

    /// The same because the proxy shuts down.
    pub(crate) fn shut_down(&mut self) {
        self.drop_input();
        if self.accepts_input() {
            // The client may be sending on: without lingering that would reset the
            // connection and destroy the last replies.
            self.phase = Phase::Quitting { linger: true };
        }
    }

    /// Has the client read again if it was not, to drop what it sends; returns whether it was not.
    pub(crate) fn read_to_the_end(&mut self) -> bool {
        std::mem::replace(&mut self.reading, Reading::On) == Reading::Stopped
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the session has nothing left to do and may be closed; if so, whether to linger.
    pub(crate) fn is_finished(&self) -> Option<bool> {
        let answered = self.order.is_empty() && self.output.is_empty();
        match self.phase {
            Phase::Open => None,
            Phase::Ended => (answered && self.backlog.is_none()).then_some(false),
            Phase::Quitting { linger } => answered.then_some(linger),
            Phase::Broken => self.output.is_empty().then_some(true),
        }
    }

    /// Since when the client is idle, or is sending its incomplete request; `None` while it waits for the proxy or
    /// for a server, or has replies to read.
    pub(crate) fn idle_since(&self) -> Option<Time> {
        let idle =
            self.phase == Phase::Open && !self.waits() && self.is_idle() && self.output.is_empty();
        idle.then_some(self.since)
    }
}
