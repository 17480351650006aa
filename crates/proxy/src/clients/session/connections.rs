//! The connections of a session: those that its requests are pinned to, and those that it has leased (see
//! [`crate::servers::leases`]); and to which servers it has written.

use super::Session;
use crate::clients::phase::Phase;
use crate::clients::pinned::PinnedConnections;
use crate::id::{ConnectionId, ServerId};
use crate::protocol::Protocol;

impl<P: Protocol> Session<P> {
    pub(crate) fn pinned(&self) -> &PinnedConnections {
        &self.pinned
    }

    pub(crate) fn pinned_mut(&mut self) -> &mut PinnedConnections {
        &mut self.pinned
    }

    /// A request that may change data goes to that server.
    #[inline]
    pub(crate) fn note_written_to(&mut self, server: ServerId) {
        self.written |= 1 << (server.index() % 64);
    }

    /// It has leased a connection.
    pub(crate) fn add_lease(&mut self, connection: ConnectionId) {
        self.leases.push(connection);
    }

    /// A lease has ended.
    pub(crate) fn remove_lease(&mut self, connection: ConnectionId) {
        self.leases.retain(|known| *known != connection);
    }

    /// Whether it has written to that server since it connected. With more than 64 servers some may count though it has
    /// not.
    pub(crate) fn has_written_to(&self, server: ServerId) -> bool {
        self.written & (1 << (server.index() % 64)) != 0
    }

    /// Whether its client has ended its side, and what it sent is still answered.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// The connections that it has leased: a lease is in force exactly while it is among them.
    pub(crate) fn leases(&self) -> &[ConnectionId] {
        &self.leases
    }
}
