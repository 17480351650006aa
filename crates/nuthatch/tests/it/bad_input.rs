//! Bytes that no client should send: the sender gets an error, other clients are not affected.

use std::io::Write;
use std::net::TcpStream;

use crate::need;
use crate::rig::{Rig, memcached_ask, text, wait_for};

/// Redis input that is not a request.
const BROKEN_REDIS: &[&[u8]] = &[
    b"*x\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$x\r\n",
    b"*2\r\n$3\r\nGET\r\n$\r\n",
    b"*2\r\n$03\r\nGET\r\n$1\r\nk\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\nkk\r\n",
    b"*2\r\n$3\r\nGETX$1\r\nk\r\n",
    b"*99999999999999999999\r\n",
    b"GET \"open\r\n",
    b"\x17\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\r\n",
];

#[test]
fn broken_redis_input_is_answered_once_and_costs_its_sender_only() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let mut neighbour = rig.client();
    neighbour.ask(&["SET", "k", "v"]);
    for input in BROKEN_REDIS {
        neighbour.command(&[b"GET", b"k"]);
        let mut client = rig.client();
        client.command(&[b"GET", b"k"]);
        client.send(input);
        // Shown when the test fails.
        println!("sent {:?}", text(input));
        let replies = text(&client.rest());
        let last_words = replies.strip_prefix("$1\r\nv\r\n");
        let last_words = last_words.unwrap_or_else(|| panic!("{:?}: {replies:?}", text(input)));
        assert!(
            last_words.starts_with("-ERR "),
            "{:?}: {replies:?}",
            text(input)
        );
        assert_eq!(last_words.matches("\r\n").count(), 1, "{replies:?}");
        assert_eq!(text(&neighbour.reply()), "$1\r\nv\r\n");
    }
    let opened = rig.server_stat(0, "server_total") + rig.server_stat(1, "server_total");
    assert!(opened <= 2, "no server connection was lost");
    assert_eq!(rig.pool_stat("forward_error"), 0);
}

#[test]
fn redis_requests_that_are_not_served_get_an_error_and_keep_in_step() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = rig.client();
    for (request, word) in [
        (["NOSUCH", "a", "b"].as_slice(), "NOSUCH"),
        (&["DISCARD"], "discard"),
        (&["BLPOP", "k", "0", "0", ""], "timeout"),
        (&["MONITOR"], "monitor"),
        (&["GET"], "get"),
        (&["GET", "a", "b"], "get"),
        (&["MSET", "a"], "mset"),
        (&["CLUSTERSCAN", "0"], "clusterscan"),
        (&["CONFIG", "SET", "save", ""], "config set"),
        (&["OBJECT", "NOSUCH", "a"], "nosuch"),
    ] {
        let words: Vec<_> = request.iter().map(|word| word.as_bytes()).collect();
        client.command(&words);
        client.send(b"\r\n");
        client.command(&[b"ECHO", b"in step"]);
        let reply = text(&client.reply());
        let names_it = reply.to_lowercase().contains(&word.to_lowercase());
        assert!(
            reply.starts_with("-ERR ") && names_it,
            "{request:?}: {reply}"
        );
        assert_eq!(text(&client.reply()), "$7\r\nin step\r\n", "{request:?}");
    }
    client.send(b"\r\n\r\n*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n");
    assert_eq!(text(&client.rest()), "+OK\r\n");
}

#[test]
fn memcached_requests_that_are_not_served_get_an_error_and_keep_in_step() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let mut client = rig.client();
    let long = "k".repeat(251);
    let cases = [
        ("bogus\r\n".to_owned(), "ERROR"),
        ("GET k\r\n".to_owned(), "ERROR"),
        ("get\r\n".to_owned(), "ERROR"),
        ("\r\n".to_owned(), "ERROR"),
        ("set k 0 0\r\n".to_owned(), "ERROR"),
        (format!("get {long}\r\n"), "CLIENT_ERROR"),
        (format!("set {long} 0 0 5\r\nvalue\r\n"), "CLIENT_ERROR"),
        (format!("get good {long}\r\n"), "CLIENT_ERROR"),
        ("set k x 0 5\r\nvalue\r\n".to_owned(), "CLIENT_ERROR"),
        ("incr k abc\r\n".to_owned(), "CLIENT_ERROR"),
        ("mg Zm9 v b\r\n".to_owned(), "CLIENT_ERROR"),
        ("mg k ?\r\n".to_owned(), "CLIENT_ERROR"),
        ("ms k 5 ? q\r\nvalue\r\n".to_owned(), "CLIENT_ERROR"),
        ("ms k S5 T9\r\nvalue\r\n".to_owned(), "CLIENT_ERROR"),
        ("md k q q\r\n".to_owned(), "CLIENT_ERROR"),
        ("me\r\n".to_owned(), "CLIENT_ERROR"),
    ];
    for (request, word) in cases {
        client.send(request.as_bytes());
        client.send(b"get step\r\n");
        let reply = text(&client.line());
        assert!(reply.starts_with(word), "{request:?}: {reply}");
        assert_eq!(text(&client.line()), "END\r\n", "{request:?}");
    }
    assert_eq!(rig.pool_stat("client_err"), 0);
}

#[test]
fn broken_memcached_input_is_answered_once_and_costs_its_sender_only() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let mut neighbour = rig.client();
    let keys = rig.keys();
    let get = format!("get {}\r\n", keys[0]);
    let value = format!("VALUE {} 0 1\r\nv\r\nEND\r\n", keys[0]);
    for input in [
        b"set k 0 0 3\r\ntoolong\r\n".as_slice(),
        b"set k 0 0 99999999999999999999\r\n",
        b"\x80\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ] {
        neighbour.send(get.as_bytes());
        let mut client = rig.client();
        client.send(get.as_bytes());
        client.send(input);
        client.shut_write();
        let replies = text(&client.rest());
        let last_words = replies.strip_prefix(&value);
        let last_words = last_words.unwrap_or_else(|| panic!("{:?}: {replies:?}", text(input)));
        let is_told = last_words.contains("ERROR ") || last_words.contains("not supported");
        assert!(is_told, "{:?}: {replies:?}", text(input));
        assert_eq!(text(&neighbour.until(b"END\r\n")), value);
    }
    let opened = rig.server_stat(0, "server_total") + rig.server_stat(1, "server_total");
    assert_eq!(opened, 2, "no server connection was lost");
}

#[test]
fn a_client_of_the_other_protocol_is_told_so() {
    let memcached = need!(Rig::memcached(1, &[]), "memcached");
    let mut client = memcached.client();
    let told = "-ERR this is memcached's protocol, and the request is in Redis's\r\n";
    client.command(&[b"HELLO", b"3"]);
    assert_eq!(text(&client.rest()), told, "and nothing after it");
    let redis = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = redis.client();
    for (line, told) in [
        (
            "version",
            "-ERR unknown command 'version': it is memcached's, and this pool speaks Redis's protocol\r\n",
        ),
        (
            "set key 0 60 3",
            "-ERR syntax error: this looks like a SET of memcached's, and this pool speaks Redis's protocol\r\n",
        ),
        ("set key 0 ex 60", "+OK\r\n"),
        ("set 0 0 px 600", "+OK\r\n"),
    ] {
        client.send(format!("{line}\r\n").as_bytes());
        assert_eq!(text(&client.line()), told, "{line}");
    }
}

#[test]
fn random_bytes_harm_nobody() {
    let redis = need!(Rig::redis(2, &["timeout: 2000"]), "redis-server");
    let memcached = need!(Rig::memcached(2, &["timeout: 2000"]), "memcached");
    let mut redis_neighbour = redis.client();
    let mut memcached_neighbour = memcached.client();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..150 {
        for rig in [&redis, &memcached] {
            throw(rig.port, &random.bytes());
        }
        assert_eq!(redis_neighbour.ask(&["SET", "k", "v"]), "+OK\r\n");
        assert_eq!(redis_neighbour.ask(&["GET", "k"]), "$1\r\nv\r\n");
        let stored = memcached_ask(&mut memcached_neighbour, "set k 0 0 1\r\nv\r\n");
        assert_eq!(stored, "STORED\r\n");
    }
}

/// Sends what the proxy accepts, and closes.
fn throw(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
    // Broken pipe: the proxy closed in the middle, as it may.
    let _ = stream.write_all(bytes);
}

/// A small generator, so that failures can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Pieces of both protocols and noise, concatenated.
    fn bytes(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 16] = [
            b"*2\r\n",
            b"$3\r\n",
            b"GET\r\n",
            b"$-1\r\n",
            b"\r\n",
            b"\n",
            b"get ",
            b"set k 0 0 3\r\n",
            b"mg k\r\n",
            b"ms k 2\r\n",
            b" noreply",
            b"*1000000\r\n",
            b"$536870912\r\n",
            b"\x00",
            b"\xff\x80",
            b"abc",
        ];
        let count = self.next() % 24;
        let mut bytes = Vec::new();
        for _ in 0..count {
            let pick = self.next();
            match PIECES.get((pick % 20) as usize) {
                Some(piece) => bytes.extend_from_slice(piece),
                None => bytes.push((pick >> 8) as u8),
            }
        }
        bytes
    }
}

#[test]
fn requests_that_arrive_byte_by_byte_are_the_same_requests() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let mut client = rig.client();
    let requests = "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$3\r\none\r\n$1\r\nb\r\n$3\r\ntwo\r\n\
                    GET a\r\n*3\r\n$4\r\nMGET\r\n$1\r\nb\r\n$1\r\na\r\nNOSUCH\r\nPING\r\n";
    for byte in requests.as_bytes() {
        client.send(std::slice::from_ref(byte));
    }
    assert_eq!(text(&client.reply()), "+OK\r\n");
    assert_eq!(text(&client.reply()), "$3\r\none\r\n");
    assert_eq!(text(&client.reply()), "*2\r\n$3\r\ntwo\r\n$3\r\none\r\n");
    assert!(text(&client.reply()).starts_with("-ERR "));
    assert_eq!(text(&client.reply()), "+PONG\r\n");
}

#[test]
fn a_half_closed_client_gets_its_replies() {
    let mut rig = need!(Rig::redis(1, &[]), "redis-server");
    let key = rig.keys().remove(0);
    rig.servers[0].stop();
    let mut client = rig.client();
    client.command(&[b"GET", key.as_bytes()]);
    client.command(&[b"PING"]);
    client.send(b"*2\r\n$3\r\nGET\r\n$4\r\nhal");
    client.shut_write();
    wait_for("the request is at the server", || {
        rig.server_stat(0, "out_queue") == 1
    });
    rig.servers[0].cont();
    assert_eq!(text(&client.rest()), "$1\r\nv\r\n+PONG\r\n");
    wait_for("it counts as an end", || {
        rig.pool_stat("client_connections") == 0
    });
    assert_eq!(rig.pool_stat("client_err"), 0);
}

#[test]
fn a_client_that_leaves_in_the_middle_disturbs_nobody() {
    let mut rig = need!(Rig::redis(1, &[]), "redis-server");
    let key = rig.keys().remove(0);
    rig.servers[0].stop();
    let mut leaver = rig.client();
    for _ in 0..5 {
        leaver.command(&[b"INCR", b"counter"]);
    }
    let mut stayer = rig.client();
    stayer.command(&[b"GET", key.as_bytes()]);
    wait_for("all requests are at the server", || {
        rig.server_stat(0, "out_queue") == 6
    });
    drop(leaver);
    rig.servers[0].cont();
    assert_eq!(text(&stayer.reply()), "$1\r\nv\r\n");
    // What the closed client had sent is still executed.
    assert_eq!(stayer.ask(&["GET", "counter"]), "$1\r\n5\r\n");
    assert_eq!(rig.server_stat(0, "server_total"), 1);
}
