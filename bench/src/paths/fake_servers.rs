//! Simulated servers: each key has the value of the load generator's keyspace.

use crate::load::{Keyspace, Protocol};

/// The replies to `requests`, a sequence of whole requests, and the number of requests.
///
/// # Panics
///
/// When `requests` holds anything that the paths do not send: then the proxy under test has sent something
/// wrong.
/// it should not.
pub fn answer(protocol: Protocol, keys: &Keyspace, requests: &[u8]) -> (Vec<u8>, usize) {
    let mut input = Input { rest: requests };
    let (mut out, mut count) = (Vec::new(), 0);
    while !input.rest.is_empty() {
        match protocol {
            Protocol::Redis => answer_redis(keys, &mut input, &mut out),
            Protocol::Memcached => answer_memcached(keys, &mut input, &mut out),
        }
        count += 1;
    }
    (out, count)
}

fn answer_redis(keys: &Keyspace, input: &mut Input<'_>, out: &mut Vec<u8>) {
    let count = number(&input.line()[1..]);
    let words: Vec<&[u8]> = (0..count)
        .map(|_| {
            let len = number(&input.line()[1..]);
            input.block(len)
        })
        .collect();
    // The proxy may write command names in any case.
    match (words[0].to_ascii_uppercase().as_slice(), &words[1..]) {
        (b"GET", [key]) => push_bulk(keys, key, out),
        (b"SET", [key, value]) => {
            assert!(keys.is_value(value, id(keys, key)), "a value was changed");
            out.extend_from_slice(b"+OK\r\n");
        }
        (b"MGET", wanted) => {
            out.extend_from_slice(format!("*{}\r\n", wanted.len()).as_bytes());
            for key in wanted {
                push_bulk(keys, key, out);
            }
        }
        (other, _) => panic!("unexpected command {:?}", String::from_utf8_lossy(other)),
    }
}

fn answer_memcached(keys: &Keyspace, input: &mut Input<'_>, out: &mut Vec<u8>) {
    let mut words = input
        .line()
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty());
    match words.next() {
        Some(b"get") => {
            for key in words {
                let text = String::from_utf8_lossy(key);
                out.extend_from_slice(format!("VALUE {text} 0 {}\r\n", keys.size()).as_bytes());
                keys.push_value(out, id(keys, key));
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"END\r\n");
        }
        Some(b"set") => {
            let key = words.next().expect("set names a key");
            let value = input.block(keys.size());
            assert!(keys.is_value(value, id(keys, key)), "a value was changed");
            out.extend_from_slice(b"STORED\r\n");
        }
        Some(b"mg") => {
            let key = words.next().expect("mg names a key");
            assert_eq!(words.next(), Some(&b"v"[..]), "its value is asked for");
            out.extend_from_slice(format!("VA {}\r\n", keys.size()).as_bytes());
            keys.push_value(out, id(keys, key));
            out.extend_from_slice(b"\r\n");
        }
        Some(b"ms") => {
            let key = words.next().expect("ms names a key");
            let value = input.block(keys.size());
            assert!(keys.is_value(value, id(keys, key)), "a value was changed");
            out.extend_from_slice(b"HD\r\n");
        }
        other => panic!("unexpected command {other:?}"),
    }
}

fn push_bulk(keys: &Keyspace, key: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("${}\r\n", keys.size()).as_bytes());
    keys.push_value(out, id(keys, key));
    out.extend_from_slice(b"\r\n");
}

fn id(keys: &Keyspace, key: &[u8]) -> u32 {
    keys.id_of(key).expect("the paths use keys of the keyspace")
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\n', self.rest).expect("requests are whole");
        let line = &self.rest[..end - 1];
        self.rest = &self.rest[end + 1..];
        line
    }

    /// `len` bytes and their line end.
    fn block(&mut self, len: usize) -> &'a [u8] {
        let block = &self.rest[..len];
        self.rest = &self.rest[len + 2..];
        block
    }
}

fn number(digits: &[u8]) -> usize {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("requests are well formed")
}
