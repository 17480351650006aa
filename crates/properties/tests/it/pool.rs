//! Pools under scripts that resemble the protocols more often than random bytes do.

use properties::pool::{memcached, redis};
use proptest::prelude::*;

/// Scripts that resemble the protocols more often than random bytes do.
fn script(words: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![
        4 => proptest::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    let step = (any::<u8>(), proptest::collection::vec(bytes, 0..4)).prop_map(|(act, words)| {
        let mut bytes = words.concat();
        bytes.truncate(255);
        [vec![act, bytes.len() as u8], bytes].concat()
    });
    proptest::collection::vec(step, 0..60).prop_map(|steps| steps.concat())
}

const REDIS: &[&[u8]] = &[
    b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    b"*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n",
    b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
    b"PING\r\n",
    b"QUIT\r\n",
    b"FLUSHALL\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$70000\r\nxxxx",
    b"+OK\r\n",
    b"$1\r\nx\r\n",
    b"*1\r\n$1\r\nx\r\n",
    b"*2\r\n$1\r\nx\r\n",
    b"-ERR no\r\n",
    b":1\r\n",
    b">1\r\n+x\r\n",
    b"%1\r\n+a\r\n+b\r\n",
];

const MEMCACHED: &[&[u8]] = &[
    b"get a\r\n",
    b"get a b c d e f\r\n",
    b"gats 0 a b c\r\n",
    b"set a 0 0 3\r\nabc\r\n",
    b"set a 0 0 3 noreply\r\nabc\r\n",
    b"set a 0 0 70000\r\nabc",
    b"ms a 3\r\nabc\r\n",
    b"flush_all\r\n",
    b"stats\r\n",
    b"quit\r\n",
    b"END\r\n",
    b"VALUE a 0 3\r\nabc\r\n",
    b"STORED\r\n",
    b"SERVER_ERROR no\r\n",
    b"STAT a 1\r\n",
    b"OK\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_redis_pool_survives_any_script(script in script(REDIS)) {
        redis(&script);
    }

    #[test]
    fn a_memcached_pool_survives_any_script(script in script(MEMCACHED)) {
        memcached(&script);
    }
}
