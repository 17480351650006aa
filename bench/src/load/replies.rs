//! Parses replies and checks each one against its request.

use std::collections::VecDeque;

use memchr::memchr;

use super::pattern::Keyspace;
use super::protocol::Protocol;
use super::traffic::{Kind, Request, key_at};

/// Longest reply line; a longer one is invalid.
const MAX_LINE: usize = 64 << 10;

/// The result of checking a request's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The expected reply.
    Right,
    /// Neither the key's value nor the command's success.
    Wrong,
    /// The reply to another waiting request, or a reply of another kind.
    Misordered,
    /// A key that was set is missing.
    Missing,
    /// An error line.
    Error,
}

/// The result of parsing some input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The input must have this many bytes before it can be parsed further.
    Needs(usize),
    /// This many bytes are part of the reply, which continues.
    Took(usize),
    /// This many bytes end the reply.
    Ends(usize, Verdict),
    /// Not a reply; the rest cannot be parsed.
    Garbage,
}

/// Parses the reply to a client's oldest request, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Whether a multi-get's header was parsed (Redis).
    is_open: bool,
    /// Number of values of a multi-get so far.
    received: u32,
    /// The worst verdict on this reply so far.
    fault: Option<Verdict>,
    /// Which keys of a memcached multi-get have arrived, one bit each.
    seen: Vec<u64>,
}

impl Reader {
    /// Parses one piece, from the start of `input`, of the reply to the first request of `queue`, which holds
    /// all waiting requests of one client in order.
    pub(super) fn step(
        &mut self,
        protocol: Protocol,
        keys: &Keyspace,
        input: &[u8],
        queue: &VecDeque<Request>,
    ) -> Step {
        let Some(&head) = queue.front() else {
            return Step::Garbage;
        };
        let judge = Judge { keys, head, queue };
        let step = match protocol {
            Protocol::Redis => self.redis(&judge, input),
            Protocol::Memcached => self.memcached(&judge, input),
        };
        if matches!(step, Step::Ends(..)) {
            self.is_open = false;
            self.received = 0;
            self.fault = None;
            self.seen.clear();
        }
        step
    }

    fn redis(&mut self, judge: &Judge<'_>, input: &[u8]) -> Step {
        let frame = match redis_frame(input, judge.keys.size()) {
            Ok(frame) => frame,
            Err(step) => return step,
        };
        match (judge.head.kind, frame.body) {
            (_, Body::Line([b'-', ..])) if !self.is_open => Step::Ends(frame.len, Verdict::Error),
            (Kind::Set, Body::Line(b"+OK")) => Step::Ends(frame.len, Verdict::Right),
            (Kind::Get, Body::Bulk(value)) => {
                Step::Ends(frame.len, judge.value(value, judge.head.id))
            }
            (Kind::MultiGet(count), Body::Array(have)) if !self.is_open && have == count => {
                self.is_open = true;
                Step::Took(frame.len)
            }
            (Kind::MultiGet(count), Body::Bulk(value)) if self.is_open => {
                let id = key_at(judge.keys, judge.head.id, self.received);
                self.note(judge.value(value, id));
                self.received += 1;
                self.took(frame.len, self.received == count)
            }
            _ => Step::Ends(frame.len, Verdict::Misordered),
        }
    }

    fn memcached(&mut self, judge: &Judge<'_>, input: &[u8]) -> Step {
        let frame = match memcached_frame(input, judge.keys.size()) {
            Ok(frame) => frame,
            Err(step) => return step,
        };
        match (judge.head.kind, frame.body) {
            (Kind::Set, Body::Line(b"STORED")) => Step::Ends(frame.len, Verdict::Right),
            (Kind::Set, Body::Value { .. }) => Step::Ends(frame.len, Verdict::Misordered),
            (_, Body::Value { key, data }) => {
                let verdict = self.value_of_key(judge, key, data);
                self.note(verdict);
                self.received += 1;
                Step::Took(frame.len)
            }
            (Kind::Get | Kind::MultiGet(_), Body::Line(b"END")) => {
                if self.received < judge.head.count() {
                    self.note(Verdict::Missing);
                }
                self.took(frame.len, true)
            }
            (_, Body::Line(line)) if is_memcached_error(line) => {
                Step::Ends(frame.len, Verdict::Error)
            }
            _ => Step::Ends(frame.len, Verdict::Misordered),
        }
    }

    /// A memcached server may send the values of a multi-get in any order, but each only once.
    fn value_of_key(&mut self, judge: &Judge<'_>, key: &[u8], data: &[u8]) -> Verdict {
        let Some(id) = judge.keys.id_of(key) else {
            return Verdict::Wrong;
        };
        let offset = (id + judge.keys.count() - judge.head.id) % judge.keys.count();
        if offset >= judge.head.count() {
            return Verdict::Misordered;
        }
        let (word, bit) = (offset as usize / 64, 1_u64 << (offset % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            return Verdict::Wrong;
        }
        self.seen[word] |= bit;
        judge.value(Some(data), id)
    }

    fn note(&mut self, verdict: Verdict) {
        if verdict != Verdict::Right {
            self.fault.get_or_insert(verdict);
        }
    }

    fn took(&self, len: usize, is_last: bool) -> Step {
        if is_last {
            Step::Ends(len, self.fault.unwrap_or(Verdict::Right))
        } else {
            Step::Took(len)
        }
    }
}

impl Request {
    /// Number of keys in the request.
    fn count(self) -> u32 {
        match self.kind {
            Kind::Get | Kind::Set => 1,
            Kind::MultiGet(count) => count,
        }
    }
}

/// What a reply is checked against.
struct Judge<'a> {
    keys: &'a Keyspace,
    head: Request,
    queue: &'a VecDeque<Request>,
}

impl Judge<'_> {
    fn value(&self, value: Option<&[u8]>, id: u32) -> Verdict {
        match value {
            Some(value) if self.keys.is_value(value, id) => Verdict::Right,
            None => Verdict::Missing,
            // Rare, so it may be slow.
            Some(value) if self.is_of_another(value) => Verdict::Misordered,
            Some(_) => Verdict::Wrong,
        }
    }
}

impl Judge<'_> {
    fn is_of_another(&self, value: &[u8]) -> bool {
        let mut ids = self.queue.iter().flat_map(|request| {
            (0..request.count()).map(|offset| key_at(self.keys, request.id, offset))
        });
        ids.any(|id| self.keys.is_value(value, id))
    }
}

/// One piece of a reply.
struct Frame<'a> {
    body: Body<'a>,
    len: usize,
}

enum Body<'a> {
    /// A line without its end.
    Line(&'a [u8]),
    /// A Redis string, or null.
    Bulk(Option<&'a [u8]>),
    /// The header of a Redis array.
    Array(u32),
    /// A memcached value.
    Value { key: &'a [u8], data: &'a [u8] },
}

fn redis_frame(input: &[u8], size: usize) -> Result<Frame<'_>, Step> {
    let (line, line_len) = line_of(input)?;
    let body = match line.split_first() {
        Some((b'$', b"-1")) => Body::Bulk(None),
        Some((b'$', digits)) => {
            let (data, len) = block(input, line_len, digits, size)?;
            let body = Body::Bulk(Some(data));
            return Ok(Frame { body, len });
        }
        Some((b'*', digits)) => Body::Array(number(digits)?),
        Some((b'+' | b'-' | b':', _)) => Body::Line(line),
        _ => return Err(Step::Garbage),
    };
    Ok(Frame {
        body,
        len: line_len,
    })
}

fn memcached_frame(input: &[u8], size: usize) -> Result<Frame<'_>, Step> {
    let (line, line_len) = line_of(input)?;
    let Some(rest) = line.strip_prefix(b"VALUE ") else {
        let body = Body::Line(line);
        return Ok(Frame {
            body,
            len: line_len,
        });
    };
    let mut words = rest.split(|&byte| byte == b' ');
    let (Some(key), Some(_flags), Some(digits)) = (words.next(), words.next(), words.next()) else {
        return Err(Step::Garbage);
    };
    let (data, len) = block(input, line_len, digits, size)?;
    let body = Body::Value { key, data };
    Ok(Frame { body, len })
}

/// The first line without its end, and its length with it.
fn line_of(input: &[u8]) -> Result<(&[u8], usize), Step> {
    match memchr(b'\n', input) {
        Some(end) if end > 0 && input[end - 1] == b'\r' => Ok((&input[..end - 1], end + 1)),
        None if input.len() < MAX_LINE => Err(Step::Needs(input.len() + 1)),
        _ => Err(Step::Garbage),
    }
}

/// The data after a line, and the length of both including the data's line end.
fn block<'a>(
    input: &'a [u8],
    line_len: usize,
    digits: &[u8],
    size: usize,
) -> Result<(&'a [u8], usize), Step> {
    let data_len = number(digits)? as usize;
    // No valid data is larger than the values that were set; error texts are lines.
    if data_len > size + MAX_LINE {
        return Err(Step::Garbage);
    }
    let len = line_len + data_len + 2;
    if input.len() < len {
        return Err(Step::Needs(len));
    }
    match &input[len - 2..len] {
        b"\r\n" => Ok((&input[line_len..len - 2], len)),
        _ => Err(Step::Garbage),
    }
}

fn number(digits: &[u8]) -> Result<u32, Step> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Step::Garbage);
    }
    Ok(digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

fn is_memcached_error(line: &[u8]) -> bool {
    line == b"ERROR" || line.starts_with(b"SERVER_ERROR") || line.starts_with(b"CLIENT_ERROR")
}

#[cfg(test)]
mod tests;
