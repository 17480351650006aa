//! What becomes of clients when the users of the pool change.

use super::state::Engine;
use crate::clients::ending::Ending;
use crate::id::SessionId;
use crate::protocol::Protocol;

impl<P: Protocol> Engine<P> {
    /// The users of the pool are others now. Clients stay who they are, and may do what their users may now; those
    /// whose users are gone are closed, and so are those that are subscribed to channels that their users have lost.
    pub(super) fn follow_users(&mut self) {
        let ids: Vec<SessionId> = self.clients.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(session) = self.clients.get_mut(id) else {
                continue;
            };
            if !self.protocol.renew_user(session.client_mut()) {
                self.clients.close(id, Ending::Barred, &mut self.outbox);
            }
        }
    }
}
