//! Servers that reply unusually: every kind of reply, errors, protocol violations, closing in the middle of a
//! reply, for single requests and for fragments.

use super::{NO_NUTCRACKER, Play};
use crate::fake;
use crate::line::{Exchange, Line};
use crate::proxy_pair::{Pool, ProxyPair};
use crate::request::{Protocol, Request};
use crate::wire::Manner;

pub(crate) fn redis(play: &mut Play) -> Result<(), &'static str> {
    let mut stage = Stage::build(Protocol::Redis)?;
    for reply in REDIS {
        stage.single(play, fake::say(reply.as_bytes()));
    }
    for reply in ["", "$5\r\nhel", "*2\r\n:1\r\n", "-ERR hal", "+OK\r"] {
        stage.single(play, fake::say_and_close(reply.as_bytes()));
    }
    for command in ["MGET", "DEL", "UNLINK", "TOUCH", "MSET"] {
        let (good, bad) = match command {
            "MGET" => ("*1\r\n$2\r\nok\r\n", [":1\r\n", "+OK\r\n"]),
            "MSET" => ("+OK\r\n", [":1\r\n", "$1\r\nx\r\n"]),
            _ => (":1\r\n", ["+OK\r\n", "$1\r\nx\r\n"]),
        };
        let errors = [
            "-ERR mine\r\n",
            "-OOM no\r\n",
            "-LOADING wait\r\n",
            "-READONLY no\r\n",
        ];
        for odd in errors.into_iter().chain(bad) {
            stage.pair(
                play,
                command,
                fake::say(good.as_bytes()),
                fake::say(odd.as_bytes()),
            );
            stage.settle();
            stage.pair(
                play,
                command,
                fake::say(odd.as_bytes()),
                fake::say(odd.as_bytes()),
            );
            stage.settle();
        }
        stage.pair(
            play,
            command,
            fake::say(good.as_bytes()),
            fake::say_and_close(b""),
        );
        stage.settle();
        stage.pair(
            play,
            command,
            fake::say(good.as_bytes()),
            fake::say_and_close(&good.as_bytes()[..2]),
        );
        stage.settle();
    }
    // These crash nutcracker.
    for odd in ["*-1\r\n", "*0\r\n", "*2\r\n:1\r\n:2\r\n"] {
        let mut stage = Stage::build(Protocol::Redis)?;
        let request = stage.two_keys(
            "MGET",
            fake::say(b"*1\r\n$2\r\nok\r\n"),
            fake::say(odd.as_bytes()),
        );
        let requests = [request];
        let answers = stage.line.exchange(&requests, &Manner::plain());
        play.judge(Protocol::Redis, &requests, &answers);
    }
    Ok(())
}

pub(crate) fn memcached(play: &mut Play) -> Result<(), &'static str> {
    let mut stage = Stage::build(Protocol::Memcached)?;
    for reply in MEMCACHED {
        stage.single(play, fake::say(reply.as_bytes()));
    }
    for reply in ["", "VALUE k 0 5\r\nhel", "STO", "SERVER_ERROR ha", "END\r"] {
        stage.single(play, fake::say_and_close(reply.as_bytes()));
    }
    let good = "VALUE k 0 2\r\nok\r\nEND\r\n";
    for odd in [
        "END\r\n",
        "SERVER_ERROR out of memory\r\n",
        "ERROR\r\n",
        "STORED\r\n",
        "5\r\n",
        "OK\r\n",
        "nonsense\r\n",
    ] {
        stage.pair(
            play,
            "get",
            fake::say(good.as_bytes()),
            fake::say(odd.as_bytes()),
        );
        stage.settle();
        stage.pair(
            play,
            "gets",
            fake::say(odd.as_bytes()),
            fake::say(odd.as_bytes()),
        );
        stage.settle();
    }
    stage.pair(
        play,
        "get",
        fake::say(good.as_bytes()),
        fake::say_and_close(b""),
    );
    stage.settle();
    stage.pair(
        play,
        "get",
        fake::say(good.as_bytes()),
        fake::say_and_close(b"VALUE k 0 2\r\no"),
    );
    // Answered as soon as its first line has arrived.
    let early = fake::say(b"SERVER_ERROR object too large for cache\r\n");
    let line = format!("set {FIRST}{early} 0 0 {LARGE}");
    let large = Request::memcached(line.as_bytes(), Some(&vec![b'x'; LARGE]));
    play.ask_twice(&mut stage.line, &large);
    Ok(())
}

/// Larger than all buffers on the way.
const LARGE: usize = 16 << 20;

const REDIS: &[&str] = &[
    "+OK\r\n",
    "+\r\n",
    ":0\r\n",
    ":-9223372036854775808\r\n",
    "$-1\r\n",
    "$0\r\n\r\n",
    "$4\r\n\r\n\r\n\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*3\r\n:1\r\n$-1\r\n*2\r\n*-1\r\n*1\r\n+x\r\n",
    "*2\r\n-ERR inside\r\n+OK\r\n",
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n$1\r\nx\r\n",
    "-ERR mine\r\n",
    "-\r\n",
    "-WRONGTYPE x\r\n",
    "-READONLY You can't write\r\n",
    "-MOVED 1 127.0.0.1:1\r\n",
    "-NOAUTH Authentication required.\r\n",
    "-MASTERDOWN x\r\n",
    "-BUSYKEY x\r\n",
    "-OOMX y\r\n",
    "-oom lower case\r\n",
    // nutcracker counts these as failures of the server.
    "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "-BUSY Redis is busy\r\n",
    "-LOADING Redis is loading\r\n",
    "-OOM\r\n",
    // RESP3, which was not requested.
    "_\r\n",
    "#t\r\n",
    "%1\r\n+a\r\n:1\r\n",
    // Not the protocol.
    "nonsense\r\n",
    "STORED\r\n",
    "$x\r\n",
    "*x\r\n",
    "$1\r\nxyz",
    // One reply too many.
    "+OK\r\n+OK\r\n",
];

const MEMCACHED: &[&str] = &[
    "END\r\n",
    "VALUE k 0 1\r\nx\r\nEND\r\n",
    "VALUE k 0 0 99\r\n\r\nEND\r\n",
    "VALUE k 0 1\r\nx\r\nVALUE l 0 1\r\ny\r\nEND\r\n",
    "STORED\r\n",
    "NOT_STORED\r\n",
    "EXISTS\r\n",
    "NOT_FOUND\r\n",
    "DELETED\r\n",
    "TOUCHED\r\n",
    "18446744073709551615\r\n",
    "ERROR\r\n",
    "CLIENT_ERROR mine\r\n",
    "SERVER_ERROR mine\r\n",
    "VERSION 1.6.99\r\n",
    // Not among the replies that nutcracker knows.
    "OK\r\n",
    "RESET\r\n",
    "BUSY no\r\n",
    // Not the protocol.
    "nonsense\r\n",
    "+OK\r\n",
    "VALUE k 0 x\r\n",
    "END \r\n",
    // One reply too many.
    "STORED\r\nSTORED\r\n",
];

/// Both proxies in front of the same servers, which store nothing.
struct Stage {
    protocol: Protocol,
    line: Line,
    _duel: ProxyPair,
}

/// Hash tags that `one_at_a_time` and `modula` map to the first, second and third of three servers.
const FIRST: &str = "{a}";
const SECOND: &str = "{p}";
const WELL: &str = "{b}";

impl Stage {
    fn build(protocol: Protocol) -> Result<Stage, &'static str> {
        let pool = Pool::new(protocol, 3)
            .with("hash_tag: \"{}\"")
            .with("hash: one_at_a_time")
            .with("distribution: modula")
            .with("timeout: 1000");
        let servers = [fake::start(), fake::start(), fake::start()];
        let pair = ProxyPair::start(&[pool], &servers, &servers).ok_or(NO_NUTCRACKER)?;
        let answer = match protocol {
            Protocol::Redis => b"$8\r\nanswered\r\n".to_vec(),
            Protocol::Memcached => b"VALUE k 0 8\r\nanswered\r\nEND\r\n".to_vec(),
        };
        let probe = Exchange {
            ask: get(protocol, &format!("{WELL}{}", fake::say(&answer))).bytes,
            answer,
        };
        Ok(Stage {
            protocol,
            line: Line::open_with(protocol, pair.ports[0], Exchange::default(), probe),
            _duel: pair,
        })
    }

    /// Lets one server reply unusually to a single request.
    fn single(&mut self, play: &mut Play, odd: String) {
        play.ask_twice(
            &mut self.line,
            &get(self.protocol, &format!("{FIRST}{odd}")),
        );
        self.settle();
    }

    /// Lets two servers reply to the fragments of one request.
    fn pair(&mut self, play: &mut Play, command: &str, first: String, second: String) {
        let request = self.two_keys(command, first, second);
        play.ask_twice(&mut self.line, &request);
    }

    fn two_keys(&self, command: &str, first: String, second: String) -> Request {
        let keys = [format!("{FIRST}{first}"), format!("{SECOND}{second}")];
        match (self.protocol, command) {
            (Protocol::Memcached, _) => Request::memcached(
                format!("{command} {} {}", keys[0], keys[1]).as_bytes(),
                None,
            ),
            (Protocol::Redis, "MSET") => Request::redis(&[command, &keys[0], "x", &keys[1], "y"]),
            (Protocol::Redis, _) => Request::redis(&[command, &keys[0], &keys[1]]),
        }
    }

    /// Waits until both have replaced the connections that they lost.
    fn settle(&mut self) {
        let ordinary = match self.protocol {
            Protocol::Redis => fake::say(b"+fine\r\n"),
            Protocol::Memcached => fake::say(b"STORED\r\n"),
        };
        for tag in [FIRST, SECOND] {
            self.line
                .settle(&get(self.protocol, &format!("{tag}{ordinary}")));
        }
    }
}

fn get(protocol: Protocol, key: &str) -> Request {
    match protocol {
        Protocol::Redis => Request::redis(&["GET", key]),
        Protocol::Memcached => Request::memcached(format!("get {key}").as_bytes(), None),
    }
}
