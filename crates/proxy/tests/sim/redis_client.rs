//! The requests of fake Redis clients, and their expected replies.

use std::cell::Cell;

use crate::clients::Client;
use crate::cross_shard::Beginning;
use crate::dependent;
use crate::expected::Expected;
use crate::keys::{self, Tag};
use crate::rng::Rng;
use crate::scenario::{Ending, Scenario};
use crate::waiting;

/// A request ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Composed {
    pub(crate) bytes: Vec<u8>,
    /// The expected reply; `None` for none.
    pub(crate) want: Option<Expected>,
    /// The proxy answers it itself.
    pub(crate) is_local: bool,
    /// It goes to a server, and its reply is dropped.
    pub(crate) is_quiet: bool,
}

/// The state of a client's connection.
#[derive(Debug, Default, Clone)]
pub(crate) struct State {
    /// Has sent the password, according to its requests so far.
    authenticated: bool,
    /// Has sent it at any time.
    pub(crate) has_authenticated: bool,
    name: Option<Vec<u8>>,
    /// Uses RESP3, according to the replies so far.
    pub(crate) version3: bool,
    /// A HELLO is in flight, so a second one might have an unpredictable result.
    hello_sent: bool,
    /// Decides which of its requests with keys of several servers are refused.
    beginning: Beginning,
    /// A script of its own was executed: it may be called by its digest from now on.
    pub(crate) has_evaluated: Cell<bool>,
}

impl State {
    /// A RESET was sent: the password is needed again, and names and reply settings are cleared. The protocol
    /// version changes with its reply.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            version3: self.version3,
            has_authenticated: self.has_authenticated,
            ..Self::default()
        };
    }
}

/// The next request.
pub(crate) fn compose(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let composed = any_request(client, scenario, tag);
    client.redis.beginning.note(&composed);
    dependent::mute(client, composed)
}

fn any_request(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    if let Some(password) = scenario.password
        && !client.redis.authenticated
    {
        return unauthenticated(client, password);
    }
    if client.plan.greedy {
        return greedy(client, scenario, tag);
    }
    if let Some(composed) = dependent::compose(client, scenario, tag) {
        return composed;
    }
    if let Some(composed) = waiting::compose(client, scenario, tag) {
        return composed;
    }
    match client.rng.weighted(&[30, 20, 14, 10, 4, 7, 6, 3, 4]) {
        0 => single(client, scenario, tag),
        1 => write(client, scenario, tag),
        2 => several(client, scenario, tag),
        3 => local(client, scenario),
        4 => hello(client, scenario),
        5 => refused(client),
        6 => inline(client, scenario, tag),
        7 => odd(client, scenario, tag),
        _ => together(client, scenario, tag),
    }
}

/// A client's final requests.
pub(crate) fn last_words(client: &mut Client, scenario: &Scenario) -> Composed {
    match client.plan.ending {
        Ending::Quit => {
            let quit: &[u8] = client
                .rng
                .pick(&[b"*1\r\n$4\r\nQUIT\r\n".as_slice(), b"quit\r\n"]);
            local_answer(quit.to_vec(), b"+OK\r\n")
        }
        Ending::Garbage => {
            let garbage = client.rng.pick(&[
                "*1\r\n$-5\r\nxx",
                "*abc\r\n*1\r\n$4\r\nPING\r\n",
                "*2\r\n$3\r\nGET\r\n:5\r\n",
                "*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n",
                "GET \"unbalanced\r\n",
            ]);
            let want = Expected::Line {
                begins: "-ERR Protocol error",
                mentions: String::new(),
            };
            Composed {
                bytes: garbage.into(),
                want: Some(want),
                is_local: true,
                ..Composed::default()
            }
        }
        Ending::CutShort | Ending::Stall => {
            let cut = client.rng.pick(&[
                "*2\r\n$3\r\nGET\r\n$10\r\nabc",
                "*",
                "PIN",
                "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$90000\r\nxyz",
            ]);
            // So much is refused at once without the password.
            let cut = match scenario.password.is_some() && !client.redis.authenticated {
                true => cut.replace("90000", "9000"),
                false => cut.to_owned(),
            };
            Composed {
                bytes: cut.into(),
                ..Composed::default()
            }
        }
        _ => Composed::default(),
    }
}

pub(crate) fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

pub(crate) fn local_answer(bytes: Vec<u8>, reply: &[u8]) -> Composed {
    Composed {
        bytes,
        want: Some(Expected::Exactly(reply.to_vec())),
        is_local: true,
        ..Composed::default()
    }
}

/// A name in upper, lower or mixed case.
fn spelled(rng: &mut Rng, name: &str) -> Vec<u8> {
    match rng.below(3) {
        0 => name.to_ascii_lowercase().into_bytes(),
        1 => name.into(),
        _ => name
            .bytes()
            .map(|byte| {
                if rng.chance(1, 2) {
                    byte.to_ascii_lowercase()
                } else {
                    byte
                }
            })
            .collect(),
    }
}

/// The salt of a key: the part that is hashed, if the pool has a hash tag.
pub(crate) fn salt(rng: &mut Rng, scenario: &Scenario) -> String {
    // Numbers far apart, because some hashes map close numbers to close values.
    let number = (rng.below(scenario.salts) as u32).wrapping_mul(0x9e37_79b9) >> 8;
    match (scenario.tagged, rng.chance(1, 40)) {
        (true, _) => format!("{{k{number}}}"),
        (false, true) => format!("k{number}-{}", "x".repeat(rng.between(0, 160))),
        (false, false) => format!("k{number}"),
    }
}

/// The size of a value: small, or large with the planned probability.
pub(crate) fn size(client: &mut Client) -> usize {
    let (of_hundred, most) = client.plan.large;
    if of_hundred > 0 && client.rng.chance(of_hundred, 100) {
        return client.rng.between(most / 2, most);
    }
    let most = client.rng.pick(&[0, 9, 100, 600]);
    client.rng.between(0, most)
}

fn key(client: &mut Client, scenario: &Scenario, tag: Tag, part: usize, mark: char) -> Vec<u8> {
    let size = match mark {
        'x' | 'z' => client.rng.below(9),
        _ => size(client),
    };
    let salt = salt(&mut client.rng, scenario);
    keys::key(&salt, tag, part, mark, size)
}

/// The only script, and its digest.
pub(crate) const SCRIPT: (&[u8], &[u8]) =
    (b"return 1", b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db");

/// The kind of a read: usually a plain bulk string, else any kind.
fn mark(rng: &mut Rng) -> char {
    rng.pick(&[
        'b', 'b', 'b', 'b', 'b', 'n', 'i', 's', 'e', 'o', 'l', 'a', 'm', 't', 'd', 'z',
    ])
}

fn keyed(verb: &'static str, bytes: Vec<u8>, key: Vec<u8>) -> Composed {
    Composed {
        bytes,
        want: Some(Expected::Keyed { verb, key }),
        is_local: false,
        ..Composed::default()
    }
}

pub(crate) fn single(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let mark = mark(&mut client.rng);
    let key = key(client, scenario, tag, 0, mark);
    let name = client.rng.pick(&[
        "GET", "HGETALL", "TTL", "SMEMBERS", "TYPE", "LRANGE", "EVAL", "EVALSHA", "OBJECT",
    ]);
    let name = match name {
        "EVALSHA" if !client.redis.has_evaluated.get() => "EVAL",
        name => name,
    };
    let name_bytes = spelled(&mut client.rng, name);
    let args: Vec<&[u8]> = match name {
        "LRANGE" => vec![&name_bytes, &key, b"0", b"-1"],
        "EVAL" => vec![&name_bytes, SCRIPT.0, b"1", &key, b"extra"],
        "EVALSHA" => vec![&name_bytes, SCRIPT.1, b"1", &key, b"extra"],
        "OBJECT" => vec![&name_bytes, b"encoding", &key],
        _ => vec![&name_bytes, &key],
    };
    keyed(name, command(&args), key.clone())
}

pub(crate) fn write(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let key = key(client, scenario, tag, 0, 'w');
    let value = keys::value(&key, keys::read(&key).map_or(0, |key| key.size));
    let name = client
        .rng
        .pick(&["SET", "SETEX", "APPEND", "LPUSH", "SETNX", "GETSET"]);
    let name_bytes = spelled(&mut client.rng, name);
    let args: Vec<&[u8]> = match name {
        "SETEX" => vec![&name_bytes, &key, b"10", &value],
        "SET" if scenario.gutter.is_some() => match client.rng.below(4) {
            0 => vec![&name_bytes, &key, &value, b"EX", b"5"],
            1 => vec![&name_bytes, &key, &value, b"EX", b"90000"],
            2 => vec![&name_bytes, &key, &value, b"KEEPTTL"],
            _ => vec![&name_bytes, &key, &value],
        },
        _ => vec![&name_bytes, &key, &value],
    };
    keyed(name, command(&args), key.clone())
}

/// Requests with one or several keys that are split by server.
pub(crate) fn several(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let count = client.rng.pick(&[1, 2, 2, 3, 5, 12]);
    let name = client
        .rng
        .pick(&["MGET", "MGET", "DEL", "UNLINK", "TOUCH", "EXISTS", "MSET"]);
    let usual: &[char] = match name {
        "MGET" => &['b', 'b', 'b', 'n'],
        "MSET" => &['w'],
        _ => &['x'],
    };
    let keys: Vec<Vec<u8>> = (0..count)
        .map(|part| {
            let mark = if client.rng.chance(1, 40) {
                'e'
            } else {
                client.rng.pick(usual)
            };
            key(client, scenario, tag, part, mark)
        })
        .collect();
    let values: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| keys::value(key, keys::read(key).map_or(0, |key| key.size)))
        .collect();
    let name_bytes = spelled(&mut client.rng, name);
    let mut args: Vec<&[u8]> = vec![&name_bytes];
    for (key, value) in keys.iter().zip(&values) {
        args.push(key);
        if name == "MSET" {
            args.push(value);
        }
    }
    let bytes = command(&args);
    let want = match name {
        "MGET" => Expected::Elements(keys),
        "MSET" => Expected::AllOk(keys),
        _ => Expected::Sum {
            reads: matches!(name, "EXISTS" | "TOUCH"),
            keys,
        },
    };
    Composed {
        bytes,
        want: Some(want),
        is_local: false,
        ..Composed::default()
    }
}

/// Commands with several keys that cannot be split.
pub(crate) fn together(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let name = client
        .rng
        .pick(&["SINTER", "PFCOUNT", "SDIFF", "SINTERCARD"]);
    let count = client.rng.between(1, 4);
    let keys: Vec<Vec<u8>> = (0..count)
        .map(|part| key(client, scenario, tag, part, 'b'))
        .collect();
    let number = count.to_string();
    let mut args: Vec<&[u8]> = vec![name.as_bytes()];
    if name == "SINTERCARD" {
        args.push(number.as_bytes());
    }
    args.extend(keys.iter().map(Vec::as_slice));
    let bytes = command(&args);
    Composed {
        bytes,
        want: Some(Expected::Together {
            verb: name,
            keys,
            // nutcracker does not know SINTERCARD.
            refuses: name == "SINTERCARD" || client.redis.beginning.refuses(scenario.cross_shard),
        }),
        is_local: false,
        ..Composed::default()
    }
}

fn local(client: &mut Client, scenario: &Scenario) -> Composed {
    match client.rng.below(7) {
        0 => local_answer(command(&[b"PING"]), b"+PONG\r\n"),
        1 => local_answer(command(&[b"ping", b"hello"]), b"$5\r\nhello\r\n"),
        2 => local_answer(command(&[b"ECHO", b""]), b"$0\r\n\r\n"),
        3 => local_answer(command(&[b"SELECT", b"0"]), b"+OK\r\n"),
        4 => {
            let name = format!("name{}", client.rng.below(1_000)).into_bytes();
            let bytes = command(&[b"CLIENT", b"SETNAME", &name]);
            client.redis.name = Some(name);
            local_answer(bytes, b"+OK\r\n")
        }
        5 => match &client.redis.name {
            Some(name) => local_answer(
                command(&[b"CLIENT", b"GETNAME"]),
                &crate::redis_server::bulk(name),
            ),
            None => local_answer(
                command(&[b"CLIENT", b"SETINFO", b"LIB-NAME", b"sim"]),
                b"+OK\r\n",
            ),
        },
        _ => authenticate(client, scenario),
    }
}

fn authenticate(client: &mut Client, scenario: &Scenario) -> Composed {
    match scenario.password {
        None => local_answer(
            command(&[b"AUTH", b"x"]),
            b"-ERR Client sent AUTH, but no password is set\r\n",
        ),
        Some(password) if client.rng.chance(1, 2) => {
            local_answer(command(&[b"AUTH", password.as_bytes()]), b"+OK\r\n")
        }
        Some(_) => {
            client.redis.authenticated = false;
            local_answer(command(&[b"AUTH", b"wrong"]), b"-ERR invalid password\r\n")
        }
    }
}

/// Before the password was sent: nothing is served, and the connection stays usable.
fn unauthenticated(client: &mut Client, password: &str) -> Composed {
    match client.rng.below(6) {
        0 => local_answer(
            command(&[b"GET", b"k"]),
            b"-NOAUTH Authentication required\r\n",
        ),
        1 => local_answer(
            command(&[b"MGET", b"k", b"l"]),
            b"-NOAUTH Authentication required\r\n",
        ),
        2 => local_answer(command(&[b"AUTH", b""]), b"-ERR invalid password\r\n"),
        _ => {
            client.redis.authenticated = true;
            client.redis.has_authenticated = true;
            local_answer(command(&[b"AUTH", password.as_bytes()]), b"+OK\r\n")
        }
    }
}

fn hello(client: &mut Client, scenario: &Scenario) -> Composed {
    if client.redis.hello_sent && client.rng.chance(1, 2) {
        return local_answer(
            command(&[b"HELLO", b"4"]),
            b"-NOPROTO unsupported protocol version\r\n",
        );
    }
    client.redis.hello_sent = true;
    let version: &[u8] = client.rng.pick(&[b"3".as_slice(), b"3", b"3", b"2"]);
    let bytes = match scenario.password {
        Some(password) => command(&[b"HELLO", version, b"AUTH", b"default", password.as_bytes()]),
        None => command(&[b"hello", version, b"setname", b"sim"]),
    };
    if scenario.password.is_none() {
        // Whether the name was set depends on whether the version was granted.
        client.redis.name = None;
    }
    Composed {
        bytes,
        want: Some(Expected::Hello {
            version3: version == b"3",
        }),
        is_local: false,
        ..Composed::default()
    }
}

/// Requests that are refused: each gets an error that names the command.
fn refused(client: &mut Client) -> Composed {
    let line = client.rng.pick(&[
        "WATCH",
        "PFSELFTEST",
        "MONITOR",
        "FROBNICATE a b",
        "GET",
        "MSET a",
        "SET",
        "CLIENT KILL x",
    ]);
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let mentions = line.split(' ').next().unwrap_or_default();
    let want = Expected::Line {
        begins: "-ERR ",
        mentions: mentions.into(),
    };
    Composed {
        bytes: command(&args),
        want: Some(want),
        is_local: true,
        ..Composed::default()
    }
}

fn inline(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let key = key(client, scenario, tag, 0, 'b');
    let line = match client.rng.below(5) {
        0 => [b"GET ", &key[..], b"\r\n"].concat(),
        1 => [b"get  \"", &key[..], b"\"\n"].concat(),
        2 => [b"\r\n\r\n GET '", &key[..], b"' \r\n\r\n"].concat(),
        3 => return local_answer(b"\r\nPING\r\n".to_vec(), b"+PONG\r\n"),
        _ => return local_answer(b"*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n".to_vec(), b"+PONG\r\n"),
    };
    keyed("GET", line, key)
}

pub(crate) fn odd(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    match client.rng.below(3) {
        0 => Composed {
            bytes: command(&[b"LOLWUT"]),
            want: Some(Expected::Placeholder),
            is_local: false,
            ..Composed::default()
        },
        1 if scenario.allow_flush => Composed {
            bytes: command(&[b"FLUSHALL"]),
            want: Some(Expected::Everywhere),
            is_local: false,
            ..Composed::default()
        },
        1 => {
            let want = Expected::Line {
                begins: "-ERR ",
                mentions: "allow_flush".into(),
            };
            Composed {
                bytes: command(&[b"FLUSHALL"]),
                want: Some(want),
                is_local: true,
                ..Composed::default()
            }
        }
        _ => {
            // The same key twice in one request.
            let key = key(client, scenario, tag, 0, 'b');
            Composed {
                bytes: command(&[b"MGET", &key, &key]),
                want: Some(Expected::Elements(vec![key.clone(), key])),
                is_local: false,
                ..Composed::default()
            }
        }
    }
}

/// Plain reads in sequence, of the planned size.
fn greedy(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let key = key(client, scenario, tag, 0, 'b');
    keyed("GET", command(&[b"GET", &key]), key.clone())
}
