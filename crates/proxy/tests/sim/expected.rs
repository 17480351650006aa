//! The expected reply to a request.

use std::fmt;

use crate::worker::shown;

/// An expected reply.
#[derive(Clone)]
pub(crate) enum Expected {
    /// These bytes, which the proxy itself writes.
    Exactly(Vec<u8>),
    /// A line that the proxy itself writes.
    Line {
        begins: &'static str,
        mentions: String,
    },
    /// The reply of the key's server.
    Keyed { verb: &'static str, key: Vec<u8> },
    /// What the key's server gives to a client that waits, unless the wait ends otherwise.
    Popped(Vec<u8>),
    /// Nothing if the client does not want the reply of the key's server, and then the reply to `mn`. Any other reply
    /// comes before that.
    Silence { verb: &'static str, key: Vec<u8> },
    /// The reply of the first key's server, unless the keys are on different servers and it is refused.
    Together {
        verb: &'static str,
        keys: Vec<Vec<u8>>,
        /// It is refused if they are on different servers.
        refuses: bool,
    },
    /// An array of the replies of the server of all these keys, to a transaction; null if what the request `watch` has
    /// watched may have changed.
    Transaction {
        keys: Vec<Vec<u8>>,
        watch: Option<usize>,
    },
    /// OK of the server of the key, which is watched, or is not any more.
    Watched(Vec<u8>),
    /// An array of the replies of each key's server.
    Elements(Vec<Vec<u8>>),
    /// The sum of the keys' weights; for a pure question, only of those that exist.
    Sum { reads: bool, keys: Vec<Vec<u8>> },
    /// One OK for all.
    AllOk(Vec<Vec<u8>>),
    /// The blocks of all keys that hit.
    Values {
        verb: &'static str,
        keys: Vec<Vec<u8>>,
    },
    /// The grant of a protocol version, or its refusal.
    Hello { version3: bool },
    /// The reply to RESET.
    Reset,
    /// The reply of the placeholder's server.
    Placeholder,
    /// One OK for all servers.
    Everywhere,
    /// The statistics of all servers.
    Stats,
}

impl Expected {
    /// Whether the command has a small reply, so that many of them may be in flight.
    pub(crate) fn is_small(&self) -> bool {
        match self {
            Expected::Keyed { verb, .. } => matches!(
                *verb,
                "SET"
                    | "SETEX"
                    | "APPEND"
                    | "LPUSH"
                    | "SETNX"
                    | "TTL"
                    | "TYPE"
                    | "set"
                    | "add"
                    | "replace"
                    | "append"
                    | "prepend"
                    | "cas"
                    | "delete"
                    | "touch"
                    | "incr"
                    | "decr"
                    | "ms"
                    | "md"
                    | "ma"
            ),
            Expected::Silence { verb, .. } => *verb != "mg",
            Expected::Together { verb, .. } => matches!(*verb, "PFCOUNT" | "SINTERCARD"),
            Expected::Sum { .. } | Expected::AllOk(_) | Expected::Everywhere => true,
            Expected::Watched(_) => true,
            _ => false,
        }
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |keys: &[Vec<u8>]| {
            keys.iter()
                .map(|key| String::from_utf8_lossy(key).into_owned())
                .collect::<Vec<_>>()
        };
        match self {
            Expected::Exactly(bytes) => write!(f, "exactly {}", shown(bytes)),
            Expected::Line { begins, mentions } => {
                write!(f, "a line {begins:?} that mentions {mentions:?}")
            }
            Expected::Keyed { verb, key } => {
                write!(f, "{verb} of {}", String::from_utf8_lossy(key))
            }
            Expected::Popped(key) => write!(f, "an element of {}", String::from_utf8_lossy(key)),
            Expected::Silence { verb, key } => {
                write!(
                    f,
                    "silence about {verb} of {}",
                    String::from_utf8_lossy(key)
                )
            }
            Expected::Together { keys, .. } => write!(f, "the first of {:?}", list(keys)),
            Expected::Transaction { keys, watch } => {
                write!(f, "a transaction {:?} after {watch:?}", list(keys))
            }
            Expected::Watched(key) => write!(f, "OK for {}", String::from_utf8_lossy(key)),
            Expected::Elements(keys) => write!(f, "elements {:?}", list(keys)),
            Expected::Sum { keys, .. } => write!(f, "the sum of {:?}", list(keys)),
            Expected::AllOk(keys) => write!(f, "OK for {:?}", list(keys)),
            Expected::Values { verb, keys } => write!(f, "{verb} of {:?}", list(keys)),
            Expected::Hello { version3 } => write!(f, "a greeting, RESP3: {version3}"),
            Expected::Reset => write!(f, "RESET"),
            Expected::Placeholder => write!(f, "the placeholder's"),
            Expected::Everywhere => write!(f, "OK of everybody"),
            Expected::Stats => write!(f, "everybody's statistics"),
        }
    }
}
