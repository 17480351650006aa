//! Parses replies of both protocols. Uses none of the proxy's code.

use std::ops::Range;

use nuthatch_bench::faults::{Garbled, block_at, line_at, number};
use nuthatch_bench::load::Protocol;

/// Most elements of an array or a map.
const MAX_ELEMENTS: usize = 100;

/// One reply. Texts stay in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A line that is no error: `+OK` without its type, `STORED`.
    Line(Range<usize>),
    /// The line of an error, with its type. With memcached, values may precede it.
    Error(Range<usize>),
    Number(u64),
    Bulk(Range<usize>),
    Null {
        is_resp3: bool,
    },
    Array(Vec<Reply>),
    /// What HELLO says; its elements.
    Map(Vec<Reply>),
    /// Keys and values of a memcached `get`.
    Values(Vec<(Range<usize>, Range<usize>)>),
}

type Parsed<T> = Result<Option<(T, usize)>, Garbled>;

/// Parses the reply at `start`: `None` until it is complete, then the reply and its end.
pub(crate) fn read(protocol: Protocol, input: &[u8], start: usize) -> Parsed<Reply> {
    match protocol {
        Protocol::Redis => read_redis(input, start),
        Protocol::Memcached => read_memcached(input, start),
    }
}

fn read_redis(input: &[u8], start: usize) -> Parsed<Reply> {
    let Some((line, next)) = line_at(input, start)? else {
        return Ok(None);
    };
    let rest = line.start + 1..line.end;
    let text = &input[rest.clone()];
    let reply = match input[line.start] {
        b'+' => Reply::Line(rest),
        b'-' => Reply::Error(line),
        b':' => Reply::Number(integer(text)?),
        b'_' if text.is_empty() => Reply::Null { is_resp3: true },
        b'$' if text == b"-1" => Reply::Null { is_resp3: false },
        b'$' => {
            let block = block_at(input, text, next)?;
            return Ok(block.map(|value| {
                let end = value.end + 2;
                (Reply::Bulk(value), end)
            }));
        }
        b'*' => {
            let elements = read_elements(input, next, number(text).ok_or(Garbled)?)?;
            return Ok(elements.map(|(list, end)| (Reply::Array(list), end)));
        }
        b'%' => {
            let pairs = number(text)
                .filter(|&pairs| pairs <= MAX_ELEMENTS)
                .ok_or(Garbled)?;
            let elements = read_elements(input, next, 2 * pairs)?;
            return Ok(elements.map(|(list, end)| (Reply::Map(list), end)));
        }
        _ => return Err(Garbled),
    };
    Ok(Some((reply, next)))
}

fn read_elements(input: &[u8], mut at: usize, count: usize) -> Parsed<Vec<Reply>> {
    if count > MAX_ELEMENTS {
        return Err(Garbled);
    }
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((reply, end)) = read_redis(input, at)? else {
            return Ok(None);
        };
        list.push(reply);
        at = end;
    }
    Ok(Some((list, at)))
}

fn read_memcached(input: &[u8], start: usize) -> Parsed<Reply> {
    let mut values = Vec::new();
    let mut at = start;
    loop {
        let Some((line, next)) = line_at(input, at)? else {
            return Ok(None);
        };
        let text = &input[line.clone()];
        if let Some(rest) = text.strip_prefix(b"VALUE ") {
            let mut words = rest.split(|&byte| byte == b' ');
            let key = words.next().ok_or(Garbled)?.len();
            let digits = words.nth(1).ok_or(Garbled)?;
            let Some(value) = block_at(input, digits, next)? else {
                return Ok(None);
            };
            at = value.end + 2;
            let key_start = line.start + b"VALUE ".len();
            values.push((key_start..key_start + key, value));
            continue;
        }
        let reply = match text {
            b"END" => Reply::Values(values),
            _ if is_error(text) => Reply::Error(line),
            _ if !values.is_empty() => return Err(Garbled),
            _ if text[0].is_ascii_digit() => Reply::Number(integer(text)?),
            b"STORED" | b"NOT_STORED" | b"DELETED" | b"NOT_FOUND" => Reply::Line(line),
            _ if text.starts_with(b"VERSION ") => Reply::Line(line),
            _ => return Err(Garbled),
        };
        return Ok(Some((reply, next)));
    }
}

fn integer(digits: &[u8]) -> Result<u64, Garbled> {
    let value = number(digits).ok_or(Garbled)?;
    u64::try_from(value).map_err(|_| Garbled)
}

fn is_error(line: &[u8]) -> bool {
    let words: [&[u8]; 4] = [b"ERROR ", b"SERVER_ERROR ", b"CLIENT_ERROR ", b"ERROR"];
    line == words[3] || words[..3].iter().any(|word| line.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(protocol: Protocol, input: &str) -> Result<Vec<(Reply, usize)>, Garbled> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((reply, end)) = read(protocol, input.as_bytes(), at)? {
            found.push((reply, end));
            at = end;
        }
        Ok(found)
    }

    #[test]
    fn replies_are_read_when_they_are_whole() {
        for (protocol, input, count) in [
            (
                Protocol::Redis,
                "+OK\r\n$3\r\n\r\nx\r\n-ERR no\r\n*2\r\n$1\r\na\r\n$-1\r\n_\r\n:1\r\n%1\r\n+a\r\n*0\r\n",
                7,
            ),
            (
                Protocol::Memcached,
                "STORED\r\nEND\r\nVALUE k 0 5\r\nEND\r\n\r\nEND\r\n17\r\nSERVER_ERROR no\r\nERROR\r\n",
                6,
            ),
        ] {
            let whole = all(protocol, input).unwrap();
            assert_eq!((whole.len(), whole[count - 1].1), (count, input.len()));
            for cut in 0..input.len() {
                let part = all(protocol, &input[..cut]).unwrap();
                assert!(whole.starts_with(&part) && part.len() < count, "{cut}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_garbled() {
        for (protocol, input) in [
            (Protocol::Redis, "hello\r\n"),
            (Protocol::Redis, "$2\r\nabc\r\n"),
            (Protocol::Redis, "*999\r\n"),
            (Protocol::Redis, ":x\r\n"),
            (Protocol::Memcached, "VALUE k 0\r\n"),
            (Protocol::Memcached, "VALUE k 0 1\r\nx\r\nSTORED\r\n"),
            (Protocol::Memcached, "hello\r\n"),
        ] {
            assert_eq!(all(protocol, input), Err(Garbled), "{input:?}");
        }
    }
}
