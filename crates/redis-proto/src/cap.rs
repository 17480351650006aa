//! Limits the time to live (TTL) of everything a request writes.
//!
//! Commands that set a TTL are edited: it is reduced, or added where there is none. Any other write is
//! followed by `PEXPIRE key milliseconds LT` for each key that it may have written ([`limit`]), which
//! shortens a longer TTL and leaves a shorter one alone. `LT` needs Redis 7.0 or any Valkey; [`question`] and
//! [`knows_limit`] find out whether a server has it.

use std::ops::Range;

use crate::arg::Arg;
use crate::command::{Command, Flags};
use crate::words::Words;
use crate::{KeyError, encode, number};

/// What has to be done to limit the TTL of a request's writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// Nothing: it writes nothing, or nothing that lives too long.
    Nothing,
    /// The edits that were passed to `edit`.
    Edits,
    /// Follow-ups: a [`limit`] for each of [`Command::written_keys`], after the request.
    Limits,
}

/// Servers may refuse a longer TTL, in seconds, as invalid; it is passed on as it is.
const LONGEST: i64 = 1_000_000_000_000;

impl Command {
    /// Edits and follow-ups that limit the TTL of everything this request writes to `seconds`. Calls `edit`,
    /// in order, with ranges of `text` (which lacks diverted arguments) and their replacements.
    pub fn cap(
        &self,
        text: &[u8],
        args: &[Arg],
        seconds: u32,
        edit: &mut dyn FnMut(Range<usize>, Vec<u8>),
    ) -> Cap {
        if !self.flags.contains(Flags::WRITE) {
            return Cap::Nothing;
        }
        let request = Request {
            words: Words { text, args },
            seconds: seconds.into(),
        };
        let edits = match (self.name, args.len()) {
            ("del" | "unlink" | "getdel", _) | ("getex", 2) => return Cap::Nothing,
            ("set", 3..) => request.cap_set(),
            ("setex", 4) | ("expire", 3) => request.cap_number(2, 1),
            ("psetex", 4) | ("pexpire", 3) => request.cap_number(2, 1_000),
            ("getex", 4) if request.words.is(2, "ex") => request.cap_number(3, 1),
            ("getex", 4) if request.words.is(2, "px") => request.cap_number(3, 1_000),
            _ => None,
        };
        match edits {
            None => Cap::Limits,
            Some(edits) if edits.is_empty() => Cap::Nothing,
            Some(edits) => {
                edits
                    .into_iter()
                    .for_each(|(range, with)| edit(range, with));
                Cap::Edits
            }
        }
    }

    /// The keys that the request may have written, as argument indices: those of [`Command::keys`] without
    /// the ones that are only read.
    ///
    /// # Errors
    /// As [`Command::keys`].
    pub fn written_keys(
        &self,
        text: &[u8],
        args: &[Arg],
        out: &mut Vec<usize>,
    ) -> Result<(), KeyError> {
        self.keys(text, args, out)?;
        match self.name {
            // The destination, if there is one, comes last.
            "copy" | "sort" | "georadius" | "georadiusbymember" => drop(out.remove(0)),
            "bitop" | "pfmerge" | "sdiffstore" | "sinterstore" | "sunionstore" | "zdiffstore"
            | "zinterstore" | "zunionstore" | "zrangestore" | "geosearchstore" | "cms.merge"
            | "tdigest.merge" => out.truncate(1),
            _ => {}
        }
        Ok(())
    }
}

/// Appends a request that limits the TTL of `key` to `seconds` from now.
pub fn limit(out: &mut Vec<u8>, key: &[u8], seconds: u32) {
    let millis = (u64::from(seconds) * 1_000).to_string();
    encode::command(out, &[b"PEXPIRE", key, millis.as_bytes(), b"LT"]);
}

/// Appends a request that changes nothing, and whose reply tells whether the server supports [`limit`].
pub fn question(out: &mut Vec<u8>) {
    // Servers that support the options reply that the two exclude each other; others report a wrong number of
    // arguments.
    encode::command(out, &[b"PEXPIRE", b"nuthatch", b"1", b"LT", b"GT"]);
}

/// Whether the reply to [`question`] shows support for [`limit`]: a server that knows both options refuses
/// the combination.
pub fn knows_limit(reply: &[u8]) -> bool {
    let said = |words: &[u8]| reply.windows(words.len()).any(|part| part == words);
    !reply.starts_with(b"-") || (said(b"GT") && said(b"LT"))
}

type Edits = Vec<(Range<usize>, Vec<u8>)>;

struct Request<'r> {
    words: Words<'r>,
    seconds: i64,
}

impl Request<'_> {
    /// SET: edits its EX or PX, or adds an EX; `None` if that is not possible.
    fn cap_set(&self) -> Option<Edits> {
        let mut time = None;
        let mut index = 3;
        while index < self.words.args.len() {
            let unit = match () {
                () if self.words.is(index, "ex") => 1,
                () if self.words.is(index, "px") => 1_000,
                () if ["nx", "xx", "get"]
                    .iter()
                    .any(|word| self.words.is(index, word)) =>
                {
                    index += 1;
                    continue;
                }
                () => return None,
            };
            if time.replace((index + 1, unit)).is_some() {
                return None;
            }
            index += 2;
        }
        match time {
            Some((index, unit)) => self.cap_number(index, unit),
            None => self.add_ex(),
        }
    }

    /// Reduces a number of seconds or milliseconds to the limit; `None` if it is not a number or one that the
    /// server may refuse.
    fn cap_number(&self, index: usize, unit: i64) -> Option<Edits> {
        let value = number::canonical(self.words.bytes(index)?)?;
        let most = self.seconds * unit;
        if value <= most {
            return Some(Vec::new());
        }
        if value / unit > LONGEST {
            return None;
        }
        let mut with = Vec::new();
        encode::bulk(&mut with, most.to_string().as_bytes());
        with.truncate(with.len() - 2);
        Some(vec![(self.bulk_of(index)?, with)])
    }

    /// Adds one option, EX.
    fn add_ex(&self) -> Option<Edits> {
        let end = self.words.text.len();
        let header = self.words.text.iter().position(|byte| *byte == b'\n')? + 1;
        let (mut count, mut option) = (Vec::new(), Vec::new());
        encode::array_header(&mut count, self.words.args.len() + 2);
        encode::bulk(&mut option, b"EX");
        encode::bulk(&mut option, self.seconds.to_string().as_bytes());
        Some(vec![(0..header, count), (end..end, option)])
    }

    /// The position of an argument together with its length line, without its line end.
    fn bulk_of(&self, index: usize) -> Option<Range<usize>> {
        let (arg, before) = (
            self.words.args.get(index)?,
            self.words.args.get(index.checked_sub(1)?)?,
        );
        let inside = if before.diverted { 0 } else { before.len };
        let start = (before.start + inside) as usize + 2;
        let end = arg.start as usize + arg.len as usize;
        (self.words.text.get(start) == Some(&b'$') && start < end).then_some(start..end)
    }
}

#[cfg(test)]
mod tests;
