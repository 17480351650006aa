//! Parses one whole command line: its command, the positions of its keys, and whether it can be served.

use crate::arg::Arg;
use crate::check::{control_bytes, forwarded_length, is_length, key_length};
use crate::verb::{Arguments, Field};
use crate::words::Words;
use crate::{Name, Refusal, Verb, meta, number};

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
        Some(verb) if verb.has_flags() => with_flags(verb, line, full, found),
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
pub(crate) fn is_resp(word: &[u8]) -> bool {
    matches!(word, [b'*', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// A line of an HTTP request: the first words by which Redis, too, recognises an HTTP client, or the last one
/// by which memcached does (`GET / HTTP/1.1`).
pub(crate) fn is_http(word: &[u8], line: &[u8]) -> bool {
    let last = line
        .rsplit(|byte| *byte == b' ')
        .find(|word| !word.is_empty());
    word.eq_ignore_ascii_case(b"post")
        || word.eq_ignore_ascii_case(b"host:")
        || last.is_some_and(|last| last.starts_with(b"HTTP/"))
}

const ONE_SERVER: &str = "it is about one server only, ask that server itself";

/// Commands of memcached that are not served, why, and whether they may say `noreply`.
pub const REFUSED: [(&str, &str, bool); 10] = [
    ("cache_memlimit", ONE_SERVER, true),
    ("debugtime", ONE_SERVER, false),
    ("extstore", ONE_SERVER, false),
    ("lru", ONE_SERVER, true),
    ("lru_crawler", ONE_SERVER, true),
    ("misbehave", ONE_SERVER, false),
    ("refresh_certs", ONE_SERVER, false),
    ("shutdown", ONE_SERVER, false),
    ("slabs", ONE_SERVER, true),
    (
        "watch",
        "it shows the log of one server, ask that server itself",
        true,
    ),
];

/// A word that is no command that is served, and why if it is one of memcached's.
fn unsupported(word: &[u8], words: Words<'_>) -> Line {
    let name = Name::new(word);
    let mut refusals = REFUSED.iter();
    let Some((_, reason, is_quiet)) = refusals.find(|(known, ..)| known.as_bytes() == word) else {
        return refused(Refusal::UnknownCommand(name));
    };
    let line = words.line;
    Line::Refused {
        refusal: Refusal::Unsupported { name, reason },
        block: None,
        noreply: *is_quiet && words_end_with_noreply(line),
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

/// A meta command.
fn with_flags(verb: Verb, line: &[u8], full: usize, found: &mut Found) -> Line {
    let meta::Read { key, block } = meta::read(verb, line, full);
    match key {
        Ok(key) => {
            found.keys.push(key);
            Line::Served {
                verb,
                noreply: None,
                block,
            }
        }
        // An error is answered however quiet the request is.
        Err(refusal) => Line::Refused {
            refusal,
            noreply: false,
            block,
        },
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
        Field::Bytes => is_length(token),
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
