//! Random Redis requests that both proxies serve, with every command that nutcracker knows.
//!
//! Replies must depend on the requests only. So everything that redis-server chooses or orders randomly is
//! avoided: sets contain integers only (they are kept sorted), hashes stay small (they keep the order of
//! insertion), and members are never chosen one by one.

use crate::request::Request;
use crate::seed::Rng;

/// Requests with a fixed number of arguments. Lower-case words are placeholders: a key of a type (`str list
/// set hash zset geo hll any`), `val`, `small` (at most 40 bytes), `int`, `pos` (positive), `off` (offset),
/// `mem` (integer member), `field`, `zmem`, `place`, `score`, `bit`.
const FIXED: &str = "
    PING|LOLWUT
    DECR str|DUMP str|DUMP list|DUMP set|DUMP hash|DUMP zset|GET str|GET any|GETDEL str|HGETALL hash|HKEYS hash|HLEN hash
    HVALS hash|INCR str|LLEN list|PERSIST any|PTTL any|SCARD set|SMEMBERS set|STRLEN str|TTL any|TYPE any|ZCARD zset
    APPEND str val|DECRBY str int|EXPIRE any 1000|EXPIRE any -1|EXPIREAT any 4000000000|EXPIREAT any 1
    GETBIT str off|GETSET str val|HEXISTS hash field|HGET hash field|HSTRLEN hash field|INCRBY str int
    INCRBYFLOAT str score|LINDEX list int|PEXPIRE any 1000000|PEXPIREAT any 4000000000000|RPOPLPUSH list list
    SETNX str val|SISMEMBER set mem|ZRANK zset zmem|ZREVRANK zset zmem|ZSCORE zset zmem
    GETRANGE str int int|HINCRBY hash field int|HINCRBYFLOAT hash field score|HSETNX hash field small
    LRANGE list int int|LREM list int small|LSET list int small|LTRIM list int pos|PSETEX str 1000000 val
    SETBIT str off bit|SETEX str 1000 val|SETEX str 0 val|SETRANGE str off small|SMOVE set set mem
    ZCOUNT zset score score|ZCOUNT zset -inf (5|ZINCRBY zset score zmem|ZLEXCOUNT zset - +|ZREMRANGEBYLEX zset [b [d
    ZREMRANGEBYRANK zset int int|ZREMRANGEBYSCORE zset score score
    LINSERT list BEFORE small small|LINSERT list AFTER small val|LMOVE list list LEFT RIGHT|LMOVE list list RIGHT LEFT
    HRANDFIELD hash 1000|HRANDFIELD hash 1000 WITHVALUES|SPOP set 1000|SRANDMEMBER set 1000|ZRANDMEMBER zset 1000
    ZRANDMEMBER zset 1000 WITHSCORES
    SET str val|SET str val|SET str val|SET str int|SET str int|HSET hash field small|HSET hash field small field small
    SADD set mem mem mem|SADD set mem|ZADD zset score zmem score zmem|ZADD zset score zmem|RPUSH list val|LPUSH list int int
    GEOADD geo 13.361389 38.115556 place 15.087269 37.502669 place|GEOADD geo 2.3522 48.8566 place|PFADD hll small small
    EVAL script 1 any small|EVAL script 2 any any small|EVAL script 1 any|EVALSHA 0123456789012345678901234567890123456789 1 any
    RESTORE str 0 payload|RESTORE str 0 payload REPLACE|RESTORE list 0 val
";

/// Requests whose last arguments may be missing: redis-server itself checks these.
const OPEN: &str = "
    BITCOUNT str|BITCOUNT str int int|BITCOUNT str int int BIT|BITFIELD str SET u8 off int GET u8 off
    BITFIELD str OVERFLOW SAT INCRBY i5 off 1|BITPOS str bit|BITPOS str bit int|COPY any any|COPY str str REPLACE
    EXISTS any|GEODIST geo place place|GEODIST geo place place km|GEOHASH geo place place|GEOPOS geo place place
    GEORADIUS geo 15 37 200 km|GEORADIUS geo 15 37 200 km WITHDIST WITHCOORD ASC|GEORADIUSBYMEMBER geo place 100 km
    GEORADIUS geo 15 37 200 km STORE zset|GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC
    GEOSEARCHSTORE zset geo FROMLONLAT 15 37 BYBOX 400 400 km|GETEX str|GETEX str EX 1000|GETEX str PERSIST
    HDEL hash field field|HMGET hash field field field|HMSET hash field small field small|HSCAN hash 0|HSCAN hash 0 COUNT 100
    HSET hash field small|LPOP list|LPOP list pos|LPOS list small|LPOS list int RANK -1 COUNT 0|LPUSH list small val
    LPUSHX list small|PFADD hll small small small|PFCOUNT hll|PFCOUNT hll hll|PFMERGE hll hll hll|RPOP list|RPOP list pos
    RPUSH list small small|RPUSHX list val|SADD set mem mem mem mem|SDIFF set set set|SDIFFSTORE set set set
    SET str val EX 1000|SET str val NX|SET str val XX GET|SET str val KEEPTTL|SET str val EX 0|SINTER set set|SINTERSTORE set set set
    SMISMEMBER set mem mem mem|SORT list|SORT list DESC LIMIT 0 5|SORT list ALPHA|SORT set ALPHA DESC|SORT list ALPHA STORE list
    SORT zset BY nosort GET #|SREM set mem mem|SSCAN set 0|SUNION set set set|SUNIONSTORE set set set
    ZADD zset NX score zmem|ZADD zset GT CH score zmem score zmem|ZADD zset INCR score zmem|ZDIFFSTORE zset 2 zset zset
    ZINTERSTORE zset 2 zset zset AGGREGATE MAX|ZMSCORE zset zmem zmem|ZPOPMAX zset|ZPOPMAX zset pos|ZPOPMIN zset pos
    ZRANGE zset int int|ZRANGE zset 0 -1 WITHSCORES|ZRANGE zset (1 5 BYSCORE LIMIT 0 3|ZRANGE zset [a (f BYLEX
    ZRANGEBYLEX zset - +|ZRANGEBYLEX zset [b (e LIMIT 1 2|ZRANGEBYSCORE zset -inf +inf WITHSCORES|ZRANGESTORE zset zset 0 -1
    ZREM zset zmem zmem|ZREVRANGE zset 0 -1 WITHSCORES|ZREVRANGEBYLEX zset + -|ZREVRANGEBYSCORE zset +inf -inf
    ZSCAN zset 0|ZUNIONSTORE zset 2 zset zset WEIGHTS 2 3|ZUNIONSTORE zset 3 zset zset set
";

/// Requests with a random number of keys; `pairs` are keys with values.
const VECTORS: &[&str] = &[
    "MGET keys",
    "MGET keys",
    "DEL keys",
    "UNLINK keys",
    "TOUCH keys",
    "MSET pairs",
    "MSET pairs",
];

/// Commands of nutcracker's table that random traffic omits, because the two proxies differ intentionally or
/// because they end the connection.
pub(crate) const LEFT_OUT: &[&str] = &[
    "auth", "command", "move", "quit", "zdiff", "zinter", "zunion",
];

const SCRIPTS: &[&str] = &[
    "return {KEYS[1], #ARGV, ARGV[1]}",
    "return redis.call('type', KEYS[1])",
    "return redis.error_reply('MINE as asked')",
    "return {1, 2, {'three', false, {ok = 'FINE'}}}",
    "return redis.call('nonsense', KEYS[1])",
];

const FIELDS: &[&str] = &["a", "b", "field-3", "", "\r\n", "\u{e9}", "0", "x y"];
const PLACES: &[&str] = &["Palermo", "Catania", "Paris", ""];
const SCORES: &[&str] = &[
    "0", "1", "-1", "2.5", "1e3", "-inf", "inf", "nan", "x", "0.1", "3",
];
const KEYS_OF_A_TYPE: usize = 6;

/// Generates the requests of one client.
pub(crate) struct RedisTraffic {
    rng: Rng,
    /// Part of every key, so that clients do not share keys.
    client: String,
    /// The pool's hash tag, which some keys then contain.
    tag: Option<(char, char)>,
    /// The output of DUMP for a string.
    payload: Vec<u8>,
    fixed: Vec<&'static str>,
    open: Vec<&'static str>,
}

impl RedisTraffic {
    pub(crate) fn new(
        rng: Rng,
        client: &str,
        tag: Option<(char, char)>,
        payload: &[u8],
    ) -> RedisTraffic {
        RedisTraffic {
            rng,
            client: client.to_owned(),
            tag,
            payload: payload.to_vec(),
            fixed: templates(FIXED),
            open: templates(OPEN),
        }
    }

    pub(crate) fn request(&mut self) -> Request {
        let (template, open) = match self.rng.below(10) {
            0..=1 => (*self.rng.pick(VECTORS), false),
            2..=5 => (*self.rng.pick(&self.fixed), false),
            _ => (*self.rng.pick(&self.open), true),
        };
        let mut words = Vec::new();
        for word in template.split_whitespace() {
            self.fill(word, &mut words);
        }
        if open && self.rng.one_in(15) {
            words.truncate(2 + self.rng.below(words.len() - 1));
        }
        self.vary_case(&mut words[0]);
        Request::redis(&words)
    }

    fn fill(&mut self, word: &str, words: &mut Vec<Vec<u8>>) {
        match word {
            "keys" => (0..self.many()).for_each(|_| words.push(self.key("any"))),
            "pairs" => {
                for _ in 0..self.many() {
                    words.push(self.key("str"));
                    words.push(self.value());
                }
            }
            _ => words.push(self.one(word)),
        }
    }

    fn one(&mut self, word: &str) -> Vec<u8> {
        let rng = &mut self.rng;
        match word {
            "str" | "list" | "set" | "hash" | "zset" | "geo" | "hll" | "any" => self.key(word),
            "val" => self.value(),
            "small" => self.bytes(40),
            "int" => rng.between(-6, 12).to_string().into(),
            "pos" => rng.between(0, 5).to_string().into(),
            "off" => rng.between(-1, 99).to_string().into(),
            "mem" => rng.between(-9, 30).to_string().into(),
            "bit" => rng.between(0, 1).to_string().into(),
            "field" => rng.pick(FIELDS).as_bytes().to_vec(),
            "zmem" => vec![b'a' + rng.below(12) as u8],
            "place" => rng.pick(PLACES).as_bytes().to_vec(),
            "score" => rng.pick(SCORES).as_bytes().to_vec(),
            "script" => rng.pick(SCRIPTS).as_bytes().to_vec(),
            "payload" => self.payload.clone(),
            literal => literal.as_bytes().to_vec(),
        }
    }

    /// A key, usually one that holds (or will hold) a value of this type.
    fn key(&mut self, of: &str) -> Vec<u8> {
        const TYPES: &[&str] = &["str", "list", "set", "hash", "zset", "geo", "hll"];
        let of = match of == "any" || self.rng.one_in(12) {
            true => *self.rng.pick(TYPES),
            false => of,
        };
        let n = self.rng.below(KEYS_OF_A_TYPE);
        let client = &self.client;
        let mut key = match (self.tag, n) {
            (Some((open, close)), 0) => format!("{of}{open}{client}{close}"),
            (Some((open, close)), 1) => format!("{open}{close}{of}{client}"),
            (Some((open, close)), 2) => format!("{close}{of}{open}x{close}{client}"),
            _ => format!("{client}:{of}:{n}"),
        }
        .into_bytes();
        match n {
            3 => key.extend_from_slice(b"\r\n\0 \"\\\xff\x80\xfe"),
            4 => key.extend_from_slice(&[0xe9; 300]),
            _ => {}
        }
        key
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.below(40) {
            0 => self.bytes(200_000),
            1..=3 => self.bytes(20_000),
            4..=8 => self.rng.between(-99, 99).to_string().into(),
            _ => self.bytes(40),
        }
    }

    /// At most `limit` bytes of any kind; also text that looks like the protocol.
    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        if self.rng.one_in(10) {
            return b"+OK\r\n$3\r\n*2\r\n".to_vec();
        }
        let len = self.rng.below(limit + 1);
        let mut noise = self.rng.fork();
        (0..len.div_ceil(8))
            .flat_map(|_| noise.next().to_le_bytes())
            .take(len)
            .collect()
    }

    fn many(&mut self) -> usize {
        match self.rng.below(20) {
            0 => 1 + self.rng.below(120),
            _ => 1 + self.rng.below(9),
        }
    }

    fn vary_case(&mut self, name: &mut [u8]) {
        match self.rng.below(4) {
            0 => name.make_ascii_lowercase(),
            1 => name
                .iter_mut()
                .filter(|_| self.rng.one_in(2))
                .for_each(|byte| byte.make_ascii_lowercase()),
            _ => {}
        }
    }
}

fn templates(text: &'static str) -> Vec<&'static str> {
    let parts = text.split(['|', '\n']).map(str::trim);
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::nutcracker;

    #[test]
    fn every_command_of_nutcrackers_is_used_or_left_out_for_a_reason() {
        let all = templates(FIXED)
            .into_iter()
            .chain(templates(OPEN))
            .chain(VECTORS.iter().copied());
        let used: BTreeSet<String> = all
            .map(|template| {
                template
                    .split(' ')
                    .next()
                    .unwrap_or_default()
                    .to_ascii_lowercase()
            })
            .collect();
        for command in nutcracker::redis_commands() {
            let left_out = LEFT_OUT.contains(&command);
            assert_ne!(used.contains(command), left_out, "{command}");
        }
    }

    #[test]
    fn everything_made_is_served_by_nutcracker() {
        let mut traffic = RedisTraffic::new(Rng::new(7), "c", Some(('{', '}')), b"payload");
        for _ in 0..5_000 {
            let request = traffic.request();
            assert_eq!(
                nutcracker::redis(&request),
                nutcracker::Redis::Served,
                "{:?}",
                request.name()
            );
        }
    }
}
