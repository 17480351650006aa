//! What is noted of requests until they are answered: for the slow log, the access log, and the keys that count most.

use std::sync::Arc;
use std::time::Duration;

use super::sending::Asked;
use super::state::Engine;
use crate::hot_keys::KeyName;
use crate::id::{ConnectionId, ServerId};
use crate::limits::HOT_KEYS_OF_REQUEST;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Facts, Key};
use crate::routes::grouping::FragmentKeys;
use crate::routes::routing::Destination;
use crate::servers::connection::Connection;
use crate::servers::connection::replies::Noted;
use crate::servers::kept::SentAs;
use crate::servers::queue::Slow;
use crate::slow_log::{Note, SlowRequest};

impl<P: Protocol> Engine<P> {
    /// Notes what is to be known of the request that was queued last on a connection: what it is called, if slow ones are
    /// logged, and its keys, if they are counted.
    #[inline(always)]
    pub(super) fn note_request(
        &mut self,
        asked: &Asked<'_, P>,
        connection: ConnectionId,
        destination: Destination,
    ) {
        if self.notes_requests {
            self.note(asked, (connection, destination), None);
        }
    }

    /// The same for the part of a request that has these keys.
    #[inline(always)]
    pub(super) fn note_fragment(
        &mut self,
        asked: &Asked<'_, P>,
        to: (ConnectionId, Destination),
        keys: FragmentKeys<'_>,
    ) {
        if self.notes_requests {
            self.note(asked, to, Some(keys));
        }
    }

    /// The same for a request of which only the keys are noted, as it waits before it is sent, or for other clients at its
    /// server.
    pub(super) fn note_keys(&mut self, asked: &Asked<'_, P>, facts: &Facts<P::Command>) {
        if self.notes_requests && self.is_sampled() {
            let keys = self.names_of(asked, None);
            self.count_keys(&keys, facts.class(), asked.source.text.len());
        }
    }

    #[cold]
    #[inline(never)]
    fn note(
        &mut self,
        asked: &Asked<'_, P>,
        (connection, destination): (ConnectionId, Destination),
        keys: Option<FragmentKeys<'_>>,
    ) {
        self.keep_sent(connection, destination, SentAs::Shared);
        let found = self.output.keys.len();
        if keys.map_or(found, |keys| keys.len()) > 1 {
            self.hold_behind(asked.id, destination);
        }
        let (is_counted, is_logged) = (self.is_sampled(), self.is_logged());
        if is_counted || is_logged {
            let keys = match is_counted {
                true => self.names_of(asked, keys),
                false => Vec::new(),
            };
            let logged = is_logged.then(|| self.note_of(asked));
            self.sample_request(keys, logged, connection);
        }
        if self.settings.slow_log.is_some() {
            let note = self.note_of(asked);
            if let Some(connection) = self.roster.get_mut(connection) {
                connection.queue_mut().note(note);
            }
        }
    }

    fn note_of(&self, asked: &Asked<'_, P>) -> Note {
        let (command, key) = self.protocol.describe(asked.request);
        let key = key.map_or(&[][..], |range| &asked.source.text[range]);
        Note::new(command, key)
    }

    /// What the keys are called that are counted: those of a part of the request, or else all of it.
    fn names_of(&self, asked: &Asked<'_, P>, keys: Option<FragmentKeys<'_>>) -> Vec<Arc<KeyName>> {
        let text = asked.source.text;
        let name = |key: Key| Arc::new(KeyName::new(&text[key.range()]));
        let found = &self.output.keys;
        match keys {
            Some(keys) => keys.iter().take(HOT_KEYS_OF_REQUEST).map(name).collect(),
            None if !found.is_empty() => {
                let found = found.iter().take(HOT_KEYS_OF_REQUEST);
                found.copied().map(name).collect()
            }
            None => {
                let (_, key) = self.protocol.describe(asked.request);
                key.into_iter().map(Key::of).map(name).collect()
            }
        }
    }

    /// Whether anything is to be noted of the requests that are answered now, and how long a slow one takes at least.
    pub(super) fn watch_replies(&self, connection: &Connection<P>) -> Option<Duration> {
        let limit = self.settings.slow_log;
        match limit.filter(|limit| connection.may_be_slow(*limit)) {
            // No request takes so long.
            None => connection.queue().has_samples().then_some(Duration::MAX),
            limit => limit,
        }
    }

    /// Logs and counts what was noted of the requests that were answered in one read.
    #[cold]
    pub(super) fn take_noted(&mut self, server: ServerId, noted: Noted) {
        if !noted.slow.is_empty() {
            self.log_slow(server, noted.slow);
        }
        self.count_replies(&noted.samples);
        self.log_answered(server, &noted.samples);
    }

    /// Logs the slow requests that were found among the replies of one read.
    fn log_slow(&mut self, server: ServerId, slow: Vec<Slow>) {
        self.counters
            .add(PoolMetric::SlowRequests, slow.len() as i64);
        let server: Box<str> = self.roster.server(server).name().into();
        let now = self.now;
        let log = self.plans.pool().slow_log();
        for slow in slow {
            log.add(SlowRequest {
                number: 0,
                at: now,
                waited: slow.written.since(slow.request.queued),
                served: now.since(slow.written),
                server: server.clone(),
                client: self.client_of(slow.request.session),
                what: slow.note,
                bytes: slow.request.bytes(),
            });
        }
    }
}
