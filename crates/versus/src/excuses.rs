//! The intended differences from a direct connection. Each one is a row of docs/compatibility.md.

use crate::difference::Difference;
use crate::protocol::Protocol;
use crate::{memcached, meta, redis};

/// An intended difference.
#[derive(Debug)]
pub struct Excuse {
    /// Its row in docs/compatibility.md.
    pub id: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) then: Then,
    pub(crate) explains: fn(&Difference<'_>) -> bool,
}

/// What is known about the replies after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// They must be equal again.
    Alike,
    /// The server sent a reply that the core did not: its next reply is compared instead.
    OneMore,
    /// The request had effects on one side only, or one side has closed.
    Apart,
}

/// The first excuse for a difference, if there is one.
pub(crate) fn find(difference: &Difference<'_>) -> Option<&'static Excuse> {
    all().find(|excuse| excuse.protocol == difference.protocol && (excuse.explains)(difference))
}

pub(crate) fn all() -> impl Iterator<Item = &'static Excuse> {
    EXCUSES.iter()
}

const fn of_redis(id: &'static str, then: Then, explains: fn(&Difference<'_>) -> bool) -> Excuse {
    Excuse {
        id,
        protocol: Protocol::Redis,
        then,
        explains,
    }
}

const fn of_memcached(
    id: &'static str,
    then: Then,
    explains: fn(&Difference<'_>) -> bool,
) -> Excuse {
    Excuse {
        id,
        protocol: Protocol::Memcached,
        then,
        explains,
    }
}

const EXCUSES: &[Excuse] = &[
    // What Redis skips without checking must be CR and LF: a client's mistake is reported where it happens.
    of_redis("direct-redis-line-ends", Then::Apart, |it| {
        it.we_say("-ERR Protocol error: expected CRLF after bulk string")
            || it.we_say("-ERR Protocol error: invalid") && it.sent_lone_cr()
    }),
    // The same, for a client that wants no reply.
    of_redis("direct-redis-line-ends", Then::Apart, |it| {
        it.through.is_empty() && redis::asks_for_silence(it.sent)
    }),
    // Invalid input is refused as soon as it is seen; Redis may wait for the end of the line first.
    of_redis("direct-redis-early", Then::Apart, |it| {
        let late = it.direct.is_empty() || it.they_say("-ERR Protocol error: too big ");
        it.we_say("-ERR Protocol error: ") && late
            || it.we_say("-ERR Protocol error: NUL byte") && it.sent.contains(&0)
            || it.we_say("-ERR Protocol error: invalid multibulk length")
                && redis::announces_very_many(it.sent)
    }),
    // Unprintable bytes are escaped.
    of_redis("direct-redis-escaped", Then::Alike, |it| {
        let quotes = [
            "-ERR Protocol error: expected '$', got '",
            "-ERR Syntax error in HELLO option '",
            "-ERR unknown command '",
            "-ERR unknown subcommand '",
        ];
        it.both_begin(&quotes)
    }),
    // Commands that do not work over several servers.
    of_redis("direct-redis-unsupported", Then::Alike, |it| {
        it.we_say("-ERR unsupported command '") && it.both_fail()
    }),
    of_redis("direct-redis-unsupported", Then::Apart, |it| {
        it.we_say("-ERR unsupported command '") && !redis::is_served(&it.name())
    }),
    of_redis("direct-redis-unsupported", Then::Apart, |it| {
        redis::has_muted_refusal(it.sent)
    }),
    // What would change the connection that clients share, or is about more than one server, is no part of a
    // transaction. Keys and their number are looked at when a command is queued, and what only a server knows is told
    // by EXEC.
    of_redis("direct-redis-transaction", Then::Apart, |it| {
        let queued = "+QUEUED\r\n";
        it.they_say(queued) && it.we_say("-ERR ") || it.they_fail() && it.we_say(queued)
    }),
    of_redis("direct-redis-transaction", Then::Apart, |it| {
        redis::has_muted_transaction(it.sent)
    }),
    // The proxy counts the arguments of some commands as twemproxy does, or refuses what a server would refuse later.
    of_redis("direct-redis-subscriber", Then::Alike, |it| {
        let is_told = it.we_say("-ERR Can't execute '") || it.they_say("-ERR Can't execute '");
        is_told && it.both_fail()
    }),
    // Channels that are given up all at once are confirmed in the order of a hash table.
    of_redis("direct-redis-subscribe", Then::Alike, |it| {
        redis::are_of_one_unsubscribe(it.words, it.direct, it.through)
    }),
    // The proxy identifies itself, and has no users.
    of_redis("direct-redis-handshake", Then::Alike, |it| {
        let greetings = ["%7\r\n$6\r\nserver\r\n", "*14\r\n$6\r\nserver\r\n"];
        match it.name().as_str() {
            _ if it.both_begin(&greetings) => true,
            "hello" => it.both_fail(),
            "command" => true,
            "auth" => it.both_fail(),
            // The name is unknown behind bytes that cannot be parsed.
            _ => redis::is_command_table(it.direct) && redis::is_command_table(it.through),
        }
    }),
    // Arguments that the proxy inspects must be complete in its buffer.
    of_redis("direct-redis-long", Then::Apart, |it| {
        let refusals = [
            "-ERR an argument is too long for a command that the proxy answers itself",
            "-ERR the pattern is too long",
        ];
        refusals.iter().any(|refusal| it.we_say(refusal))
            || it.we_say("-ERR key of '") && it.through.ends_with(b"is longer than 65536 bytes\r\n")
            || redis::has_muted_long_word(it.sent)
    }),
    // A pool has one database.
    of_redis("direct-redis-select", Then::Alike, |it| {
        it.name() == "select" && it.both_fail()
    }),
    of_redis("direct-redis-select", Then::Apart, |it| {
        it.name() == "select" && it.they_say("+OK") && it.we_say("-ERR DB index is out of range")
    }),
    of_redis("direct-redis-select", Then::Apart, |it| {
        it.we_say("-ERR not executed: the SELECT ")
    }),
    // Without a key it is unknown on which server the script should run.
    of_redis("direct-redis-script-keys", Then::Alike, |it| {
        it.name().starts_with("eval") && it.both_fail()
    }),
    of_redis("direct-redis-script-keys", Then::Apart, |it| {
        it.name().starts_with("eval") && it.through.ends_with(b"to find its server\r\n")
    }),
    // The start of the next request cannot be determined.
    of_memcached("direct-memcached-unframable", Then::Apart, |it| {
        let ends = [
            "CLIENT_ERROR bad data chunk",
            "CLIENT_ERROR HTTP is not supported",
            "CLIENT_ERROR line is longer",
            "CLIENT_ERROR bad command line format: ",
        ];
        let closed = |end: &&str| it.through.is_empty() && it.before.starts_with(end.as_bytes());
        let is_binary = |reply: &[u8]| reply.starts_with(b"\x81");
        // The beginning of a binary request, which never becomes whole.
        let starts_binary = it.through.is_empty() && it.name_starts_with(0x80);
        // What is said of `noreply` is nothing.
        let closed_unsaid = it.through.is_empty() && memcached::has_quiet_block(it.sent);
        ends.iter().any(|end| it.we_say(end) || closed(end))
            || closed_unsaid
            || starts_binary
            || is_binary(it.through)
            || it.through.is_empty() && is_binary(it.before)
    }),
    // Servers interpret a CR or NUL within a line in different ways.
    of_memcached("direct-memcached-control-bytes", Then::Apart, |it| {
        let words = b"carriage return or NUL within the line\r\n";
        it.we_say("CLIENT_ERROR") && it.through.ends_with(words)
            || it.we_say("CLIENT_ERROR line end in the key")
    }),
    of_memcached("direct-memcached-wrong-protocol", Then::Apart, |it| {
        it.we_say("-ERR this is memcached's protocol, and the request is in Redis's")
            && it.name().starts_with('*')
    }),
    of_memcached("direct-memcached-unsupported", Then::Apart, |it| {
        it.we_say("ERROR unsupported command '") && !memcached::is_served(&it.name())
    }),
    // An announced block is skipped, where the server reads it as requests.
    of_memcached("direct-memcached-refused-block", Then::Apart, |it| {
        it.both_fail()
            && match it.words {
                [] => memcached::names_storage(it.through),
                [name, ..] => memcached::is_storage(name),
            }
    }),
    // The same, where the refusal is not told (`noreply`): what the server took for requests is answered differently.
    of_memcached("direct-memcached-refused-block", Then::Apart, |it| {
        it.we_say("ERROR") && memcached::has_odd_noreply_block(it.sent)
    }),
    // An error names the command and the argument.
    of_memcached("direct-memcached-error-words", Then::Alike, |it| {
        it.both_fail()
    }),
    // Numbers must be numbers, and a request must have the right number of words.
    of_memcached("direct-memcached-strict", Then::Apart, |it| {
        let refused = [
            "ERROR wrong number of arguments",
            "CLIENT_ERROR bad command line format",
            "CLIENT_ERROR invalid ",
        ];
        let is_behind_blank = it.through.ends_with(b": bad blank before the command\r\n");
        refused.iter().any(|start| it.we_say(start))
            && (is_behind_blank || !memcached::is_sound(it.words))
    }),
    // The server drops replies when its client closes in the middle of a request, or sends no line.
    of_memcached("direct-memcached-half-request", Then::Apart, |it| {
        let long = it
            .sent
            .split(|byte| *byte == b'\n')
            .any(|line| line.len() > 2_048);
        it.direct.is_empty() && (long || memcached::ends_in_block(it.sent))
    }),
    // Connections are counted and numbered separately.
    of_memcached("direct-memcached-counters", Then::Alike, |it| {
        it.both_begin(&["STAT "])
            || memcached::is_same_but_for_uniques(it.direct, it.through)
            || meta::is_same_but_for_cas(it.direct, it.through)
    }),
    // memcached parses such numbers past the end of its item, and returns whatever is there.
    of_memcached("direct-memcached-counters", Then::Apart, |it| {
        // The name is unknown behind a quiet request.
        matches!(it.name().as_str(), "incr" | "decr" | "ma" | "")
            && memcached::has_odd_number(it.sent)
            || memcached::counts_odd_number_in_silence(it.sent)
    }),
    // A client that wants no reply gets none, not even an error.
    of_memcached("direct-memcached-noreply", Then::Apart, |it| {
        (it.they_fail() || it.we_failed_before()) && memcached::has_odd_noreply(it.sent)
    }),
    // What a quiet `ma` creates is not told, as newer servers do.
    of_memcached("direct-memcached-quiet-creation", Then::OneMore, |it| {
        (it.they_say("HD") || it.they_say("VA ")) && memcached::has_quiet_creation(it.sent)
    }),
    of_memcached("direct-memcached-noreply", Then::OneMore, |it| {
        it.they_fail() && memcached::has_noreply(it.sent)
    }),
    // What is refused in silence (`noreply`) the server carries out, or answers, as it does not see the `noreply` behind
    // a NUL.
    of_memcached("direct-memcached-strict", Then::Apart, |it| {
        memcached::has_odd_noreply_before(it.sent, it.number)
    }),
];
