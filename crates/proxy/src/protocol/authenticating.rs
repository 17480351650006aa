//! Clients that say who they are, in pools with users.

use super::decision::{Decider, DecisionOutput, Request, Route};

/// What came of an attempt to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// The client is the user that it has named.
    Passed,
    /// Name or password is wrong.
    Failed,
    /// It was refused whatever the password is.
    Refused,
}

/// How a client says who it is.
pub(crate) trait Authenticating: Decider {
    /// Carries out a request for which [`Route::Login`] was decided, and returns how it goes on. An attempt of a client whose
    /// address has to wait for so many seconds is refused.
    fn log_in(
        &self,
        request: Request<'_, Self>,
        client: &mut Self::Client,
        wait: Option<u64>,
        out: &mut DecisionOutput,
    ) -> (Login, Route);

    /// The users may be others from now on. Returns false if the client must be closed, as its user is gone or has lost
    /// channels that the client is subscribed to.
    fn renew_user(&self, client: &mut Self::Client) -> bool;
}
