//! The CLIENT command.

use redis_proto::{Version, encode};

use super::client::{RedisClient, is_valid_name};
use super::request::{Request, shown};
use crate::protocol::decision::{DecisionOutput, Route};

/// CLIENT: what today's client libraries send when they connect.
pub(super) fn route(
    request: &Request<'_>,
    client: &mut RedisClient,
    output: &mut DecisionOutput,
) -> Route {
    let sub = request.arg(1).to_ascii_lowercase();
    let out = &mut output.reply;
    match (sub.as_slice(), request.args.len()) {
        (b"setname", 3) => match is_valid_name(request.arg(2)) {
            true => {
                client.set_name(request.arg(2));
                encode::simple(out, "OK");
            }
            false => encode::error(
                out,
                "ERR Client names cannot contain spaces, newlines or special characters.",
            ),
        },
        (b"getname", 2) => match &client.name {
            Some(name) => encode::bulk(out, name),
            None => encode::null(out, client.version),
        },
        (b"id", 2) => encode::integer(out, client.id as i64),
        (b"setinfo", 4) => set_info(request, out),
        (b"info", 2) => info(client, out),
        (b"reply", 3) => client.replies.set(request.arg(2), out),
        (b"setname" | b"getname" | b"id" | b"setinfo" | b"info" | b"reply", _) => {
            let sub = String::from_utf8_lossy(&sub);
            encode::error(
                out,
                &format!("ERR wrong number of arguments for 'client|{sub}' command"),
            );
        }
        _ => encode::error(
            out,
            &format!(
                "ERR unsupported command 'client {}': connections to the servers are shared",
                shown(request.arg(1))
            ),
        ),
    }
    Route::Local
}

fn set_info(request: &Request<'_>, out: &mut Vec<u8>) {
    let option = request.arg(2).to_ascii_lowercase();
    let known = matches!(option.as_slice(), b"lib-name" | b"lib-ver");
    let clean = request
        .arg(3)
        .iter()
        .all(|byte| (b'!'..=b'~').contains(byte));
    match (known, clean) {
        (true, true) => encode::simple(out, "OK"),
        (true, false) => {
            let option = String::from_utf8_lossy(&option).into_owned();
            encode::error(
                out,
                &format!("ERR {option} cannot contain spaces, newlines or special characters."),
            );
        }
        (false, _) => encode::error(
            out,
            &format!("ERR Unrecognized option '{}'", shown(request.arg(2))),
        ),
    }
}

fn info(client: &RedisClient, out: &mut Vec<u8>) {
    let resp = match client.version {
        Version::Resp2 => 2,
        Version::Resp3 => 3,
    };
    let name = client
        .name
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    encode::bulk(
        out,
        format!("id={} name={name} db=0 resp={resp}\n", client.id).as_bytes(),
    );
}
