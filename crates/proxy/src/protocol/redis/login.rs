//! Clients that say who they are, in pools with users.

use std::sync::Arc;

use redis_proto::encode;

use super::auth::{WRONG_PASS, credentials};
use super::client::RedisClient;
use super::decision::request_of;
use super::request::Request;
use super::state::Redis;
use crate::protocol::authenticating::{Authenticating, Login};
use crate::protocol::decision::{self, DecisionOutput, Route};
use crate::users::{DEFAULT_USER, Users};

impl Authenticating for Redis {
    /// AUTH, and HELLO with AUTH. As in Redis, a wrong password changes nothing of who the client is.
    fn log_in(
        &self,
        asked: decision::Request<'_, Self>,
        client: &mut RedisClient,
        wait: Option<u64>,
        output: &mut DecisionOutput,
    ) -> (Login, Route) {
        let request = request_of(asked);
        let Some(users) = &self.users else {
            return (Login::Refused, Route::Local);
        };
        let hello = Redis::hello_login(&request).filter(|_| is_hello(&request));
        let (user, password) = match hello {
            Some((user, password)) => (Some(user), password),
            None => credentials(&request),
        };
        if user.is_none() && needs_no_password(users) {
            encode::error(&mut output.reply, NO_PASSWORD);
            return (Login::Refused, Route::Local);
        }
        if let Some(seconds) = wait {
            let error = format!(
                "ERR too many attempts to authenticate from this address have failed, the next is heard in {seconds} seconds"
            );
            encode::error(&mut output.reply, &error);
            return (Login::Refused, Route::Local);
        }
        let user = user.unwrap_or(DEFAULT_USER.as_bytes());
        let Some(user) = users.authenticate(user, password) else {
            output.reply.extend_from_slice(WRONG_PASS);
            return (Login::Failed, Route::Local);
        };
        client.enter(user);
        client.has_authenticated = true;
        let route = match hello {
            Some(_) => self.hello_behind_login(&request, client, output),
            None => {
                encode::simple(&mut output.reply, "OK");
                Route::Local
            }
        };
        (Login::Passed, route)
    }

    fn renew_user(&self, client: &mut RedisClient) -> bool {
        let Some(users) = &self.users else {
            // It has said who it is, or needed not to.
            let is_known = client.authenticated || self.settings.auth.is_none();
            client.leave();
            client.authenticated = is_known;
            return true;
        };
        let Some(last) = client.user.take() else {
            // It was there before the pool had users, and is no stranger.
            client.has_authenticated |= client.authenticated;
            self.begin(client);
            return true;
        };
        let Some(user) = users.find(last.name().as_bytes()) else {
            return false;
        };
        client.enter(user);
        let (old, new) = (last.permissions(), user.permissions());
        !client.subscriptions.is_any() || Arc::ptr_eq(&last, user) || new.has_channels_of(old)
    }
}

/// The words of redis-server 7.0.
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";

fn needs_no_password(users: &Users) -> bool {
    let user = users.find(DEFAULT_USER.as_bytes());
    user.is_some_and(|user| user.acl().nopass)
}

fn is_hello(request: &Request<'_>) -> bool {
    request.name().eq_ignore_ascii_case(b"hello")
}
