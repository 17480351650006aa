//! Parses one whole command line: its command, the positions of its keys, and whether it can be served.

use memchr::memchr2;

use crate::arg::Arg;
use crate::verb::{Arguments, Field};
use crate::{MAX_FORWARDED_LINE, MAX_KEY, Name, Refusal, Verb, number, quick};

/// A parsed command line.
pub(crate) enum Line {
    /// A request that can be served.
    Served {
        verb: Verb,
        /// Start and end of ` noreply` with the blanks before it.
        noreply: Option<(u32, u32)>,
        /// Length of the data block that follows, without its CRLF.
        block: Option<u64>,
    },
    /// A request that is refused.
    Refused {
        refusal: Refusal,
        /// Whether the request says `noreply`.
        noreply: bool,
        /// Length of the data block to discard, as above.
        block: Option<u64>,
    },
    /// A line of an HTTP request.
    Http,
    /// The start of a request in Redis's protocol.
    Resp,
}

/// Positions of a line's keys and exptime, returned by the parser's methods.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) keys: Vec<Arg>,
    pub(crate) exptime: Option<Arg>,
}

/// Reads a command line of `full` bytes, given without its end.
pub(crate) fn read(line: &[u8], full: usize, max_keys: usize, found: &mut Found) -> Line {
    let mut words = Words { line, at: 0 };
    let Some(first) = words.next() else {
        return refused(Refusal::EmptyLine);
    };
    let word = first.of(line);
    match Verb::from_word(word) {
        Some(verb) => match verb.arguments() {
            None => retrieval(verb, words, full, max_keys, found),
            Some(arguments) => command(verb, arguments, words, full, found),
        },
        None if is_http(word, line) => Line::Http,
        None if is_resp(word) => Line::Resp,
        None => unsupported(word, words),
    }
}

/// Whether a line's first word is the number of a RESP array's elements, as in `*2`.
fn is_resp(word: &[u8]) -> bool {
    matches!(word, [b'*', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// A line of an HTTP request: the first words by which Redis, too, recognises an HTTP client, or the last one
/// by which memcached does (`GET / HTTP/1.1`).
fn is_http(word: &[u8], line: &[u8]) -> bool {
    let last = line
        .rsplit(|byte| *byte == b' ')
        .find(|word| !word.is_empty());
    word.eq_ignore_ascii_case(b"post")
        || word.eq_ignore_ascii_case(b"host:")
        || last.is_some_and(|last| last.starts_with(b"HTTP/"))
}

/// A word that is no command that is served, and why if it is one of memcached's.
fn unsupported(word: &[u8], words: Words<'_>) -> Line {
    const ONE_SERVER: &str = "it is about one server only, ask that server itself";
    let name = Name::new(word);
    let (reason, is_quiet) = match word {
        b"mg" | b"ms" | b"md" | b"ma" | b"mn" | b"me" => {
            ("the meta protocol is not supported", false)
        }
        b"watch" => (
            "it shows the log of one server, ask that server itself",
            true,
        ),
        b"cache_memlimit" | b"lru" | b"lru_crawler" | b"slabs" => (ONE_SERVER, true),
        b"shutdown" | b"extstore" | b"refresh_certs" | b"debugtime" | b"misbehave" => {
            (ONE_SERVER, false)
        }
        _ => return refused(Refusal::UnknownCommand(name)),
    };
    let line = words.line;
    Line::Refused {
        refusal: Refusal::Unsupported { name, reason },
        block: match word {
            b"ms" => meta_block(words),
            _ => None,
        },
        noreply: is_quiet && words_end_with_noreply(line),
    }
}

fn words_end_with_noreply(line: &[u8]) -> bool {
    let words = Words { line, at: 0 };
    words.last().is_some_and(|last| last.of(line) == b"noreply")
}

fn refused(refusal: Refusal) -> Line {
    Line::Refused {
        refusal,
        noreply: false,
        block: None,
    }
}

fn retrieval(
    verb: Verb,
    mut words: Words<'_>,
    full: usize,
    max_keys: usize,
    found: &mut Found,
) -> Line {
    let line = words.line;
    if verb.touches() {
        found.exptime = words.next();
    }
    let checked = control_bytes(verb, line)
        .and_then(|()| collect_keys(verb, words, max_keys, &mut found.keys))
        .and_then(|()| match found.exptime {
            Some(exptime) => field(verb, Field::Exptime, exptime.of(line)),
            None => Ok(()),
        })
        .and_then(|()| match found.keys.len() {
            // Lines with several keys are rewritten, one per server.
            1 => forwarded_length(verb, full),
            _ => Ok(()),
        });
    match checked {
        Ok(()) => Line::Served {
            verb,
            noreply: None,
            block: None,
        },
        Err(refusal) => refused(refusal),
    }
}

fn collect_keys(
    verb: Verb,
    words: Words<'_>,
    max: usize,
    keys: &mut Vec<Arg>,
) -> Result<(), Refusal> {
    for key in words {
        key_length(verb, key.len as usize)?;
        if keys.len() == max {
            return Err(Refusal::TooManyKeys { verb, max });
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(Refusal::WrongCount(verb));
    }
    Ok(())
}

fn command(
    verb: Verb,
    arguments: &Arguments,
    words: Words<'_>,
    full: usize,
    found: &mut Found,
) -> Line {
    let line = words.line;
    let mut given = Given::collect(words);
    let noreply = if arguments.noreply {
        given.take_noreply(line, arguments)
    } else {
        None
    };
    let block = match given.get(3) {
        Some(length) if verb.is_storage() => number::length(length.of(line)),
        _ => None,
    };
    match check(verb, arguments, &given, line, full) {
        Ok(()) => {
            if arguments.fields.first() == Some(&Field::Key) {
                found.keys.extend(given.get(0));
            }
            found.exptime = match verb {
                Verb::Touch => given.get(1),
                _ if verb.is_storage() => given.get(2),
                _ => None,
            };
            Line::Served {
                verb,
                noreply,
                block,
            }
        }
        Err(refusal) => Line::Refused {
            refusal,
            noreply: noreply.is_some(),
            block,
        },
    }
}

fn check(
    verb: Verb,
    arguments: &Arguments,
    given: &Given,
    line: &[u8],
    full: usize,
) -> Result<(), Refusal> {
    control_bytes(verb, line)?;
    forwarded_length(verb, full)?;
    let fields = arguments.fields;
    if verb == Verb::Delete && given.count == fields.len() + 1 {
        let argument = Field::Zero.name();
        return Err(Refusal::BadArgument { verb, argument });
    }
    if given.count < arguments.required || (given.count > fields.len() && !arguments.free) {
        return Err(Refusal::WrongCount(verb));
    }
    for (form, argument) in fields.iter().zip(given.known()) {
        field(verb, *form, argument.of(line))?;
    }
    Ok(())
}

/// Whether an argument has the form that its position requires.
fn field(verb: Verb, form: Field, token: &[u8]) -> Result<(), Refusal> {
    let good = match form {
        Field::Key => return key_length(verb, token.len()),
        Field::Flags | Field::Cas | Field::Level => number::unsigned(token).is_some(),
        Field::Exptime | Field::Delay => number::signed(token).is_some(),
        Field::Bytes => number::is_digits(token),
        Field::Delta => number::is_digits(token.strip_prefix(b"-").unwrap_or(token)),
        Field::Zero => token == b"0",
    };
    if good {
        return Ok(());
    }
    Err(Refusal::BadArgument {
        verb,
        argument: form.name(),
    })
}

fn key_length(verb: Verb, len: usize) -> Result<(), Refusal> {
    if len > MAX_KEY {
        return Err(Refusal::KeyTooLong { verb, len });
    }
    Ok(())
}

fn forwarded_length(verb: Verb, len: usize) -> Result<(), Refusal> {
    if len > MAX_FORWARDED_LINE {
        return Err(Refusal::LineTooLong { verb, len });
    }
    Ok(())
}

/// memcached ends the line at a NUL and keeps a carriage return as part of a key; nutcracker 0.5.0 refuses
/// the latter. Neither is forwarded.
fn control_bytes(verb: Verb, line: &[u8]) -> Result<(), Refusal> {
    match memchr2(b'\r', 0, line) {
        Some(_) => Err(Refusal::ControlByte(verb)),
        None => Ok(()),
    }
}

/// The length of the data block behind a meta set: its second argument, or in the form of memcached
/// before 1.6.10 (`ms KEY S100 T90`) the number of its `S` flag.
fn meta_block(words: Words<'_>) -> Option<u64> {
    let line = words.line;
    let mut rest = words.skip(1);
    let second = rest.next()?;
    if let Some(length) = number::length(second.of(line)) {
        return Some(length);
    }
    std::iter::once(second)
        .chain(rest)
        .filter_map(|flag| flag.of(line).strip_prefix(b"S"))
        .find(|token| number::is_digits(token))
        .and_then(number::length)
}

/// Maximum number of arguments of any command, plus `noreply`.
const KNOWN: usize = 6;

/// The arguments of a command that takes few: the first ones, the last one, and their number.
#[derive(Default)]
struct Given {
    first: [Arg; KNOWN],
    count: usize,
    last: Arg,
    /// Where the word before the last ends.
    before_last: u32,
}

impl Given {
    fn collect(words: Words<'_>) -> Given {
        let mut given = Given {
            before_last: words.at as u32,
            ..Given::default()
        };
        for argument in words {
            if given.count > 0 {
                given.before_last = given.last.start + given.last.len;
            }
            if let Some(place) = given.first.get_mut(given.count) {
                *place = argument;
            }
            given.last = argument;
            given.count += 1;
        }
        given
    }

    /// Removes a final `noreply` and returns the position of it and the blanks before it. In the position of
    /// a key it is a key.
    fn take_noreply(&mut self, line: &[u8], arguments: &Arguments) -> Option<(u32, u32)> {
        let keys = usize::from(arguments.fields.first() == Some(&Field::Key));
        if self.count <= keys || self.last.of(line) != b"noreply" {
            return None;
        }
        self.count -= 1;
        Some((self.before_last, self.last.start + self.last.len))
    }

    fn known(&self) -> &[Arg] {
        &self.first[..self.count.min(KNOWN)]
    }

    fn get(&self, place: usize) -> Option<Arg> {
        self.known().get(place).copied()
    }
}

/// The words of a line, separated by one or more spaces (and nothing else: a tab is part of a word).
struct Words<'a> {
    line: &'a [u8],
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Arg;

    #[inline]
    fn next(&mut self) -> Option<Arg> {
        let mut start = self.at;
        while self.line.get(start) == Some(&b' ') {
            start += 1;
        }
        let rest = self.line.get(start..).filter(|rest| !rest.is_empty())?;
        let len = quick::until_space(rest);
        self.at = start + len;
        // Lines are limited far below 4 GiB.
        Some(Arg {
            start: start as u32,
            len: len as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_by_spaces_alone() {
        let line = b"  get  a\tb c ";
        let words: Vec<&[u8]> = Words { line, at: 0 }.map(|w| w.of(line)).collect();
        assert_eq!(words, [&b"get"[..], b"a\tb", b"c"]);
        assert_eq!(
            Words {
                line: b"   ",
                at: 0
            }
            .count(),
            0
        );
    }

    #[test]
    fn both_forms_of_a_meta_set_announce_their_block() {
        let block = |line: &[u8]| match read(line, line.len() + 2, 1, &mut Found::default()) {
            Line::Refused { block, .. } => block,
            Line::Served { .. } | Line::Http | Line::Resp => panic!("meta commands are not served"),
        };
        assert_eq!(block(b"ms k 5"), Some(5));
        assert_eq!(block(b"ms k 5 S7 q"), Some(5));
        assert_eq!(block(b"ms k T0 S7 q"), Some(7));
        assert_eq!(block(b"ms k S7"), Some(7));
        assert_eq!(block(b"ms k Sx S7"), Some(7));
        for none in [
            &b"ms"[..],
            b"ms k",
            b"ms k T0",
            b"ms k 5x",
            b"ms S5",
            b"mg k S5",
        ] {
            assert_eq!(block(none), None);
        }
    }
}
