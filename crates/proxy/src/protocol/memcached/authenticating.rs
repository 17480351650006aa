//! Clients that say who they are.

use super::Memcached;
use crate::protocol::authenticating::{Authenticating, Login};
use crate::protocol::decision::{DecisionOutput, Request, Route};

impl Authenticating for Memcached {
    /// Never used: no such request is decided.
    fn log_in(
        &self,
        _request: Request<'_, Self>,
        _client: &mut (),
        _wait: Option<u64>,
        _out: &mut DecisionOutput,
    ) -> (Login, Route) {
        (Login::Refused, Route::Local)
    }

    fn renew_user(&self, _client: &mut ()) -> bool {
        true
    }
}
