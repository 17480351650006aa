//! Requests of Redis clients, and an independent parser of them and their replies.

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
];

/// Commands that the proxy refuses, and unknown words.
const REFUSED: &[&str] = &["MULTI", "SUBSCRIBE S", "KEYS *", "RESET", "S K V", "S"];

/// Commands that choose which replies are sent, and commands that end something that was not begun.
const CONNECTION: &[&str] = &[
    "CLIENT REPLY ON",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "client reply skip",
    "CLIENT REPLY S",
    "CLIENT REPLY",
    "EXEC",
    "DISCARD",
    "UNWATCH",
];

/// A request, usually complete and valid.
pub(crate) fn request(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let templates = match u.int_in_range(0..=49)? {
        49 => REFUSED,
        48 => CONNECTION,
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

/// The words of each request that gets a reply, as far as the bytes can be parsed; inline requests are split
/// at blanks only.
pub(crate) fn requests(mut bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut requests, mut replies) = (Vec::new(), Replies::default());
    while let Some((words, rest)) = next_request(bytes) {
        if replies.wants(&words) {
            requests.push(words);
        }
        bytes = rest;
    }
    requests
}

/// Whether a request that only the server carries out had its reply turned off; or may have had it, where the
/// bytes cannot be parsed.
pub(crate) fn has_muted_refusal(mut bytes: &[u8]) -> bool {
    const NAMES: [&[u8]; 3] = [b"multi", b"select", b"subscribe"];
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
