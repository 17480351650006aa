//! Clients that are held back because memory is short.

use super::Clients;
use crate::clients::holds::Hold;
use crate::id::SessionId;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;

impl<P: Protocol> Clients<P> {
    /// Holds back a session that has more than its share of the memory.
    pub(crate) fn hold_for_memory(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id)
            && !session.is_held_for_memory()
        {
            session.hold(Hold::Memory);
            self.held_for_memory += 1;
            self.counters.add(PoolMetric::ClientHeldBack, 1);
        }
    }

    /// Lifts that hold.
    pub(crate) fn release_for_memory(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id)
            && session.is_held_for_memory()
        {
            session.release(Hold::Memory);
            self.held_for_memory -= 1;
            self.counters.add(PoolMetric::ClientHeldBack, -1);
            self.note_progress(id);
        }
    }

    /// How many sessions are held back for that.
    pub(crate) fn held_for_memory(&self) -> usize {
        self.held_for_memory
    }
}
