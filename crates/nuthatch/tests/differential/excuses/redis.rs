//! Differences of Redis pools that depend on a single request.

use super::Excuse;
use crate::compare::Difference;
use crate::nutcracker::{self, Redis};
use crate::request::Protocol;
use crate::wire::End;

/// Before the password was given nothing else is told, whatever is asked.
const NOAUTH: &str = "-NOAUTH Authentication required";

pub(super) const EXCUSES: &[Excuse] = &[
    Excuse {
        id: "redis-quit",
        explains: quit,
    },
    Excuse {
        id: "redis-long-key",
        explains: long_key,
    },
    Excuse {
        id: "redis-flush",
        explains: flush,
    },
    Excuse {
        id: "redis-unsupported",
        explains: unsupported,
    },
    Excuse {
        id: "redis-arity",
        explains: arity,
    },
    Excuse {
        id: "redis-numkeys",
        explains: numkeys,
    },
    Excuse {
        id: "redis-handshake",
        explains: handshake,
    },
    Excuse {
        id: "redis-about-itself",
        explains: about_itself,
    },
    Excuse {
        id: "redis-newer-command",
        explains: newer_command,
    },
    Excuse {
        id: "redis-newer-form",
        explains: newer_form,
    },
    Excuse {
        id: "redis-command",
        explains: command,
    },
    Excuse {
        id: "redis-exists",
        explains: exists,
    },
    Excuse {
        id: "redis-zset-keys",
        explains: zset_keys,
    },
    Excuse {
        id: "redis-blank",
        explains: blank,
    },
    Excuse {
        id: "redis-inline",
        explains: inline,
    },
    Excuse {
        id: "announced-size",
        explains: announced_size,
    },
    Excuse {
        id: "redis-protocol-error",
        explains: protocol_error,
    },
    Excuse {
        id: "redis-sloppy-numbers",
        explains: sloppy_numbers,
    },
    Excuse {
        id: "redis-eval-buffer",
        explains: eval_buffer,
    },
];

/// The longest key that fits into one of nutcracker's buffers.
const THEIR_LONGEST_KEY: usize = 16_335;

/// Commands about a client's own connection that nutcracker lacks.
const HANDSHAKE: &[&str] = &["echo", "select", "hello", "client", "info", "reset"];

/// Commands that ask a server about itself.
const ABOUT_ITSELF: &[&str] = &[
    "acl", "config", "lastsave", "latency", "memory", "module", "role", "slowlog", "time",
];

/// How nutcracker classifies a request in RESP form.
fn classified(difference: &Difference<'_>) -> Option<Redis> {
    let framed = difference.request.bytes.starts_with(b"*") && !difference.request.words.is_empty();
    (difference.protocol == Protocol::Redis && framed)
        .then(|| nutcracker::redis(difference.request))
}

/// nutcracker closes the connection for this request; Nuthatch keeps it.
fn kept(difference: &Difference<'_>, class: Redis) -> bool {
    classified(difference) == Some(class) && difference.they_hang_up() && difference.we_stay()
}

fn quit(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Redis
        && difference.request.name() == "quit"
        && difference.they_hang_up()
        && difference.ours.bytes == b"+OK\r\n"
        && (difference.ours.end == End::Closed || !difference.later.is_empty())
}

fn long_key(difference: &Difference<'_>) -> bool {
    let long = difference
        .request
        .words
        .iter()
        .skip(1)
        .any(|word| word.len() > THEIR_LONGEST_KEY);
    long && kept(difference, Redis::Served) && !difference.request.name().starts_with("eval")
}

fn flush(difference: &Difference<'_>) -> bool {
    kept(difference, Redis::Unknown)
        && ["flushall", "flushdb"].contains(&difference.request.name().as_str())
        && difference.we_say("-ERR FLUSH")
}

fn unsupported(difference: &Difference<'_>) -> bool {
    let unknown = kept(difference, Redis::Unknown) || difference.request.name() == "move";
    unknown
        && (difference.we_say("-ERR unknown command '")
            || difference.we_say("-ERR unsupported command '")
            || difference.we_say(NOAUTH))
}

fn arity(difference: &Difference<'_>) -> bool {
    kept(difference, Redis::Malformed)
        && (difference.we_say("-ERR wrong number of arguments for '") || difference.we_say(NOAUTH))
}

fn numkeys(difference: &Difference<'_>) -> bool {
    kept(difference, Redis::Malformed)
        && difference.request.name().starts_with("eval")
        && difference.we_say("-ERR ")
}

fn handshake(difference: &Difference<'_>) -> bool {
    kept(difference, Redis::Unknown) && HANDSHAKE.contains(&difference.request.name().as_str())
}

fn about_itself(difference: &Difference<'_>) -> bool {
    kept(difference, Redis::Unknown)
        && ABOUT_ITSELF.contains(&difference.request.name().as_str())
        && !difference.we_say("-")
}

fn newer_command(difference: &Difference<'_>) -> bool {
    kept(difference, Redis::Unknown)
}

fn newer_form(difference: &Difference<'_>) -> bool {
    const FORMS: &[&str] = &[
        "ping",
        "auth",
        "command",
        "expire",
        "expireat",
        "pexpire",
        "pexpireat",
        "zrank",
        "zrevrank",
    ];
    kept(difference, Redis::Malformed) && FORMS.contains(&difference.request.name().as_str())
}

fn command(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Redis
        && difference.request.name() == "command"
        && [difference.theirs, difference.ours]
            .iter()
            .all(|seen| seen.end == End::Open && seen.bytes.starts_with(b"*"))
}

fn exists(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Redis
        && difference.request.name() == "exists"
        && difference.request.args() > 1
        && [difference.theirs, difference.ours]
            .iter()
            .all(|seen| seen.end == End::Open && seen.bytes.starts_with(b":"))
}

fn zset_keys(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Redis
        && ["zunion", "zinter", "zdiff"].contains(&difference.request.name().as_str())
        && difference.theirs.end == End::Open
        && difference.we_stay()
}

fn blank(difference: &Difference<'_>) -> bool {
    let bytes = &difference.request.bytes;
    let nothing =
        bytes.iter().all(u8::is_ascii_whitespace) || bytes == b"*0\r\n" || bytes == b"*-1\r\n";
    difference.protocol == Protocol::Redis
        && nothing
        && difference.they_hang_up()
        && difference.we_stay()
        && difference.ours.bytes.is_empty()
}

fn inline(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Redis
        && !difference.request.bytes.starts_with(b"*")
        && difference.they_hang_up()
        && !difference.ours.bytes.is_empty()
        && !difference.ours.bytes.starts_with(b"-ERR Protocol error: ")
}

fn protocol_error(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Redis
        && difference.they_hang_up()
        && difference.ours.end == End::Closed
        && difference.ours.bytes.starts_with(b"-ERR Protocol error: ")
}

/// nutcracker waits for more than any server would accept.
fn announced_size(difference: &Difference<'_>) -> bool {
    difference.theirs.end == End::Silent
        && difference.theirs.bytes.is_empty()
        && difference.ours.end == End::Closed
        && [
            &b"-ERR Protocol error: invalid bulk length\r\n"[..],
            b"SERVER_ERROR object too large for cache\r\n",
            b"CLIENT_ERROR bad command line format: bad length\r\n",
        ]
        .contains(&difference.ours.bytes)
}

/// nutcracker forwards them, the server closes the connection, and all clients' requests on it fail.
fn sloppy_numbers(difference: &Difference<'_>) -> bool {
    let sloppy = |mark: &[u8]| difference.request.bytes.windows(2).any(|pair| pair == mark);
    difference.protocol == Protocol::Redis
        && (sloppy(b"*0") || sloppy(b"$0") || sloppy(b"$\r"))
        && difference.ours.end == End::Closed
        && difference.ours.bytes.starts_with(b"-ERR Protocol error: ")
}

/// The number of keys was split by the end of a buffer.
fn eval_buffer(difference: &Difference<'_>) -> bool {
    let near = |word: &Vec<u8>| (16_200..THEIR_LONGEST_KEY + 50).contains(&word.len());
    difference.request.name().starts_with("eval")
        && difference.request.words.get(1).is_some_and(near)
        && kept(difference, Redis::Served)
}
