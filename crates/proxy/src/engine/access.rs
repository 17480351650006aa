//! Requests that the access log tells of.

use super::state::{Engine, sampler};
use crate::access::{AccessRecord, Outcome};
use crate::cause::Cause;
use crate::id::{ServerId, SessionId};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::sampling::Sampler;
use crate::servers::connection::Connection;
use crate::servers::connection::replies::Ended;
use crate::servers::queue::{InFlight, ReplyTo};
use crate::servers::samples::Sample;

impl<P: Protocol> Engine<P> {
    /// Logs as the current settings say; and so it is known whether anything is to be noted of requests.
    pub(super) fn follow_access_log(&mut self) {
        let every = self.access_log.as_ref().map(Sampler::every);
        if every != self.settings.access_log {
            self.access_log = sampler(&self.settings, self.context);
        }
        self.notes_requests = self.settings.slow_log.is_some()
            || self.hot_keys.is_some()
            || self.access_log.is_some()
            || self.heals;
        if !self.notes_requests {
            self.forget_samples();
        }
    }

    fn forget_samples(&mut self) {
        for id in self.roster.connection_ids() {
            if let Some(connection) = self.roster.get_mut(id) {
                connection.queue_mut().forget_samples();
            }
        }
    }

    /// Whether the request that is sent now is to be logged.
    pub(super) fn is_logged(&mut self) -> bool {
        self.access_log.as_mut().is_some_and(Sampler::is_next)
    }

    /// Logs those of the requests that are to be logged, which a server has answered.
    pub(super) fn log_answered(&mut self, server: ServerId, ended: &[Ended]) {
        for Ended {
            sample,
            request,
            written,
            is_error,
        } in ended
        {
            let outcome = match request.reply_to {
                ReplyTo::Forgotten { .. } => Outcome::Late,
                _ if *is_error => Outcome::Error,
                _ => Outcome::Ok,
            };
            let written = written.unwrap_or(self.now);
            let (waited, served) = (written.since(request.queued), self.now.since(written));
            let record = self.access_record(server, sample, request, outcome);
            let record = record.map(|record| AccessRecord {
                waited,
                served: Some(served),
                ..record
            });
            self.log_access(record);
        }
    }

    /// Logs those that are lost with their connection.
    pub(super) fn log_lost(&mut self, connection: &Connection<P>, cause: &Cause) {
        for (request, sample) in connection.queue().sampled() {
            let outcome = Outcome::Lost(cause.detail().into());
            let record = self.access_record(connection.server(), sample, request, outcome);
            self.log_access(record);
        }
    }

    fn access_record(
        &self,
        server: ServerId,
        sample: &Sample,
        request: &InFlight,
        outcome: Outcome,
    ) -> Option<AccessRecord> {
        Some(AccessRecord {
            at: self.now,
            server: self.roster.server(server).name().into(),
            client: self.client_of(request.session),
            what: sample.logged?,
            bytes_in: request.bytes(),
            bytes_out: sample.reply_bytes,
            waited: self.now.since(request.queued),
            served: None,
            outcome,
        })
    }

    /// A client as log lines name it, and its own name.
    pub(super) fn client_of(&self, id: SessionId) -> (Box<str>, Box<[u8]>) {
        let session = self.clients.get(id);
        let client = session.map(|session| {
            let own = P::client_name(session.client());
            (session.name().into(), own.into())
        });
        client.unwrap_or_default()
    }

    fn log_access(&mut self, record: Option<AccessRecord>) {
        if record.is_some_and(|record| !self.outbox.log_access(record)) {
            self.note_access_dropped();
        }
    }

    /// The access log lacks a request.
    pub(crate) fn note_access_dropped(&mut self) {
        self.counters.add(PoolMetric::AccessLogDropped, 1);
    }
}
