//! Which server connections carry a session's requests. While anything of a session is outstanding at a server,
//! all of it goes over the same connection, so that several connections never reorder one client's requests.

use crate::id::{ConnectionId, ServerId};
use crate::servers::purpose::Purpose;

/// The connections that carry something of a session.
#[derive(Debug, Default)]
pub(crate) struct PinnedConnections(Vec<Pin>);

/// How much of it one of them carries.
#[derive(Debug, Clone, Copy)]
struct Pin {
    server: ServerId,
    purpose: Purpose,
    connection: ConnectionId,
    outstanding: usize,
}

impl PinnedConnections {
    /// The connection to `server` that must carry the next request, because it carries others. Those of another
    /// purpose were late: the session has changed its version since.
    pub(crate) fn find(&self, server: ServerId, purpose: Purpose) -> Option<ConnectionId> {
        let is = |pin: &&Pin| pin.server == server && pin.purpose == purpose;
        self.0.iter().find(is).map(|pin| pin.connection)
    }

    /// One more request went out on `connection`.
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

    /// Forgets what `connection` carries: further requests need not follow it.
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
