//! Checks a reply against what is known of the keys.

use std::ops::Range;

use nuthatch_bench::faults::{Traced, read_head, trace};
use nuthatch_bench::load::Protocol;

use crate::keyspace::Keyspace;
use crate::model::{Excuse, Kills, Span, TOKEN_LEN, Verdict};
use crate::reply::Reply;
use crate::request::{Ask, Request, key_of};

/// The texts of errors that a failing server may cause.
const FAILURES: [&str; 10] = [
    "Connection refused",
    "Connection reset by peer",
    "Connection timed out",
    "unknown",
    "Invalid argument",
    "Resource temporarily unavailable",
    "Broken pipe",
    "the failover server cannot limit the time to live",
    "the server refused HELLO",
    "the server refused the connection",
];

/// Elements of the reply to HELLO in RESP2.
const HELLO_ELEMENTS: usize = 14;

const OTHER_KIND: Verdict = Verdict::Wrong("the reply is to another kind of request");

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(Verdict),
    /// With this error, which is right if the verdict is.
    Failed(&'static str, Verdict),
}

/// A reply and where its texts are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) reply: &'a Reply,
    pub(crate) input: &'a [u8],
    /// Whether the client speaks RESP3.
    pub(crate) is_resp3: bool,
    /// How often servers were killed until now.
    pub(crate) now: Kills,
}

impl Keyspace {
    /// Checks the reply to `request` and learns from it.
    pub(crate) fn judge(&mut self, request: &Request, answer: &Answer<'_>) -> Outcome {
        let span = Span {
            sent: request.sent,
            read: answer.now,
        };
        if let Reply::Error(line) = answer.reply {
            return self.judge_error(&request.ask, &answer.input[line.clone()]);
        }
        if let Reply::Null { is_resp3 } = answer.reply
            && *is_resp3 != answer.is_resp3
        {
            return Outcome::Answered(Verdict::Wrong("a null of another version of RESP"));
        }
        Outcome::Answered(self.judge_success(&request.ask, answer, &span))
    }

    fn judge_error(&mut self, ask: &Ask, line: &[u8]) -> Outcome {
        let line = String::from_utf8_lossy(line);
        match ask {
            Ask::Unknown { text } => {
                let expected = match self.protocol {
                    Protocol::Redis => format!("-ERR unknown command 'nothing{text:08x}'"),
                    Protocol::Memcached => "ERROR".into(),
                };
                let is_right = line.starts_with(&expected);
                return Outcome::Answered(Verdict::when(is_right, "another error was expected"));
            }
            Ask::WrongType { key } if line.starts_with("-WRONGTYPE ") => {
                let register = self.register_mut(*key);
                let verdict = Verdict::when(register.may_exist(), "there is no value")
                    .unless_moved(&register.place);
                return Outcome::Answered(verdict);
            }
            Ask::Hello { version: 3 } if line.starts_with("-NOPROTO ") => {
                return Outcome::Answered(Verdict::Right);
            }
            _ => {}
        }
        let text = ["-ERR ", "SERVER_ERROR "]
            .iter()
            .find_map(|prefix| line.strip_prefix(prefix));
        let text = text.unwrap_or("");
        let known = FAILURES.iter().find(|&&failure| {
            let rest = text.strip_prefix(failure);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        });
        self.note_failed(ask);
        match known {
            // It may be the answer to anything.
            Some(known @ &"Resource temporarily unavailable") => {
                let what = "an error, and no server has failed";
                Outcome::Failed(known, Verdict::Doubtful(Excuse::AnyServer, what))
            }
            Some(known) => Outcome::Failed(known, self.judge_failure(ask)),
            None => Outcome::Answered(Verdict::Wrong("an error that no failure causes")),
        }
    }

    /// Whether a request may have failed: its own server must have.
    fn judge_failure(&self, ask: &Ask) -> Verdict {
        let what = "an error, and its server has not failed";
        let place = match ask {
            Ask::Set { key, .. }
            | Ask::WrongType { key }
            | Ask::Increment { key, .. }
            | Ask::AddCounter { key }
            | Ask::ReadCounter { key, .. }
            | Ask::Append { key, .. }
            | Ask::Restart { key, .. }
            | Ask::ReadJournal { key, .. } => self.place(*key),
            Ask::Get { keys } if keys.len() == 1 => self.place(keys[0].0),
            Ask::Delete { keys } if keys.len() == 1 => self.place(keys[0]),
            Ask::Ping { .. } if self.protocol == Protocol::Redis => {
                return Verdict::Wrong("the proxy answers this by itself");
            }
            Ask::Auth | Ask::Quit | Ask::Hello { version: 2 } => {
                return Verdict::Wrong("the proxy answers this by itself");
            }
            _ => return Verdict::Doubtful(Excuse::AnyServer, what),
        };
        match (place.server, place.moved) {
            (Some(server), None) => Verdict::Doubtful(Excuse::Server(server), what),
            _ => Verdict::Doubtful(Excuse::AnyServer, what),
        }
    }

    fn judge_success(&mut self, ask: &Ask, answer: &Answer<'_>, span: &Span) -> Verdict {
        let line = |expected: &[u8]| matches!(answer.reply, Reply::Line(at) if answer.input[at.clone()] == *expected);
        let is_stored = match self.protocol {
            Protocol::Redis => line(b"OK"),
            Protocol::Memcached => line(b"STORED"),
        };
        match ask {
            Ask::Set { key, seq } if is_stored => {
                self.register_mut(*key).note_done(Some(*seq), &span.sent);
                Verdict::Right
            }
            Ask::SetMany { writes } if is_stored => {
                for &(key, seq) in writes {
                    self.register_mut(key).note_done(Some(seq), &span.sent);
                }
                Verdict::Right
            }
            Ask::Get { keys } => self.judge_values(keys, answer, span),
            Ask::Delete { keys } => self.judge_delete(keys, answer, span),
            Ask::WrongType { key } => match answer.reply {
                Reply::Number(0) => {
                    let is_right = self.register_mut(*key).may_be_missing(&span.read);
                    let verdict = Verdict::when(is_right, "a value that was stored is not there");
                    self.unless_missed(verdict.unless_moved(&self.place(*key)))
                }
                _ => OTHER_KIND,
            },
            Ask::Increment { .. } | Ask::ReadCounter { .. } | Ask::AddCounter { .. } => {
                self.judge_counter(ask, answer, span)
            }
            Ask::Append { .. } | Ask::ReadJournal { .. } => self.judge_journal(ask, answer, span),
            Ask::Restart { key, token } if is_stored => {
                self.journal_mut(*key).note_restarted(*token, &span.sent);
                Verdict::Right
            }
            Ask::Ping { text } => {
                let is_right = match (self.protocol, answer.reply) {
                    (Protocol::Redis, Reply::Bulk(at)) => {
                        answer.input[at.clone()] == *format!("{text:08x}").as_bytes()
                    }
                    (Protocol::Memcached, Reply::Line(at)) => {
                        answer.input[at.clone()].starts_with(b"VERSION ")
                    }
                    _ => false,
                };
                Verdict::when(is_right, "the reply is to another request")
            }
            Ask::Hello { version } => {
                let is_right = match answer.reply {
                    Reply::Map(_) => *version == 3,
                    Reply::Array(list) => *version == 2 && list.len() == HELLO_ELEMENTS,
                    _ => false,
                };
                Verdict::when(is_right, "the reply is to another kind of request")
            }
            Ask::Auth | Ask::Quit if is_stored => Verdict::Right,
            _ => OTHER_KIND,
        }
    }

    /// Reads may be answered as if there were no value.
    fn unless_missed(&self, verdict: Verdict) -> Verdict {
        match (verdict, self.missed) {
            (Verdict::Wrong(what), Some(excuse)) => Verdict::Doubtful(excuse, what),
            _ => verdict,
        }
    }

    fn judge_values(&mut self, keys: &[(u16, u32)], answer: &Answer<'_>, span: &Span) -> Verdict {
        let found = match self.find_values(keys, answer) {
            Ok(found) => found,
            Err(verdict) => return verdict,
        };
        let is_partial = self.protocol == Protocol::Memcached && keys.len() > 1;
        let mut worst = Verdict::Right;
        for (&(key, bound), value) in keys.iter().zip(found) {
            worst = worst.and(match value {
                Some(at) => self.judge_value(key, bound, &answer.input[at], span),
                None => self.judge_missing(key, is_partial, span),
            });
        }
        worst
    }

    /// The value of each key.
    fn find_values(
        &self,
        keys: &[(u16, u32)],
        answer: &Answer<'_>,
    ) -> Result<Vec<Option<Range<usize>>>, Verdict> {
        let of_one = |reply: &Reply| match reply {
            Reply::Bulk(at) => Ok(Some(at.clone())),
            Reply::Null { is_resp3 } if *is_resp3 == answer.is_resp3 => Ok(None),
            _ => Err(OTHER_KIND),
        };
        match (self.protocol, answer.reply) {
            (Protocol::Redis, Reply::Array(list)) if keys.len() > 1 => {
                if list.len() != keys.len() {
                    return Err(Verdict::Wrong("the reply has another number of values"));
                }
                list.iter().map(of_one).collect()
            }
            (Protocol::Redis, reply) if keys.len() == 1 => Ok(vec![of_one(reply)?]),
            (Protocol::Memcached, Reply::Values(list)) => {
                let find = |&(key, _): &(u16, u32)| {
                    let name = key_of(self.owner, key);
                    let mut same = list
                        .iter()
                        .filter(|(at, _)| answer.input[at.clone()] == *name);
                    let first = same.next().map(|(_, value)| value.clone());
                    match same.next() {
                        Some(_) => Err(Verdict::Wrong("a key comes twice")),
                        None => Ok(first),
                    }
                };
                let found: Vec<_> = keys.iter().map(find).collect::<Result<_, _>>()?;
                match found.iter().flatten().count() == list.len() {
                    true => Ok(found),
                    false => Err(Verdict::Wrong("there are keys that were not asked for")),
                }
            }
            _ => Err(OTHER_KIND),
        }
    }

    fn judge_value(&mut self, key: u16, bound: u32, value: &[u8], span: &Span) -> Verdict {
        match trace(value, self.owner, key) {
            Traced::Broken => Verdict::Wrong("the value is none that was written"),
            Traced::Strange => Verdict::Wrong("the value is another key's"),
            Traced::Ours(seq) => self.register_mut(key).judge_value(seq, bound, span),
        }
    }

    fn judge_missing(&mut self, key: u16, is_partial: bool, span: &Span) -> Verdict {
        let missed = self.missed;
        let register = self.register_mut(key);
        if missed.is_none() && !is_partial {
            return register.judge_missing(span);
        }
        // It need not be missing, so nothing is learnt from that.
        let is_right = register.may_be_missing(&span.read);
        let verdict = Verdict::when(is_right, "a value that was stored is not there");
        let verdict = self.unless_missed(verdict.unless_moved(&self.place(key)));
        match verdict {
            Verdict::Right | Verdict::Doubtful(Excuse::None, _) => verdict,
            _ if is_partial => Verdict::Doubtful(
                Excuse::AnyServer,
                "a value is not among the others, and no server has failed",
            ),
            _ => verdict,
        }
    }

    fn judge_delete(&mut self, keys: &[u16], answer: &Answer<'_>, span: &Span) -> Verdict {
        let least = keys
            .iter()
            .filter(|&&key| !self.registers[usize::from(key)].may_be_missing(&span.read));
        let most = keys
            .iter()
            .filter(|&&key| self.registers[usize::from(key)].may_exist());
        let bounds = least.count() as u64..=most.count() as u64;
        let count = match (self.protocol, answer.reply) {
            (Protocol::Redis, Reply::Number(count)) => *count,
            (Protocol::Memcached, Reply::Line(at)) => match &answer.input[at.clone()] {
                b"DELETED" => 1,
                b"NOT_FOUND" => 0,
                _ => return OTHER_KIND,
            },
            _ => return OTHER_KIND,
        };
        for &key in keys {
            self.register_mut(key).note_done(None, &span.sent);
        }
        Verdict::when(bounds.contains(&count), "another number was deleted")
            .unless_moved(&self.place(keys[0]))
    }

    fn judge_counter(&mut self, ask: &Ask, answer: &Answer<'_>, span: &Span) -> Verdict {
        let text = |at: &Range<usize>| std::str::from_utf8(&answer.input[at.clone()]).ok();
        let line = |at: &Range<usize>| text(at).unwrap_or("");
        match (ask, answer.reply) {
            (Ask::Increment { key, bound }, Reply::Number(value)) => {
                self.counter_mut(*key).judge_increment(*value, *bound, span)
            }
            (Ask::Increment { key, .. }, Reply::Line(at)) if line(at) == "NOT_FOUND" => {
                self.counter_mut(*key).judge_missing(span)
            }
            (Ask::AddCounter { key }, Reply::Line(at)) if line(at) == "STORED" => {
                self.counter_mut(*key).judge_missing(span)
            }
            (Ask::AddCounter { .. }, Reply::Line(at)) if line(at) == "NOT_STORED" => Verdict::Right,
            (Ask::ReadCounter { key, bound }, _) => {
                let found = match self.find_values(&[(*key, 0)], answer) {
                    Ok(mut found) => found.remove(0),
                    Err(verdict) => return verdict,
                };
                let Some(at) = found else {
                    let verdict = self.counter_mut(*key).judge_missing(span);
                    return self.unless_missed(verdict);
                };
                match text(&at).and_then(|digits| digits.parse().ok()) {
                    Some(value) => self.counter_mut(*key).judge_value(value, *bound, span),
                    None => Verdict::Wrong("the value is no number"),
                }
            }
            _ => OTHER_KIND,
        }
    }

    fn judge_journal(&mut self, ask: &Ask, answer: &Answer<'_>, span: &Span) -> Verdict {
        let line = |at: &Range<usize>| &answer.input[at.clone()];
        match (ask, answer.reply) {
            (Ask::Append { key, token }, Reply::Number(length)) => {
                let length = Some(*length as usize);
                self.journal_mut(*key).judge_append(*token, length, span)
            }
            (Ask::Append { key, token }, Reply::Line(at)) if line(at) == b"STORED" => {
                self.journal_mut(*key).judge_append(*token, None, span)
            }
            (Ask::Append { key, .. }, Reply::Line(at)) if line(at) == b"NOT_STORED" => {
                self.journal_mut(*key).judge_missing(span)
            }
            (Ask::ReadJournal { key, bound }, _) => {
                let found = match self.find_values(&[(*key, 0)], answer) {
                    Ok(mut found) => found.remove(0),
                    Err(verdict) => return verdict,
                };
                let Some(at) = found else {
                    let verdict = self.journal_mut(*key).judge_missing(span);
                    return self.unless_missed(verdict);
                };
                match self.tokens(*key, &answer.input[at]) {
                    Some(tokens) => self.journal_mut(*key).judge_tokens(&tokens, *bound, span),
                    None => Verdict::Wrong("the value is not made of this key's tokens"),
                }
            }
            _ => OTHER_KIND,
        }
    }

    fn tokens(&self, key: u16, value: &[u8]) -> Option<Vec<u32>> {
        if !value.len().is_multiple_of(TOKEN_LEN) {
            return None;
        }
        let read = |token| match read_head(token) {
            Some((owner, found, seq)) if (owner, found) == (self.owner, key) => Some(seq),
            _ => None,
        };
        value.chunks(TOKEN_LEN).map(read).collect()
    }
}
