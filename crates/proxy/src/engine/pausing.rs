//! A pause of the pool's clients: in each worker, requests are put back and wait until it is over. The other workers have
//! begun it when the client that asks for it is answered. Likewise requests wait for their client's reads at replicas.

use super::sending::Asked;
use super::state::Engine;
use crate::clients::holds::Hold;
use crate::protocol::Protocol;
use crate::protocol::report::Pause;

impl<P: Protocol> Engine<P> {
    /// Begins a pause, in place of one that there may be, or ends it.
    pub(super) fn set_pause(&mut self, pause: Option<Pause>) {
        self.end_pause();
        self.pause = pause;
        self.watch_requests();
    }

    /// Whether the request must wait; its session is held back then.
    pub(super) fn must_pause(&mut self, asked: &Asked<'_, P>) -> bool {
        let Some(pause) = self.pause else {
            return false;
        };
        if pause.until <= self.now {
            self.end_pause();
            return false;
        }
        let Some(session) = self.clients.get_mut(asked.id) else {
            return false;
        };
        let waits =
            self.protocol
                .waits_for_pause(asked.request, session.client(), pause.writes_only);
        if waits {
            session.hold(Hold::Paused);
        }
        waits
    }

    /// Whether a request has to wait until its client's reads at replicas are answered.
    pub(super) fn must_await_reads(&mut self, asked: &Asked<'_, P>) -> bool {
        if !self.settings.keep_order_of_reads() {
            return false;
        }
        let Some(session) = self.clients.get_mut(asked.id) else {
            return false;
        };
        let waits = session.has_replica_reads() && !self.protocol.is_pure_read(asked.request);
        if waits {
            session.hold(Hold::UntilIdle);
        }
        waits
    }

    /// Ends the pause if its time is over.
    pub(super) fn end_due_pause(&mut self) {
        if self.pause.is_some_and(|pause| pause.until <= self.now) {
            self.end_pause();
        }
    }

    /// Ends the pause, if there is one: the sessions that wait may go on.
    fn end_pause(&mut self) {
        if self.pause.take().is_some() {
            self.watch_requests();
            self.clients.end_pause();
        }
    }
}
