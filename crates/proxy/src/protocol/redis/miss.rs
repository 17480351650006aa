//! The replies to reads whose keys do not exist, for pools with `eject: miss`, which answer so while a key's server
//! is ejected.

use redis_proto::{Version, encode};

use super::request::Request;

/// The kinds of such replies.
enum Miss {
    Null,
    Integer(i64),
    EmptyBulk,
    EmptyArray,
    EmptyMap,
    EmptySet,
    /// As many nulls as there are arguments from this one on.
    Nulls(usize),
    /// The same with zeros.
    Zeros(usize),
    NoType,
}

/// Writes that reply to the request, if it is a read for which it is known; returns whether it is.
pub(super) fn reply(request: &Request<'_>, version: Version, out: &mut Vec<u8>) -> bool {
    let name = request.arg(0).to_ascii_lowercase();
    let Some(miss) = find(&name, request.args.len()) else {
        return false;
    };
    let many = |from: usize| request.args.len().saturating_sub(from);
    match miss {
        Miss::Null => encode::null(out, version),
        Miss::Integer(value) => encode::integer(out, value),
        Miss::EmptyBulk => encode::bulk(out, b""),
        Miss::EmptyArray => encode::array_header(out, 0),
        Miss::EmptyMap => encode::map_header(out, 0, version),
        Miss::EmptySet if version == Version::Resp3 => out.extend_from_slice(b"~0\r\n"),
        Miss::EmptySet => encode::array_header(out, 0),
        Miss::Nulls(from) => {
            encode::array_header(out, many(from));
            (0..many(from)).for_each(|_| encode::null(out, version));
        }
        Miss::Zeros(from) => {
            encode::array_header(out, many(from));
            (0..many(from)).for_each(|_| encode::integer(out, 0));
        }
        Miss::NoType => encode::simple(out, "none"),
    }
    true
}

/// The replies of redis-server 7.0 for a key that does not exist.
fn find(name: &[u8], args: usize) -> Option<Miss> {
    Some(match name {
        b"get" | b"dump" | b"hget" | b"lindex" | b"zscore" => Miss::Null,
        b"zrank" | b"zrevrank" if args == 3 => Miss::Null,
        b"lpos" if args == 3 => Miss::Null,
        b"srandmember" | b"hrandfield" | b"zrandmember" if args == 2 => Miss::Null,
        b"srandmember" | b"hrandfield" | b"zrandmember" => Miss::EmptyArray,
        b"strlen" | b"getbit" | b"bitcount" | b"exists" | b"touch" => Miss::Integer(0),
        b"hlen" | b"hexists" | b"hstrlen" | b"llen" | b"scard" | b"sismember" => Miss::Integer(0),
        b"zcard" | b"zcount" | b"zlexcount" | b"xlen" | b"pfcount" => Miss::Integer(0),
        b"ttl" | b"pttl" | b"expiretime" | b"pexpiretime" => Miss::Integer(-2),
        b"getrange" | b"substr" => Miss::EmptyBulk,
        b"hkeys" | b"hvals" | b"lrange" | b"zrange" | b"zrevrange" => Miss::EmptyArray,
        b"zrangebyscore" | b"zrevrangebyscore" | b"zrangebylex" => Miss::EmptyArray,
        b"zrevrangebylex" | b"xrange" | b"xrevrange" => Miss::EmptyArray,
        b"hgetall" => Miss::EmptyMap,
        b"smembers" => Miss::EmptySet,
        b"mget" => Miss::Nulls(1),
        b"hmget" | b"zmscore" => Miss::Nulls(2),
        b"smismember" => Miss::Zeros(2),
        b"type" => Miss::NoType,
        _ => return None,
    })
}
