//! Differences that come from servers: failures, errors, or unusual replies.

use super::Excuse;
use crate::compare::Difference;
use crate::request::Protocol;
use crate::wire::End;

pub(super) const EXCUSES: &[Excuse] = &[
    Excuse {
        id: "cut-reply",
        explains: cut_reply,
    },
    Excuse {
        id: "data-and-fin",
        explains: data_and_fin,
    },
    Excuse {
        id: "redis-server-errors",
        explains: server_errors,
    },
    Excuse {
        id: "redis-fragment-errors",
        explains: fragment_errors,
    },
    Excuse {
        id: "redis-mget-failure",
        explains: mget_failure,
    },
    Excuse {
        id: "redis-fragment-mismatch",
        explains: fragment_mismatch,
    },
    Excuse {
        id: "redis-resp3-replies",
        explains: resp3_replies,
    },
    Excuse {
        id: "memcached-partial-result",
        explains: partial_result,
    },
    Excuse {
        id: "memcached-more-replies",
        explains: more_replies,
    },
    Excuse {
        id: "memcached-early-reply",
        explains: early_reply,
    },
];

/// What both proxies answer when a server violates the protocol.
const BROKEN: &[u8] = b"-ERR Invalid argument\r\n";
const BROKEN_TEXT: &[u8] = b"SERVER_ERROR Invalid argument\r\n";

/// A Redis request that both proxies split by server.
fn is_split(difference: &Difference<'_>) -> bool {
    let least = match difference.request.name().as_str() {
        "mget" | "del" | "unlink" | "touch" => 2,
        "mset" => 4,
        _ => return false,
    };
    difference.protocol == Protocol::Redis && difference.request.args() >= least
}

fn is_error_line(reply: &[u8], text: &str) -> bool {
    reply == format!("-ERR {text}\r\n").as_bytes()
        || reply == format!("SERVER_ERROR {text}\r\n").as_bytes()
}

/// nutcracker holds a reply back until it is complete; Nuthatch may have begun to pass it on.
fn cut_reply(difference: &Difference<'_>) -> bool {
    let theirs = difference.theirs;
    theirs.end == End::Open
        && (is_error_line(theirs.bytes, "unknown")
            || is_error_line(theirs.bytes, "Connection timed out"))
        && difference.ours.end == End::Closed
        && !difference.ours.bytes.is_empty()
}

/// nutcracker overlooks a FIN that comes with the last bytes, and waits for the timeout.
fn data_and_fin(difference: &Difference<'_>) -> bool {
    is_error_line(difference.theirs.bytes, "Connection timed out")
        && difference.ours.end == End::Open
        && is_error_line(difference.ours.bytes, "unknown")
}

/// Errors that nutcracker counts as failures of the server.
fn server_errors(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Redis
        && !is_split(difference)
        && difference.theirs.end == End::Open
        && difference.theirs.bytes == BROKEN
        && ["-OOM", "-BUSY ", "-LOADING "]
            .iter()
            .any(|start| difference.we_say(start))
}

/// The error of one server becomes the error of the whole request, in the server's words.
fn fragment_errors(difference: &Difference<'_>) -> bool {
    is_split(difference)
        && difference.theirs.bytes == BROKEN
        && difference.we_say("-")
        && difference.ours.bytes != BROKEN
}

/// nutcracker closes the connection, with or without the error line; Nuthatch sends the line and keeps it.
fn mget_failure(difference: &Difference<'_>) -> bool {
    let theirs = difference.theirs;
    is_split(difference)
        && difference.request.name() == "mget"
        && theirs.end == End::Closed
        && (theirs.bytes.is_empty() || theirs.bytes == difference.ours.bytes)
        && difference.ours.bytes != BROKEN
        && difference.we_say("-ERR ")
}

/// nutcracker joins replies that do not belong together, closes the connection, or crashes.
fn fragment_mismatch(difference: &Difference<'_>) -> bool {
    is_split(difference)
        && difference.ours.end == End::Open
        && difference.ours.bytes == BROKEN
        && !difference.theirs.bytes.starts_with(b"-")
}

fn resp3_replies(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Redis
        && difference.theirs.bytes == BROKEN
        && ["_", "#", "%"].iter().any(|kind| difference.we_say(kind))
}

/// nutcracker fails the whole request and closes the connection; Nuthatch returns what the other servers
/// have, or an error line if none of them answered.
fn partial_result(difference: &Difference<'_>) -> bool {
    let (theirs, ours) = (difference.theirs, difference.ours);
    let hung_up = theirs.end == End::Closed
        && (theirs.bytes.is_empty() || theirs.bytes.starts_with(b"SERVER_ERROR "));
    let failed = ["ERROR", "SERVER_ERROR ", "CLIENT_ERROR "]
        .iter()
        .any(|start| difference.we_say(start));
    difference.protocol == Protocol::Memcached
        && difference.request.name().starts_with("get")
        && difference.request.args() > 1
        && (hung_up || theirs.bytes == BROKEN_TEXT)
        && difference.we_stay()
        && (failed || ours.bytes.ends_with(b"END\r\n"))
}

fn more_replies(difference: &Difference<'_>) -> bool {
    difference.theirs.bytes == BROKEN_TEXT
        && (difference.we_say("OK\r\n") || difference.we_say("RESET\r\n"))
}

/// The server answers before it has read the whole request, which nutcracker considers an unexpected reply.
fn early_reply(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Memcached
        && difference.request.bytes.len() > 1 << 20
        && difference.theirs.bytes.starts_with(b"SERVER_ERROR ")
        && difference.we_say("SERVER_ERROR object too large for cache\r\n")
}
