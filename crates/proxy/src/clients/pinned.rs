//! The server connections that a session's requests are pinned to. While a session has anything outstanding at a
//! server, its further requests go over the same connection: two connections are read by the server in any order, so
//! that a GET could be executed before the SET that was sent before it.

use crate::id::{ConnectionId, ServerId};
use crate::servers::purpose::Purpose;

/// The connections with outstanding requests of a session; at most a few, so a list is searched.
#[derive(Debug, Default)]
pub(crate) struct PinnedConnections(Vec<Pin>);

/// One of them, with the number of the session's outstanding requests on it.
#[derive(Debug, Clone, Copy)]
struct Pin {
    server: ServerId,
    purpose: Purpose,
    connection: ConnectionId,
    outstanding: usize,
}

impl PinnedConnections {
    /// The connection to `server` that must be used for the next request, because others are outstanding on it. A
    /// connection of another purpose does not count: it has only late requests from before the session changed its
    /// version, which nobody waits for.
    pub(crate) fn find(&self, server: ServerId, purpose: Purpose) -> Option<ConnectionId> {
        let is = |pin: &&Pin| pin.server == server && pin.purpose == purpose;
        self.0.iter().find(is).map(|pin| pin.connection)
    }

    /// One more request was queued on `connection`.
    pub(crate) fn add(&mut self, server: ServerId, purpose: Purpose, connection: ConnectionId) {
        let known = self.0.iter_mut();
        match known.into_iter().find(|pin| pin.connection == connection) {
            Some(pin) => pin.outstanding += 1,
            None => self.0.push(Pin {
                server,
                purpose,
                connection,
                outstanding: 1,
            }),
        }
    }

    /// Unpins `connection`, whatever is outstanding on it: it is draining.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.0.retain(|pin| pin.connection != connection);
    }

    /// One request on `connection` has ended.
    pub(crate) fn remove(&mut self, connection: ConnectionId) {
        let is = |pin: &Pin| pin.connection == connection;
        if let Some(position) = self.0.iter().position(is) {
            self.0[position].outstanding -= 1;
            if self.0[position].outstanding == 0 {
                self.0.swap_remove(position);
            }
        }
    }
}
