//! The password that clients give.

use redis_proto::encode;

use super::client::RedisClient;
use super::request::Request;
use super::state::Redis;

impl Redis {
    pub(super) fn auth(&self, request: &Request<'_>, client: &mut RedisClient, out: &mut Vec<u8>) {
        let (user, password) = match request.args.len() {
            2 => (None, request.arg(1)),
            _ => (Some(request.arg(1)), request.arg(2)),
        };
        match self.authenticate(client, user, password) {
            Ok(()) => encode::simple(out, "OK"),
            Err(error) => out.extend_from_slice(error),
        }
    }

    /// Checks a password. A wrong one takes away what an earlier one gave, as in nutcracker 0.5.0, whose
    /// words these are where no user is named.
    pub(super) fn authenticate(
        &self,
        client: &mut RedisClient,
        user: Option<&[u8]>,
        password: &[u8],
    ) -> Result<(), &'static [u8]> {
        let Some(expected) = &self.settings.auth else {
            return match user {
                None => Err(b"-ERR Client sent AUTH, but no password is set\r\n"),
                // The default user of a server without password has none: any will do.
                Some(b"default") => Ok(()),
                Some(_) => Err(WRONG_PASS),
            };
        };
        client.authenticated =
            user.is_none_or(|user| user == b"default") && equal(expected, password);
        match (client.authenticated, user) {
            (true, _) => Ok(()),
            (false, None) => Err(b"-ERR invalid password\r\n"),
            (false, Some(_)) => Err(WRONG_PASS),
        }
    }
}

const WRONG_PASS: &[u8] = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";

/// Takes the same time wherever the first difference is.
fn equal(expected: &[u8], given: &[u8]) -> bool {
    let differences = expected
        .iter()
        .zip(given)
        .fold(0, |found, (a, b)| found | (a ^ b));
    expected.len() == given.len() && differences == 0
}
