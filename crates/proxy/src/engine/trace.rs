//! What is logged because of a client, and what is logged at the levels above the default: connections, handshakes, plans, each request, and each read and
//! write. None of it is made unless the level asks for it. A request pays nothing for that, as the level is looked at
//! together with the number of the plan ([`Plans::are_quiet`](crate::routes::plans::Plans::are_quiet)).

use super::state::Engine;
use crate::event::{Event, Level, Trace};
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::limits::LOGGED_KEY;
use crate::protocol::Protocol;
use crate::protocol::decision::Request;

impl<P: Protocol> Engine<P> {
    /// Something has happened because of a client.
    #[track_caller]
    pub(super) fn log_of(&mut self, id: SessionId, event: Event) {
        let clients = &self.clients;
        let name = || clients.get(id).map(|session| session.name().into());
        self.outbox.log_of(event, name);
    }

    /// The log has this level from now on.
    pub(super) fn follow_log_level(&mut self, level: u8) {
        self.outbox.set_log_level(level);
        self.watch_requests();
    }

    /// Has each request looked at one by one if they are logged or guarded, or may have to wait.
    pub(super) fn watch_requests(&mut self) {
        let is_guarded = !self.guardrails.is_empty();
        let is_logged = self.outbox.logs(Level::Requests);
        let is_paused = self.pause.is_some();
        let has_order = self.settings.keep_order_of_reads();
        self.plans
            .watch_requests(is_guarded || is_logged || is_paused || has_order);
    }

    /// Logs an event about a server, if events of its level are logged.
    #[track_caller]
    pub(super) fn trace_server(
        &mut self,
        level: Level,
        server: ServerId,
        trace: impl FnOnce(String) -> Trace,
    ) {
        if self.outbox.logs(level) {
            let server = self.roster.server(server).name().to_owned();
            self.outbox.log(Event::Trace(trace(server)));
        }
    }

    /// Logs that bytes were read from or written to a client.
    #[cold]
    pub(super) fn trace_session(&mut self, id: SessionId, what: &'static str, bytes: usize) {
        let trace = Trace::Moved {
            what,
            bytes,
            server: None,
        };
        self.log_of(id, Event::Trace(trace));
    }

    /// The same for a server connection.
    #[cold]
    pub(super) fn trace_connection(&mut self, id: ConnectionId, what: &'static str, bytes: usize) {
        if let Some(connection) = self.roster.get(id) {
            let server = self.roster.server(connection.server()).name().to_owned();
            self.outbox.log(Event::Trace(Trace::Moved {
                what,
                bytes,
                server: Some(server),
            }));
        }
    }

    /// Logs a request of a client, if requests are logged. Of its arguments only its first key is shown, and only at a
    /// level that asks for keys. Health must be current, as for any route.
    pub(super) fn log_request(&mut self, id: SessionId, request: Request<'_, P>) {
        if !self.outbox.logs(Level::Requests) {
            return;
        }
        let shows_keys = self.outbox.logs(Level::Keys);
        let (command, key) = self.protocol.describe(request);
        let key = key.map(|range| &request.text[range]);
        // With a random distribution, asking for the server would change where later requests go.
        let server = match key {
            Some(key) if !self.routes.is_random() => self.routes.route(key).server(),
            _ => None,
        };
        let trace = Trace::Requested {
            command: shortened(command),
            len: request.text.len(),
            key: key.map(|key| (key.len(), shows_keys.then(|| shortened(key)))),
            server: server.map(|server| self.roster.server(server).name().to_owned()),
        };
        self.log_of(id, Event::Trace(trace));
    }
}

/// A word, escaped and shortened.
fn shortened(word: &[u8]) -> String {
    let start = &word[..word.len().min(LOGGED_KEY)];
    let mut text = start.escape_ascii().to_string();
    if start.len() < word.len() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_and_odd_ones_escaped() {
        assert_eq!(shortened(b"a\r\n'"), "a\\r\\n\\'");
        let long = [b'x'; LOGGED_KEY + 1];
        assert_eq!(shortened(&long).len(), LOGGED_KEY + 3);
        assert_eq!(shortened(&long[1..]).len(), LOGGED_KEY);
    }
}
