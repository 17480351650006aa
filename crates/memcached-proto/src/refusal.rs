//! Error replies to requests that cannot be served.

use std::fmt;

use crate::{MAX_FORWARDED_LINE, MAX_KEY, Verb, encode};

/// Why a well-formed request is not served. The connection stays open and usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An empty line. memcached answers a bare `ERROR`, and so does the proxy.
    EmptyLine,
    /// An unknown command.
    UnknownCommand(Name),
    /// A command of memcached that is not supported.
    Unsupported {
        /// The command.
        name: Name,
        /// Why not.
        reason: &'static str,
    },
    /// Too few or too many arguments.
    WrongCount(Verb),
    /// An argument that does not have the form that its position requires.
    BadArgument {
        /// The command.
        verb: Verb,
        /// The argument's name in memcached's `protocol.txt`.
        argument: &'static str,
    },
    /// A carriage return or a NUL among the arguments, which servers interpret differently.
    ControlByte(Verb),
    /// A key longer than [`MAX_KEY`].
    KeyTooLong {
        /// The command.
        verb: Verb,
        /// Length of the key in bytes.
        len: usize,
    },
    /// A data block announced to be longer than the limit. It is skipped.
    ValueTooLarge,
    /// More keys than the limits allow.
    TooManyKeys {
        /// The command.
        verb: Verb,
        /// The limit.
        max: usize,
    },
    /// A line longer than [`MAX_FORWARDED_LINE`] that would be forwarded unchanged.
    LineTooLong {
        /// The command.
        verb: Verb,
        /// Length of the line, its end included.
        len: usize,
    },
    /// A key that should be in base64 and is not.
    BadEncodedKey(Verb),
    /// A key in base64 with a line end, where the server would repeat it as it is later.
    LineEndInKey(Verb),
    /// A flag of a meta command that is there twice.
    DuplicateFlag(Verb),
    /// More flags than a meta command can have.
    TooManyFlags,
}

impl Refusal {
    /// Appends the reply line, CRLF included. It begins with memcached's own words, which clients may look for:
    /// `ERROR` if the command is unknown or the number of arguments is wrong, `CLIENT_ERROR` and a text if an
    /// argument is invalid. What is wrong follows.
    pub fn line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::EmptyLine => write!(f, "ERROR"),
            Refusal::UnknownCommand(name) => write!(f, "ERROR unsupported command '{name}'"),
            Refusal::Unsupported { name, reason } => {
                write!(f, "ERROR unsupported command '{name}': {reason}")
            }
            Refusal::WrongCount(verb) => {
                write!(f, "ERROR wrong number of arguments for '{}'", verb.name())
            }
            Refusal::BadArgument { verb, argument } => bad_argument(f, *verb, argument),
            Refusal::ControlByte(verb) => {
                bad_format(f, *verb)?;
                write!(f, ": carriage return or NUL within the line")
            }
            Refusal::KeyTooLong { verb, len } => {
                bad_format(f, *verb)?;
                write!(f, ": key of {len} bytes is longer than {MAX_KEY}")
            }
            // memcached's own text.
            Refusal::ValueTooLarge => write!(f, "SERVER_ERROR object too large for cache"),
            Refusal::TooManyKeys { verb, max } => {
                write!(f, "CLIENT_ERROR more than {max} keys for '{}'", verb.name())
            }
            Refusal::LineTooLong { verb, len } => write!(
                f,
                "CLIENT_ERROR line of {len} bytes is longer than {MAX_FORWARDED_LINE} for '{}'",
                verb.name()
            ),
            // The texts of memcached 1.6.
            Refusal::BadEncodedKey(Verb::MetaArithmetic) => {
                write!(
                    f,
                    "CLIENT_ERROR invalid or duplicate flag: error decoding key"
                )
            }
            Refusal::BadEncodedKey(Verb::MetaDebug) => {
                bad_format(f, Verb::MetaDebug)?;
                write!(f, ": error decoding key")
            }
            Refusal::BadEncodedKey(_) => write!(f, "CLIENT_ERROR error decoding key"),
            Refusal::LineEndInKey(verb) => write!(
                f,
                "CLIENT_ERROR line end in the key: after '{}' the server would repeat it as it is",
                verb.name()
            ),
            Refusal::DuplicateFlag(Verb::MetaArithmetic) => {
                write!(f, "CLIENT_ERROR invalid or duplicate flag")
            }
            Refusal::DuplicateFlag(_) => write!(f, "CLIENT_ERROR duplicate flag"),
            Refusal::TooManyFlags => write!(f, "CLIENT_ERROR options flags are too long"),
        }
    }
}

/// The texts of memcached 1.6, which differ by the argument.
fn bad_argument(f: &mut fmt::Formatter<'_>, verb: Verb, argument: &str) -> fmt::Result {
    let name = verb.name();
    match argument {
        "exptime" | "delay" if !verb.is_storage() => {
            write!(f, "CLIENT_ERROR invalid exptime argument for '{name}'")
        }
        "delta" => write!(
            f,
            "CLIENT_ERROR invalid numeric delta argument for '{name}'"
        ),
        "time" => {
            f.write_str("CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]")
        }
        _ => {
            bad_format(f, verb)?;
            write!(f, ": bad {argument}")
        }
    }
}

fn bad_format(f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
    write!(
        f,
        "CLIENT_ERROR bad command line format for '{}'",
        verb.name()
    )
}

/// Bytes after which the start of the next request cannot be determined, so the caller answers
/// [`RequestError::line`], unless [`RequestError::is_noreply`], and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// A line longer than its limit.
    LineTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// A line of keys that exceeds the limit of other lines and holds a word that is too long for a key: it
    /// may never end.
    EndlessKey,
    /// A data block that is not followed by CRLF.
    BadDataChunk {
        /// Whether the request says `noreply`.
        noreply: bool,
    },
    /// A data block announced to be longer than the limit and than any that memcached can have.
    ImpossibleLength {
        /// Whether the request says `noreply`.
        noreply: bool,
    },
    /// More data than its limit, before its client has said who it is.
    LoginTooLong {
        /// The limit in bytes.
        max: u64,
    },
    /// A request of the binary protocol, which is not supported.
    BinaryProtocol {
        /// Its command.
        opcode: u8,
        /// What its sender knows the reply by.
        opaque: [u8; 4],
    },
    /// A line of an HTTP request (`GET / HTTP/1.1`, `POST`, `Host:`). Its sender, perhaps a browser on behalf of
    /// a web page, is not served, so that no command can be smuggled in with the request's body. memcached and
    /// Redis do the same.
    Http,
    /// The start of a request in Redis's protocol (`*2`). What follows would only be more errors.
    Resp,
}

impl RequestError {
    /// Whether the request says `noreply`, so that its sender must not be answered.
    pub fn is_noreply(&self) -> bool {
        match self {
            RequestError::BadDataChunk { noreply } | RequestError::ImpossibleLength { noreply } => {
                *noreply
            }
            _ => false,
        }
    }

    /// Appends the reply: a line, CRLF included, or what a client of the binary protocol understands.
    pub fn line(&self, out: &mut Vec<u8>) {
        if let RequestError::BinaryProtocol { opcode, opaque } = self {
            return encode::binary_unknown_command(out, *opcode, *opaque, NO_BINARY);
        }
        out.extend_from_slice(self.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// What a client of the binary protocol is told.
const NO_BINARY: &str = "the binary protocol is not supported: use the text protocol";

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::LineTooLong { max } => {
                write!(f, "CLIENT_ERROR line is longer than {max} bytes")
            }
            RequestError::EndlessKey => {
                write!(
                    f,
                    "CLIENT_ERROR bad command line format: key is longer than {MAX_KEY} bytes"
                )
            }
            RequestError::ImpossibleLength { .. } => {
                write!(f, "CLIENT_ERROR bad command line format: bad length")
            }
            RequestError::LoginTooLong { max } => {
                write!(
                    f,
                    "CLIENT_ERROR unauthenticated: data of more than {max} bytes"
                )
            }
            // memcached's own text.
            RequestError::BadDataChunk { .. } => write!(f, "CLIENT_ERROR bad data chunk"),
            RequestError::BinaryProtocol { .. } => f.write_str(NO_BINARY),
            RequestError::Http => write!(f, "CLIENT_ERROR HTTP is not supported"),
            // Its sender shows what looks like an error of Redis, and nothing else.
            RequestError::Resp => {
                write!(
                    f,
                    "-ERR this is memcached's protocol, and the request is in Redis's"
                )
            }
        }
    }
}

impl std::error::Error for RequestError {}

/// A client's word for a command, made safe to show: printable ASCII, other bytes as `\xNN`, and truncated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; Name::KEPT],
    kept: u8,
    cut: bool,
}

impl Name {
    /// Maximum number of bytes shown.
    const KEPT: usize = 24;

    /// Takes the first bytes of a word.
    pub fn new(word: &[u8]) -> Name {
        let kept = word.len().min(Name::KEPT);
        let mut bytes = [0; Name::KEPT];
        bytes[..kept].copy_from_slice(&word[..kept]);
        Name {
            bytes,
            kept: kept as u8,
            cut: kept < word.len(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in &self.bytes[..usize::from(self.kept)] {
            match byte {
                b'\'' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        if self.cut { write!(f, "...") } else { Ok(()) }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(refusal: Refusal) -> String {
        let mut out = Vec::new();
        refusal.line(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_begin_with_memcacheds_word_and_name_the_command() {
        assert_eq!(line(Refusal::EmptyLine), "ERROR\r\n");
        assert_eq!(
            line(Refusal::UnknownCommand(Name::new(b"mx"))),
            "ERROR unsupported command 'mx'\r\n"
        );
        assert_eq!(
            line(Refusal::WrongCount(Verb::Get)),
            "ERROR wrong number of arguments for 'get'\r\n"
        );
        let bad = Refusal::BadArgument {
            verb: Verb::Set,
            argument: "flags",
        };
        assert_eq!(
            line(bad),
            "CLIENT_ERROR bad command line format for 'set': bad flags\r\n"
        );
        let long = Refusal::KeyTooLong {
            verb: Verb::Get,
            len: 251,
        };
        assert_eq!(
            line(long),
            "CLIENT_ERROR bad command line format for 'get': key of 251 bytes is longer than 250\r\n"
        );
    }

    #[test]
    fn a_hostile_word_cannot_break_out_of_its_line() {
        assert_eq!(Name::new(b"a\r\n'\x80").to_string(), r"a\x0d\x0a\'\x80");
        assert_eq!(
            Name::new(&[b'x'; 25]).to_string(),
            format!("{}...", "x".repeat(24))
        );
        assert_eq!(Name::new(&[b'x'; 24]).to_string(), "x".repeat(24));
    }
}
