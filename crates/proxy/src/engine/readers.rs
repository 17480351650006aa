//! Clients that leave many replies unread are held back, and judged by how much they move: one that moves
//! less than `client_min_rate` for `client_stall_timeout` is closed. So is one that is to be closed when it has
//! read its last replies, and reads nothing of them for that long.

use std::collections::VecDeque;

use super::Engine;
use crate::clients::session::Watch;
use crate::event::Event;
use crate::id::SessionId;
use crate::metrics::PoolMetric;
use crate::pool::Action;
use crate::protocol::Protocol;
use crate::time::Time;

/// When each session that is watched is to be judged, the next one first: all wait for the same time.
#[derive(Debug, Default)]
pub(super) struct Readers(VecDeque<(Time, SessionId)>);

impl Readers {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.0.front().map(|(due, _)| *due)
    }

    fn pop_due(&mut self, now: Time) -> Option<SessionId> {
        let (due, id) = *self.0.front()?;
        if due > now {
            return None;
        }
        self.0.pop_front();
        Some(id)
    }
}

impl<P: Protocol> Engine<P> {
    /// The session has more unread replies than it is granted, or is to end when it has read its last: from
    /// now on it must read, or be closed.
    #[cold]
    pub(super) fn watch(&mut self, id: SessionId) {
        let Some((time, _)) = self.settings.clients.patience() else {
            return;
        };
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.watch.is_none() {
            session.watch = Some(Watch::default());
            self.readers.0.push_back((self.now + time, id));
        }
    }

    /// Closes those whose time is over and who have moved too little.
    pub(super) fn judge_readers(&mut self) {
        let Some((_, least)) = self.settings.clients.patience() else {
            return;
        };
        while let Some(id) = self.readers.pop_due(self.now) {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            let Some(watch) = session.watch.take() else {
                continue;
            };
            // One that is to be closed anyway, and holds little, may read its last as slowly as it likes.
            let least = if session.is_over() { least } else { 1 };
            match session.must_read() {
                false => {}
                true if watch.was_below || watch.moved >= least => self.watch(id),
                true => self.close_stalled(id, watch.moved),
            }
        }
    }

    fn close_stalled(&mut self, id: SessionId, moved: usize) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        self.events.push(Event::ClientStalled {
            client: session.name.clone(),
            unread: session.unread(),
            moved,
        });
        self.metrics.add(PoolMetric::ClientOverflow, 1);
        self.metrics.add(PoolMetric::ClientErr, 1);
        self.forget_session(id);
        self.actions.push_back(Action::CloseSession {
            session: id,
            linger: false,
        });
    }
}
