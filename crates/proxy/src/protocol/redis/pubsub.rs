//! Publish and subscribe.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use redis_proto::command::{Channels, Command, PubSub};
use redis_proto::response::{ReplyKind, ReplyScanner, Scan};
use redis_proto::{Version, encode};

use super::client::RedisClient;
use super::parts::{numbers, put_number};
use super::refusal::refuse_key;
use super::request::{ARGUMENT_TOO_LONG, Request};
use super::state::Redis;
use crate::limits::MAX_CHANNELS;
use crate::protocol::channel::{Change, ChannelKind, Counts};
use crate::protocol::decision::{DecisionOutput, JoinKind, Route};
use crate::protocol::report::WorkerView;
use crate::protocol::subscribing::{Notice, Subscribing};

/// The words of requests, confirmations and messages of each kind.
const WORDS: [[&str; 3]; 3] = [
    ["subscribe", "unsubscribe", "message"],
    ["psubscribe", "punsubscribe", "pmessage"],
    ["ssubscribe", "sunsubscribe", "smessage"],
];

/// The route of a command about channels. A channel is where its name would be if it was a key.
pub(super) fn route(
    command: &'static Command,
    asked: PubSub,
    request: &Request<'_>,
    output: &mut DecisionOutput,
) -> Route {
    if request.args.len() > MAX_CHANNELS + 2 {
        Redis::too_many_subscriptions(&mut output.reply);
        return Route::Local;
    }
    let (change, kind) = match asked {
        PubSub::Publish => {
            return match request.key(1) {
                Some(channel) => Route::Key(channel.range()),
                None => refuse_key(command, output),
            };
        }
        PubSub::Names => {
            let join = JoinKind::Concat;
            return Route::Broadcast { join };
        }
        PubSub::Subscribers(_) | PubSub::Patterns => {
            if request.lacks_an_argument() {
                encode::error(&mut output.reply, ARGUMENT_TOO_LONG);
                return Route::Local;
            }
            return Route::Workers;
        }
        PubSub::Subscribe(channels) => (Change::Subscribe, kind_of(channels)),
        PubSub::Unsubscribe(channels) => (Change::Unsubscribe, kind_of(channels)),
    };
    // A barrier: what is confirmed depends on all that came before, and where messages begin is to be seen.
    if !request.is_idle {
        return Route::WhenIdle;
    }
    let names = (1..request.args.len()).map_while(|index| request.key(index));
    output.keys.extend(names);
    if output.keys.len() + 1 < request.args.len() {
        return refuse_key(command, output);
    }
    Route::Subscription { change, kind }
}

fn kind_of(channels: Channels) -> ChannelKind {
    match channels {
        Channels::Plain => ChannelKind::Plain,
        Channels::Pattern => ChannelKind::Pattern,
        Channels::Shard => ChannelKind::Shard,
    }
}

/// What a worker knows for PUBSUB NUMSUB and SHARDNUMSUB (how many of its clients are subscribed to each channel) and NUMPAT
/// (a digest of each pattern that they are subscribed to: other workers' clients may be subscribed to the same one).
pub(super) fn part(
    asked: PubSub,
    request: &Request<'_>,
    worker: &WorkerView<'_, RedisClient>,
    out: &mut Vec<u8>,
) {
    let PubSub::Subscribers(channels) = asked else {
        return (worker.channels)(ChannelKind::Pattern, &mut |name| {
            put_number(digest(name), out);
        });
    };
    for index in 2..request.args.len() {
        let count = (worker.subscribers)(kind_of(channels), request.arg(index));
        put_number(count as u64, out);
    }
}

/// The same for all workers.
pub(super) fn joined(asked: PubSub, request: &Request<'_>, parts: &[Vec<u8>], out: &mut Vec<u8>) {
    let PubSub::Subscribers(_) = asked else {
        let patterns: HashSet<u64> = parts.iter().flat_map(|part| numbers(part)).collect();
        return encode::integer(out, patterns.len() as i64);
    };
    let names = 2..request.args.len();
    encode::array_header(out, 2 * names.len());
    for index in names {
        encode::bulk(out, request.arg(index));
        let counts = parts.iter().filter_map(|part| numbers(part).nth(index - 2));
        encode::integer(out, counts.sum::<u64>() as i64);
    }
}

/// In 64 bits, so that no two of a million are alike, most likely.
fn digest(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}

/// PING of a client that speaks RESP2 and is subscribed: it gets an array, as all that it gets then.
pub(super) fn pong(request: &Request<'_>, out: &mut Vec<u8>) {
    encode::array_header(out, 2);
    encode::bulk(out, b"pong");
    encode::bulk(out, request.arg(1));
}

impl Subscribing for Redis {
    fn ask_for(change: Change, kind: ChannelKind, name: &[u8], out: &mut Vec<u8>) {
        let word = WORDS[kind.index()][change as usize];
        encode::command(out, &[word.to_ascii_uppercase().as_bytes(), name]);
    }

    fn ask_for_life(out: &mut Vec<u8>) {
        encode::command(out, &[b"PING"]);
    }

    fn notice(start: &[u8]) -> Option<Notice<'_>> {
        match start {
            [b'-', ..] => return Some(Notice::Refused),
            b"+PONG\r\n" => return Some(Notice::Alive),
            _ => {}
        }
        let (word, rest) = bulk_of(after_header(start)?)?;
        if word == b"pong" {
            return Some(Notice::Alive);
        }
        let is = |known: &str| word == known.as_bytes();
        let kind = |words: &[&str; 3]| words.iter().position(|known| is(known));
        let mut found = ChannelKind::ALL.into_iter();
        let (kind, place) = found.find_map(|it| Some((it, kind(&WORDS[it.index()])?)))?;
        let (name, _) = bulk_of(rest)?;
        Some(match place {
            0 => Notice::Confirmed {
                change: Change::Subscribe,
                kind,
                name,
            },
            1 => Notice::Confirmed {
                change: Change::Unsubscribe,
                kind,
                name,
            },
            _ => Notice::Message { kind, name },
        })
    }

    fn confirm(
        client: &RedisClient,
        change: Change,
        kind: ChannelKind,
        name: Option<&[u8]>,
        count: usize,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(match client.version {
            Version::Resp2 => b"*3\r\n",
            Version::Resp3 => b">3\r\n",
        });
        encode::bulk(out, WORDS[kind.index()][change as usize].as_bytes());
        match name {
            Some(name) => encode::bulk(out, name),
            None => encode::null(out, client.version),
        }
        encode::integer(out, count as i64);
    }

    fn too_many_subscriptions(out: &mut Vec<u8>) {
        encode::error(
            out,
            "ERR too many subscriptions: the proxy has no more for one request or client, or for all of them",
        );
    }

    fn message_start(client: &RedisClient) -> Option<u8> {
        (client.version == Version::Resp3).then_some(b'>')
    }

    fn note_subscriptions(client: &mut RedisClient, counts: Counts) {
        client.set_subscriptions(counts);
    }
}

/// What is behind the header of an array.
fn after_header(frame: &[u8]) -> Option<&[u8]> {
    let end = frame.iter().position(|byte| *byte == b'\n')?;
    frame.starts_with(b"*").then(|| &frame[end + 1..])
}

/// The bulk string at the beginning, and what is behind it.
fn bulk_of(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let Ok(Scan::Complete {
        len,
        kind: ReplyKind::Bulk,
    }) = ReplyScanner::default().scan(text)
    else {
        return None;
    };
    let start = text.iter().position(|byte| *byte == b'\n')? + 1;
    Some((&text[start..len - 2], &text[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_servers_are_told_apart() {
        let confirmed = |change, kind, name| Notice::Confirmed { change, kind, name };
        let (plain, pattern, shard) =
            (ChannelKind::Plain, ChannelKind::Pattern, ChannelKind::Shard);
        for (frame, expected) in [
            (
                "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
                confirmed(Change::Subscribe, plain, b"a"),
            ),
            (
                "*3\r\n$12\r\npunsubscribe\r\n$2\r\na*\r\n:0\r\n",
                confirmed(Change::Unsubscribe, pattern, b"a*"),
            ),
            (
                "*3\r\n$8\r\nsmessage\r\n$0\r\n\r\n$2\r\nhi\r\n",
                Notice::Message {
                    kind: shard,
                    name: b"",
                },
            ),
            (
                "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$500\r\nthe beginning",
                Notice::Message {
                    kind: pattern,
                    name: b"*",
                },
            ),
            ("+PONG\r\n", Notice::Alive),
            ("*2\r\n$4\r\npong\r\n$0\r\n\r\n", Notice::Alive),
            ("-NOPERM no\r\n", Notice::Refused),
        ] {
            assert_eq!(Redis::notice(frame.as_bytes()), Some(expected), "{frame}");
        }
        for odd in [
            "+OK\r\n",
            "*0\r\n",
            ":1\r\n",
            "*1\r\n$3\r\nfoo\r\n",
            "*-1\r\n",
        ] {
            assert_eq!(Redis::notice(odd.as_bytes()), None, "{odd}");
        }
    }
}
