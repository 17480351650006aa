//! Clients that say who they are, in pools with users: as before a memcached that runs with `-Y`.

use memcached_proto::encode;
use memcached_proto::login::{self, Found};

use super::Memcached;
use super::client::MemcachedClient;
use crate::protocol::authenticating::{Authenticating, Login};
use crate::protocol::decision::{DecisionOutput, Request, Route};

impl Authenticating for Memcached {
    /// A `set` with name and password. Once it was right there is no other: a further one is a `set` as any.
    fn log_in(
        &self,
        request: Request<'_, Self>,
        client: &mut MemcachedClient,
        wait: Option<u64>,
        out: &mut DecisionOutput,
    ) -> (Login, Route) {
        let (Some(users), Ok(Found::Attempt { login, .. })) =
            (&self.users, login::read(request.text))
        else {
            return (Login::Refused, Route::Local);
        };
        if let Some(seconds) = wait {
            let error = format!(
                "too many attempts to authenticate from this address have failed, the next is heard in {seconds} seconds"
            );
            encode::client_error(&mut out.reply, &error);
            return (Login::Refused, Route::Local);
        }
        let login = match login {
            Ok(login) => login,
            Err(bad) => {
                encode::client_error(&mut out.reply, bad.text());
                return (Login::Refused, Route::Local);
            }
        };
        let Some(user) = users.authenticate(login.user, login.password) else {
            encode::client_error(&mut out.reply, "authentication failure");
            return (Login::Failed, Route::Local);
        };
        client.enter(user);
        out.reply.extend_from_slice(b"STORED\r\n");
        (Login::Passed, Route::Local)
    }

    fn renew_user(&self, client: &mut MemcachedClient) -> bool {
        let Some(users) = &self.users else {
            client.forget();
            return true;
        };
        let last = client.member().and_then(|member| member.user.clone());
        match last {
            None => {
                let user = users.at_first();
                match client.is_nobody() {
                    // It still has to say who it is, unless nobody has to now.
                    true => user.into_iter().for_each(|user| client.enter(user)),
                    false => client.begin_late(user),
                }
                true
            }
            Some(last) => match users.find(last.name().as_bytes()) {
                Some(user) => {
                    client.enter(user);
                    true
                }
                None => false,
            },
        }
    }
}
