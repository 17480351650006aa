//! Redis requests that are invalid, unusual, or newer than nutcracker: each one alone, and some in the middle
//! of a pipeline.

use std::thread;
use std::time::Duration;

use super::{NO_NUTCRACKER, NO_SERVERS, Play};
use crate::line::Line;
use crate::nutcracker;
use crate::proxy_pair::{Pool, ProxyPair, ServerSets};
use crate::request::{Protocol, Request};
use crate::seed::Rng;
use crate::wire::Manner;

pub(crate) fn requests(play: &mut Play) -> Result<(), &'static str> {
    let server_sets = ServerSets::start(Protocol::Redis, 3).ok_or(NO_SERVERS)?;
    let (theirs, ours) = server_sets.ports();
    let pool = Pool::new(Protocol::Redis, 3);
    let pair = ProxyPair::start(&[pool], &theirs, &ours).ok_or(NO_NUTCRACKER)?;
    let mut line = Line::open(Protocol::Redis, pair.ports[0], "odd");
    for text in UNSUPPORTED.iter().chain(NEWER).chain(UNUSUAL) {
        play.ask_each(&mut line, &[Request::redis_line(text)]);
    }
    undone(play, &mut line);
    wrong_arity(play, &mut line);
    bytes(play, &mut line);
    long_words(play, &mut line);
    careless_clients(play, &mut line);
    Ok(())
}

/// Commands that neither proxy serves.
const UNSUPPORTED: &[&str] = &[
    "NOSUCH",
    "NOSUCH a b",
    "CONFIG SET maxmemory 1",
    "EXEC",
    "DISCARD",
    "UNWATCH",
    "WATCH a",
    "SCRIPT KILL",
    "MONITOR",
    "SHUTDOWN",
    "REPLICAOF a 1",
    "CLUSTER INFO",
    "MIGRATE h 1 k 0 1",
    "MOVE a 1",
    "SWAPDB 0 1",
    "CLIENT KILL x",
    "FLUSHALL",
    "FLUSHDB",
];

/// Commands that current clients send and nutcracker does not know.
const NEWER: &[&str] = &[
    "ECHO x",
    "PING x",
    "PUBLISH a b",
    "PUBSUB NUMPAT",
    "SELECT 0",
    "HELLO",
    "HELLO 2",
    "HELLO 9",
    "HELLO 2 SETNAME me",
    "CLIENT SETNAME me",
    "CLIENT GETNAME",
    "CLIENT ID",
    "CLIENT SETINFO LIB-NAME x",
    "INFO",
    "INFO server",
    "INFO server replication",
    "CLIENT INFO",
    "CLIENT LIST",
    "CONFIG GET maxmemory",
    "SLOWLOG GET",
    "ROLE",
    "TIME",
    "LASTSAVE",
    "MEMORY STATS",
    "ACL WHOAMI",
    "LATENCY LATEST",
    "MODULE LIST",
    "OBJECT HELP",
    "COMMAND COUNT",
    "COMMAND DOCS",
    "COMMAND INFO get",
    "AUTH user password",
    "RESET",
    "XADD s 1-1 f v",
    "XLEN s",
    "RENAME old new",
    "RENAMENX n n",
    "BITOP NOT n n",
    "SINTERCARD 1 a",
    "BLPOP a 0.1",
    "BLMOVE a a LEFT LEFT 0.1",
    "WAIT 0 1",
    "EXPIRETIME a",
    "OBJECT ENCODING a",
    "LCS n n",
    "SUBSTR a 0 1",
    "EVAL_RO x 1 k",
    "FCALL f 1 k",
    "MSETNX n b",
    "EXPIRE n 10 NX",
    "ZRANK n b WITHSCORE",
    "EXISTS n b n",
    "ZUNION 2 n b",
    "ZINTER 1 n",
    "ZDIFF 1 n",
];

/// Requests that both serve, at the limits.
const UNUSUAL: &[&str] = &[
    "PING",
    "AUTH x",
    "COMMAND",
    "LOLWUT",
    "LOLWUT VERSION 5",
    "get a",
    "GeT a",
    "SET a",
    "ZADD a",
    "HSET a b",
    "EXISTS a",
    "SPOP nothing",
    "SRANDMEMBER nothing",
    "EVAL x 0 k",
    "EVAL x 00 k",
    "EVAL x -1 k",
    "EVAL x y k",
    "EVAL x 9 k",
    "EVAL x 01 k",
    "ZUNIONSTORE d",
    "ZUNIONSTORE d x k",
    "ZUNIONSTORE d 9 k",
    "ZUNIONSTORE d 0 k",
    "ZUNION 9 k",
    "ZUNION x k",
    "ZDIFF 0 k",
    "QUIT",
];

/// Commands that affect later requests in Nuthatch, and commands that end the effect.
fn undone(play: &mut Play, line: &mut Line) {
    for pair in [["MULTI", "DISCARD"], ["SELECT 1", "SELECT 0"]] {
        play.ask(line, &pair.map(Request::redis_line), &Manner::plain());
    }
}

/// Every command with one argument too few, and where that is invalid with one too many.
fn wrong_arity(play: &mut Play, line: &mut Line) {
    for name in nutcracker::redis_commands() {
        for count in 0..6 {
            let mut words = vec![name.as_bytes().to_vec()];
            words.extend((0..count).map(|n| format!("arity:{n}").into_bytes()));
            let request = Request::redis(&words);
            if nutcracker::redis(&request) != nutcracker::Redis::Served {
                play.ask_each(line, &[request]);
            }
        }
    }
}

/// Bytes that are almost valid.
fn bytes(play: &mut Play, line: &mut Line) {
    const BYTES: &[&[u8]] = &[
        // Inline commands and blank lines.
        b"PING\r\n",
        b"GET a\r\n",
        b"SET inline \"a b\"\r\n",
        b"GET inline\n",
        b"NOSUCH\r\n",
        b"QUIT\r\n",
        b"\r\n",
        b"\n",
        b"   \r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"SET a \"b\r\n",
        b"POST / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        // Wrong lengths and counts.
        b"*x\r\n",
        b"*\r\n",
        b"*1 \r\n",
        b"*2\r\n+GET\r\n$1\r\na\r\n",
        b"*2\r\n$3\r\nGET\r\n:1\r\n",
        b"*2\r\n$3\r\nGETX$1\r\na\r\n",
        b"*2\r\n$3\r\nGET\r\n$-1\r\n",
        b"*2\r\n$3\r\nGET\r\n$1x\r\na\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\nabc\r\n",
        b"*1\r\n$0\r\n\r\n",
        b"*99999999999999999999\r\n",
        b"*1048577\r\n",
        b"*2\r\n$3\r\nGET\r\n$536870913\r\n",
        b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in BYTES {
        play.ask_each(line, &[Request::raw(bytes)]);
    }
    // Numbers that nutcracker forwards although redis-server considers them a protocol error.
    const SLOPPY: &[&[u8]] = &[
        b"*2\r\n$3\r\nGET\r\n$\r\n\r\n",
        b"*02\r\n$3\r\nGET\r\n$1\r\na\r\n",
        b"*2\r\n$03\r\nGET\r\n$1\r\na\r\n",
        b"*2\r\n$3\r\nGET\r\n$01\r\na\r\n",
    ];
    for bytes in SLOPPY {
        let mut request = Request::redis_line("GET a");
        request.bytes = bytes.to_vec();
        play.ask_each(line, &[request]);
        // The next user of that server connection may be affected.
        line.settle(&Request::redis_line("GET a"));
    }
    for bytes in [
        &b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870913\r\n"[..],
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4294967295\r\n",
    ] {
        play.ask(line, &[Request::raw(bytes)], &Manner::with_short_wait());
    }
}

/// Empty arguments, and keys and scripts of about the size of nutcracker's buffers.
fn long_words(play: &mut Play, line: &mut Line) {
    for words in [
        &["SET", "", "x"][..],
        &["GET", ""],
        &["MGET", "", "a", ""],
        &["MSET", "", "", "a", ""],
        &["DEL", "", "a"],
        &["HSET", "h", "", ""],
        &["", "a"],
    ] {
        play.ask_each(line, &[Request::redis(words)]);
    }
    for len in [16_335, 16_336, 65_536, 65_537] {
        let key = vec![b'k'; len];
        let short = b"short".to_vec();
        for words in [
            vec![b"GET".to_vec(), key.clone()],
            vec![b"SET".to_vec(), key.clone(), b"v".to_vec()],
            vec![b"MGET".to_vec(), short.clone(), key.clone()],
        ] {
            play.ask_each(line, &[Request::redis(&words)]);
        }
    }
    // nutcracker 0.5.0 fails if the number of keys is split by the end of a buffer.
    for len in 16_280..16_310 {
        let script = format!("return '{}'", "x".repeat(len - 9));
        play.ask_each(line, &[Request::redis(&["EVAL", &script, "1", "k"])]);
    }
    play.ask_each(line, &[Request::redis(&["x".repeat(100).as_str(), "k"])]);
}

/// Clients that continue after a request for which nutcracker closes the connection.
fn careless_clients(play: &mut Play, line: &mut Line) {
    let get = Request::redis_line("GET a");
    let set = Request::redis_line("SET careless 1");
    for wrong in ["NOSUCH", "GET", "QUIT", "MGET"] {
        let wrong = Request::redis_line(wrong);
        let pipeline = [set.clone(), get.clone(), wrong, get.clone()];
        for seed in 0..4 {
            let manner = Manner {
                cuts: (seed > 0).then(|| Rng::new(seed)),
                ..Manner::plain()
            };
            play.ask(line, &pipeline, &manner);
        }
    }
    let mut half = get.clone();
    half.bytes.truncate(half.bytes.len() - 3);
    // Half a request, then a FIN (later, because nutcracker overlooks one that comes with the bytes).
    for requests in [vec![get, half.clone()], vec![half]] {
        line.reconnect();
        line.send(&requests);
        thread::sleep(Duration::from_millis(200));
        let answers = line.leave(&[], &Manner::plain());
        play.judge(line.protocol(), &requests, &answers);
    }
}
