//! The requests of clients, and their bytes.

use nuthatch_bench::faults::{Owner, push_head, push_key, push_value};
use nuthatch_bench::load::Protocol;

use crate::model::{Kills, TOKEN_LEN};

/// What a request asks for. Where a read has a `bound`, that is the latest write that was sent before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Set {
        key: u16,
        seq: u32,
    },
    /// The same without a reply.
    SetQuietly {
        key: u16,
        seq: u32,
    },
    /// Reads these keys with their bounds; one of them alone with GET.
    Get {
        keys: Vec<(u16, u32)>,
    },
    /// MSET of Redis.
    SetMany {
        writes: Vec<(u16, u32)>,
    },
    /// One key with memcached.
    Delete {
        keys: Vec<u16>,
    },
    /// LLEN of a string, which Redis refuses.
    WrongType {
        key: u16,
    },
    Increment {
        key: u16,
        bound: u64,
    },
    ReadCounter {
        key: u16,
        bound: u64,
    },
    /// Creates a counter of memcached that does not exist.
    AddCounter {
        key: u16,
    },
    Append {
        key: u16,
        token: u32,
    },
    /// Replaces everything by one token.
    Restart {
        key: u16,
        token: u32,
    },
    ReadJournal {
        key: u16,
        bound: u32,
    },
    /// PING with a text, which the proxy answers; VERSION with memcached.
    Ping {
        text: u32,
    },
    /// A command that does not exist.
    Unknown {
        text: u32,
    },
    Auth,
    /// A change to this version of RESP.
    Hello {
        version: u8,
    },
    Quit,
}

/// A request that waits for its reply.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) ask: Ask,
    /// When it was sent.
    pub(crate) sent: Kills,
}

/// The password of pools that have one.
pub(crate) const PASSWORD: &str = "secret";

impl Ask {
    /// Whether there is no reply to it.
    pub(crate) fn is_quiet(&self, protocol: Protocol) -> bool {
        match self {
            Ask::SetQuietly { .. } => true,
            Ask::Quit => protocol == Protocol::Memcached,
            _ => false,
        }
    }

    /// Its kind, for the summary.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Ask::Set { .. } => "set",
            Ask::SetQuietly { .. } => "set without reply",
            Ask::Get { keys } if keys.len() > 1 => "multi-get",
            Ask::Get { .. } => "get",
            Ask::SetMany { .. } => "mset",
            Ask::Delete { .. } => "delete",
            Ask::WrongType { .. } => "wrong type",
            Ask::Increment { .. } | Ask::AddCounter { .. } => "increment",
            Ask::ReadCounter { .. } => "read of a counter",
            Ask::Append { .. } | Ask::Restart { .. } => "append",
            Ask::ReadJournal { .. } => "read of a journal",
            Ask::Ping { .. } => "ping",
            Ask::Unknown { .. } => "unknown command",
            Ask::Auth => "auth",
            Ask::Hello { .. } => "hello",
            Ask::Quit => "quit",
        }
    }

    /// Appends its bytes.
    pub(crate) fn push(&self, out: &mut Vec<u8>, protocol: Protocol, owner: Owner) {
        match protocol {
            Protocol::Redis => self.push_redis(out, owner),
            Protocol::Memcached => self.push_memcached(out, owner),
        }
    }

    fn push_redis(&self, out: &mut Vec<u8>, owner: Owner) {
        let name = |key| key_of(owner, key);
        match self {
            Ask::Set { key, seq } => {
                command(out, &[b"SET", &name(*key), &value(owner, *key, *seq)]);
            }
            Ask::SetQuietly { key, seq } => {
                command(out, &[b"CLIENT", b"REPLY", b"SKIP"]);
                command(out, &[b"SET", &name(*key), &value(owner, *key, *seq)]);
            }
            Ask::Get { keys } => {
                let names: Vec<_> = keys.iter().map(|&(key, _)| name(key)).collect();
                let verb: &[u8] = if keys.len() > 1 { b"MGET" } else { b"GET" };
                command_of(out, verb, &names);
            }
            Ask::SetMany { writes } => {
                let pairs = writes
                    .iter()
                    .flat_map(|&(key, seq)| [name(key), value(owner, key, seq)]);
                command_of(out, b"MSET", &pairs.collect::<Vec<_>>());
            }
            Ask::Delete { keys } => {
                let names: Vec<_> = keys.iter().map(|&key| name(key)).collect();
                command_of(out, b"DEL", &names);
            }
            Ask::WrongType { key } => command(out, &[b"LLEN", &name(*key)]),
            Ask::Increment { key, .. } => command(out, &[b"INCR", &name(*key)]),
            Ask::ReadCounter { key, .. } | Ask::ReadJournal { key, .. } => {
                command(out, &[b"GET", &name(*key)]);
            }
            // Redis has no need of it, so this asks for nothing new.
            Ask::AddCounter { key } => command(out, &[b"SETNX", &name(*key), b"0"]),
            Ask::Append { key, token } => {
                command(out, &[b"APPEND", &name(*key), &head(owner, *key, *token)]);
            }
            Ask::Restart { key, token } => {
                command(out, &[b"SET", &name(*key), &head(owner, *key, *token)]);
            }
            Ask::Ping { text } => command(out, &[b"PING", format!("{text:08x}").as_bytes()]),
            Ask::Unknown { text } => command(out, &[format!("nothing{text:08x}").as_bytes()]),
            Ask::Auth => command(out, &[b"AUTH", PASSWORD.as_bytes()]),
            Ask::Hello { version } => command(out, &[b"HELLO", version.to_string().as_bytes()]),
            Ask::Quit => command(out, &[b"QUIT"]),
        }
    }

    fn push_memcached(&self, out: &mut Vec<u8>, owner: Owner) {
        let name = |key| String::from_utf8_lossy(&key_of(owner, key)).into_owned();
        match self {
            Ask::Set { key, seq } => store(out, "set", &name(*key), &value(owner, *key, *seq), ""),
            Ask::SetQuietly { key, seq } => {
                let value = value(owner, *key, *seq);
                store(out, "set", &name(*key), &value, " noreply");
            }
            Ask::Get { keys } => {
                out.extend_from_slice(b"get");
                for &(key, _) in keys {
                    out.push(b' ');
                    push_key(out, owner, key);
                }
                out.extend_from_slice(b"\r\n");
            }
            Ask::Delete { keys } => line(out, &format!("delete {}", name(keys[0]))),
            Ask::Increment { key, .. } => line(out, &format!("incr {} 1", name(*key))),
            Ask::ReadCounter { key, .. } | Ask::ReadJournal { key, .. } => {
                line(out, &format!("get {}", name(*key)));
            }
            Ask::AddCounter { key } => store(out, "add", &name(*key), b"0", ""),
            Ask::Append { key, token } => {
                store(out, "append", &name(*key), &head(owner, *key, *token), "");
            }
            Ask::Restart { key, token } => {
                store(out, "set", &name(*key), &head(owner, *key, *token), "");
            }
            Ask::Unknown { text } => line(out, &format!("nothing{text:08x}")),
            Ask::Quit => line(out, "quit"),
            // There is no such request in this protocol; the version is asked for instead.
            Ask::Ping { .. }
            | Ask::SetMany { .. }
            | Ask::WrongType { .. }
            | Ask::Auth
            | Ask::Hello { .. } => line(out, "version"),
        }
    }
}

/// The name of a key.
pub(crate) fn key_of(owner: Owner, key: u16) -> Vec<u8> {
    let mut name = Vec::new();
    push_key(&mut name, owner, key);
    name
}

/// Appends a Redis command.
pub(crate) fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn command_of(out: &mut Vec<u8>, verb: &[u8], rest: &[Vec<u8>]) {
    let words: Vec<&[u8]> = std::iter::once(verb)
        .chain(rest.iter().map(Vec::as_slice))
        .collect();
    command(out, &words);
}

fn store(out: &mut Vec<u8>, verb: &str, name: &str, value: &[u8], end: &str) {
    line(out, &format!("{verb} {name} 0 0 {}{end}", value.len()));
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn value(owner: Owner, key: u16, seq: u32) -> Vec<u8> {
    let mut value = Vec::new();
    push_value(&mut value, owner, key, seq);
    value
}

fn head(owner: Owner, key: u16, token: u32) -> Vec<u8> {
    let mut head = Vec::with_capacity(TOKEN_LEN);
    push_head(&mut head, owner, key, token);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { pool: 1, client: 2 };

    fn text(ask: &Ask, protocol: Protocol) -> String {
        let mut out = Vec::new();
        ask.push(&mut out, protocol, OWNER);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_have_the_bytes_of_their_protocol() {
        let incr = Ask::Increment { key: 1, bound: 9 };
        assert_eq!(
            text(&incr, Protocol::Redis),
            "*2\r\n$4\r\nINCR\r\n$9\r\nt01002001\r\n"
        );
        assert_eq!(text(&incr, Protocol::Memcached), "incr t01002001 1\r\n");
        let append = Ask::Append { key: 1, token: 7 };
        assert_eq!(
            text(&append, Protocol::Memcached),
            "append t01002001 0 0 18\r\nt01002001#00000007\r\n"
        );
        let get = Ask::Get {
            keys: vec![(1, 0), (2, 0)],
        };
        assert_eq!(
            text(&get, Protocol::Memcached),
            "get t01002001 t01002002\r\n"
        );
        assert!(text(&get, Protocol::Redis).starts_with("*3\r\n$4\r\nMGET\r\n"));
    }
}
