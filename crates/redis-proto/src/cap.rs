//! How a request is kept from writing anything that lives longer than a given time.
//!
//! The commands that set a time to live themselves are edited: the time is made less, or given where there
//! is none. Whatever else writes is to be followed by `PEXPIRE key milliseconds LT` for each key that it may
//! have written ([`limit`]), which makes a longer life shorter and leaves a shorter one alone. `LT` needs
//! Redis 7.0 or any Valkey; [`question`] and [`knows_limit`] find out.

use std::ops::Range;

use crate::arg::Arg;
use crate::command::{Command, Flags};
use crate::words::Words;
use crate::{KeyError, encode, number};

/// What it takes for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// Nothing: it writes nothing that stays, or nothing that stays for too long.
    Nothing,
    /// The edits that were given out.
    Edits,
    /// A [`limit`] for each of [`Command::written_keys`], after it.
    Limits,
}

/// A time beyond this many seconds may be refused by servers as invalid, and is left to them.
const LONGEST: i64 = 1_000_000_000_000;

impl Command {
    /// Finds out what it takes that nothing which the request writes lives longer than `seconds`. Calls
    /// `edit` with ranges of `text` (without what was diverted), in order, and what is to stand there.
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

    /// The keys that the request may have written, as argument indices: those of [`Command::keys`] but for
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
            // The destination comes last, if there is one.
            "copy" | "sort" | "georadius" | "georadiusbymember" => drop(out.remove(0)),
            "bitop" | "pfmerge" | "sdiffstore" | "sinterstore" | "sunionstore" | "zdiffstore"
            | "zinterstore" | "zunionstore" | "zrangestore" | "geosearchstore" | "cms.merge"
            | "tdigest.merge" => out.truncate(1),
            _ => {}
        }
        Ok(())
    }
}

/// Appends the request that makes `key` live no longer than `seconds` from now.
pub fn limit(out: &mut Vec<u8>, key: &[u8], seconds: u32) {
    let millis = (u64::from(seconds) * 1_000).to_string();
    encode::command(out, &[b"PEXPIRE", key, millis.as_bytes(), b"LT"]);
}

/// Appends a request that does nothing, and whose reply tells whether the server knows [`limit`].
pub fn question(out: &mut Vec<u8>) {
    // Servers that know the options say that these two exclude each other, others count the arguments.
    encode::command(out, &[b"PEXPIRE", b"nuthatch", b"1", b"LT", b"GT"]);
}

/// What the reply to [`question`] tells. A server that knows both options refuses them together.
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
    /// SET: edits its EX or PX, or gives it an EX; `None` where that is not enough.
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

    /// Makes a number of seconds, or of thousandths, at most what it may be; `None` if it is no number or
    /// one that the server may not accept.
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

    /// One more option.
    fn add_ex(&self) -> Option<Edits> {
        let end = self.words.text.len();
        let header = self.words.text.iter().position(|byte| *byte == b'\n')? + 1;
        let (mut count, mut option) = (Vec::new(), Vec::new());
        encode::array_header(&mut count, self.words.args.len() + 2);
        encode::bulk(&mut option, b"EX");
        encode::bulk(&mut option, self.seconds.to_string().as_bytes());
        Some(vec![(0..header, count), (end..end, option)])
    }

    /// Where an argument stands with its length, its line end apart.
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
