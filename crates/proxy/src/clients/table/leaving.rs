//! The end of all clients before that of the proxy.

use std::time::Duration;

use super::Clients;
use crate::clients::leaving::Leaving;
use crate::flow::outbox::Outbox;
use crate::id::SessionId;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Clients<P> {
    /// Closes the clients of now one after the other, evenly over this time: each between two requests, and none in the
    /// middle of a transaction. Those that have just connected are closed last: their first request is on its way.
    pub(crate) fn begin_leaving(&mut self, now: Time, within: Duration) {
        let (new, others): (Vec<_>, Vec<_>) = self
            .sessions
            .iter()
            .partition(|(_, session)| session.is_new(now));
        let ids = |sessions: Vec<(SessionId, _)>| sessions.into_iter().map(|(id, _)| id).collect();
        self.leaving = Some(Leaving::new(ids(others), ids(new), now, within));
    }

    /// Closes those whose turn it is.
    pub(crate) fn leave_due(&mut self, now: Time, outbox: &mut Outbox) {
        while let Some(id) = self.leaving.as_mut().and_then(|leaving| leaving.next(now)) {
            if let Some(session) = self.sessions.get_mut(id) {
                session.leave();
            }
            self.close_if_finished(id, now, outbox);
        }
    }
}
