//! Writes requests and parses replies. Uses none of the proxy's code.

use std::ops::Range;

use nuthatch_bench::faults::{
    Garbled, KEY_LEN, KEYS, Owner, block_at, line_at, number, push_key, push_value, value_len,
};
use nuthatch_bench::load::Protocol;

/// Keys per multi-get.
pub(crate) const MULTI: u16 = 4;

/// Appends a write.
pub(crate) fn push_set(out: &mut Vec<u8>, protocol: Protocol, owner: Owner, key: u16, seq: u32) {
    let length = value_len(owner, key, seq);
    match protocol {
        Protocol::Redis => {
            out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n");
            push_bulk_key(out, owner, key);
            out.push(b'$');
            push_number(out, length);
        }
        Protocol::Memcached => {
            out.extend_from_slice(b"set ");
            push_key(out, owner, key);
            out.extend_from_slice(b" 0 0 ");
            push_number(out, length);
        }
    }
    out.extend_from_slice(b"\r\n");
    push_value(out, owner, key, seq);
    out.extend_from_slice(b"\r\n");
}

/// Appends a read of `count` keys from `first` on, wrapping around after the last key.
pub(crate) fn push_get(
    out: &mut Vec<u8>,
    protocol: Protocol,
    owner: Owner,
    first: u16,
    count: u16,
) {
    let keys = (first..first + count).map(|key| key % KEYS);
    match protocol {
        Protocol::Redis => {
            out.push(b'*');
            push_number(out, usize::from(count) + 1);
            let name: &[u8] = if count > 1 {
                b"\r\n$4\r\nMGET\r\n"
            } else {
                b"\r\n$3\r\nGET\r\n"
            };
            out.extend_from_slice(name);
            keys.for_each(|key| push_bulk_key(out, owner, key));
        }
        Protocol::Memcached => {
            out.extend_from_slice(b"get");
            for key in keys {
                out.push(b' ');
                push_key(out, owner, key);
            }
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A reply whose values stay in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The success of a write.
    Stored,
    /// An error line, without its end. With memcached, values may precede it.
    Error(Range<usize>),
    /// Values, stored in [`Values`].
    Values,
    /// Another complete reply.
    Other,
}

/// The values of one reply; reused, so that reading allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// The key (with memcached) and the value (unless it is null) of each.
    pub(crate) list: Vec<(Range<usize>, Option<Range<usize>>)>,
    /// Whether the reply was an array.
    pub(crate) is_array: bool,
}

/// Parses the reply at `start`: `None` until it is complete, then the reply and its end.
pub(crate) fn read(
    protocol: Protocol,
    input: &[u8],
    start: usize,
    values: &mut Values,
) -> Result<Option<(Reply, usize)>, Garbled> {
    values.list.clear();
    values.is_array = false;
    match protocol {
        Protocol::Redis => read_redis(input, start, values),
        Protocol::Memcached => read_memcached(input, start, values),
    }
}

fn read_redis(
    input: &[u8],
    start: usize,
    values: &mut Values,
) -> Result<Option<(Reply, usize)>, Garbled> {
    let Some((line, next)) = line_at(input, start)? else {
        return Ok(None);
    };
    let reply = match input[line.start] {
        b'+' if &input[line.clone()] == b"+OK" => Reply::Stored,
        b'+' | b':' => Reply::Other,
        b'-' => Reply::Error(line),
        b'$' => {
            let Some((value, end)) = bulk(input, line, next)? else {
                return Ok(None);
            };
            values.list.push((0..0, value));
            return Ok(Some((Reply::Values, end)));
        }
        b'*' => return read_array(input, line, next, values),
        _ => return Err(Garbled),
    };
    Ok(Some((reply, next)))
}

fn read_array(
    input: &[u8],
    line: Range<usize>,
    mut at: usize,
    values: &mut Values,
) -> Result<Option<(Reply, usize)>, Garbled> {
    let count = number(&input[line.start + 1..line.end]).ok_or(Garbled)?;
    if count > usize::from(MULTI) {
        return Err(Garbled);
    }
    values.is_array = true;
    for _ in 0..count {
        let Some((line, next)) = line_at(input, at)? else {
            return Ok(None);
        };
        if input[line.start] != b'$' {
            return Err(Garbled);
        }
        let Some((value, end)) = bulk(input, line, next)? else {
            return Ok(None);
        };
        values.list.push((0..0, value));
        at = end;
    }
    Ok(Some((Reply::Values, at)))
}

type Bulk = Option<(Option<Range<usize>>, usize)>;

/// The string whose header is `line`, and its end.
fn bulk(input: &[u8], line: Range<usize>, next: usize) -> Result<Bulk, Garbled> {
    match &input[line.start + 1..line.end] {
        b"-1" => Ok(Some((None, next))),
        digits => block_at(input, digits, next).map(|found| {
            found.map(|value| {
                let end = value.end + 2;
                (Some(value), end)
            })
        }),
    }
}

fn read_memcached(
    input: &[u8],
    start: usize,
    values: &mut Values,
) -> Result<Option<(Reply, usize)>, Garbled> {
    let mut at = start;
    loop {
        let Some((line, next)) = line_at(input, at)? else {
            return Ok(None);
        };
        let text = &input[line.clone()];
        if let Some(rest) = text.strip_prefix(b"VALUE ") {
            let mut words = rest.split(|&byte| byte == b' ').skip(2);
            let digits = words.next().ok_or(Garbled)?;
            let Some(value) = block_at(input, digits, next)? else {
                return Ok(None);
            };
            at = value.end + 2;
            let key = line.start + 6..(line.start + 6 + KEY_LEN).min(line.end);
            values.list.push((key, Some(value)));
            continue;
        }
        let reply = match text {
            b"STORED" if values.list.is_empty() => Reply::Stored,
            b"END" => Reply::Values,
            _ if is_error(text) => Reply::Error(line),
            _ => return Err(Garbled),
        };
        return Ok(Some((reply, next)));
    }
}

fn is_error(line: &[u8]) -> bool {
    line == b"ERROR" || line.starts_with(b"SERVER_ERROR ") || line.starts_with(b"CLIENT_ERROR ")
}

fn push_bulk_key(out: &mut Vec<u8>, owner: Owner, key: u16) {
    out.push(b'$');
    push_number(out, KEY_LEN);
    out.extend_from_slice(b"\r\n");
    push_key(out, owner, key);
    out.extend_from_slice(b"\r\n");
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { pool: 1, client: 2 };

    fn text(push: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_have_the_bytes_of_their_protocol() {
        let get = |protocol, count| text(|out| push_get(out, protocol, OWNER, 63, count));
        assert_eq!(
            get(Protocol::Redis, 1),
            "*2\r\n$3\r\nGET\r\n$9\r\nt0100203f\r\n"
        );
        assert_eq!(
            get(Protocol::Redis, 2),
            "*3\r\n$4\r\nMGET\r\n$9\r\nt0100203f\r\n$9\r\nt01002000\r\n"
        );
        assert_eq!(get(Protocol::Memcached, 2), "get t0100203f t01002000\r\n");
        let set = text(|out| push_set(out, Protocol::Memcached, OWNER, 0, 1));
        let length = value_len(OWNER, 0, 1);
        let head = format!("set t01002000 0 0 {length}\r\n");
        assert!(
            set.starts_with(&head) && set.len() == head.len() + length + 2,
            "{set}"
        );
    }

    fn all(protocol: Protocol, input: &str) -> Result<Vec<(Reply, usize, usize)>, Garbled> {
        let mut values = Values::default();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((reply, end)) = read(protocol, input.as_bytes(), at, &mut values)? {
            found.push((reply, values.list.len(), end));
            at = end;
        }
        Ok(found)
    }

    #[test]
    fn replies_are_read_when_they_are_whole() {
        for (protocol, input) in [
            (
                Protocol::Redis,
                "+OK\r\n$3\r\n\r\nx\r\n-ERR no\r\n*2\r\n$1\r\na\r\n$-1\r\n:1\r\n",
            ),
            (
                Protocol::Memcached,
                "STORED\r\nEND\r\nVALUE k 0 5\r\nEND\r\n\r\nEND\r\nSERVER_ERROR no\r\n",
            ),
        ] {
            let whole = all(protocol, input).unwrap();
            assert!(whole.len() > 3 && whole.last().unwrap().2 == input.len());
            for cut in 0..input.len() {
                let expected: Vec<_> = whole
                    .iter()
                    .filter(|(.., end)| *end <= cut)
                    .cloned()
                    .collect();
                assert_eq!(all(protocol, &input[..cut]), Ok(expected), "{cut}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_garbled() {
        for (protocol, input) in [
            (Protocol::Redis, "hello\r\n"),
            (Protocol::Redis, "\r\n"),
            (Protocol::Redis, "$2\r\nabc\r\n"),
            (Protocol::Redis, "*9\r\n"),
            (Protocol::Memcached, "VALUE k 0\r\n"),
            (Protocol::Memcached, "hello\r\n"),
        ] {
            assert_eq!(all(protocol, input), Err(Garbled), "{input:?}");
        }
    }
}
