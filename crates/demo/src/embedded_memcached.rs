//! An embedded memcached: the classic text protocol over the demo's store.

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use memcached_proto::{Progress, Request, RequestLimits, RequestParser, Verb, encode};

use crate::embedded::{ConnectionHandler, Next, Output, SharedStore, open};
use crate::store::{Item, MAX_VALUE, Store};

const LIMITS: RequestLimits = RequestLimits {
    max_value: MAX_VALUE as u64,
    max_line: 8 << 10,
    max_retrieval_line: 1 << 20,
    max_keys: 8192,
    // Data blocks are collected in one buffer: none is longer than a value and its line end.
    divert: MAX_VALUE + 2,
};

/// Larger expiry times are dates (memcached `protocol.txt`): thirty days in seconds.
const LONGEST_LIFE: i64 = 60 * 60 * 24 * 30;

/// One connection.
pub(crate) struct MemcachedHandler {
    store: SharedStore,
    parser: RequestParser,
    /// Bytes of a refused data block that are still to be discarded.
    skip: u64,
}

/// The reply to a meta command.
const NO_META: &str = "SERVER_ERROR the demo's own server does not know meta commands";

impl MemcachedHandler {
    pub(crate) fn new(store: SharedStore) -> MemcachedHandler {
        MemcachedHandler {
            store,
            parser: RequestParser::default(),
            skip: 0,
        }
    }
}

impl ConnectionHandler for MemcachedHandler {
    fn answer(&mut self, input: &mut Vec<u8>, out: &mut Output) -> io::Result<Next> {
        let mut done = self.skip_block(input.len());
        let next = loop {
            match self.parser.parse(&LIMITS, &input[done..]) {
                Ok(Progress::Complete { len, request }) => {
                    let text = &input[done..done + len];
                    if self.request(text, request, out)? == Next::Close {
                        break Next::Close;
                    }
                    done += len;
                    out.spill()?;
                }
                Ok(Progress::Refused {
                    len,
                    refusal,
                    noreply,
                }) => {
                    if !noreply {
                        refusal.line(&mut out.bytes);
                    }
                    done += len;
                }
                Ok(Progress::RefusedBody {
                    at,
                    skip,
                    refusal,
                    noreply,
                }) => {
                    if !noreply {
                        refusal.line(&mut out.bytes);
                    }
                    self.skip = skip;
                    done += at;
                    done += self.skip_block(input.len() - done);
                }
                // With these limits no block is long enough for the latter.
                Ok(Progress::Partial | Progress::Body { .. }) => break Next::Continue,
                Err(error) => {
                    error.line(&mut out.bytes);
                    break Next::Close;
                }
            }
        };
        input.drain(..done);
        Ok(next)
    }
}

impl MemcachedHandler {
    /// How many of `there` bytes belong to a refused data block.
    fn skip_block(&mut self, there: usize) -> usize {
        let skipped = usize::try_from(self.skip).map_or(there, |skip| skip.min(there));
        self.skip -= skipped as u64;
        skipped
    }

    /// Executes one request.
    fn request(&self, text: &[u8], request: Request, out: &mut Output) -> io::Result<Next> {
        let now = Instant::now();
        let verb = request.verb;
        if verb == Verb::Quit {
            return Ok(Next::Close);
        }
        if verb.is_retrieval() {
            self.retrieve(text, verb, now, out)?;
            return Ok(Next::Continue);
        }
        let line = &text[..request.line_len as usize];
        let words: Vec<&[u8]> = words(line).collect();
        let key = words.get(1).copied().unwrap_or_default();
        let mut store = open(&self.store);
        let reply = if verb.is_storage() {
            let block = &text[line.len()..];
            // The parser has seen the CRLF at its end.
            let data = &block[..block.len().saturating_sub(2)];
            store_item(&mut store, verb, key, &words, data, now)
        } else {
            match verb {
                Verb::Delete => found(
                    store.get(key, now).is_some() && store.remove(key),
                    "DELETED",
                ),
                Verb::Touch => touch(&mut store, key, number(&words, 2), now),
                Verb::Incr | Verb::Decr => count(&mut store, verb, key, &words, now),
                Verb::FlushAll => {
                    store.clear();
                    "OK".into()
                }
                Verb::Verbosity => "OK".into(),
                verb if verb.has_flags() => NO_META.into(),
                Verb::MetaNoop => "MN".into(),
                Verb::Version => "VERSION 1.6.0-demo".into(),
                _ => stats(&store),
            }
        };
        if request.noreply.is_none() {
            out.bytes.extend_from_slice(reply.as_bytes());
            out.bytes.extend_from_slice(b"\r\n");
        }
        Ok(Next::Continue)
    }

    /// get, gets, gat and gats. The store is locked for each key separately, so that writing to a slow client
    /// blocks nobody else.
    fn retrieve(&self, text: &[u8], verb: Verb, now: Instant, out: &mut Output) -> io::Result<()> {
        let exptime = self.parser.exptime().map(|arg| arg.of(text));
        for key in self.parser.keys() {
            let key = key.of(text);
            let item = {
                let mut store = open(&self.store);
                if let Some(exptime) = exptime {
                    touch(&mut store, key, integer(exptime), now);
                }
                store.get(key, now).cloned()
            };
            if let Some(item) = item {
                value_block(
                    &mut out.bytes,
                    key,
                    &item,
                    matches!(verb, Verb::Gets | Verb::Gats),
                );
            }
            out.spill()?;
        }
        out.bytes.extend_from_slice(encode::END);
        Ok(())
    }
}

fn value_block(out: &mut Vec<u8>, key: &[u8], item: &Item, with_cas: bool) {
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key);
    out.extend_from_slice(format!(" {} {}", item.flags, item.value.len()).as_bytes());
    if with_cas {
        out.extend_from_slice(format!(" {}", item.cas).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&item.value);
    out.extend_from_slice(b"\r\n");
}

/// set, add, replace, append, prepend and cas.
fn store_item(
    store: &mut Store,
    verb: Verb,
    key: &[u8],
    words: &[&[u8]],
    data: &[u8],
    now: Instant,
) -> String {
    let old = store.get(key, now).cloned();
    let fresh = Item {
        value: data.to_vec(),
        flags: number(words, 2)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0),
        expires: None,
        cas: 0,
    };
    let life = expiry(number(words, 3).unwrap_or(0), now);
    let item = match (verb, old) {
        (Verb::Add, Some(_)) | (Verb::Replace | Verb::Append | Verb::Prepend, None) => {
            return "NOT_STORED".into();
        }
        (Verb::Cas, None) => return "NOT_FOUND".into(),
        (Verb::Cas, Some(old)) if words.get(5).copied().and_then(unsigned) != Some(old.cas) => {
            return "EXISTS".into();
        }
        (Verb::Append, Some(old)) => joined(&old, &old.value, data),
        (Verb::Prepend, Some(old)) => joined(&old, data, &old.value),
        _ => Item {
            expires: life.end(),
            ..fresh
        },
    };
    let keeps_its_life = matches!(verb, Verb::Append | Verb::Prepend);
    if life == Life::Over && !keeps_its_life {
        store.remove(key);
        return "STORED".into();
    }
    match store.put(key, item) {
        Ok(()) => "STORED".into(),
        Err(_) => "SERVER_ERROR out of memory storing object".into(),
    }
}

fn joined(old: &Item, first: &[u8], second: &[u8]) -> Item {
    Item {
        value: [first, second].concat(),
        ..old.clone()
    }
}

fn touch(store: &mut Store, key: &[u8], exptime: Option<i64>, now: Instant) -> String {
    match expiry(exptime.unwrap_or(0), now) {
        Life::Over => found(
            store.get(key, now).is_some() && store.remove(key),
            "TOUCHED",
        ),
        life => found(store.expire(key, life.end(), now), "TOUCHED"),
    }
}

/// incr wraps around, decr stops at 0 (memcached `protocol.txt`).
fn count(store: &mut Store, verb: Verb, key: &[u8], words: &[&[u8]], now: Instant) -> String {
    let Some(mut item) = store.get(key, now).cloned() else {
        return "NOT_FOUND".into();
    };
    let Some(by) = words.get(2).copied().and_then(unsigned) else {
        return "CLIENT_ERROR invalid numeric delta argument".into();
    };
    let Some(value) = unsigned(&item.value) else {
        return "CLIENT_ERROR cannot increment or decrement non-numeric value".into();
    };
    let value = match verb {
        Verb::Incr => value.wrapping_add(by),
        _ => value.saturating_sub(by),
    };
    item.value = value.to_string().into_bytes();
    match store.put(key, item) {
        Ok(()) => value.to_string(),
        Err(_) => "SERVER_ERROR out of memory in incr".into(),
    }
}

fn stats(store: &Store) -> String {
    let pid = std::process::id();
    let items = store.len();
    format!("STAT pid {pid}\r\nSTAT version 1.6.0-demo\r\nSTAT curr_items {items}\r\nEND")
}

fn found(yes: bool, word: &str) -> String {
    if yes { word.into() } else { "NOT_FOUND".into() }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\r' | b'\n'))
        .filter(|word| !word.is_empty())
}

fn number(words: &[&[u8]], at: usize) -> Option<i64> {
    words.get(at).copied().and_then(integer)
}

fn integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn unsigned(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.trim_end().parse().ok()
}

/// How long an item is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Unbounded,
    Until(Instant),
    Over,
}

impl Life {
    fn end(self) -> Option<Instant> {
        match self {
            Life::Until(end) => Some(end),
            Life::Unbounded | Life::Over => None,
        }
    }
}

/// Converts an exptime: 0 is never, a negative one has expired, up to thirty days is relative to now, and
/// more is a date in seconds since 1970.
fn expiry(exptime: i64, now: Instant) -> Life {
    let seconds = match exptime {
        0 => return Life::Unbounded,
        1..=LONGEST_LIFE => exptime,
        ..0 => return Life::Over,
        _ => {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            exptime.saturating_sub(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        }
    };
    match u64::try_from(seconds).ok().filter(|&seconds| seconds > 0) {
        None => Life::Over,
        // A date beyond the clock's range is never reached.
        Some(seconds) => now
            .checked_add(Duration::from_secs(seconds))
            .map_or(Life::Unbounded, Life::Until),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(handler: &mut MemcachedHandler, input: &[u8]) -> (String, Next) {
        let mut out = Output::new(io::sink());
        let mut input = input.to_vec();
        let next = handler.answer(&mut input, &mut out).unwrap();
        (String::from_utf8(out.bytes).unwrap(), next)
    }

    /// Requests without their last line end, each with its reply.
    fn session(rows: &[(&str, &str)]) {
        let mut handler = MemcachedHandler::new(SharedStore::default());
        for (request, expected) in rows {
            let line = format!("{request}\r\n");
            let (reply, next) = answer_to(&mut handler, line.as_bytes());
            assert_eq!((&*reply, next), (*expected, Next::Continue), "{request}");
        }
    }

    #[test]
    fn every_storage_command() {
        session(&[
            ("replace k 0 0 1\r\na", "NOT_STORED\r\n"),
            ("append k 0 0 1\r\na", "NOT_STORED\r\n"),
            ("add k 7 0 1\r\nb", "STORED\r\n"),
            ("add k 7 0 1\r\nb", "NOT_STORED\r\n"),
            ("append k 0 0 1\r\nc", "STORED\r\n"),
            ("prepend k 0 0 1\r\na", "STORED\r\n"),
            ("get k", "VALUE k 7 3\r\nabc\r\nEND\r\n"),
            ("gets k", "VALUE k 7 3 3\r\nabc\r\nEND\r\n"),
            ("cas k 1 0 1 2\r\nx", "EXISTS\r\n"),
            ("cas k 1 0 1 3\r\nx", "STORED\r\n"),
            ("cas none 1 0 1 3\r\nx", "NOT_FOUND\r\n"),
            ("set k 0 0 1 noreply\r\ny", ""),
            ("set k 0 -1 1\r\nz", "STORED\r\n"),
            ("get k", "END\r\n"),
        ]);
    }

    #[test]
    fn counters_touches_and_the_rest() {
        session(&[
            ("set n 0 0 2\r\n10", "STORED\r\n"),
            ("incr n 5", "15\r\n"),
            ("decr n 20", "0\r\n"),
            ("incr none 1", "NOT_FOUND\r\n"),
            ("set t 0 0 1\r\nx", "STORED\r\n"),
            (
                "incr t 1",
                "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
            ),
            ("touch t 100", "TOUCHED\r\n"),
            ("touch none 100", "NOT_FOUND\r\n"),
            (
                "gat 100 t none n",
                "VALUE t 0 1\r\nx\r\nVALUE n 0 1\r\n0\r\nEND\r\n",
            ),
            ("gat -1 t", "END\r\n"),
            ("delete n", "DELETED\r\n"),
            ("delete n", "NOT_FOUND\r\n"),
            ("version", "VERSION 1.6.0-demo\r\n"),
            ("verbosity 1", "OK\r\n"),
            ("set k 0 0 1\r\nx", "STORED\r\n"),
            ("flush_all", "OK\r\n"),
            ("get k", "END\r\n"),
        ]);
        let (reply, _) = answer_to(
            &mut MemcachedHandler::new(SharedStore::default()),
            b"stats\r\n",
        );
        assert!(
            reply.contains("STAT curr_items 0\r\n") && reply.ends_with("END\r\n"),
            "{reply}"
        );
    }

    #[test]
    fn a_refused_block_is_dropped_however_it_is_cut() {
        let mut handler = MemcachedHandler::new(SharedStore::default());
        let mut out = Output::new(io::sink());
        let mut input = Vec::new();
        let long_key = "k".repeat(251);
        let text = format!("set {long_key} 0 0 6\r\nquit\r\n\r\nversion\r\n");
        for byte in text.bytes() {
            input.push(byte);
            assert_eq!(
                handler.answer(&mut input, &mut out).unwrap(),
                Next::Continue
            );
        }
        let reply = String::from_utf8(out.bytes).unwrap();
        assert_eq!(reply.lines().count(), 2, "{reply}");
        assert!(reply.ends_with("VERSION 1.6.0-demo\r\n"), "{reply}");
    }

    #[test]
    fn lives_are_read_as_memcached_reads_them() {
        let now = Instant::now();
        assert_eq!(expiry(0, now), Life::Unbounded);
        assert_eq!(expiry(-5, now), Life::Over);
        assert_eq!(expiry(60, now), Life::Until(now + Duration::from_secs(60)));
        assert_eq!(expiry(LONGEST_LIFE + 1, now), Life::Over, "a day in 1970");
        assert!(
            matches!(expiry(32_503_680_000, now), Life::Until(_)),
            "the year 3000"
        );
    }

    #[test]
    fn quit_closes() {
        let mut handler = MemcachedHandler::new(SharedStore::default());
        let (reply, next) = answer_to(&mut handler, b"version\r\nquit\r\nversion\r\n");
        assert_eq!((&*reply, next), ("VERSION 1.6.0-demo\r\n", Next::Close));
    }
}
