//! Commands that wait for other clients, and CLIENT UNBLOCK.

use redis_proto::{Command, encode};

use super::client::RedisClient;
use super::request::Request;
use super::state::Redis;
use crate::protocol::decision::{DecisionOutput, JoinKind, Route};
use crate::protocol::greeting::{Step, StepKind};
use crate::protocol::waiting::{Taken, Takes, Waiting};

/// Those whose reply begins with the key that its elements are from.
const NAME_THEIR_KEY: [&str; 6] = ["blmpop", "blpop", "brpop", "bzmpop", "bzpopmax", "bzpopmin"];

/// Those that move elements of their first key.
const MOVE: [&str; 4] = ["blmove", "blmovem", "brpoplpush", "bzmove"];

impl Waiting for Redis {
    fn number_question() -> Option<Step> {
        let mut request = Vec::new();
        encode::command(&mut request, &[b"CLIENT", b"ID"]);
        Some(Step {
            request,
            kind: StepKind::Number,
        })
    }

    fn takes(command: Self::Command) -> Takes {
        let is_in = |names: &[&str]| command.is_some_and(|command| names.contains(&command.name));
        match () {
            () if is_in(&NAME_THEIR_KEY) => Takes::FromNamed,
            () if is_in(&MOVE) => Takes::FromFirst,
            () => Takes::Nothing,
        }
    }

    fn taken(takes: Takes, reply: &[u8]) -> Taken<'_> {
        let is_null = [&b"*-1"[..], b"$-1", b"_", b"*0"];
        let holds = matches!(reply, [b'*' | b'$', ..]);
        if !holds || is_null.iter().any(|null| reply.starts_with(null)) {
            return Taken::Nothing;
        }
        match takes {
            Takes::Nothing => Taken::Nothing,
            Takes::FromFirst => Taken::FromFirst,
            Takes::FromNamed => Taken::From(named(reply).unwrap_or_default()),
        }
    }

    /// As Redis says when a server becomes a replica.
    fn ended_wait(out: &mut Vec<u8>) {
        encode::error(
            out,
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        );
    }

    fn end_wait(number: u64, with_error: bool, out: &mut Vec<u8>) {
        let number = number.to_string();
        let how: &[u8] = if with_error { b"ERROR" } else { b"TIMEOUT" };
        encode::command(out, &[b"CLIENT", b"UNBLOCK", number.as_bytes(), how]);
    }

    fn had_no_wait(reply: &[u8]) -> bool {
        reply == b":0\r\n"
    }

    fn number_of(client: &RedisClient) -> u64 {
        client.id
    }
}

/// The first element of an array, as far as it has arrived.
fn named(reply: &[u8]) -> Option<&[u8]> {
    let mut lines = reply.splitn(3, |byte| *byte == b'\n');
    let (_array, len, key) = (lines.next()?, lines.next()?, lines.next()?);
    let len = len.strip_prefix(b"$")?.strip_suffix(b"\r")?;
    let len: usize = std::str::from_utf8(len).ok()?.parse().ok()?;
    Some(&key[..len.min(key.len())])
}

/// WAIT and WAITAOF. They are barriers, as everything before them must be written. Where nothing was, the reply is that of
/// a server without replicas.
pub(super) fn acknowledged(
    command: &'static Command,
    request: &Request<'_>,
    output: &mut DecisionOutput,
) -> Route {
    if !request.is_idle {
        return Route::WhenIdle;
    }
    let number = |index| {
        let text = std::str::from_utf8(request.arg(index)).ok()?;
        text.parse::<i64>().ok()
    };
    let (counts, last) = (1..request.args.len() - 1, request.args.len() - 1);
    let error = match number(last) {
        _ if !counts.clone().all(|index| number(index).is_some()) => {
            Some("value is not an integer or out of range")
        }
        None => Some("timeout is not an integer or out of range"),
        Some(..0) => Some("timeout is negative"),
        Some(_) => None,
    };
    if let Some(error) = error {
        encode::error(&mut output.reply, &format!("ERR {error}"));
        return Route::Local;
    }
    let join = match command.name {
        "wait" => JoinKind::Least,
        _ => {
            encode::array_header(&mut output.reply, 2);
            encode::integer(&mut output.reply, 0);
            JoinKind::LeastOfEach
        }
    };
    encode::integer(&mut output.reply, 0);
    Route::Acknowledged { join }
}

/// CLIENT UNBLOCK.
pub(super) fn unblock(request: &Request<'_>, output: &mut DecisionOutput) -> Route {
    match read_unblock(request) {
        // No client has it.
        Ok((0, _)) => encode::integer(&mut output.reply, 0),
        Ok((client, with_error)) => {
            encode::integer(&mut output.reply, 0);
            return Route::Unblock { client, with_error };
        }
        Err(error) => encode::error(&mut output.reply, error),
    }
    Route::Local
}

/// The number of the client whose wait is to end, 0 if it is none that there can be, and whether it ends with an error.
pub(super) fn read_unblock(request: &Request<'_>) -> Result<(u64, bool), &'static str> {
    let number = std::str::from_utf8(request.arg(2)).ok();
    let number = number.and_then(|number| number.parse::<i64>().ok());
    let number = number.ok_or("ERR value is not an integer or out of range")?;
    let how = request.arg(3).to_ascii_lowercase();
    let with_error = match (request.args.len(), how.as_slice()) {
        (3, _) | (_, b"timeout") => false,
        (_, b"error") => true,
        _ => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
    };
    Ok((u64::try_from(number).unwrap_or(0), with_error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reply_has_taken_is_told_by_its_beginning() {
        let named = |reply: &'static [u8]| Redis::taken(Takes::FromNamed, reply);
        assert_eq!(
            named(b"*2\r\n$1\r\nq\r\n$5\r\nvalue\r\n"),
            Taken::From(b"q")
        );
        assert_eq!(named(b"*2\r\n$5\r\nab\ncd\r\n"), Taken::From(b"ab\ncd"));
        assert_eq!(named(b"*2\r\n$9\r\nabc"), Taken::From(b"abc"));
        assert_eq!(named(b"*2\r\n"), Taken::From(b""));
        for nothing in ["*-1\r\n", "_\r\n", "-UNBLOCKED\r\n", "$-1\r\n", ""] {
            assert_eq!(named(nothing.as_bytes()), Taken::Nothing, "{nothing}");
        }
        let first = |reply: &'static [u8]| Redis::taken(Takes::FromFirst, reply);
        assert_eq!(first(b"$1\r\nx\r\n"), Taken::FromFirst);
        assert_eq!(first(b"$-1\r\n"), Taken::Nothing);
        assert_eq!(Redis::taken(Takes::Nothing, b"*1\r\n"), Taken::Nothing);
    }
}
