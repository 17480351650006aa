//! An embedded Redis server: strings with expiry, in RESP2 and RESP3.

use std::io;
use std::time::{Duration, Instant};

use redis_proto::encode::{self, Version};
use redis_proto::{Progress, RequestLimits, RequestParser};

use super::embedded::{Next, Output, SharedStore, Speaker, open};
use super::store::{Full, Item, MAX_VALUE, Store};

const LIMITS: RequestLimits = RequestLimits {
    max_args: 8192,
    max_bulk: MAX_VALUE as u64,
    max_inline: 64 << 10,
    // Arguments are gathered in place: none is longer than a value.
    divert: MAX_VALUE,
    max_request: 4 * MAX_VALUE as u64,
};

/// Why a command was not carried out: the text after `-`.
type Refusal = String;

/// One connection.
pub(super) struct RedisSpeaker {
    store: SharedStore,
    parser: RequestParser,
    version: Version,
    name: Vec<u8>,
}

impl RedisSpeaker {
    pub(super) fn new(store: SharedStore) -> RedisSpeaker {
        RedisSpeaker {
            store,
            parser: RequestParser::default(),
            version: Version::Resp2,
            name: Vec::new(),
        }
    }
}

impl Speaker for RedisSpeaker {
    fn answer(&mut self, input: &mut Vec<u8>, out: &mut Output) -> io::Result<Next> {
        let mut done = 0;
        let next = loop {
            match self.parser.parse(&LIMITS, &input[done..]) {
                Ok(Progress::Skip { len }) => done += len,
                Ok(Progress::Complete { len }) => {
                    let text = &input[done..];
                    let text = self.parser.inline().unwrap_or(text).to_vec();
                    let spans = self.parser.args().iter();
                    let args: Vec<&[u8]> = spans.filter_map(|arg| arg.bytes(&text)).collect();
                    done += len;
                    if self.command(&args, out)? == Next::Close {
                        break Next::Close;
                    }
                    out.spill()?;
                }
                // Nothing is diverted with these limits.
                Ok(Progress::Partial | Progress::Body { .. }) => break Next::Continue,
                Err(error) => {
                    encode::error(&mut out.bytes, &format!("ERR {error}"));
                    break Next::Close;
                }
            }
        };
        input.drain(..done);
        Ok(next)
    }
}

impl RedisSpeaker {
    /// Carries out one command. The name is always there; an argument is never diverted.
    fn command(&mut self, args: &[&[u8]], out: &mut Output) -> io::Result<Next> {
        let name = args[0].to_ascii_uppercase();
        let now = Instant::now();
        if let (b"MGET", keys @ [_, ..]) = (&*name, &args[1..]) {
            return self.mget(keys, now, out).map(|()| Next::Continue);
        }
        let version = self.version;
        let reply = &mut out.bytes;
        let outcome = match (&*name, &args[1..]) {
            (b"QUIT", _) => {
                encode::simple(reply, "OK");
                return Ok(Next::Close);
            }
            (b"HELLO", asked) => self.hello(asked, reply),
            (b"CLIENT", [what, rest @ ..]) => self.client(what, rest, reply),
            (b"RESET", []) => {
                self.version = Version::Resp2;
                self.name.clear();
                encode::simple(reply, "RESET");
                Ok(())
            }
            (name, rest) => match connection_command(name, rest, reply) {
                Some(outcome) => outcome,
                None => data_command(name, rest, &mut open(&self.store), now, version, reply)
                    .unwrap_or_else(|| Err(unknown(args))),
            },
        };
        if let Err(refusal) = outcome {
            encode::error(reply, &refusal);
        }
        Ok(Next::Continue)
    }

    /// The store is opened for each key anew, so that writing to a slow client keeps nobody waiting.
    fn mget(&self, keys: &[&[u8]], now: Instant, out: &mut Output) -> io::Result<()> {
        encode::array_header(&mut out.bytes, keys.len());
        for key in keys {
            let value = open(&self.store).get(key, now).map(|i| i.value.clone());
            value_or_null(&mut out.bytes, value.as_deref(), self.version);
            out.spill()?;
        }
        Ok(())
    }

    fn hello(&mut self, asked: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Refusal> {
        self.version = match asked.first().copied() {
            None => self.version,
            Some(b"2") => Version::Resp2,
            Some(b"3") => Version::Resp3,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
        };
        let mut rest = asked.get(1..).unwrap_or_default();
        while let [word, after @ ..] = rest {
            rest = match (&*word.to_ascii_uppercase(), after) {
                (b"AUTH", [_, _, after @ ..]) => after,
                (b"SETNAME", [name, after @ ..]) => {
                    self.name = name.to_vec();
                    after
                }
                _ => return Err("ERR Syntax error in HELLO".into()),
            };
        }
        encode::map_header(reply, 4, self.version);
        for (field, value) in [
            ("server", "redis"),
            ("version", "7.0.0"),
            ("mode", "standalone"),
        ] {
            encode::bulk(reply, field.as_bytes());
            encode::bulk(reply, value.as_bytes());
        }
        encode::bulk(reply, b"proto");
        encode::integer(reply, if self.version == Version::Resp3 { 3 } else { 2 });
        Ok(())
    }

    fn client(&mut self, what: &[u8], rest: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Refusal> {
        match (&*what.to_ascii_uppercase(), rest) {
            (b"SETNAME", [name]) => {
                self.name = name.to_vec();
                encode::simple(reply, "OK");
            }
            (b"SETINFO", [_, _]) => encode::simple(reply, "OK"),
            (b"GETNAME", []) if self.name.is_empty() => encode::null(reply, self.version),
            (b"GETNAME", []) => encode::bulk(reply, &self.name),
            (b"ID", []) => encode::integer(reply, 1),
            _ => return Err("ERR unknown subcommand of CLIENT".into()),
        }
        Ok(())
    }
}

/// Commands about the connection; `None` when it is none of them.
fn connection_command(
    name: &[u8],
    args: &[&[u8]],
    reply: &mut Vec<u8>,
) -> Option<Result<(), Refusal>> {
    match (name, args) {
        (b"PING", []) => encode::simple(reply, "PONG"),
        (b"PING" | b"ECHO", [text]) => encode::bulk(reply, text),
        (b"SELECT", [b"0"]) => encode::simple(reply, "OK"),
        (b"SELECT", [_]) => return Some(Err("ERR DB index is out of range".into())),
        (b"AUTH", [_] | [_, _]) => {
            let text = "ERR AUTH called without any password configured for the default user";
            return Some(Err(text.into()));
        }
        (b"COMMAND", _) => encode::array_header(reply, 0),
        (b"INFO", _) => {
            let text = "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n";
            encode::bulk(reply, text.as_bytes());
        }
        _ => return None,
    }
    Some(Ok(()))
}

/// Commands about data; `None` when the name or the number of arguments is none of theirs.
fn data_command(
    name: &[u8],
    args: &[&[u8]],
    store: &mut Store,
    now: Instant,
    version: Version,
    reply: &mut Vec<u8>,
) -> Option<Result<(), Refusal>> {
    match (name, args) {
        (b"GET", [key]) => {
            let value = store.get(key, now).map(|item| &*item.value);
            value_or_null(reply, value, version);
        }
        (b"GETDEL", [key]) => {
            let value = store.get(key, now).map(|item| &*item.value);
            value_or_null(reply, value, version);
            store.remove(key);
        }
        (b"SET", [key, value, options @ ..]) => {
            return Some(set(store, key, value, options, now, version, reply));
        }
        (b"SETNX", [key, value]) => {
            let absent = store.get(key, now).is_none();
            let stored = if absent {
                put(store, key, plain(value))
            } else {
                Ok(())
            };
            return Some(stored.map(|()| encode::integer(reply, i64::from(absent))));
        }
        (b"SETEX" | b"PSETEX", [key, time, value]) => {
            let unit = if name == b"SETEX" { b"EX" } else { b"PX" };
            return Some(set(store, key, value, &[unit, time], now, version, reply));
        }
        (b"MSET", [_, _, ..]) if args.len().is_multiple_of(2) => {
            let mut pairs = args.chunks_exact(2);
            let stored = pairs.try_for_each(|pair| put(store, pair[0], plain(pair[1])));
            return Some(stored.map(|()| encode::simple(reply, "OK")));
        }
        (b"APPEND", [key, more]) => return Some(append(store, key, more, now, reply)),
        (b"STRLEN", [key]) => {
            let length = store.get(key, now).map_or(0, |item| item.value.len());
            encode::integer(reply, length as i64);
        }
        (b"INCR", [key]) => return Some(add(store, key, Some(1), now, reply)),
        (b"DECR", [key]) => return Some(add(store, key, Some(-1), now, reply)),
        (b"INCRBY", [key, by]) => return Some(add(store, key, integer(by), now, reply)),
        (b"DECRBY", [key, by]) => {
            let by = integer(by).and_then(i64::checked_neg);
            return Some(add(store, key, by, now, reply));
        }
        _ => return key_command(name, args, store, now, reply),
    }
    Some(Ok(()))
}

/// Commands about keys whatever their value; `None` when it is none of them.
fn key_command(
    name: &[u8],
    args: &[&[u8]],
    store: &mut Store,
    now: Instant,
    reply: &mut Vec<u8>,
) -> Option<Result<(), Refusal>> {
    match (name, args) {
        (b"DEL" | b"UNLINK", [_, ..]) => {
            let removed = args.iter().filter(|key| {
                let there = store.get(key, now).is_some();
                store.remove(key) && there
            });
            encode::integer(reply, removed.count() as i64);
        }
        (b"EXISTS" | b"TOUCH", [_, ..]) => {
            let there = args.iter().filter(|key| store.get(key, now).is_some());
            encode::integer(reply, there.count() as i64);
        }
        (b"TYPE", [key]) => {
            let there = store.get(key, now).is_some();
            encode::simple(reply, if there { "string" } else { "none" });
        }
        (b"EXPIRE" | b"PEXPIRE", [key, time]) => {
            let Some(time) = integer(time) else {
                return Some(Err(not_an_integer()));
            };
            let expires = expiry(now, time, name == b"EXPIRE");
            let changed = match expires {
                // A time in the past removes the key.
                None => store.get(key, now).is_some() && store.remove(key),
                Some(_) => store.expire(key, expires, now),
            };
            encode::integer(reply, i64::from(changed));
        }
        (b"PERSIST", [key]) => {
            let had = store
                .get(key, now)
                .is_some_and(|item| item.expires.is_some());
            store.expire(key, None, now);
            encode::integer(reply, i64::from(had));
        }
        (b"TTL" | b"PTTL", [key]) => {
            let left = time_left(store.get(key, now), now, name == b"TTL");
            encode::integer(reply, left);
        }
        (b"DBSIZE", []) => encode::integer(reply, store.len() as i64),
        (b"FLUSHALL" | b"FLUSHDB", [] | [_]) => {
            store.clear();
            encode::simple(reply, "OK");
        }
        _ => return None,
    }
    Some(Ok(()))
}

/// SET with EX, PX, NX, XX, KEEPTTL and GET.
fn set(
    store: &mut Store,
    key: &[u8],
    value: &[u8],
    options: &[&[u8]],
    now: Instant,
    version: Version,
    reply: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let old = store.get(key, now).cloned();
    let (mut expires, mut allowed, mut get_old) = (None, true, false);
    let mut rest = options;
    while let [word, after @ ..] = rest {
        rest = match (&*word.to_ascii_uppercase(), after) {
            (unit @ (b"EX" | b"PX"), [time, after @ ..]) => {
                let time = integer(time).ok_or_else(not_an_integer)?;
                let end = expiry(now, time, unit == b"EX");
                expires = Some(end.ok_or("ERR invalid expire time in 'set' command")?);
                after
            }
            (b"NX", _) => {
                allowed &= old.is_none();
                after
            }
            (b"XX", _) => {
                allowed &= old.is_some();
                after
            }
            (b"KEEPTTL", _) => {
                expires = old.as_ref().and_then(|item| item.expires);
                after
            }
            (b"GET", _) => {
                get_old = true;
                after
            }
            _ => return Err("ERR syntax error".into()),
        };
    }
    if allowed {
        let item = Item {
            expires,
            ..plain(value)
        };
        put(store, key, item)?;
    }
    match (get_old, allowed) {
        (true, _) => value_or_null(reply, old.as_ref().map(|item| &*item.value), version),
        (false, true) => encode::simple(reply, "OK"),
        (false, false) => encode::null(reply, version),
    }
    Ok(())
}

fn append(
    store: &mut Store,
    key: &[u8],
    more: &[u8],
    now: Instant,
    reply: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut item = store.get(key, now).cloned().unwrap_or_default();
    item.value.extend_from_slice(more);
    let length = item.value.len();
    put(store, key, item)?;
    encode::integer(reply, length as i64);
    Ok(())
}

fn add(
    store: &mut Store,
    key: &[u8],
    by: Option<i64>,
    now: Instant,
    reply: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut item = store.get(key, now).cloned().unwrap_or(plain(b"0"));
    let value = integer(&item.value).ok_or_else(not_an_integer)?;
    let by = by.ok_or_else(not_an_integer)?;
    let Some(sum) = value.checked_add(by) else {
        return Err("ERR increment or decrement would overflow".into());
    };
    item.value = sum.to_string().into_bytes();
    put(store, key, item)?;
    encode::integer(reply, sum);
    Ok(())
}

fn put(store: &mut Store, key: &[u8], item: Item) -> Result<(), Refusal> {
    let full = "OOM command not allowed when used memory > 'maxmemory'.";
    store.put(key, item).map_err(|Full| full.into())
}

fn plain(value: &[u8]) -> Item {
    Item {
        value: value.to_vec(),
        ..Item::default()
    }
}

fn value_or_null(reply: &mut Vec<u8>, value: Option<&[u8]>, version: Version) {
    match value {
        Some(value) => encode::bulk(reply, value),
        None => encode::null(reply, version),
    }
}

fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn not_an_integer() -> Refusal {
    "ERR value is not an integer or out of range".into()
}

/// The end of a life of so many seconds or milliseconds; `None` when it is over already
/// or lasts beyond the clock.
fn expiry(now: Instant, time: i64, in_seconds: bool) -> Option<Instant> {
    let time = u64::try_from(time).ok().filter(|&time| time > 0)?;
    let life = match in_seconds {
        true => Duration::from_secs(time),
        false => Duration::from_millis(time),
    };
    now.checked_add(life)
}

/// -2 without a key, -1 without an end, else what is left, seconds rounded as Redis does.
fn time_left(item: Option<&Item>, now: Instant, in_seconds: bool) -> i64 {
    let Some(item) = item else { return -2 };
    let Some(end) = item.expires else { return -1 };
    let millis = end.saturating_duration_since(now).as_millis();
    let left = if in_seconds {
        (millis + 500) / 1000
    } else {
        millis
    };
    i64::try_from(left).unwrap_or(i64::MAX)
}

fn unknown(args: &[&[u8]]) -> Refusal {
    let name = args[0][..args[0].len().min(64)].escape_ascii();
    let count = args.len() - 1;
    format!("ERR unknown command '{name}' with {count} arguments (this is the demo's small server)")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server sends for `input`, and whether it closes then.
    fn answer_to(speaker: &mut RedisSpeaker, input: &[u8]) -> (String, Next) {
        let mut out = Output::new(io::sink());
        let mut input = input.to_vec();
        let next = speaker.answer(&mut input, &mut out).unwrap();
        (String::from_utf8(out.bytes).unwrap(), next)
    }

    /// A session of inline commands, each with its reply.
    fn session(rows: &[(&str, &str)]) {
        let mut speaker = RedisSpeaker::new(SharedStore::default());
        for (command, expected) in rows {
            let line = format!("{command}\r\n");
            let (reply, next) = answer_to(&mut speaker, line.as_bytes());
            assert_eq!((&*reply, next), (*expected, Next::Continue), "{command}");
        }
    }

    #[test]
    fn strings_and_numbers() {
        session(&[
            ("PING", "+PONG\r\n"),
            ("echo hi", "$2\r\nhi\r\n"),
            ("GET k", "$-1\r\n"),
            ("SET k v", "+OK\r\n"),
            ("GET k", "$1\r\nv\r\n"),
            ("APPEND k w", ":2\r\n"),
            ("STRLEN k", ":2\r\n"),
            ("MSET a 1 b 2", "+OK\r\n"),
            ("MGET a none b", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"),
            ("INCR a", ":2\r\n"),
            ("DECRBY a 5", ":-3\r\n"),
            ("INCR k", "-ERR value is not an integer or out of range\r\n"),
            ("SET n 9223372036854775807", "+OK\r\n"),
            ("INCR n", "-ERR increment or decrement would overflow\r\n"),
            (
                "DECRBY n -9223372036854775808",
                "-ERR value is not an integer or out of range\r\n",
            ),
            ("SETNX a 9", ":0\r\n"),
            ("EXISTS a b c", ":2\r\n"),
            ("TYPE a", "+string\r\n"),
            ("GETDEL a", "$2\r\n-3\r\n"),
            ("DEL a b k", ":2\r\n"),
            ("DBSIZE", ":1\r\n"),
            ("FLUSHALL", "+OK\r\n"),
            ("DBSIZE", ":0\r\n"),
        ]);
    }

    #[test]
    fn set_options_and_expiry() {
        session(&[
            ("SET k v EX 100", "+OK\r\n"),
            ("TTL k", ":100\r\n"),
            ("SET k w KEEPTTL", "+OK\r\n"),
            ("TTL k", ":100\r\n"),
            ("SET k x XX GET", "$1\r\nw\r\n"),
            ("TTL k", ":-1\r\n"),
            ("SET k y NX", "$-1\r\n"),
            (
                "SET k y EX 0",
                "-ERR invalid expire time in 'set' command\r\n",
            ),
            ("SET k y EX", "-ERR syntax error\r\n"),
            ("EXPIRE k 50", ":1\r\n"),
            ("PERSIST k", ":1\r\n"),
            ("PERSIST k", ":0\r\n"),
            ("EXPIRE k -1", ":1\r\n"),
            ("TTL k", ":-2\r\n"),
            ("EXPIRE k 9223372036854775807", ":0\r\n"),
            ("SETEX k 10 v", "+OK\r\n"),
            ("TTL k", ":10\r\n"),
        ]);
    }

    #[test]
    fn the_version_of_the_protocol_is_the_clients_choice() {
        let map = "%4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n\
                   $4\r\nmode\r\n$10\r\nstandalone\r\n$5\r\nproto\r\n:3\r\n";
        session(&[
            ("CLIENT GETNAME", "$-1\r\n"),
            ("HELLO 3 AUTH default x SETNAME me", map),
            ("GET none", "_\r\n"),
            ("CLIENT GETNAME", "$2\r\nme\r\n"),
            ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
            ("RESET", "+RESET\r\n"),
            ("GET none", "$-1\r\n"),
            ("SELECT 0", "+OK\r\n"),
            ("SELECT 1", "-ERR DB index is out of range\r\n"),
        ]);
    }

    #[test]
    fn what_it_does_not_know_is_said_and_what_it_cannot_read_ends_it() {
        let mut speaker = RedisSpeaker::new(SharedStore::default());
        let (reply, next) = answer_to(&mut speaker, b"LPUSH a b\r\nGET\r\n");
        assert!(
            reply.starts_with("-ERR unknown command 'LPUSH' with 2"),
            "{reply}"
        );
        assert_eq!((reply.lines().count(), next), (2, Next::Continue));
        let (reply, next) = answer_to(&mut speaker, b"*1\r\n!\r\n");
        assert!(reply.starts_with("-ERR Protocol error"), "{reply}");
        assert_eq!(next, Next::Close);
        let mut speaker = RedisSpeaker::new(SharedStore::default());
        let (reply, next) = answer_to(&mut speaker, b"QUIT\r\nPING\r\n");
        assert_eq!((&*reply, next), ("+OK\r\n", Next::Close));
    }

    #[test]
    fn requests_may_be_cut_anywhere_and_values_are_bounded() {
        let mut speaker = RedisSpeaker::new(SharedStore::default());
        let mut out = Output::new(io::sink());
        let mut input = Vec::new();
        for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
        {
            input.push(*byte);
            assert_eq!(
                speaker.answer(&mut input, &mut out).unwrap(),
                Next::Continue
            );
        }
        assert_eq!(out.bytes, b"+OK\r\n$4\r\na\r\nb\r\n");
        let (reply, next) = answer_to(&mut speaker, b"*2\r\n$3\r\nGET\r\n$1048577\r\n");
        assert!(reply.contains("invalid bulk length"), "{reply}");
        assert_eq!(next, Next::Close);
    }
}
