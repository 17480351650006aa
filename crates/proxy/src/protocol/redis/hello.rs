//! HELLO: the client's protocol version, its password and its name in one.

use redis_proto::{Version, encode};

use super::client::{RedisClient, is_valid_name};
use super::request::{Request, shown};
use super::state::{Redis, release};
use crate::cause::Cause;
use crate::protocol::decision::{Decider, DecisionOutput, Route};
use crate::protocol::grammar::Grammar;

/// What a HELLO asks for, checked.
#[derive(Default)]
struct Wish<'a> {
    version: Option<Version>,
    auth: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl Redis {
    pub(super) fn hello(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        let wish = match read(request) {
            Ok(wish) => wish,
            Err(error) => {
                encode::error(&mut output.reply, &error);
                return Route::Local;
            }
        };
        let version = wish.version.unwrap_or(client.version);
        if version != client.version && !request.is_idle {
            return Route::WhenIdle;
        }
        if wish.auth.is_some() && self.users.is_some() {
            return Route::Login;
        }
        if let Some((user, password)) = wish.auth
            && let Err(error) = self.authenticate(client, Some(user), password)
        {
            output.reply.extend_from_slice(error);
            return Route::Local;
        }
        if self.must_authenticate(client) {
            output.reply.extend_from_slice(NOT_YET);
            return Route::Local;
        }
        self.grant(&wish, client, output)
    }

    /// What a HELLO gives to say who its client is.
    pub(super) fn hello_login<'a>(request: &Request<'a>) -> Option<(&'a [u8], &'a [u8])> {
        read(request).ok()?.auth
    }

    /// The rest of a HELLO, when its client has said who it is.
    pub(super) fn hello_behind_login(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        match read(request) {
            Ok(wish) => self.grant(&wish, client, output),
            Err(_) => Route::Local,
        }
    }

    fn grant(
        &self,
        wish: &Wish<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        let version = wish.version.unwrap_or(client.version);
        client.next_name = wish.name.map(Box::from);
        if version == Version::Resp3 && client.version == Version::Resp2 {
            return Route::Upgrade;
        }
        client.set_version(version);
        self.greet(client, &mut output.reply);
        Route::Local
    }

    /// The servers have been asked whether they speak RESP3.
    pub(super) fn answer_upgrade(
        &self,
        client: &mut RedisClient,
        granted: Result<bool, Cause>,
        out: &mut Vec<u8>,
    ) {
        match granted {
            Ok(true) => {
                client.set_version(Version::Resp3);
                self.greet(client, out);
            }
            Ok(false) => encode::error(out, "NOPROTO unsupported protocol version"),
            Err(cause) => Redis::error_line(out, &cause, None),
        }
    }

    /// The reply to a HELLO that was granted, in the version it granted.
    fn greet(&self, client: &mut RedisClient, out: &mut Vec<u8>) {
        if let Some(name) = client.next_name.take() {
            client.set_name(&name);
        }
        let version = client.version;
        let release = release(&self.plan).to_string();
        encode::map_header(out, 7, version);
        for (name, value) in [("server", "redis"), ("version", release.as_str())] {
            encode::bulk(out, name.as_bytes());
            encode::bulk(out, value.as_bytes());
        }
        encode::bulk(out, b"proto");
        encode::integer(out, if version == Version::Resp3 { 3 } else { 2 });
        encode::bulk(out, b"id");
        encode::integer(out, client.id as i64);
        for (name, value) in [("mode", "standalone"), ("role", "master")] {
            encode::bulk(out, name.as_bytes());
            encode::bulk(out, value.as_bytes());
        }
        encode::bulk(out, b"modules");
        encode::array_header(out, 0);
    }
}

/// The words of redis-server 7.0.
const NOT_YET: &[u8] = b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n";

fn read<'a>(request: &Request<'a>) -> Result<Wish<'a>, String> {
    let mut wish = Wish::default();
    if request.args.len() == 1 {
        return Ok(wish);
    }
    wish.version = Some(match request.arg(1) {
        b"2" => Version::Resp2,
        b"3" => Version::Resp3,
        other if !other.is_empty() && other.iter().all(u8::is_ascii_digit) => {
            return Err("NOPROTO unsupported protocol version".into());
        }
        _ => return Err("ERR Protocol version is not an integer or out of range".into()),
    });
    let mut next = 2;
    while next < request.args.len() {
        let left = request.args.len() - next - 1;
        let option = request.arg(next);
        if option.eq_ignore_ascii_case(b"auth") && left >= 2 {
            wish.auth = Some((request.arg(next + 1), request.arg(next + 2)));
            next += 3;
        } else if option.eq_ignore_ascii_case(b"setname") && left >= 1 {
            wish.name = Some(request.arg(next + 1));
            next += 2;
        } else {
            return Err(format!(
                "ERR Syntax error in HELLO option '{}'",
                shown(option)
            ));
        }
    }
    match wish.name {
        Some(name) if !is_valid_name(name) => {
            Err("ERR Client names cannot contain spaces, newlines or special characters.".into())
        }
        _ => Ok(wish),
    }
}
