//! Parses requests of the load and answers them.

use memchr::memchr;

use crate::load::{id_and_size_of, push_value};

/// Longest request, without its value: a multi-get of 10,000 keys has a quarter of it.
const MAX_WAITING: usize = 1 << 20;

/// Maximum output pending for a client: many times what the largest pipeline of the benchmarks asks for.
const MAX_OWED: usize = 64 << 20;

/// The values that are served. Those of the load generator's keys follow from the key; all others have the
/// size of the value set last.
#[derive(Default)]
pub(super) struct Values {
    size: usize,
    filler: Vec<u8>,
    /// `$SIZE` or `SIZE` and a line end, for the size used last.
    shown: (usize, Vec<u8>),
}

/// The incomplete part of a client's input.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    waiting: Vec<u8>,
    /// Bytes of a value that are still to be discarded, and the reply that follows.
    skip: usize,
    due: &'static [u8],
}

/// An unknown request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbage;

impl Conversation {
    /// Takes a client's input and appends the replies.
    pub(super) fn take(
        &mut self,
        mut input: &[u8],
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<(), Garbage> {
        if self.skip > 0 {
            let dropped = self.skip.min(input.len());
            self.skip -= dropped;
            input = &input[dropped..];
            if self.skip > 0 {
                return Ok(());
            }
            out.extend_from_slice(self.due);
        }
        if self.waiting.is_empty() {
            let used = self.answer(input, values, out)?;
            self.waiting.extend_from_slice(&input[used..]);
        } else {
            let mut waiting = std::mem::take(&mut self.waiting);
            waiting.extend_from_slice(input);
            let used = self.answer(&waiting, values, out)?;
            waiting.drain(..used);
            self.waiting = waiting;
        }
        match self.waiting.len() > MAX_WAITING {
            true => Err(Garbage),
            false => Ok(()),
        }
    }

    /// Answers whole requests. Returns the length of these, including the available part of the last one's
    /// value.
    fn answer(
        &mut self,
        input: &[u8],
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<usize, Garbage> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            let before = out.len();
            let mut reader = Reader { rest };
            let answered = match rest[0] {
                b'*' => redis(&mut reader, values, out),
                _ => memcached(&mut reader, values, out),
            };
            if out.len() > MAX_OWED {
                return Err(Garbage);
            }
            match answered {
                Ok(Answered::Whole) => used = input.len() - reader.rest.len(),
                Ok(Answered::After(len, reply)) if reader.rest.len() >= len => {
                    used = input.len() - reader.rest.len() + len;
                    out.extend_from_slice(reply);
                }
                Ok(Answered::After(len, reply)) => {
                    (self.skip, self.due) = (len - reader.rest.len(), reply);
                    return Ok(input.len());
                }
                Err(Stop::Partial) => {
                    out.truncate(before);
                    return Ok(used);
                }
                Err(Stop::Garbage) => return Err(Garbage),
            }
        }
        Ok(used)
    }
}

impl Values {
    fn size_of(&self, key: &[u8]) -> usize {
        id_and_size_of(key).map_or(self.size, |(_, size)| size)
    }

    fn push(&mut self, key: &[u8], out: &mut Vec<u8>) {
        match id_and_size_of(key) {
            Some((id, size)) => push_value(out, id, size),
            None => {
                self.filler.resize(self.size, b'x');
                out.extend_from_slice(&self.filler);
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the size of a key's value and a line end.
    fn push_size(&mut self, key: &[u8], out: &mut Vec<u8>) {
        let size = self.size_of(key);
        if self.shown.0 != size || self.shown.1.is_empty() {
            self.shown = (size, format!("{size}\r\n").into_bytes());
        }
        out.extend_from_slice(&self.shown.1);
    }
}

enum Answered {
    /// The reply was written.
    Whole,
    /// This reply follows after this many more bytes.
    After(usize, &'static [u8]),
}

enum Stop {
    Partial,
    Garbage,
}

fn redis(
    reader: &mut Reader<'_>,
    values: &mut Values,
    out: &mut Vec<u8>,
) -> Result<Answered, Stop> {
    let words = reader.number(b'*')?;
    match (reader.bulk()?, words) {
        (b"GET", 2) => push_bulk(reader.bulk()?, values, out),
        (b"SET", 3) => {
            let _key = reader.bulk()?;
            values.size = reader.number(b'$')?;
            return Ok(Answered::After(values.size + 2, b"+OK\r\n"));
        }
        (b"MGET", _) => {
            out.extend_from_slice(format!("*{}\r\n", words - 1).as_bytes());
            for _ in 1..words {
                push_bulk(reader.bulk()?, values, out);
            }
        }
        // redis-benchmark asks for the server's settings first and works without them.
        _ => {
            for _ in 1..words {
                reader.bulk()?;
            }
            out.extend_from_slice(b"-ERR unknown command\r\n");
        }
    }
    Ok(Answered::Whole)
}

fn push_bulk(key: &[u8], values: &mut Values, out: &mut Vec<u8>) {
    out.push(b'$');
    values.push_size(key, out);
    values.push(key, out);
}

fn memcached(
    reader: &mut Reader<'_>,
    values: &mut Values,
    out: &mut Vec<u8>,
) -> Result<Answered, Stop> {
    let mut words = reader.line()?.split(|byte| *byte == b' ');
    match words.next() {
        Some(b"get") => {
            for key in words {
                out.extend_from_slice(b"VALUE ");
                out.extend_from_slice(key);
                out.extend_from_slice(b" 0 ");
                values.push_size(key, out);
                values.push(key, out);
            }
            out.extend_from_slice(b"END\r\n");
            Ok(Answered::Whole)
        }
        Some(b"set") => {
            let size = words.nth(3).ok_or(Stop::Garbage)?;
            values.size = number(size)?;
            Ok(Answered::After(values.size + 2, b"STORED\r\n"))
        }
        _ => Err(Stop::Garbage),
    }
}

struct Reader<'i> {
    rest: &'i [u8],
}

impl<'i> Reader<'i> {
    /// A line without its end.
    fn line(&mut self) -> Result<&'i [u8], Stop> {
        let end = memchr(b'\n', self.rest).ok_or(Stop::Partial)?;
        let line = self.rest[..end].strip_suffix(b"\r").ok_or(Stop::Garbage)?;
        self.rest = &self.rest[end + 1..];
        Ok(line)
    }

    /// The number in a line that begins with `sign`.
    fn number(&mut self, sign: u8) -> Result<usize, Stop> {
        match self.line()?.split_first() {
            Some((first, digits)) if *first == sign => number(digits),
            _ => Err(Stop::Garbage),
        }
    }

    /// One word of a Redis request.
    fn bulk(&mut self) -> Result<&'i [u8], Stop> {
        let len = self.number(b'$')?;
        if self.rest.len() < len + 2 {
            return Err(Stop::Partial);
        }
        let (word, rest) = self.rest.split_at(len);
        self.rest = &rest[2..];
        Ok(word)
    }
}

/// A number of at most nine digits.
fn number(digits: &[u8]) -> Result<usize, Stop> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Stop::Garbage);
    }
    let value = |sum, digit: &u8| sum * 10 + usize::from(digit - b'0');
    Ok(digits.iter().fold(0, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers to requests that arrive in pieces of the given size.
    fn answered(requests: &str, piece: usize) -> Result<String, Garbage> {
        let (mut conversation, mut values) = (Conversation::default(), Values::default());
        let mut out = Vec::new();
        for piece in requests.as_bytes().chunks(piece) {
            conversation.take(piece, &mut values, &mut out)?;
        }
        assert!(conversation.waiting.is_empty() && conversation.skip == 0);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn requests_are_answered_however_they_are_cut() {
        let set = "*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$4\r\n\r\n*\n\r\n";
        let get = "*2\r\n$3\r\nGET\r\n$5\r\nkey:2\r\n";
        let mget = "*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n";
        let config = "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$4\r\nsave\r\n";
        let requests = [config, set, get, mget].concat();
        let expected =
            "-ERR unknown command\r\n+OK\r\n$4\r\nxxxx\r\n*2\r\n$4\r\nxxxx\r\n$4\r\nxxxx\r\n";
        for piece in 1..=requests.len() {
            assert_eq!(
                answered(&requests, piece).as_deref(),
                Ok(expected),
                "{piece}"
            );
        }
        let requests = "set a 0 0 4\r\n\r\nb\n\r\nget c d\r\n";
        let expected = "STORED\r\nVALUE c 0 4\r\nxxxx\r\nVALUE d 0 4\r\nxxxx\r\nEND\r\n";
        for piece in 1..=requests.len() {
            assert_eq!(
                answered(requests, piece).as_deref(),
                Ok(expected),
                "{piece}"
            );
        }
    }

    #[test]
    fn what_the_load_does_not_send_is_not_answered() {
        for bad in [
            "flush_all\r\n",
            "*1\n",
            "*x\r\n",
            "*2\r\n$-1\r\n",
            "set a\r\n",
            "\r\n",
        ] {
            assert_eq!(answered(bad, 100), Err(Garbage), "{bad:?}");
        }
        let set = format!("set a 0 0 {}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
        let gets = "get a\r\n".repeat(64);
        assert_eq!(answered(&(set + &gets), 1 << 16), Err(Garbage));
        let endless = "x".repeat(MAX_WAITING + 1);
        assert_eq!(answered(&endless, 1 << 16), Err(Garbage));
    }
}
