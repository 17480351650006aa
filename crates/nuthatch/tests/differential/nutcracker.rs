//! Which requests nutcracker 0.5.0 serves, as far as it decides whether it closes the connection.

use crate::request::Request;

/// How many arguments a Redis command may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Args {
    Exactly(usize),
    AtLeast(usize),
    Pairs,
    Any,
}

/// The 137 commands, by number of arguments.
const REDIS: &[(Args, &str)] = &[
    (Args::Exactly(0), "ping quit command"),
    (
        Args::Exactly(1),
        "auth decr dump get getdel hgetall hkeys hlen hvals incr llen persist pttl scard smembers strlen ttl \
         type zcard",
    ),
    (
        Args::Exactly(2),
        "append decrby expire expireat getbit getset hexists hget hstrlen incrby incrbyfloat lindex move \
         pexpire pexpireat rpoplpush setnx sismember zrank zrevrank zscore",
    ),
    (
        Args::Exactly(3),
        "getrange hincrby hincrbyfloat hsetnx lrange lrem lset ltrim psetex setbit setex setrange smove \
         zcount zincrby zlexcount zremrangebylex zremrangebyrank zremrangebyscore",
    ),
    (Args::Exactly(4), "linsert lmove"),
    (
        Args::AtLeast(1),
        "bitcount bitfield bitpos copy exists geoadd geodist geohash geopos georadius georadiusbymember \
         geosearch geosearchstore getex hdel hmget hmset hrandfield hscan hset lpop lpos lpush lpushx pfadd \
         pfcount pfmerge restore rpop rpush rpushx sadd sdiff sdiffstore set sinter sinterstore smismember \
         sort spop srandmember srem sscan sunion sunionstore zadd zdiff zdiffstore zinter zinterstore \
         zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrem zrevrange \
         zrevrangebylex zrevrangebyscore zscan zunion zunionstore mget del unlink touch",
    ),
    (Args::AtLeast(3), "eval evalsha"),
    (Args::Pairs, "mset"),
    (Args::Any, "lolwut"),
];

/// How nutcracker handles a well-formed Redis request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redis {
    Served,
    /// It does not know the command.
    Unknown,
    /// It knows the command, but not with this number of arguments or keys.
    Malformed,
}

/// Classifies a Redis request.
pub(crate) fn redis(request: &Request) -> Redis {
    let name = request.name();
    let Some((args, _)) = REDIS
        .iter()
        .find(|(_, names)| names.split_whitespace().any(|known| known == name))
    else {
        return Redis::Unknown;
    };
    let count = request.args();
    let right = match *args {
        Args::Exactly(wanted) => count == wanted,
        Args::AtLeast(least) => count >= least,
        Args::Pairs => count > 0 && count.is_multiple_of(2),
        Args::Any => true,
    };
    let counted = name.starts_with("eval") && right && !is_positive(&request.words[2]);
    // MOVE is accepted and then not executed.
    match right && !counted && name != "move" {
        true => Redis::Served,
        false => Redis::Malformed,
    }
}

/// Every command it knows, in lower case.
pub(crate) fn redis_commands() -> impl Iterator<Item = &'static str> {
    REDIS.iter().flat_map(|(_, names)| names.split_whitespace())
}

fn is_positive(number: &[u8]) -> bool {
    number.iter().all(u8::is_ascii_digit) && number.iter().any(|digit| *digit != b'0')
}

/// Whether nutcracker serves this memcached request: a known command with the right number of well-formed
/// arguments.
pub(crate) fn memcached_serves(request: &Request) -> bool {
    let words: Vec<&[u8]> = request.words.iter().map(Vec::as_slice).collect();
    let Some((name, rest)) = words.split_first() else {
        return false;
    };
    let rest = match rest {
        [rest @ .., b"noreply"] if !name.starts_with(b"get") => rest,
        rest => rest,
    };
    let digits = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let signed = |word: &[u8]| digits(&word.strip_prefix(b"-").unwrap_or(word));
    let key = |word: &[u8]| word.len() <= 250;
    match (*name, rest) {
        (b"get" | b"gets", keys) => !keys.is_empty() && keys.iter().all(|word| key(word)),
        (b"set" | b"add" | b"replace" | b"append" | b"prepend", [k, numbers @ ..]) => {
            key(k) && numbers.len() == 3 && numbers.iter().all(digits)
        }
        (b"cas", [k, numbers @ ..]) => key(k) && numbers.len() == 4 && numbers.iter().all(digits),
        (b"delete", [k]) => key(k),
        (b"incr" | b"decr" | b"touch", [k, number]) => key(k) && signed(number),
        (b"version" | b"quit", []) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_137_commands_and_each_is_there_once() {
        let mut names: Vec<_> = redis_commands().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 137);
        assert_eq!(redis_commands().count(), 137);
    }

    #[test]
    fn requests_are_told_apart() {
        let redis = |line| redis(&Request::redis_line(line));
        assert_eq!(redis("get k"), Redis::Served);
        assert_eq!(redis("SET k"), Redis::Served);
        assert_eq!(redis("GET"), Redis::Malformed);
        assert_eq!(redis("MSET a b c"), Redis::Malformed);
        assert_eq!(redis("MOVE a 1"), Redis::Malformed);
        assert_eq!(redis("EVAL s 0 x"), Redis::Malformed);
        assert_eq!(redis("EVAL s 1 x"), Redis::Served);
        assert_eq!(redis("XADD s * a b"), Redis::Unknown);
        let memcached = |line: &str| memcached_serves(&Request::memcached(line.as_bytes(), None));
        let served = [
            "get a b",
            "set k 0 0 1",
            "set k 0 0 1 noreply",
            "cas k 0 0 1 5",
            "incr k -1",
            "delete k noreply",
            "version",
        ];
        let not = [
            "get",
            "gat 0 k",
            "set k 0 -1 1",
            "delete k 0",
            "incr k x",
            "stats",
            "version x",
            "touch k 0 foo",
        ];
        assert!(served.iter().all(|line| memcached(line)));
        assert!(!not.iter().any(|line| memcached(line)));
    }
}
