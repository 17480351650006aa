//! CLIENT KILL: which clients are closed.

use std::collections::HashSet;

use redis_proto::encode;

use super::client::RedisClient;
use super::client_list::Around;
use super::parts::{numbers, put_number};
use super::request::{ARGUMENT_TOO_LONG, Request, shown};
use super::state::Redis;
use crate::protocol::decision::{DecisionOutput, Route};
use crate::protocol::report::{ClientView, WorkerView};
use crate::time::Time;

/// What a client must be like.
#[derive(Debug, Default)]
struct Filter<'r> {
    id: Option<u64>,
    addr: Option<&'r [u8]>,
    laddr: Option<&'r [u8]>,
    /// Who it is.
    user: Option<&'r [u8]>,
    /// Whether it is subscribed to anything.
    is_subscriber: Option<bool>,
    /// For so many seconds it is connected at least.
    age: Option<u64>,
    /// No client is of the type that is asked for.
    is_nobody: bool,
    /// Whether the client that asks is left out.
    skips_me: bool,
    /// It is named by its address alone.
    is_old_form: bool,
}

/// Decides what becomes of CLIENT KILL, which is checked here.
pub(super) fn route(redis: &Redis, request: &Request<'_>, output: &mut DecisionOutput) -> Route {
    match Filter::read(request) {
        Ok(Filter {
            user: Some(user), ..
        }) if !redis.has_user(user) => {
            let error = format!("ERR No such user '{}'", shown(user));
            encode::error(&mut output.reply, &error);
            Route::Local
        }
        Ok(_) if request.lacks_an_argument() => {
            encode::error(&mut output.reply, ARGUMENT_TOO_LONG);
            Route::Local
        }
        Ok(_) => Route::Workers,
        Err(error) => {
            encode::error(&mut output.reply, &error);
            Route::Local
        }
    }
}

/// The numbers of a worker's clients that are to be closed; how many there are is written. The client that asks has the
/// number `asker`.
pub(super) fn victims(
    request: &Request<'_>,
    asker: u64,
    worker: &mut WorkerView<'_, RedisClient>,
    out: &mut Vec<u8>,
) -> HashSet<u64> {
    let around = Around::new(worker.now, worker.share);
    let Ok(filter) = Filter::read(request) else {
        return HashSet::new();
    };
    let mut found = HashSet::new();
    let now = worker.now;
    for view in &mut *worker.clients {
        if filter.is_met_by(&view, asker, now, &around) {
            found.insert(view.client.id);
            if filter.is_old_form {
                break;
            }
        }
    }
    put_number(found.len() as u64, out);
    found
}

/// The reply, where the workers have closed so many clients.
pub(super) fn joined(request: &Request<'_>, parts: &[Vec<u8>], out: &mut Vec<u8>) {
    let closed: u64 = parts.iter().flat_map(|part| numbers(part)).sum();
    match (request.args.len(), closed) {
        (3, 0) => encode::error(out, "ERR No such client"),
        (3, _) => encode::simple(out, "OK"),
        (_, closed) => encode::integer(out, closed as i64),
    }
}

impl<'r> Filter<'r> {
    fn read(request: &Request<'r>) -> Result<Self, String> {
        if request.args.len() == 3 {
            return Ok(Self {
                addr: Some(request.arg(2)),
                is_old_form: true,
                ..Self::default()
            });
        }
        let mut filter = Self {
            skips_me: true,
            ..Self::default()
        };
        if !request.args.len().is_multiple_of(2) {
            return Err("ERR syntax error".into());
        }
        for index in (2..request.args.len()).step_by(2) {
            filter.add(request.arg(index), request.arg(index + 1))?;
        }
        Ok(filter)
    }

    fn add(&mut self, option: &[u8], value: &'r [u8]) -> Result<(), String> {
        let number = || {
            let text = std::str::from_utf8(value).ok()?;
            text.parse::<u64>().ok().filter(|number| *number > 0)
        };
        let word = value.to_ascii_lowercase();
        match option.to_ascii_lowercase().as_slice() {
            b"id" => {
                let id = number().ok_or("ERR client-id should be greater than 0")?;
                self.id = Some(id);
            }
            b"maxage" => {
                let age = number().ok_or("ERR maxage is not an integer or out of range")?;
                self.age = Some(age);
            }
            b"addr" => self.addr = Some(value),
            b"laddr" => self.laddr = Some(value),
            b"user" => self.user = Some(value),
            b"type" => match word.as_slice() {
                b"normal" => self.is_subscriber = Some(false),
                b"pubsub" => self.is_subscriber = Some(true),
                b"master" | b"replica" | b"slave" => self.is_nobody = true,
                _ => return Err(format!("ERR Unknown client type '{}'", shown(value))),
            },
            b"skipme" => match word.as_slice() {
                b"yes" => self.skips_me = true,
                b"no" => self.skips_me = false,
                _ => return Err("ERR syntax error".into()),
            },
            _ => return Err("ERR syntax error".into()),
        }
        Ok(())
    }

    fn is_met_by(
        &self,
        view: &ClientView<'_, RedisClient>,
        asker: u64,
        now: Time,
        around: &Around,
    ) -> bool {
        let client = view.client;
        let (addr, laddr) = around.addresses(view);
        let is = |wanted: Option<&[u8]>, has: &str| wanted.is_none_or(|it| it == has.as_bytes());
        let age = now.since(client.connected).as_secs();
        let is_asking = client.id == asker;
        let is_left_out = self.is_nobody || (self.skips_me && is_asking);
        !is_left_out
            && self.id.is_none_or(|id| id == client.id)
            && self.age.is_none_or(|least| age >= least)
            && (self.is_subscriber).is_none_or(|are| client.subscriptions.is_any() == are)
            && is(self.addr, &addr)
            && is(self.laddr, &laddr)
            && is(self.user, client.user_name())
    }
}
