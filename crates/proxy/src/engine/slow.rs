//! Requests that took long, for the slow log.

use super::sending::Asked;
use super::state::Engine;
use crate::id::{ConnectionId, ServerId};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::servers::queue::Slow;
use crate::slow_log::{Note, SlowRequest};

impl<P: Protocol> Engine<P> {
    /// Notes what the request is that was queued last on a connection, if slow ones are logged.
    #[inline(always)]
    pub(super) fn note_request(&mut self, asked: &Asked<'_, P>, connection: ConnectionId) {
        if self.settings.slow_log.is_some() {
            self.note_command(asked, connection);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_command(&mut self, asked: &Asked<'_, P>, connection: ConnectionId) {
        let (command, key) = self.protocol.describe(asked.request);
        let key = key.map_or(&[][..], |range| &asked.source.text[range]);
        let note = Note::new(command, key);
        if let Some(connection) = self.roster.get_mut(connection) {
            connection.queue_mut().note(note);
        }
    }

    /// Logs the slow requests that were found among the replies of one read.
    #[cold]
    pub(super) fn log_slow(&mut self, server: ServerId, slow: Vec<Slow>) {
        self.counters
            .add(PoolMetric::SlowRequests, slow.len() as i64);
        let server: Box<str> = self.roster.server(server).name().into();
        let (now, clients) = (self.now, &self.clients);
        let log = self.plans.pool().slow_log();
        for slow in slow {
            let client = clients.get(slow.request.session);
            let client = client.map(|session| {
                let own = P::client_name(session.client());
                (session.name().into(), own.into())
            });
            log.add(SlowRequest {
                number: 0,
                at: now,
                waited: slow.written.since(slow.request.queued),
                served: now.since(slow.written),
                server: server.clone(),
                client: client.unwrap_or_default(),
                what: slow.note,
                bytes: slow.request.bytes(),
            });
        }
    }
}
