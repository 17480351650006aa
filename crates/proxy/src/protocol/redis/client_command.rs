//! The CLIENT command, as far as it concerns the client itself: what client libraries send when they connect.

use redis_proto::{Command, encode};

use super::client::{RedisClient, is_valid_name};
use super::request::{Request, shown};
use super::state::Redis;
use super::{client_list, waiting};
use crate::protocol::decision::{DecisionOutput, Route};

/// CLIENT with one of its subcommands.
pub(super) fn route(
    redis: &Redis,
    command: &'static Command,
    request: &Request<'_>,
    client: &mut RedisClient,
    output: &mut DecisionOutput,
) -> Route {
    let out = &mut output.reply;
    match command.sub_name() {
        "info" => return Route::Report,
        "list" => return client_list::route(request, out),
        "setname" => set_name(request, client, out),
        "getname" => match &client.name {
            Some(name) => encode::bulk(out, name),
            None => encode::null(out, client.version),
        },
        "id" => encode::integer(out, client.id as i64),
        "setinfo" => set_info(request, client, out),
        "reply" => client.replies.set(request.arg(2), out),
        "tracking" => client.tracking.set(request, out),
        "caching" => client.tracking.cache(request, out),
        "trackinginfo" => client.tracking.describe(client.version, out),
        "getredir" => encode::integer(out, client.tracking.redirection()),
        // A client says what it can do beyond; nothing here depends on it.
        "capa" => encode::simple(out, "OK"),
        "maint_notifications" => redis.maintenance(request, client, out),
        "no-evict" => switch(request, "with max_memory whoever holds most is closed", out),
        "no-touch" => switch(request, "clients share the connections to servers", out),
        "unblock" => return waiting::unblock(request, output),
        _ => {}
    }
    Route::Local
}

fn set_name(request: &Request<'_>, client: &mut RedisClient, out: &mut Vec<u8>) {
    if !is_valid_name(request.arg(2)) {
        let error = "ERR Client names cannot contain spaces, newlines or special characters.";
        return encode::error(out, error);
    }
    client.set_name(request.arg(2));
    encode::simple(out, "OK");
}

fn set_info(request: &Request<'_>, client: &mut RedisClient, out: &mut Vec<u8>) {
    let option = request.arg(2).to_ascii_lowercase();
    let kept = match option.as_slice() {
        b"lib-name" => &mut client.library.name,
        b"lib-ver" => &mut client.library.version,
        _ => {
            let option = shown(request.arg(2));
            return encode::error(out, &format!("ERR Unrecognized option '{option}'"));
        }
    };
    if !is_valid_name(request.arg(3)) {
        let option = String::from_utf8_lossy(&option);
        let error = format!("ERR {option} cannot contain spaces, newlines or special characters.");
        return encode::error(out, &error);
    }
    *kept = request.arg(3).into();
    encode::simple(out, "OK");
}

/// What is off, and cannot be switched on: `why` says the reason.
fn switch(request: &Request<'_>, why: &str, out: &mut Vec<u8>) {
    let word = request.arg(2);
    if word.eq_ignore_ascii_case(b"off") {
        encode::simple(out, "OK");
    } else if word.eq_ignore_ascii_case(b"on") {
        let sub = request.arg(1).to_ascii_lowercase();
        let sub = String::from_utf8_lossy(&sub);
        encode::error(
            out,
            &format!("ERR unsupported command 'client {sub} on': {why}"),
        );
    } else {
        encode::error(out, "ERR syntax error");
    }
}
