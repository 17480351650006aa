//! The end of the process, announced and prepared: clients go before the listeners and workers do.

use std::time::Duration;

use super::state::Engine;
use crate::departure::Departure;
use crate::flow::buffer::Chunk;
use crate::id::SessionId;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// Tells the clients that want to know that the proxy is about to leave; returns how many were told.
    pub(crate) fn announce(&mut self, departure: Departure, now: Time) -> usize {
        self.now = now;
        let mut told = 0;
        let all: Vec<SessionId> = self.clients.iter().map(|(id, _)| id).collect();
        let mut line = Vec::new();
        for id in all {
            let Some(session) = self.clients.get(id) else {
                continue;
            };
            line.clear();
            self.protocol
                .announce(session.client(), departure, &mut line);
            if !line.is_empty() {
                told += 1;
                let chunk = Chunk::from(line.as_slice());
                let outbox = &mut self.outbox;
                self.clients.push(id, &chunk, 0..line.len(), now, outbox);
            }
        }
        self.run_ready();
        told
    }

    /// Closes the clients of now within a time, one after the other, each between two requests.
    pub(crate) fn begin_leaving(&mut self, now: Time, within: Duration) {
        self.now = now;
        self.clients.begin_leaving(now, within);
        self.clients.leave_due(now, &mut self.outbox);
        self.run_ready();
    }
}
