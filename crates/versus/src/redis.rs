//! Requests of Redis clients, and an independent parser of them and their replies.

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};

use crate::template;

pub(crate) const FLUSH: &[u8] = b"*1\r\n$8\r\nFLUSHALL\r\n";
pub(crate) const QUESTION: &[u8] = b"*2\r\n$4\r\nTYPE\r\n$16\r\n\x00a bystander's\r\n\r\n";
pub(crate) const ANSWER: &[u8] = b"+none\r\n";

/// Requests, see [`template`]. None has a random reply.
const TEMPLATES: &[&str] = &[
    "GET K",
    "SET K V",
    "SET K V NX",
    "SET K V XX GET",
    "SET K V EX N",
    "SET K V KEEPTTL",
    "SETNX K V",
    "SETEX K N V",
    "PSETEX K 900000 V",
    "GETSET K V",
    "GETDEL K",
    "GETEX K PERSIST",
    "APPEND K V",
    "STRLEN K",
    "GETRANGE K N N",
    "SETRANGE K N V",
    "SUBSTR K N N",
    "INCR K",
    "DECR K",
    "INCRBY K N",
    "DECRBY K N",
    "INCRBYFLOAT K F",
    "MGET K*",
    "MSET K+V*",
    "DEL K*",
    "UNLINK K*",
    "EXISTS K*",
    "TOUCH K*",
    "MSETNX K+V*",
    "SETBIT K N N",
    "GETBIT K N",
    "BITCOUNT K",
    "BITPOS K N",
    "BITFIELD K GET u8 N",
    "BITOP AND K K K",
    "TYPE K",
    "TTL K",
    "EXPIRE K 1000",
    "EXPIRE K N NX",
    "PERSIST K",
    "EXPIREAT K N",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K",
    "DUMP K",
    "RESTORE K N S",
    "OBJECT ENCODING K",
    "SORT K ALPHA LIMIT 0 N",
    "HSET K S+V*",
    "HGET K S",
    "HMSET K S+V*",
    "HMGET K S*",
    "HGETALL K",
    "HDEL K S*",
    "HLEN K",
    "HKEYS K",
    "HVALS K",
    "HEXISTS K S",
    "HINCRBY K S N",
    "HINCRBYFLOAT K S F",
    "HSETNX K S V",
    "HSTRLEN K S",
    "HSCAN K 0",
    "LPUSH K V*",
    "RPUSH K V*",
    "LPUSHX K V",
    "LPOP K",
    "RPOP K N",
    "LLEN K",
    "LRANGE K N N",
    "LINDEX K N",
    "LINSERT K BEFORE V V",
    "LSET K N V",
    "LREM K N V",
    "LTRIM K N N",
    "RPOPLPUSH K K",
    "LMOVE K K LEFT RIGHT",
    "LPOS K V",
    "LMPOP N K K LEFT",
    "SADD K N*",
    "SREM K N*",
    "SCARD K",
    "SISMEMBER K N",
    "SMISMEMBER K N*",
    "SMEMBERS K",
    "SUNION K*",
    "SINTER K*",
    "SDIFF K*",
    "SINTERCARD N K",
    "SINTERSTORE K K*",
    "SMOVE K K N",
    "ZADD K F+S*",
    "ZADD K NX CH N S",
    "ZSCORE K S",
    "ZMSCORE K S*",
    "ZCARD K",
    "ZRANGE K N N WITHSCORES",
    "ZRANGEBYSCORE K -inf +inf LIMIT N N",
    "ZREVRANGE K N N",
    "ZRANK K S",
    "ZREM K S*",
    "ZINCRBY K F S",
    "ZCOUNT K ( N",
    "ZPOPMIN K",
    "ZUNION N K*",
    "ZUNIONSTORE K N K*",
    "ZREMRANGEBYRANK K N N",
    "ZLEXCOUNT K - +",
    "PFADD K V*",
    "PFCOUNT K*",
    "PFMERGE K K*",
    "GEOADD K F F S",
    "GEODIST K S S",
    "GEOHASH K S*",
    "XADD K N S V",
    "XLEN K",
    "XRANGE K - +",
    "XDEL K N",
    "XREAD STREAMS K 0",
    "XTRIM K MAXLEN N",
    "EVAL return{KEYS[1],ARGV[1]} 1 K V",
    "EVAL return N K",
    "EVAL error('x') 1 K",
    "EVAL return{1,2.5,false,{ok='a'},{err='ERR_b'}} 1 K",
    "EVALSHA S 1 K",
    "PING",
    "PING V",
    "ECHO V",
    "SELECT 0",
    "SELECT N",
    "HELLO",
    "HELLO 2",
    "HELLO 3",
    "HELLO N",
    "AUTH S",
    "CLIENT SETNAME S",
    "CLIENT GETNAME",
    "QUIT",
    "FLUSHALL",
    "FLUSHDB",
    "COMMAND COUNT",
    "get K V",
    "set K",
    "mget",
    "DBSIZE",
    "KEYS S",
    "KEYS *",
    "SCAN 0",
    "SCAN 0 MATCH S COUNT 100",
    "SCAN S",
];

/// Commands that the proxy refuses, unknown words, and subscriptions, which restrict the client.
const REFUSED: &[&str] = &[
    "SUBSCRIBE S",
    "PSUBSCRIBE S",
    "SSUBSCRIBE S",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE S",
    "MONITOR",
    "RESET",
    "S K V",
    "S",
];

/// Commands that choose which replies are sent, and commands that end something that was not begun.
const CONNECTION: &[&str] = &[
    "CLIENT REPLY ON",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "client reply skip",
    "CLIENT REPLY S",
    "CLIENT REPLY",
    "UNWATCH",
];

/// Commands that begin and end transactions.
const TRANSACTION: &[&str] = &["MULTI", "MULTI", "MULTI", "EXEC", "EXEC", "EXEC", "DISCARD"];

/// A request, usually complete and valid.
pub(crate) fn request(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let templates = match u.int_in_range(0..=49)? {
        49 => REFUSED,
        48 => CONNECTION,
        45..=47 => TRANSACTION,
        _ => TEMPLATES,
    };
    let template = u.choose(templates)?;
    let mut words = template::fill(u, template)?;
    match u.int_in_range(0..=40)? {
        40 => {
            words.pop();
        }
        39 => words.push(template::value(u)?),
        _ => {}
    }
    let plain = |word: &Vec<u8>| !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric);
    match u.int_in_range(0..=15)? {
        15 if words.iter().all(plain) => Ok([&words.join(&b' ')[..], b"\r\n"].concat()),
        14 => Ok([&words.join(&b' ')[..], b"\n"].concat()),
        13 => with_odd_lengths(u, &words),
        _ => Ok(array(&words)),
    }
}

fn array(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The same with one of its numbers changed.
fn with_odd_lengths(u: &mut Unstructured<'_>, words: &[Vec<u8>]) -> Result<Vec<u8>> {
    let bytes = array(words);
    let at = u.int_in_range(0..=words.len())?;
    let begins = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| matches!(byte, b'*' | b'$'));
    let Some((begin, _)) = begins.into_iter().nth(at) else {
        return Ok(bytes);
    };
    let digits = bytes[begin + 1..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let end = begin + 1 + digits.count();
    Ok([
        &bytes[..=begin],
        template::number(u)?.as_bytes(),
        &bytes[end..],
    ]
    .concat())
}

/// Whether the proxy serves this command.
pub(crate) fn is_served(name: &str) -> bool {
    let first = |template: &&str| {
        template
            .split(' ')
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case(name))
    };
    TEMPLATES.iter().any(first)
}

/// The words of the request of each reply, as far as the bytes can be parsed; inline requests are split at blanks
/// only.
pub(crate) fn requests(mut bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut requests, mut client) = (Vec::new(), Client::default());
    while let Some((words, rest)) = next_request(bytes) {
        let count = client.replies_to(&words);
        requests.extend(std::iter::repeat_n(words, count));
        bytes = rest;
    }
    requests
}

/// Whether these are confirmations of the same request to give up all channels: their order is a server's own.
pub(crate) fn are_of_one_unsubscribe(words: &[Vec<u8>], one: &[u8], other: &[u8]) -> bool {
    let [name] = words else {
        return false;
    };
    let name = name.to_ascii_lowercase();
    let is_known = KINDS.iter().any(|(_, unsubscribe)| *unsubscribe == name);
    is_known && kind_and_count(one).is_some_and(|told| Some(told) == kind_and_count(other))
}

/// The lines of a confirmation but for the one with the channel.
fn kind_and_count(reply: &[u8]) -> Option<[&[u8]; 2]> {
    let (header, rest) = cut_line(reply)?;
    let (_, rest) = cut_line(rest)?;
    let (kind, rest) = cut_line(rest)?;
    let at = rest.windows(3).rposition(|window| window == b"\r\n:")?;
    matches!(header, b"*3" | b">3").then_some([kind, &rest[at..]])
}

/// What begins and ends a subscription, for each kind of them.
const KINDS: [(&[u8], &[u8]); 3] = [
    (b"subscribe", b"unsubscribe"),
    (b"psubscribe", b"punsubscribe"),
    (b"ssubscribe", b"sunsubscribe"),
];

/// What decides how many replies a client gets.
#[derive(Default)]
struct Client {
    replies: Replies,
    subscriptions: Subscriptions,
    is_resp3: bool,
}

impl Client {
    fn replies_to(&mut self, words: &[Vec<u8>]) -> usize {
        let name = words.first().map(|name| name.to_ascii_lowercase());
        let is_restricted = !self.is_resp3 && self.subscriptions.are_any();
        match name.as_deref() {
            // An error.
            Some(b"client" | b"hello") if is_restricted => return usize::from(!self.replies.off),
            Some(b"hello") if words.len() > 1 => self.is_resp3 = words[1] == b"3",
            Some(b"reset") => self.is_resp3 = false,
            _ => {}
        }
        let confirmations = self.subscriptions.confirmations(words);
        let wanted = usize::from(self.replies.wants(words));
        confirmations.unwrap_or(wanted)
    }
}

/// What a client is subscribed to.
#[derive(Default)]
struct Subscriptions([BTreeSet<Vec<u8>>; KINDS.len()]);

impl Subscriptions {
    fn are_any(&self) -> bool {
        self.0.iter().any(|known| !known.is_empty())
    }

    /// How many confirmations a request gets, which come though replies are off: one for each of the channels that it
    /// names, or gives up without naming them.
    fn confirmations(&mut self, words: &[Vec<u8>]) -> Option<usize> {
        let (name, channels) = words.split_first()?;
        let name = name.to_ascii_lowercase();
        for ((subscribe, unsubscribe), known) in KINDS.iter().zip(&mut self.0) {
            if name == *subscribe && !channels.is_empty() {
                known.extend(channels.iter().cloned());
                return Some(channels.len());
            } else if name == *unsubscribe && channels.is_empty() {
                return Some(std::mem::take(known).len().max(1));
            } else if name == *unsubscribe {
                known.retain(|channel| !channels.contains(channel));
                return Some(channels.len());
            }
        }
        if name == b"reset" {
            *self = Subscriptions::default();
        }
        None
    }
}

/// Whether a request that only the server carries out had its reply turned off; or may have had it, where the
/// bytes cannot be parsed.
pub(crate) fn has_muted_refusal(mut bytes: &[u8]) -> bool {
    const NAMES: [&[u8]; 1] = [b"select"];
    let mut replies = Replies::default();
    while let Some((words, rest)) = next_request(bytes) {
        let name = words.first().map(|word| word.to_ascii_lowercase());
        let is_refused = name.is_some_and(|name| NAMES.contains(&&name[..]));
        if !replies.wants(&words) && is_refused {
            return true;
        }
        bytes = rest;
    }
    !bytes.is_empty() && (replies.off || replies.skip)
}

/// Whether a request with a word of more than 64 KiB had its reply turned off: as a key or a channel it is refused in
/// silence.
pub(crate) fn has_muted_long_word(mut bytes: &[u8]) -> bool {
    let mut replies = Replies::default();
    while let Some((words, rest)) = next_request(bytes) {
        if !replies.wants(&words) && words.iter().any(|word| word.len() > 64 << 10) {
            return true;
        }
        bytes = rest;
    }
    false
}

/// Whether replies were off for a part of a transaction. What is queued differs then in silence: a command that only
/// the server queues, or only the proxy, decides about the whole transaction, and subscriptions are told all the same.
pub(crate) fn has_muted_transaction(mut bytes: &[u8]) -> bool {
    let (mut replies, mut is_open) = (Replies::default(), false);
    while let Some((words, rest)) = next_request(bytes) {
        let is_told = replies.wants(&words);
        let name = words.first().map(|word| word.to_ascii_lowercase());
        match name.as_deref() {
            Some(b"multi") => is_open = true,
            Some(b"exec" | b"discard" | b"reset") => is_open = false,
            Some(_) if is_open && !is_told => return true,
            _ => {}
        }
        bytes = rest;
    }
    false
}

/// Whether this is the reply to COMMAND: hundreds of descriptions of ten elements.
pub(crate) fn is_command_table(reply: &[u8]) -> bool {
    let Some((line, rest)) = cut_line(reply) else {
        return false;
    };
    let count = line.strip_prefix(b"*").and_then(number);
    count.is_some_and(|count| count >= 200) && rest.starts_with(b"*10\r\n$")
}

/// Whether a line announces more arguments than servers before Redis 7 accepted.
pub(crate) fn announces_very_many(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let count = line.strip_prefix(b"*").and_then(number);
        count.is_some_and(|count| count > 1 << 20)
    })
}

/// Whether replies may have been turned off, in any form.
pub(crate) fn asks_for_silence(bytes: &[u8]) -> bool {
    let said = |word: &[u8]| {
        let mut windows = bytes.windows(word.len());
        windows.any(|window| window.eq_ignore_ascii_case(word))
    };
    said(b"reply") && (said(b"off") || said(b"skip"))
}

/// Which replies a client gets, as in Redis.
#[derive(Default)]
struct Replies {
    off: bool,
    skip: bool,
}

impl Replies {
    /// Whether the next request gets a reply.
    fn wants(&mut self, words: &[Vec<u8>]) -> bool {
        let skipped = std::mem::take(&mut self.skip);
        let words: Vec<_> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match words[..] {
            [] => return false,
            [b"client", b"reply", b"on"] => {
                self.off = false;
                return true;
            }
            [b"client", b"reply", b"off"] => self.off = true,
            [b"client", b"reply", b"skip"] => {
                self.skip = !self.off;
                return false;
            }
            [b"reset"] => self.off = false,
            _ => {}
        }
        !self.off && !skipped
    }
}

fn next_request(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, &[u8])> {
    let (line, mut rest) = cut_line(bytes)?;
    let Some(count) = line.strip_prefix(b"*") else {
        let words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        return Some((words.map(<[u8]>::to_vec).collect(), rest));
    };
    let mut words = Vec::new();
    for _ in 0..number(count)? {
        let (line, after) = cut_line(rest)?;
        let len = usize::try_from(number(line.strip_prefix(b"$")?)?).ok()?;
        words.push(after.get(..len)?.to_vec());
        rest = after.get(len + 2..)?;
    }
    Some((words, rest))
}

/// The length of the first reply, if it is complete.
pub(crate) fn reply_len(bytes: &[u8]) -> Option<usize> {
    let (mut end, mut values) = (0, 1_u64);
    while values > 0 {
        let (line, rest) = cut_line(bytes.get(end..)?)?;
        end = bytes.len() - rest.len();
        values -= 1;
        let (kind, text) = line.split_first()?;
        match kind {
            b'*' | b'~' | b'>' => values += u64::try_from(number(text)?).unwrap_or(0),
            b'%' => values += 2 * u64::try_from(number(text)?).unwrap_or(0),
            b'|' => values += 1 + 2 * u64::try_from(number(text)?).unwrap_or(0),
            b'$' | b'=' | b'!' => end += usize::try_from(number(text)?).map_or(0, |len| len + 2),
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            _ => return None,
        }
    }
    (end <= bytes.len()).then_some(end)
}

fn cut_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
