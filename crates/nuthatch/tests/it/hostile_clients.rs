//! Hostile clients: each gets an error at once if the protocol has one, at little cost, and another client of
//! the same pool is not affected.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::need;
use crate::rig::{Rig, memcached_ask, resident, text};

const MIB: u64 = 1 << 20;

/// How soon an attacker must have its answer, and how often that is tried: a busy machine may be slow once.
const SOON: Duration = Duration::from_millis(100);
const TRIES: usize = 5;

/// How much memory an attack may cost beyond that of ordinary requests.
const MAY_COST: u64 = MIB;

/// What happens to an attacker.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// One line that begins and continues like this, and the connection is closed.
    Closed(&'static str, &'static str),
    /// The connection is closed without a reply.
    ClosedMute,
    /// Is told this, in no line of its own, and closed.
    ClosedWith(&'static str),
    /// Lines that begin like these, and the connection stays usable.
    Kept(&'static [&'static str]),
}

/// The alert `handshake_failure`.
const NO_TLS: &str = "\u{15}\u{3}\u{1}\0\u{2}\u{2}(";

/// A TLS ClientHello of 517 bytes, as browsers send it.
fn tls_hello() -> Vec<u8> {
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    // The random part may contain any byte; half of all ClientHellos contain a line feed.
    hello.extend(
        (0..=255)
            .chain(0..=249)
            .map(|byte: u8| byte.wrapping_mul(37)),
    );
    hello
}

const HTTP_POST: &str =
    "POST / HTTP/1.1\r\nHost: cache:6379\r\nContent-Length: 14\r\n\r\nSET evil here\r\n";
const HTTP_GET: &str = "GET / HTTP/1.1\r\nHost: cache:6379\r\nConnection: close\r\n\r\n";

#[test]
fn attacks_on_a_redis_pool_are_answered_and_cost_nobody_else() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let mut neighbour = rig.client();
    let attack = |name: &str, bytes: &[u8], fate: Fate| {
        strike(&rig, name, bytes, fate, "PING\r\n", "+PONG\r\n", || {
            assert_eq!(neighbour.ask(&["SET", "k", "v"]), "+OK\r\n", "{name}");
            assert_eq!(neighbour.ask(&["GET", "k"]), "$1\r\nv\r\n", "{name}");
        });
    };
    let mut attack = attack;
    let bulk = Fate::Closed("-ERR Protocol error", "bulk length");
    let count = Fate::Closed("-ERR Protocol error", "multibulk length");
    attack(
        "overflow",
        b"*2\r\n$3\r\nGET\r\n$18446744073709551620\r\n",
        bulk,
    );
    attack("just too long", b"*2\r\n$3\r\nGET\r\n$536870913\r\n", bulk);
    attack("negative", b"*2\r\n$3\r\nGET\r\n$-5\r\n", bulk);
    attack("missing", b"*2\r\n$3\r\nGET\r\n$\r\n", bulk);
    attack(
        "no length",
        b"*2\r\n$3\r\nGET\r\nkey\r\n",
        Fate::Closed("-ERR Protocol error", "expected '$'"),
    );
    attack("count overflow", b"*9223372036854775808\r\n", count);
    attack("10^9 arguments", b"*1000000000\r\n$3\r\nGET\r\n", count);
    let nested = b"*1\r\n".repeat(100_000);
    attack(
        "nested",
        &nested,
        Fate::Closed("-ERR Protocol error", "expected '$'"),
    );
    let line = b"GET "
        .iter()
        .copied()
        .chain(std::iter::repeat_n(b'x', 70_000));
    let line: Vec<u8> = line.collect();
    let inline = Fate::Closed("-ERR Protocol error", "too big inline request");
    attack("inline without end", &line, inline);
    attack("long inline", &[&line[..], b"\r\n"].concat(), inline);
    attack(
        "open quote",
        b"SET k \"never closed\r\n",
        Fate::Closed("-ERR Protocol error", "unbalanced quotes"),
    );
    attack(
        "NULs",
        b"\0\0\0\0\r\n",
        Fate::Closed("-ERR Protocol error", "NUL"),
    );
    attack("HTTP POST", HTTP_POST.as_bytes(), Fate::ClosedMute);
    attack(
        "HTTP GET",
        HTTP_GET.as_bytes(),
        Fate::Closed("-ERR wrong number", "get"),
    );
    assert_eq!(
        rig.client().ask(&["EXISTS", "evil"]),
        ":0\r\n",
        "nothing of the body was carried out"
    );
    attack("TLS", &tls_hello(), Fate::ClosedWith(NO_TLS));
    attack(
        "memcached",
        b"set k 0 0 1\r\nv\r\n",
        Fate::Kept(&["-ERR", "-ERR"]),
    );
    assert_no_server_noticed(&rig);
}

#[test]
fn attacks_on_a_memcached_pool_are_answered_and_cost_nobody_else() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let mut neighbour = rig.client();
    let attack = |name: &str, bytes: &[u8], fate: Fate| {
        strike(&rig, name, bytes, fate, "get none\r\n", "END\r\n", || {
            let stored = memcached_ask(&mut neighbour, "set k 0 0 1\r\nv\r\n");
            assert_eq!(stored, "STORED\r\n", "{name}");
            neighbour.send(b"get k\r\n");
            let got = neighbour.until(b"END\r\n");
            assert_eq!(text(&got), "VALUE k 0 1\r\nv\r\nEND\r\n", "{name}");
        });
    };
    let mut attack = attack;
    let too_long = Fate::Closed("CLIENT_ERROR line is longer", "");
    let http = Fate::Closed("CLIENT_ERROR", "HTTP");
    let overflow = Fate::Closed("CLIENT_ERROR bad command line format", "");
    attack("too large", b"set k 0 0 2147483646\r\n", overflow);
    attack("overflow", b"set k 0 0 18446744073709551620\r\n", overflow);
    attack(
        "negative",
        b"set k 0 0 -1\r\n",
        Fate::Kept(&["CLIENT_ERROR"]),
    );
    attack("missing", b"set k 0 0\r\n", Fate::Kept(&["ERROR"]));
    attack(
        "no number",
        b"set k 0 0 x\r\n",
        Fate::Kept(&["CLIENT_ERROR"]),
    );
    let endless = vec![b'x'; 70_000];
    attack("line without end", &endless, too_long);
    attack("long line", &[&endless[..], b"\r\n"].concat(), too_long);
    attack(
        "long key",
        &[b"get ", &endless[..8_000], b"\r\n"].concat(),
        Fate::Kept(&["CLIENT_ERROR bad command line format"]),
    );
    let no_key = Fate::Closed("CLIENT_ERROR bad command line format", "key is longer");
    attack("key without end", &[b"get ", &endless[..]].concat(), no_key);
    attack(
        "longer key",
        &[b"gat 1 ", &endless[..], b"\r\n"].concat(),
        no_key,
    );
    let magic = [&b"\x80\x00\x00\x01"[..], &[0; 21]].concat();
    attack(
        "binary protocol",
        &magic,
        Fate::ClosedWith("the binary protocol is not supported: use the text protocol"),
    );
    attack("NULs", b"\0\0\0\0\r\n", Fate::Kept(&["ERROR"]));
    attack("NUL in key", b"get a\0b\r\n", Fate::Kept(&["CLIENT_ERROR"]));
    attack("HTTP POST", HTTP_POST.as_bytes(), http);
    attack("HTTP GET", HTTP_GET.as_bytes(), http);
    let put = HTTP_POST.replacen("POST", "PUT", 1);
    attack("HTTP PUT", put.as_bytes(), http);
    let delete = HTTP_POST.replacen("POST", "DELETE", 1);
    attack("HTTP DELETE", delete.as_bytes(), http);
    attack("HTTP Host", b"Host: cache\r\nset evil 0 0 1\r\nx\r\n", http);
    assert_eq!(memcached_ask(&mut rig.client(), "get evil\r\n"), "END\r\n");
    attack("TLS", &tls_hello(), Fate::ClosedWith(NO_TLS));
    let told = Fate::Closed("-ERR", "in Redis's");
    attack("Redis", b"*1\r\n$4\r\nPING\r\n", told);
    assert_no_server_noticed(&rig);
}

#[test]
fn a_thousand_attackers_leave_no_memory_behind() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let attacks: [&[u8]; 4] = [
        b"*1000000000\r\n",
        b"*1000000\r\n$3\r\nDEL\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nx",
        b"*1\r\n*1\r\n*1\r\n",
    ];
    let round = || {
        for attack in attacks.iter().cycle().take(250) {
            throw(rig.port, attack);
        }
        assert_eq!(rig.client().ask(&["GET", "k"]), "$-1\r\n");
    };
    // Memory that the first ones make the proxy allocate is kept for later ones.
    round();
    let before = resident(rig.proxy.pid());
    for _ in 0..3 {
        round();
    }
    let growth = resident(rig.proxy.pid()).saturating_sub(before);
    assert!(growth < MAY_COST, "{} KiB", growth >> 10);
}

/// Attacks repeatedly until the answer came soon enough once; `exchange` is what the other client does
/// meanwhile, and `question` what the attacker may still ask if its connection is kept.
fn strike(
    rig: &Rig,
    name: &str,
    bytes: &[u8],
    fate: Fate,
    question: &str,
    answer: &str,
    mut exchange: impl FnMut(),
) {
    let pid = rig.proxy.pid();
    let mut times = Vec::new();
    while times.len() < TRIES && !times.iter().any(|time| *time < SOON) {
        exchange();
        let before = resident(pid);
        let mut client = Attacker::connect(rig.port);
        let start = Instant::now();
        client.send(bytes);
        match fate {
            Fate::Kept(lines) => {
                for line in lines {
                    let got = client.line();
                    assert!(got.starts_with(line), "{name}: {got:?}");
                }
                times.push(start.elapsed());
                client.send(question.as_bytes());
                assert_eq!(client.line(), answer, "{name}");
            }
            Fate::Closed(start_of_line, rest) => {
                let words = client.rest();
                times.push(start.elapsed());
                let is_one_line = words.matches('\n').count() == 1 && words.ends_with("\r\n");
                let fits = words.starts_with(start_of_line) && words.contains(rest);
                assert!(is_one_line && fits, "{name}: {words:?}");
            }
            Fate::ClosedWith(words) => {
                assert!(client.rest().ends_with(words), "{name}");
                times.push(start.elapsed());
            }
            Fate::ClosedMute => {
                assert_eq!(client.rest(), "", "{name}");
                times.push(start.elapsed());
            }
        }
        exchange();
        let growth = resident(pid).saturating_sub(before);
        assert!(growth < MAY_COST, "{name}: {} KiB", growth >> 10);
    }
    assert!(times.iter().any(|time| *time < SOON), "{name}: {times:?}");
}

/// An attacking client, which may be closed.
struct Attacker {
    input: BufReader<TcpStream>,
}

impl Attacker {
    fn connect(port: u16) -> Attacker {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        let time_limit = Some(Duration::from_secs(10));
        let set = stream.set_read_timeout(time_limit);
        set.and_then(|()| stream.set_write_timeout(time_limit))
            .expect("ten seconds are not zero");
        Attacker {
            input: BufReader::new(stream),
        }
    }

    /// Sends what is accepted: the connection may be closed before everything is sent, and the answer still
    /// arrives.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.input.get_mut().write_all(bytes);
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.input.read_until(b'\n', &mut line);
        read.unwrap_or_else(|error| panic!("{error} after {:?}", text(&line)));
        text(&line)
    }

    /// What arrives until the end; a reset counts as an end.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match self.input.read_to_end(&mut rest) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                panic!("{error} after {:?}", text(&rest))
            }
            _ => text(&rest),
        }
    }
}

/// Sends what is accepted, reads what is answered at once, if anything, and closes.
fn throw(port: u16, bytes: &[u8]) {
    let mut attacker = Attacker::connect(port);
    attacker.send(bytes);
    let at_once = Some(Duration::from_millis(1));
    let set = attacker.input.get_ref().set_read_timeout(at_once);
    set.expect("a millisecond is not zero");
    // The proxy may wait for more, or have closed or even reset the connection.
    let _ = attacker.input.fill_buf();
}

fn assert_no_server_noticed(rig: &Rig) {
    let opened = rig.server_stat(0, "server_total") + rig.server_stat(1, "server_total");
    assert!(opened <= 2, "a server connection was lost");
    assert_eq!(rig.pool_stat("forward_error"), 0);
}
