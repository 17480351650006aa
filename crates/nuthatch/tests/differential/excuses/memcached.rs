//! Differences of memcached pools that depend on a single request.

use super::Excuse;
use crate::compare::Difference;
use crate::nutcracker;
use crate::request::Protocol;
use crate::wire::End;

pub(super) const EXCUSES: &[Excuse] = &[
    Excuse {
        id: "memcached-newline",
        explains: newline,
    },
    Excuse {
        id: "memcached-unframable",
        explains: unframable,
    },
    Excuse {
        id: "memcached-long-key",
        explains: long_key,
    },
    Excuse {
        id: "memcached-negative-exptime",
        explains: negative_exptime,
    },
    Excuse {
        id: "memcached-flush",
        explains: flush,
    },
    Excuse {
        id: "memcached-newer-command",
        explains: newer_command,
    },
    Excuse {
        id: "memcached-meta",
        explains: meta,
    },
    Excuse {
        id: "memcached-error-line",
        explains: error_line,
    },
    Excuse {
        id: "memcached-strict",
        explains: strict,
    },
];

const LONGEST_KEY: usize = 250;

/// A request that nutcracker does not serve, and for which it closes the connection.
fn refused(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Memcached
        && difference.they_hang_up()
        && (!nutcracker::memcached_serves(difference.request)
            || has_bare_return(&difference.request.bytes))
}

/// Whether there is a CR that is not followed by LF.
fn has_bare_return(bytes: &[u8]) -> bool {
    bytes
        .windows(2)
        .any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

fn is_error(reply: &[u8]) -> bool {
    [&b"ERROR"[..], b"CLIENT_ERROR ", b"SERVER_ERROR "]
        .iter()
        .any(|start| reply.starts_with(start))
}

/// Lines that end in LF alone are requests for memcached, and so for Nuthatch.
fn newline(difference: &Difference<'_>) -> bool {
    let bytes = &difference.request.bytes;
    let bare = bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r'));
    difference.protocol == Protocol::Memcached && bare && difference.we_stay()
}

fn unframable(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Memcached
        && difference.they_hang_up()
        && difference.ours.end == End::Closed
        && is_error(difference.ours.bytes)
}

fn long_key(difference: &Difference<'_>) -> bool {
    refused(difference)
        && difference
            .request
            .words
            .iter()
            .any(|word| word.len() > LONGEST_KEY)
        && difference.we_say("CLIENT_ERROR bad command line format for ")
}

fn negative_exptime(difference: &Difference<'_>) -> bool {
    let exptime = difference.request.words.get(3);
    refused(difference)
        && exptime.is_some_and(|word| word.starts_with(b"-"))
        && difference.we_stay()
        && !is_error(difference.ours.bytes)
}

fn flush(difference: &Difference<'_>) -> bool {
    refused(difference)
        && difference.request.name() == "flush_all"
        && (difference.we_say("CLIENT_ERROR flush_all not allowed") || difference.we_say("OK\r\n"))
}

fn newer_command(difference: &Difference<'_>) -> bool {
    const NEWER: &[&str] = &["gat", "gats", "stats", "verbosity", "version", "delete"];
    refused(difference)
        && NEWER.contains(&difference.request.name().as_str())
        && difference.we_stay()
        && !is_error(difference.ours.bytes)
}

fn meta(difference: &Difference<'_>) -> bool {
    const META: &[&str] = &["mg", "ms", "md", "ma", "me", "mn"];
    refused(difference)
        && META.contains(&difference.request.name().as_str())
        && difference.we_stay()
        && !is_error(difference.ours.bytes)
}

/// A line in the protocol's own form; nothing if the client wants no reply.
fn error_line(difference: &Difference<'_>) -> bool {
    let quiet = difference
        .request
        .words
        .last()
        .is_some_and(|word| word == b"noreply");
    refused(difference)
        && difference.we_stay()
        && (is_error(difference.ours.bytes) || (quiet && difference.ours.bytes.is_empty()))
}

/// What memcached would answer twice, not at all, or by closing the shared connection.
fn strict(difference: &Difference<'_>) -> bool {
    difference.protocol == Protocol::Memcached
        && !difference.they_hang_up()
        && difference.we_say("CLIENT_ERROR ")
}
