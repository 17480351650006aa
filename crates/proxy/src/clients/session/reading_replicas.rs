//! What a session has written lately and has at replicas; see [`crate::clients::own_writes`].

use super::Session;
use crate::clients::own_writes::Situation;
use crate::id::ServerId;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Session<P> {
    /// A request that may change data is about to be sent to a server, of a pool whose replicas are read.
    #[cold]
    pub(crate) fn note_own_write(&mut self, server: ServerId, arrangement: (u64, u64), now: Time) {
        // If its reply is wanted, its slot is opened next.
        let end = self.order.next() + 1;
        let own = self.own_writes.get_or_insert_default();
        own.note_write(server, arrangement, end, now);
    }

    /// Whether a read of its goes to the server itself, as the session has written there lately, watches keys, or has
    /// begun a transaction.
    pub(crate) fn must_read_at(&mut self, server: ServerId, situation: Situation) -> bool {
        if self.watch.is_some() || self.transaction.is_some() {
            return true;
        }
        if situation.window.is_zero() {
            return false;
        }
        let situation = Situation {
            oldest: self.oldest_slot(),
            has_silent: self.silent > 0,
            ..situation
        };
        let own = self.own_writes.as_mut();
        own.is_some_and(|own| own.is_recent(server, situation))
    }

    /// A read is about to be sent to a replica.
    pub(crate) fn note_replica_read(&mut self) {
        let end = self.order.next() + 1;
        self.own_writes.get_or_insert_default().note_read(end);
    }

    /// Whether it has reads at replicas.
    pub(crate) fn has_replica_reads(&self) -> bool {
        let oldest = self.oldest_slot();
        let own = self.own_writes.as_ref();
        own.is_some_and(|own| own.has_reads(oldest))
    }

    fn oldest_slot(&self) -> u64 {
        self.order.next() - self.order.len() as u64
    }
}
