//! Compares two answers and finds the first difference.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::excuses;
use crate::frames;
use crate::line::Answers;
use crate::request::{Protocol, Replies, Request, shown};
use crate::wire::{Answer, End};

/// The answer of one proxy to one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The reply, or the part of it that arrived before the connection was closed.
    pub(crate) bytes: &'a [u8],
    pub(crate) end: End,
}

/// One request with different answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) request: &'a Request,
    /// Requests sent together with this one, after it.
    pub(crate) later: &'a [Request],
    pub(crate) theirs: Seen<'a>,
    pub(crate) ours: Seen<'a>,
}

impl Difference<'_> {
    /// nutcracker closed the connection without a reply.
    pub(crate) fn they_hang_up(&self) -> bool {
        self.theirs.end == End::Closed && self.theirs.bytes.is_empty()
    }

    /// Nuthatch keeps the connection, which stays usable.
    pub(crate) fn we_stay(&self) -> bool {
        self.ours.end == End::Open
    }

    /// Nuthatch keeps the connection and its reply begins with `text`.
    pub(crate) fn we_say(&self, start: &str) -> bool {
        self.we_stay() && self.ours.bytes.starts_with(start.as_bytes())
    }
}

/// The excuses that were needed, with their counts.
#[derive(Debug, Default)]
pub(crate) struct ExcuseCounts(Mutex<BTreeMap<&'static str, u64>>);

impl ExcuseCounts {
    pub(crate) fn used(&self) -> Vec<&'static str> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.keys().copied().collect()
    }

    /// Looks for an excuse and counts it.
    fn excuse(&self, difference: &Difference<'_>) -> bool {
        let found = excuses::find(difference);
        if let Some(excuse) = found {
            self.note(excuse.id);
        }
        found.is_some()
    }

    /// Counts a difference that a scenario has detected by itself.
    pub(crate) fn note(&self, id: &'static str) {
        *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(id)
            .or_default() += 1;
    }
}

/// The result of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Both connections are open and usable.
    InStep,
    /// At least one is not, for excused reasons: connect again. Requests after the difference may have had
    /// effects on one side only.
    OutOfStep,
}

/// Compares two answers to the same requests.
///
/// # Errors
///
/// A description of a difference without an excuse.
pub(crate) fn compare(
    protocol: Protocol,
    requests: &[Request],
    answers: &Answers,
    excuse_counts: &ExcuseCounts,
) -> Result<Verdict, String> {
    let Answers { theirs, ours } = answers;
    if theirs == ours && theirs.end != End::Silent {
        return Ok(verdict(answers));
    }
    let mut theirs = Reader::new(protocol, requests, theirs);
    let mut ours = Reader::new(protocol, requests, ours);
    for (index, request) in requests.iter().enumerate() {
        let later = &requests[index + 1..];
        let last = later.iter().all(|request| request.replies == Replies::None);
        let (they, we) = (theirs.next(request, last), ours.next(request, last));
        if they.end == we.end && they.end != End::Silent && same(request, they.bytes, we.bytes) {
            continue;
        }
        let difference = Difference {
            protocol,
            request,
            later,
            theirs: they,
            ours: we,
        };
        if we.end == End::Silent || !excuse_counts.excuse(&difference) {
            return Err(describe(index, requests.len(), &difference));
        }
        if they.end != End::Open || we.end != End::Open {
            return Ok(Verdict::OutOfStep);
        }
    }
    match theirs.rest == ours.rest && answers.theirs.end == answers.ours.end {
        true => Ok(verdict(answers)),
        false => Err(format!(
            "after {} requests\n  nutcracker has left {} ({:?})\n  nuthatch has left {} ({:?})",
            requests.len(),
            shown(theirs.rest),
            answers.theirs.end,
            shown(ours.rest),
            answers.ours.end
        )),
    }
}

fn verdict(answers: &Answers) -> Verdict {
    match (answers.theirs.end, answers.ours.end) {
        (End::Open, End::Open) => Verdict::InStep,
        _ => Verdict::OutOfStep,
    }
}

/// Splits an answer by request.
struct Reader<'a> {
    protocol: Protocol,
    /// A single request gets all bytes, whether they are one reply, none or two.
    alone: bool,
    rest: &'a [u8],
    end: End,
}

impl<'a> Reader<'a> {
    fn new(protocol: Protocol, requests: &[Request], answer: &'a Answer) -> Reader<'a> {
        Reader {
            protocol,
            alone: requests.len() == 1,
            rest: &answer.bytes,
            end: answer.end,
        }
    }

    /// The answer to the next request; `last` if no later one gets a reply.
    fn next(&mut self, request: &Request, last: bool) -> Seen<'a> {
        if self.alone {
            let bytes = std::mem::take(&mut self.rest);
            return Seen {
                bytes,
                end: self.end,
            };
        }
        if request.replies == Replies::None {
            return Seen {
                bytes: &[],
                end: End::Open,
            };
        }
        match frames::frame(self.protocol, self.rest) {
            Some(len) => {
                let (bytes, rest) = self.rest.split_at(len);
                self.rest = rest;
                let end = if last && rest.is_empty() {
                    self.end
                } else {
                    End::Open
                };
                Seen { bytes, end }
            }
            // The available part of a reply that was cut off.
            None => Seen {
                bytes: std::mem::take(&mut self.rest),
                end: self.end,
            },
        }
    }
}

fn describe(index: usize, of: usize, difference: &Difference<'_>) -> String {
    format!(
        "request {} of {of}: {}\n  nutcracker: {} ({:?})\n  nuthatch:   {} ({:?})",
        index + 1,
        shown(&difference.request.bytes),
        shown(difference.theirs.bytes),
        difference.theirs.end,
        shown(difference.ours.bytes),
        difference.ours.end
    )
}

/// Whether two replies are equivalent. Some replies differ although the proxies do the same.
fn same(request: &Request, theirs: &[u8], ours: &[u8]) -> bool {
    if theirs == ours {
        return true;
    }
    match request.name().as_str() {
        // The two servers are asked at different times.
        "ttl" | "pttl" => close(theirs, ours),
        // Random choices of the servers; the last line is always the same.
        "lolwut" => [theirs, ours]
            .iter()
            .all(|reply| contains(reply, b"Redis ver. ")),
        // Each server orders some sets randomly.
        "zscan" => sorted_lines(theirs) == sorted_lines(ours),
        // Each server numbers the changes of all its clients.
        "gets" => without_uniques(theirs) == without_uniques(ours),
        _ => false,
    }
}

fn sorted_lines(reply: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = reply.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

/// Two integer replies less than three seconds apart, whether in seconds or milliseconds.
fn close(theirs: &[u8], ours: &[u8]) -> bool {
    let number = |reply: &[u8]| {
        let text = std::str::from_utf8(reply)
            .ok()?
            .strip_prefix(':')?
            .trim_end();
        text.parse::<i64>().ok()
    };
    match (number(theirs), number(ours)) {
        (Some(a @ 0..), Some(b @ 0..)) => (a - b).abs() < if a > 100_000 { 3_000 } else { 3 },
        _ => false,
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A reply to `gets` without the last number of each header.
fn without_uniques(reply: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut rest = reply;
    while rest.starts_with(b"VALUE ") {
        let header = &rest[..rest.iter().position(|byte| *byte == b'\r')?];
        let words: Vec<&[u8]> = header.split(|byte| *byte == b' ').collect();
        let [_, key, flags, len, _unique] = words[..] else {
            return None;
        };
        let body: usize = std::str::from_utf8(len).ok()?.parse().ok()?;
        let end = header.len() + 2 + body + 2;
        plain.extend_from_slice(&[key, flags, len].join(&b' '));
        plain.extend_from_slice(rest.get(header.len()..end)?);
        rest = &rest[end..];
    }
    plain.extend_from_slice(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: &[u8], end: End) -> Answer {
        Answer {
            bytes: bytes.to_vec(),
            end,
        }
    }

    fn judge(requests: &[Request], theirs: Answer, ours: Answer) -> Result<Verdict, String> {
        compare(
            Protocol::Redis,
            requests,
            &Answers { theirs, ours },
            &ExcuseCounts::default(),
        )
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let get = Request::redis_line("GET k");
        let pair = [get.clone(), get];
        let good = answer(b"$1\r\nx\r\n$1\r\ny\r\n", End::Open);
        assert_eq!(
            judge(&pair, good.clone(), good.clone()),
            Ok(Verdict::InStep)
        );
        let others = [
            answer(b"$1\r\nx\r\n$1\r\nz\r\n", End::Open),
            answer(b"$1\r\nx\r\n", End::Open),
            answer(b"$1\r\nx\r\n$1\r\ny\r\n:1\r\n", End::Open),
            answer(b"$1\r\nx\r\n$1\r\ny\r\n", End::Closed),
            answer(b"$1\r\nx\r\n$1\r\ny", End::Closed),
            answer(b"$1\r\nx\r\n", End::Silent),
            answer(b"", End::Closed),
        ];
        for other in others {
            assert!(
                judge(&pair, good.clone(), other.clone()).is_err(),
                "{other:?}"
            );
            assert!(
                judge(&pair, other.clone(), good.clone()).is_err(),
                "{other:?}"
            );
        }
        let silent = answer(b"", End::Silent);
        assert!(judge(&pair, silent.clone(), silent).is_err());
    }

    #[test]
    fn a_time_to_live_may_pass_and_nothing_else() {
        let ttl = Request::redis_line("PTTL k");
        let get = Request::redis_line("GET k");
        assert!(same(&ttl, b":999500\r\n", b":999400\r\n"));
        assert!(!same(&ttl, b":999500\r\n", b":99400\r\n"));
        assert!(!same(&ttl, b":-1\r\n", b":0\r\n"));
        assert!(!same(&get, b":999500\r\n", b":999400\r\n"));
    }

    #[test]
    fn only_the_uniques_of_gets_may_differ() {
        let gets = Request::memcached(b"gets k", None);
        let reply: &[u8] = b"VALUE k 0 3 17\r\nx 9\r\nEND\r\n";
        assert!(same(&gets, reply, b"VALUE k 0 3 4\r\nx 9\r\nEND\r\n"));
        for other in [
            &b"VALUE k 0 3 17\r\nx 8\r\nEND\r\n"[..],
            b"VALUE k 1 3 17\r\nx 9\r\nEND\r\n",
            b"END\r\n",
        ] {
            assert!(!same(&gets, reply, other), "{}", other.escape_ascii());
        }
    }
}
