//! How a session ends.

use super::Session;
use crate::clients::holds::Hold;
use crate::clients::phase::{Phase, Reading};
use crate::event::ClientWait;
use crate::limits::NEW_CLIENT_FOR;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Session<P> {
    /// The client sends nothing further.
    pub(crate) fn end(&mut self) {
        if matches!(self.phase, Phase::Open | Phase::Leaving) {
            self.phase = Phase::Ended;
        }
    }

    /// Whether the client sends nothing further and all it has sent was parsed.
    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended && self.backlog.is_none() && self.split.is_none()
    }

    /// Ends when nothing of it is outstanding.
    pub(crate) fn leave(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Leaving;
        }
    }

    /// Whether it has connected a moment ago and has sent no request yet.
    pub(crate) fn is_new(&self, now: Time) -> bool {
        self.since == self.opened && now.since(self.opened) < NEW_CLIENT_FOR
    }

    /// Whether nothing of it is under way: no request or part of one, and no transaction.
    fn is_between_requests(&self) -> bool {
        self.is_idle()
            && !self.is_mid_request()
            && !self.waits()
            && self.transaction.is_none()
            && self.leases.is_empty()
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
        // A transaction that waits to be sent may have no reply that is wanted.
        let has_sent = !self.holds.has(Hold::Trial);
        let answered = self.order.is_empty() && self.output.is_empty() && has_sent;
        match self.phase {
            Phase::Open => None,
            Phase::Leaving => (answered && self.is_between_requests()).then_some(true),
            Phase::Ended => (answered && self.has_ended()).then_some(false),
            Phase::Quitting { linger } => answered.then_some(linger),
            Phase::Broken => self.output.is_empty().then_some(true),
        }
    }

    /// Since when the client is idle, or is sending its incomplete request; `None` while it waits for the proxy, for a
    /// server or for messages, or has replies to read.
    fn idle_since(&self) -> Option<Time> {
        let idle = matches!(self.phase, Phase::Open | Phase::Leaving)
            && !self.waits()
            && self.is_idle()
            && self.output.is_empty()
            && !self.is_subscriber();
        idle.then_some(self.since)
    }

    /// Looks at `now` whether it has replies to read and has read or sent anything since this was last looked at.
    pub(crate) fn note_unread(&mut self, now: Time) {
        let moved = self.unread_since.is_none_or(|since| since < self.since);
        self.unread_since = match self.output.is_empty() {
            true => None,
            false if moved => Some(now),
            false => self.unread_since,
        };
    }

    /// What the proxy waits for from this client, and since when, if it does.
    pub(crate) fn waited_for(&self) -> (ClientWait, Option<Time>) {
        match self.unread_since {
            _ if self.is_mid_request() => (ClientWait::MidRequest, self.idle_since()),
            Some(since) => (ClientWait::Unread, Some(since)),
            None => (ClientWait::Idle, self.idle_since()),
        }
    }
}
