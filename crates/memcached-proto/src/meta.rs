//! Meta commands: `mg`, `ms`, `md`, `ma` and `me` (memcached `protocol.txt`, "Meta Commands").
//!
//! Their flags are words of one letter and perhaps a token. A server checks them. Refused here is only what would
//! bring server and proxy out of step, because servers do not skip the data block then, and what hides from the proxy
//! which key is meant or whether a reply is wanted.

use std::ops::Range;

use crate::arg::Arg;
use crate::words::Words;
use crate::{Refusal, Verb, base64, check, number};

/// Most words of a line. memcached 1.6 refuses more than 20, of which older releases count one that is not there, and
/// does not skip the data of a meta set then. One word may be added ([`crate::cap::capped_flags`]).
const MAX_WORDS: usize = 18;

/// One flag of a meta command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The letter that says what it is.
    pub letter: u8,
    /// Where it is, letter and token.
    pub word: Arg,
    /// Where the word before it ends.
    before: u32,
}

impl Flag {
    /// Where its token is, which may be empty.
    pub fn token(self) -> Arg {
        Arg {
            start: self.word.start + 1,
            len: self.word.len - 1,
        }
    }

    /// Where it is with the blanks before it: without these bytes the request has no such flag.
    pub fn with_blanks(self) -> Range<usize> {
        self.before as usize..self.word.range().end
    }
}

/// The flags of a meta command, in order; `text` begins with its line.
pub fn flags(verb: Verb, text: &[u8]) -> impl Iterator<Item = Flag> {
    let mut words = Words {
        line: line_of(text),
        at: 0,
    };
    // The command, the key, and the length of a data block.
    for _ in 0..2 + usize::from(verb == Verb::MetaSet) {
        words.next();
    }
    let line = words.line;
    std::iter::from_fn(move || {
        let before = words.at as u32;
        let word = words.next()?;
        Some(Flag {
            letter: line[word.start as usize],
            word,
            before,
        })
    })
}

/// Where the line at the beginning of `text` ends, without its line end.
pub fn line_end(text: &[u8]) -> usize {
    line_of(text).len()
}

fn line_of(text: &[u8]) -> &[u8] {
    let line = match memchr::memchr(b'\n', text) {
        Some(end) => &text[..end],
        None => text,
    };
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether the key of a meta command is in base64; `text` begins with its line.
pub fn has_encoded_key(verb: Verb, text: &[u8]) -> bool {
    let mut flags = flags(verb, text);
    match verb {
        // It knows no other flag, and ignores everything else.
        Verb::MetaDebug => flags.next().is_some_and(|flag| flag.word.of(text) == b"b"),
        _ => flags.any(|flag| flag.letter == b'b'),
    }
}

/// Appends the key that `encoded` means to `out`; returns false if it means none.
pub fn decode_key(encoded: &[u8], out: &mut Vec<u8>) -> bool {
    base64::decode(encoded, out)
}

/// Appends the reply to a meta get that finds nothing: `EN`, and the flags of `request` that memcached repeats in it,
/// opaque and key.
pub fn miss(out: &mut Vec<u8>, request: &[u8], key: Arg) {
    let verb = Verb::MetaGet;
    out.extend_from_slice(b"EN");
    for flag in flags(verb, request) {
        match flag.letter {
            b'O' => {
                out.push(b' ');
                out.extend_from_slice(flag.word.of(request));
            }
            b'k' => {
                out.extend_from_slice(b" k");
                out.extend_from_slice(key.of(request));
                if has_encoded_key(verb, request) {
                    out.extend_from_slice(b" b");
                }
            }
            _ => {}
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// What a line of a meta command is found to be.
pub(crate) struct Read {
    /// Its key, or why it is refused.
    pub(crate) key: Result<Arg, Refusal>,
    /// Length of the data block that follows, without its CRLF.
    pub(crate) block: Option<u64>,
}

/// Reads a line of `full` bytes, given without its end.
pub(crate) fn read(verb: Verb, line: &[u8], full: usize) -> Read {
    Read {
        key: check::control_bytes(verb, line)
            .and_then(|()| check::forwarded_length(verb, full))
            .and_then(|()| find_key(verb, line)),
        block: match verb {
            Verb::MetaSet => block(line),
            _ => None,
        },
    }
}

fn find_key(verb: Verb, line: &[u8]) -> Result<Arg, Refusal> {
    let bad = |argument| Refusal::BadArgument { verb, argument };
    // memcached 1.6.40 knows no command behind a blank, and takes the data of a meta set for requests then.
    if line.starts_with(b" ") {
        return Err(bad("blank before the command"));
    }
    let mut words = Words { line, at: 0 }.skip(1);
    let key = words.next().ok_or(bad("key"))?;
    check::key_length(verb, key.len as usize)?;
    if verb == Verb::MetaSet {
        let length = words.next().map_or(&b""[..], |length| length.of(line));
        if !check::is_length(length) {
            return Err(bad("length"));
        }
    }
    if verb != Verb::MetaDebug {
        check_flags(verb, line)?;
    }
    check_encoded_key(verb, line, key)?;
    Ok(key)
}

/// A key in base64 must be one. It may have any bytes, but memcached (1.6.18 to 1.6.45) forgets that it was in base64 when
/// it makes the item anew for another command than a plain meta set, and repeats it as it is in later replies. With a line
/// end in it a client would write replies of its own, which others would get.
fn check_encoded_key(verb: Verb, line: &[u8], key: Arg) -> Result<(), Refusal> {
    if !has_encoded_key(verb, line) {
        return Ok(());
    }
    let mut decoded = Vec::new();
    if !base64::decode(key.of(line), &mut decoded) {
        return Err(Refusal::BadEncodedKey(verb));
    }
    match decoded.contains(&b'\n') && forgets_encoding(verb, line) {
        true => Err(Refusal::LineEndInKey(verb)),
        false => Ok(()),
    }
}

/// Whether a server may make an item of which it does not know that its key was in base64: one that was missing, one
/// with a longer number, or one of two values.
fn forgets_encoding(verb: Verb, line: &[u8]) -> bool {
    let mut flags = flags(verb, line);
    match verb {
        Verb::MetaGet => flags.any(|flag| flag.letter == b'N'),
        Verb::MetaArithmetic => true,
        Verb::MetaSet => {
            let joins = |mode: &[u8]| matches!(mode, [b'A' | b'a' | b'P' | b'p', ..]);
            flags.any(|flag| flag.letter == b'M' && joins(flag.token().of(line)))
        }
        _ => false,
    }
}

/// No flag may be there twice: of two `q` one would reach the server, which would not answer.
fn check_flags(verb: Verb, line: &[u8]) -> Result<(), Refusal> {
    if (Words { line, at: 0 }).count() > MAX_WORDS {
        return Err(Refusal::TooManyFlags);
    }
    let mut seen = 0u128;
    for flag in flags(verb, line) {
        // memcached refuses letters beyond ASCII.
        let bit = 1u128.checked_shl(flag.letter.into()).unwrap_or(0);
        if seen & bit != 0 {
            return Err(Refusal::DuplicateFlag(verb));
        }
        seen |= bit;
    }
    Ok(())
}

/// The length of the data block behind a meta set: its second argument, or in the form of memcached
/// before 1.6.10 (`ms KEY S100 T90`), which is refused, the number of its `S` flag.
fn block(line: &[u8]) -> Option<u64> {
    let mut rest = Words { line, at: 0 }.skip(2);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(verb: Verb, line: &str) -> Result<&str, Refusal> {
        let read = read(verb, line.as_bytes(), line.len() + 2);
        read.key.map(|key| &line[key.range()])
    }

    #[test]
    fn both_forms_of_a_meta_set_announce_their_block() {
        let block = |line: &[u8]| read(Verb::MetaSet, line, line.len() + 2).block;
        assert_eq!(block(b"ms k 5"), Some(5));
        assert_eq!(block(b"ms k 5 S7 q"), Some(5));
        assert_eq!(block(b"ms k T0 S7 q"), Some(7));
        assert_eq!(block(b"ms k S7"), Some(7));
        assert_eq!(block(b"ms k Sx S7"), Some(7));
        for none in [&b"ms"[..], b"ms k", b"ms k T0", b"ms k 5x", b"ms S5"] {
            assert_eq!(block(none), None);
        }
        assert_eq!(read(Verb::MetaGet, b"mg k S5", 9).block, None);
    }

    #[test]
    fn flags_are_found_behind_the_key_and_the_length() {
        let text = b"ms k 2  T30 q  b\r\nq!\r\n";
        let letters: Vec<u8> = flags(Verb::MetaSet, text).map(|flag| flag.letter).collect();
        assert_eq!(letters, b"Tqb");
        let mut found = flags(Verb::MetaSet, text);
        let (ttl, quiet) = (found.next().unwrap(), found.next().unwrap());
        assert_eq!(ttl.token().of(text), b"30");
        assert_eq!((quiet.with_blanks(), quiet.token().len), (11..13, 0));
        assert_eq!(line_end(text), 16);
        assert_eq!(flags(Verb::MetaGet, b"mg q\n").count(), 0, "a key");
        assert_eq!(flags(Verb::MetaGet, b"mg k q").count(), 1);
    }

    #[test]
    fn a_key_in_base64_must_be_one() {
        let bad = |verb| Err(Refusal::BadEncodedKey(verb));
        assert_eq!(key(Verb::MetaGet, "mg Zm9v v b"), Ok("Zm9v"));
        assert_eq!(key(Verb::MetaGet, "mg Zm9 v b"), bad(Verb::MetaGet));
        assert_eq!(key(Verb::MetaGet, "mg Zm9 v"), Ok("Zm9"));
        assert_eq!(key(Verb::MetaSet, "ms Zm9 2 bx"), bad(Verb::MetaSet));
        // Only its first flag counts, and only alone.
        assert_eq!(key(Verb::MetaDebug, "me Zm9 b"), bad(Verb::MetaDebug));
        assert_eq!(key(Verb::MetaDebug, "me Zm9 bx"), Ok("Zm9"));
        assert_eq!(key(Verb::MetaDebug, "me Zm9 v b"), Ok("Zm9"));
        let mut out = Vec::new();
        assert!(decode_key(b"Zm9v", &mut out) && out == b"foo");
    }

    #[test]
    fn where_a_server_would_not_encode_it_again_a_key_has_no_line_end() {
        // `eAo=` is `x\n`, and `eA0=` is `x\r`.
        for (line, verb) in [
            ("mg eAo= N30 b", Verb::MetaGet),
            ("mg eAo= b k N30 v", Verb::MetaGet),
            ("ma eAo= b", Verb::MetaArithmetic),
            ("ms eAo= 1 b MA", Verb::MetaSet),
            ("ms eAo= 1 q Mp b", Verb::MetaSet),
        ] {
            assert_eq!(key(verb, line), Err(Refusal::LineEndInKey(verb)), "{line}");
        }
        for (line, verb) in [
            ("mg eAo= b k v", Verb::MetaGet),
            ("ms eAo= 1 ME b", Verb::MetaSet),
            ("md eAo= b", Verb::MetaDelete),
            ("me eAo= b", Verb::MetaDebug),
            ("ma eAo=", Verb::MetaArithmetic),
        ] {
            assert_eq!(key(verb, line), Ok("eAo="), "{line}");
        }
        assert_eq!(key(Verb::MetaGet, "mg eA0= N30 b k"), Ok("eA0="));
    }

    #[test]
    fn what_could_bring_a_server_out_of_step_is_refused() {
        let bad = |verb, argument| Err(Refusal::BadArgument { verb, argument });
        let set = |line| key(Verb::MetaSet, line);
        assert_eq!(set("ms k 0000000002 T0 Fx"), Ok("k"));
        for line in ["ms k", "ms k x", "ms k S2", "ms k +2", "ms k 00000000002"] {
            assert_eq!(set(line), bad(Verb::MetaSet, "length"), "{line}");
        }
        assert_eq!(set("ms"), bad(Verb::MetaSet, "key"));
        assert_eq!(
            set(" ms k 2"),
            bad(Verb::MetaSet, "blank before the command")
        );
        let flags = "a b d e f g h i j k l m n o p r";
        let line = format!("mg Zm9v {flags}");
        assert_eq!(key(Verb::MetaGet, &line), Ok("Zm9v"));
        let line = format!("ms Zm9v 2 {flags}");
        assert_eq!(set(&line), Err(Refusal::TooManyFlags));
        for line in ["mg k q v q", "mg k O1 O2", "mg k qa qb"] {
            let twice = Err(Refusal::DuplicateFlag(Verb::MetaGet));
            assert_eq!(key(Verb::MetaGet, line), twice, "{line}");
        }
        // A server says what it thinks of these.
        for line in ["mg k \u{e9} \u{e9}", "mg k Cx ? T", "mg k noreply"] {
            assert_eq!(key(Verb::MetaGet, line), Ok("k"), "{line}");
        }
        assert_eq!(key(Verb::MetaDebug, "me k q q"), Ok("k"));
        let long = format!("md {}", "k".repeat(251));
        let (verb, len) = (Verb::MetaDelete, 251);
        assert_eq!(key(verb, &long), Err(Refusal::KeyTooLong { verb, len }));
    }

    #[test]
    fn a_meta_miss_repeats_what_memcached_repeats() {
        let miss = |request: &str| {
            let (mut out, key) = (Vec::new(), Arg { start: 3, len: 4 });
            miss(&mut out, request.as_bytes(), key);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(miss("mg Zm9v v q\r\n"), "EN\r\n");
        assert_eq!(miss("mg Zm9v O12 v k s\r\n"), "EN O12 kZm9v\r\n");
        assert_eq!(miss("mg Zm9v k b Oo\r\n"), "EN kZm9v b Oo\r\n");
    }
}
