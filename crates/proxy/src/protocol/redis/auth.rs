//! AUTH: who clients are.

use redis_proto::command::{Action as CommandAction, Command, LocalCommand};
use redis_proto::encode;

use super::client::RedisClient;
use super::request::Request;
use super::state::Redis;
use crate::protocol::decision::Route;
use crate::users::DEFAULT_USER;

impl Redis {
    /// Makes a client what it is before it has said who it is.
    pub(super) fn begin(&self, client: &mut RedisClient) {
        if let Some(users) = &self.users {
            match users.at_first() {
                Some(user) => client.enter(user),
                None => client.leave(),
            }
        }
    }

    /// Whether there is a user of that name.
    pub(super) fn has_user(&self, name: &[u8]) -> bool {
        match &self.users {
            Some(users) => users.find(name).is_some(),
            None => name == DEFAULT_USER.as_bytes(),
        }
    }

    pub(super) fn auth(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        out: &mut Vec<u8>,
    ) -> Route {
        if self.users.is_some() {
            return Route::Login;
        }
        let (user, password) = credentials(request);
        match self.authenticate(client, user, password) {
            Ok(()) => encode::simple(out, "OK"),
            Err(error) => out.extend_from_slice(error),
        }
        Route::Local
    }

    /// Checks a password, in a pool without users. A wrong one ends the authentication by an earlier one, as in nutcracker
    /// 0.5.0; so are the texts of errors if no user is named. The others are those of Redis.
    pub(super) fn authenticate(
        &self,
        client: &mut RedisClient,
        user: Option<&[u8]>,
        password: &[u8],
    ) -> Result<(), &'static [u8]> {
        let Some(expected) = &self.settings.auth else {
            return match user {
                None => Err(b"-ERR Client sent AUTH, but no password is set\r\n"),
                // As with a Redis server without a password: the default user may give any.
                Some(b"default") => Ok(()),
                Some(_) => Err(WRONG_PASS),
            };
        };
        client.authenticated =
            user.is_none_or(|user| user == b"default") && equal(expected, password);
        client.has_authenticated |= client.authenticated;
        match (client.authenticated, user) {
            (true, _) => Ok(()),
            (false, None) => Err(b"-ERR invalid password\r\n"),
            (false, Some(_)) => Err(WRONG_PASS),
        }
    }
}

pub(super) const WRONG_PASS: &[u8] =
    b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";

/// The user and the password of an AUTH.
pub(super) fn credentials<'a>(request: &Request<'a>) -> (Option<&'a [u8]>, &'a [u8]) {
    match request.args.len() {
        2 => (None, request.arg(1)),
        _ => (Some(request.arg(1)), request.arg(2)),
    }
}

/// Compares in a time that does not depend on where the first difference is, so that a password cannot be guessed
/// byte by byte.
fn equal(expected: &[u8], given: &[u8]) -> bool {
    let differences = expected
        .iter()
        .zip(given)
        .fold(0, |found, (a, b)| found | (a ^ b));
    expected.len() == given.len() && differences == 0
}

/// Whether a client may send the command before it has given the password.
pub(super) fn may_precede_auth(command: &Command) -> bool {
    use LocalCommand::{Auth, Hello, Quit, Reset};
    matches!(
        command.action,
        CommandAction::Local(Auth | Hello | Quit | Reset)
    )
}
