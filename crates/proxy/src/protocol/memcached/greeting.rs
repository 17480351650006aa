//! What is sent first on a new connection to a server, and what follows from the replies.

use memcached_proto::encode;
use memcached_proto::response::{LineKind, ReplyKind};

use super::Memcached;
use super::client::MemcachedClient;
use crate::cause::Cause;
use crate::departure::Departure;
use crate::login::Login;
use crate::protocol::decision::Version;
use crate::protocol::greeting::{Greeting, HandshakeError, Step, StepKind, StepOutcome};
use crate::share::Endpoint;

impl Greeting for Memcached {
    /// Says who the proxy is, if that is known: what a server that runs with `-Y` takes first.
    fn handshake(_version: Version, _database: u32, endpoint: &Endpoint) -> Vec<Step> {
        endpoint.login().iter().map(log_in).collect()
    }

    fn probe() -> Step {
        Step {
            request: encode::VERSION.to_vec(),
            kind: StepKind::Probe,
        }
    }

    fn ttl_cap_test() -> Option<Step> {
        None
    }

    fn release_question(&self) -> Option<Step> {
        None
    }

    /// A server that refuses the login does nothing else for the proxy either: it counts as failing. Its own words are not told,
    /// as they might repeat the password.
    fn step_outcome(step: &Step, kind: ReplyKind, reply: &[u8]) -> StepOutcome {
        if step.kind != StepKind::Auth || kind == ReplyKind::Line(LineKind::Stored) {
            return StepOutcome::Passed;
        }
        let refused = Self::unsolicited_error(reply).unwrap_or_else(|| HandshakeError {
            cause: Cause::refusal(StepKind::Auth.name(), REFUSED),
            is_failure: true,
        });
        StepOutcome::Refused(refused)
    }

    /// The error of a memcached that has reached its limit of connections (`-c`).
    fn unsolicited_error(data: &[u8]) -> Option<HandshakeError> {
        const TOO_MANY: &str = "ERROR Too many open connections";
        data.starts_with(TOO_MANY.as_bytes())
            .then(|| HandshakeError {
                cause: Cause::refusal("the connection", TOO_MANY),
                is_failure: true,
            })
    }

    fn announce(&self, _client: &MemcachedClient, _departure: Departure, _out: &mut Vec<u8>) {}

    fn may_upgrade(&self) -> bool {
        false
    }

    fn upgraded(
        &self,
        _client: &mut MemcachedClient,
        _granted: Result<bool, Cause>,
        _out: &mut Vec<u8>,
    ) {
    }
}

/// What requests of clients are answered while a server refuses the login.
const REFUSED: &str = "SERVER_ERROR the server refused the name or the password of the pool";

/// A `set` of name and password. A server that wants none stores it: so its time has passed already, and it keeps nothing of it.
fn log_in(login: &Login) -> Step {
    let user = login.user.as_deref().unwrap_or_default();
    let length = user.len() + 1 + login.password.len();
    let line = format!("set {LOGIN_KEY} 0 -1 {length}\r\n");
    Step {
        request: [line.as_bytes(), user, b" ", &login.password, b"\r\n"].concat(),
        kind: StepKind::Auth,
    }
}

/// The key of that, which counts for nothing where a password is wanted.
const LOGIN_KEY: &str = "nuthatch:server_login";
