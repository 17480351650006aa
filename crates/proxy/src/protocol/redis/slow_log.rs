//! SLOWLOG and COMMANDLOG, in the shapes of Redis and Valkey.

use redis_proto::{Command, encode};

use super::client::RedisClient;
use super::request::Request;
use crate::protocol::report::PoolView;
use crate::slow_log::SlowRequest;

/// How many SLOWLOG GET shows if it is not told.
const SHOWN: usize = 10;

/// The kinds of COMMANDLOG. Only slow requests are logged here.
const KINDS: [&[u8]; 3] = [b"slow", b"large-request", b"large-reply"];

/// SLOWLOG with one of its subcommands, or COMMANDLOG.
pub(super) fn answer(
    command: &Command,
    request: &Request<'_>,
    pool: &PoolView<'_, RedisClient>,
    out: &mut Vec<u8>,
) {
    let is_short = command.name.starts_with("slowlog");
    let kind = match is_short {
        true => KINDS[0].to_vec(),
        false => request.arg(request.args.len() - 1).to_ascii_lowercase(),
    };
    if !KINDS.contains(&kind.as_slice()) {
        return encode::error(
            out,
            "ERR type should be one of the following: slow, large-request, large-reply",
        );
    }
    let log = pool.share.slow_log();
    let is_kept = kind == KINDS[0];
    match command.sub_name() {
        "len" => encode::integer(out, if is_kept { log.count() as i64 } else { 0 }),
        "reset" => {
            if is_kept {
                log.clear();
            }
            encode::simple(out, "OK");
        }
        _ => {
            let has_count = !is_short || request.args.len() == 3;
            let Some(count) = count(request, has_count) else {
                return encode::error(out, "ERR count should be greater than or equal to -1");
            };
            let latest = if is_kept {
                log.latest(count)
            } else {
                Vec::new()
            };
            encode::array_header(out, latest.len());
            let epoch = pool.share.process().epoch_micros;
            latest.iter().for_each(|slow| write(slow, epoch, out));
        }
    }
}

/// How many are asked for.
fn count(request: &Request<'_>, has_count: bool) -> Option<usize> {
    if !has_count {
        return Some(SHOWN);
    }
    let text = std::str::from_utf8(request.arg(2)).ok()?;
    match text.parse::<i64>().ok()? {
        -1 => Some(usize::MAX),
        count => usize::try_from(count).ok(),
    }
}

fn write(slow: &SlowRequest, epoch_micros: u64, out: &mut Vec<u8>) {
    encode::array_header(out, 6);
    encode::integer(out, slow.number as i64);
    encode::integer(
        out,
        ((epoch_micros + slow.at.as_micros()) / 1_000_000) as i64,
    );
    let took = slow.waited + slow.served;
    encode::integer(out, i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    let (command, key) = (slow.what.command(), slow.what.key());
    encode::array_header(out, 1 + usize::from(!key.is_empty()));
    encode::bulk(out, command);
    if !key.is_empty() {
        let mut shown = key.to_vec();
        if slow.what.left_out() > 0 {
            // As Redis tells it.
            shown
                .extend_from_slice(format!("... ({} more bytes)", slow.what.left_out()).as_bytes());
        }
        encode::bulk(out, &shown);
    }
    encode::bulk(out, slow.client.0.as_bytes());
    encode::bulk(out, &slow.client.1);
}
