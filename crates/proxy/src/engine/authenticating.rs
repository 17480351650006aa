//! Clients that say who they are, in pools with users.

use super::sending::Asked;
use super::state::Engine;
use crate::event::{Event, UserEvent};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::authenticating::Login;
use crate::protocol::decision::Route;

impl<P: Protocol> Engine<P> {
    /// Carries out a request that says who its client is, and returns how it goes on. What has failed before from the same
    /// address counts.
    #[cold]
    pub(super) fn log_in(&mut self, asked: &Asked<'_, P>) -> Route {
        let Some(session) = self.clients.get_mut(asked.id) else {
            return Route::Local;
        };
        let wait = self.failed_logins.must_wait(session.name(), self.now);
        let client = session.client_mut();
        let (login, route) = self
            .protocol
            .log_in(asked.request, client, wait, &mut self.output);
        match login {
            Login::Failed => {
                self.failed_logins.note(session.name(), self.now);
                self.counters.add(PoolMetric::LoginFailures, 1);
                self.output.event = Some(Event::User(UserEvent::LoginFailed));
            }
            Login::Refused if wait.is_some() => {
                self.counters.add(PoolMetric::LoginsRefused, 1);
                self.output.event = Some(Event::User(UserEvent::LoginRefused));
            }
            Login::Refused | Login::Passed => {}
        }
        route
    }
}
