//! Clients that are late.

use super::Clients;
use crate::clients::ending::Ending;
use crate::clients::session::Session;
use crate::event::{ClientWait, Event};
use crate::flow::outbox::Outbox;
use crate::protocol::Protocol;
use crate::time::Time;

/// Clients that are idle, do not read, or stop in the middle of a request. They are checked all at once, every quarter of the
/// shortest time-out: that costs less than a timer for each, and a time-out may be late by as much.
impl<P: Protocol> Clients<P> {
    /// Closes clients that have been idle, not reading, in the middle of a request, or without the pool's password for too long.
    pub(crate) fn close_idle(&mut self, protocol: &P, now: Time, outbox: &mut Outbox) {
        if self.next_scan.is_none_or(|due| now < due) {
            return;
        }
        self.next_scan = None;
        for id in self.sessions.ids() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.note_unread(now);
            }
            let session = self.sessions.get(id);
            let late = session.and_then(|session| {
                let event = self.lateness(session, protocol, now)?;
                Some((event, session.name()))
            });
            if let Some((event, name)) = late {
                outbox.log_of(event, || Some(name.into()));
                self.close(id, Ending::Closed, outbox);
            }
        }
        if self.sessions.len() > 0 {
            let is_stranger =
                |session: &Session<P>| protocol.authenticate_by(session.client()).is_some();
            let has_strangers = self.iter().any(|(_, session)| is_stranger(session));
            self.schedule_scan(now, has_strangers);
        }
    }

    /// What is logged if the client is late.
    fn lateness(&self, session: &Session<P>, protocol: &P, now: Time) -> Option<Event> {
        let is_due = |due| due <= now;
        if protocol
            .authenticate_by(session.client())
            .is_some_and(is_due)
        {
            return Some(Event::ClientUnauthenticated);
        }
        let (waited, since) = session.waited_for();
        let limits = &self.settings.failure;
        let limit = match waited {
            ClientWait::MidRequest => limits.client_request_timeout,
            ClientWait::Idle | ClientWait::Unread => limits.client_idle_timeout,
        };
        let is_late = since
            .zip(limit)
            .is_some_and(|(since, limit)| is_due(since + limit));
        is_late.then_some(Event::ClientTimedOut { waited })
    }
}
