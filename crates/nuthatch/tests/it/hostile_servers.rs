//! Servers that send invalid replies: the requesting client gets an error, others are not affected, and the
//! connection is closed and never used again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Client, Endpoint, Proxy, Server, free_port};

use crate::need;
use crate::rig::{nuthatch, pool, resident, text, wait_for};

/// How much memory a server may cost by merely announcing large replies.
const MAY_COST: u64 = 1 << 20;

/// How soon an invalid reply must be answered with an error: far below the timeout, with a margin for a busy
/// machine.
const SOON: Duration = Duration::from_millis(400);

/// Pause between the bytes of a slow server.
const DRIP: Duration = Duration::from_millis(5);

/// The form of a correct request and reply of the faulty server.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    is_redis: bool,
    /// `KEY` stands for the key.
    get: &'static str,
    value: &'static str,
    /// The reply of the correct server, which has no keys.
    none: &'static str,
}

const REDIS: Dialect = Dialect {
    is_redis: true,
    get: "GET KEY\r\n",
    value: "$4\r\nliar\r\n",
    none: "$-1\r\n",
};

const MEMCACHED: Dialect = Dialect {
    is_redis: false,
    get: "get KEY\r\n",
    value: "VALUE KEY 0 4\r\nliar\r\nEND\r\n",
    none: "END\r\n",
};

/// What a faulty server does when asked for a key that contains `lie`.
#[derive(Debug, Clone)]
enum Lie {
    /// Sends this.
    Say(Vec<u8>),
    /// Sends this and closes.
    Last(&'static str),
    /// Sends this one byte at a time.
    Drip(&'static str),
}

/// A server that has every key, and replies wrongly for some.
struct FaultyServer {
    endpoint: Endpoint,
    opened: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl FaultyServer {
    fn start(dialect: Dialect, lie: Lie) -> FaultyServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let faulty = FaultyServer {
            endpoint: Endpoint::Tcp(listener.local_addr().expect("it is bound")),
            opened: Arc::default(),
            closed: Arc::default(),
        };
        let (opened, closed) = (Arc::clone(&faulty.opened), Arc::clone(&faulty.closed));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                opened.fetch_add(1, Ordering::SeqCst);
                let (lie, closed) = (lie.clone(), Arc::clone(&closed));
                thread::spawn(move || {
                    lie_to(stream, dialect, &lie);
                    closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        faulty
    }
}

/// Serves one connection. Clients wait for their replies, so each read is one request.
fn lie_to(mut stream: TcpStream, dialect: Dialect, lie: &Lie) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let request = text(&buffer[..count]);
        let said = match (request.contains("lie"), lie) {
            (false, _) => stream.write_all(honest(dialect, &request).as_bytes()),
            (true, Lie::Say(bytes)) => stream.write_all(bytes),
            (true, Lie::Drip(bytes)) => drip(&mut stream, bytes),
            (true, Lie::Last(bytes)) => {
                // The client may have closed.
                let _ = stream.write_all(bytes.as_bytes());
                return;
            }
        };
        if said.is_err() {
            return;
        }
    }
}

fn honest(dialect: Dialect, request: &str) -> String {
    let words: Vec<&str> = request.split_whitespace().collect();
    // A Redis server gets `*2 $3 GET $n key`.
    let key = words.last().expect("a request has words");
    dialect.value.replace("KEY", key)
}

fn drip(stream: &mut TcpStream, bytes: &str) -> std::io::Result<()> {
    for byte in bytes.as_bytes() {
        stream.write_all(&[*byte])?;
        thread::sleep(DRIP);
    }
    Ok(())
}

/// A pool of a correct server and a faulty one.
struct TestPool {
    proxy: Proxy,
    port: u16,
    dialect: Dialect,
    faulty: FaultyServer,
    _honest: Server,
    /// Keys that begin with this are on the correct server.
    honest_tag: String,
    /// Keys that begin with this are on the faulty server.
    liars_tag: String,
}

impl TestPool {
    fn open(dialect: Dialect, lie: Lie) -> Option<TestPool> {
        let server = match dialect.is_redis {
            true => testkit::redis()?,
            false => testkit::memcached()?,
        };
        let faulty = FaultyServer::start(dialect, lie);
        let port = free_port();
        // The faulty server counts connections: it is asked nothing besides.
        let redis = match dialect.is_redis {
            true => "redis: true\n  ask_version: false",
            false => "redis: false",
        };
        let conf = pool(
            "pool",
            &format!("127.0.0.1:{port}"),
            &[server.endpoint(), &faulty.endpoint],
            &[redis, "hash_tag: \"{}\"", "timeout: 1000"],
        );
        let mut pool = TestPool {
            proxy: nuthatch(&[], &conf),
            port,
            dialect,
            faulty,
            _honest: server,
            honest_tag: String::new(),
            liars_tag: String::new(),
        };
        let tags = (0..100).map(|number| format!("{{{number}}}"));
        for tag in tags {
            let reply = pool.ask(&mut pool.client(), &format!("{tag}x"));
            let place = match reply == dialect.none {
                true => &mut pool.honest_tag,
                false => &mut pool.liars_tag,
            };
            *place = tag;
        }
        assert!(!pool.honest_tag.is_empty() && !pool.liars_tag.is_empty());
        assert_eq!(pool.faulty.opened.load(Ordering::SeqCst), 1);
        Some(pool)
    }

    fn client(&self) -> Client {
        Client::to_port(self.port)
    }

    /// Asks for a key and returns the whole answer.
    fn ask(&self, client: &mut Client, key: &str) -> String {
        client.send(self.dialect.get.replace("KEY", key).as_bytes());
        self.reply(client)
    }

    fn reply(&self, client: &mut Client) -> String {
        if self.dialect.is_redis {
            return text(&client.reply());
        }
        let line = text(&client.line());
        match line.starts_with("VALUE") {
            true => line + &text(&client.until(b"END\r\n")),
            false => line,
        }
    }

    /// Sends the request that gets a wrong reply.
    fn provoke(&self) -> String {
        self.dialect
            .get
            .replace("KEY", &format!("{}lie", self.liars_tag))
    }

    /// Clients of the correct server are answered, and soon.
    fn assert_neighbour_is_served(&self, neighbour: &mut Client) {
        for _ in 0..5 {
            let reply = self.ask(neighbour, &format!("{}x", self.honest_tag));
            assert_eq!(reply, self.dialect.none);
        }
    }

    /// The faulty server's connection is closed, and the next request is answered over a new one.
    fn assert_connection_is_given_up(&self, what: &str) {
        wait_for(what, || self.faulty.closed.load(Ordering::SeqCst) == 1);
        for name in ["x", "yy"] {
            let key = format!("{}{name}", self.liars_tag);
            let reply = self.ask(&mut self.client(), &key);
            assert_eq!(reply, self.dialect.value.replace("KEY", &key), "{what}");
        }
        assert_eq!(self.faulty.opened.load(Ordering::SeqCst), 2, "{what}");
    }
}

/// The faulty server replies with `lie`: the client gets an error line, and the connection is closed.
fn is_exposed(dialect: Dialect, lie: Vec<u8>) -> Option<()> {
    let shown = text(&lie[..lie.len().min(60)]);
    let pool = TestPool::open(dialect, Lie::Say(lie))?;
    let mut neighbour = pool.client();
    pool.assert_neighbour_is_served(&mut neighbour);
    let before = resident(pool.proxy.pid());
    let mut client = pool.client();
    let start = Instant::now();
    client.send(pool.provoke().as_bytes());
    let reply = pool.reply(&mut client);
    let taken = start.elapsed();
    assert!(taken < SOON, "{shown:?}: {taken:?}");
    pool.assert_neighbour_is_served(&mut neighbour);
    let error = match dialect.is_redis {
        true => "-ERR Invalid argument\r\n",
        false => "SERVER_ERROR Invalid argument\r\n",
    };
    assert_eq!(reply, error, "{shown:?}");
    pool.assert_connection_is_given_up(&shown);
    pool.assert_neighbour_is_served(&mut neighbour);
    let growth = resident(pool.proxy.pid()).saturating_sub(before);
    assert!(growth < MAY_COST, "{shown:?}: {} KiB", growth >> 10);
    Some(())
}

#[test]
fn what_is_no_reply_is_an_error_and_the_end_of_the_connection() {
    for lie in [
        &b"hello there\r\n"[..],
        b"\0\0\0\0\0\0\0\0",
        b"$abc\r\n",
        b"$-7\r\n",
        b"$99999999999999999999\r\n",
        b"*99999999999999999999\r\n",
        b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
    ] {
        need!(is_exposed(REDIS, lie.to_vec()), "redis-server");
    }
    for lie in [
        &b"hello there\r\n"[..],
        b"\0\0\0\0\r\n",
        b"VALUE\r\n",
        b"VALUE k 0 x\r\n",
        b"VALUE k 0 99999999999999999999\r\n",
        b"VALUE k 0 -1\r\n",
        b"$4\r\nliar\r\n",
        b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
        b"\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\r\n",
    ] {
        need!(is_exposed(MEMCACHED, lie.to_vec()), "memcached");
    }
    need!(is_exposed(MEMCACHED, vec![b'x'; 70_000]), "memcached");
}

#[test]
fn a_reply_nobody_asked_for_is_never_given_to_the_next() {
    for (dialect, lie) in [
        (REDIS, "$4\r\nliar\r\n$5\r\nextra\r\n"),
        (MEMCACHED, "END\r\nVALUE k 0 5\r\nextra\r\nEND\r\n"),
    ] {
        let pool = TestPool::open(dialect, Lie::Say(lie.into()));
        let pool = need!(pool, "redis-server or memcached");
        let mut client = pool.client();
        client.send(pool.provoke().as_bytes());
        let reply = pool.reply(&mut client);
        assert!(lie.starts_with(&reply), "{reply:?}");
        pool.assert_connection_is_given_up("a reply too many");
    }
}

#[test]
fn a_reply_that_breaks_off_ends_in_an_error_or_in_the_end() {
    for (dialect, lie, error) in [
        (REDIS, "$10\r\nhalf", "-ERR unknown\r\n"),
        (REDIS, "*2\r\n$1\r\na\r\n", "-ERR unknown\r\n"),
        (
            MEMCACHED,
            "VALUE k 0 10\r\nhalf",
            "SERVER_ERROR unknown\r\n",
        ),
        (
            MEMCACHED,
            "VALUE k 0 1\r\nv\r\n",
            "SERVER_ERROR unknown\r\n",
        ),
    ] {
        let pool = need!(
            TestPool::open(dialect, Lie::Last(lie)),
            "redis-server or memcached"
        );
        let mut neighbour = pool.client();
        let mut client = pool.client();
        client.send(pool.provoke().as_bytes());
        client.shut_write();
        let rest = text(&client.rest());
        // Once part of a reply was passed on, only the end of the connection shows that it is incomplete.
        assert!(
            rest == error || lie.starts_with(&rest) && !rest.is_empty(),
            "{rest:?}"
        );
        pool.assert_neighbour_is_served(&mut neighbour);
        pool.assert_connection_is_given_up(lie);
    }
}

#[test]
fn a_fragment_answered_by_another_type_fails_the_whole_and_nothing_else() {
    for (request, lie) in [
        ("MGET", "+OK\r\n"),
        ("MGET", "$4\r\nliar\r\n"),
        ("MGET", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("DEL", "+OK\r\n"),
        ("DEL", "$1\r\n1\r\n"),
        ("DEL", "*1\r\n:1\r\n"),
    ] {
        let pool = need!(TestPool::open(REDIS, Lie::Say(lie.into())), "redis-server");
        let (honest, liars) = (&pool.honest_tag, &pool.liars_tag);
        let mut client = pool.client();
        let reply = client.ask(&[request, &format!("{honest}x"), &format!("{liars}lie")]);
        assert_eq!(reply, "-ERR Invalid argument\r\n", "{request} {lie:?}");
        pool.assert_neighbour_is_served(&mut client);
        let key = format!("{liars}x");
        assert_eq!(
            pool.ask(&mut client, &key),
            REDIS.value,
            "{request} {lie:?}"
        );
    }
}

#[test]
fn a_memcached_fragment_answered_by_another_type_is_a_miss_and_keeps_its_step() {
    for lie in ["STORED\r\n", "VERSION 1\r\n", "7\r\n"] {
        let pool = need!(TestPool::open(MEMCACHED, Lie::Say(lie.into())), "memcached");
        let (honest, liars) = (&pool.honest_tag, &pool.liars_tag);
        let mut client = pool.client();
        client.send(format!("get {honest}x {liars}lie\r\n").as_bytes());
        assert_eq!(text(&client.line()), "END\r\n", "{lie:?}");
        pool.assert_neighbour_is_served(&mut client);
        let key = format!("{liars}x");
        let value = MEMCACHED.value.replace("KEY", &key);
        assert_eq!(pool.ask(&mut client, &key), value, "{lie:?}");
    }
}

#[test]
fn a_gigabyte_that_is_announced_takes_no_memory() {
    let nested = b"*1\r\n".repeat(100_000);
    for (dialect, lie) in [
        (REDIS, &nested[..]),
        (REDIS, b"$1073741824\r\nabc"),
        (REDIS, b"$536870912\r\nabc"),
        (REDIS, b"*1000000000\r\n$1\r\na\r\n"),
        (MEMCACHED, b"VALUE k 0 1073741824\r\nabc"),
    ] {
        let shown = text(lie);
        let pool = TestPool::open(dialect, Lie::Say(lie.to_vec()));
        let pool = need!(pool, "redis-server or memcached");
        let mut neighbour = pool.client();
        pool.assert_neighbour_is_served(&mut neighbour);
        let before = resident(pool.proxy.pid());
        let mut client = pool.client();
        client.send(pool.provoke().as_bytes());
        let start = Instant::now();
        // Until the timeout, and after it.
        while pool.faulty.closed.load(Ordering::SeqCst) == 0 {
            pool.assert_neighbour_is_served(&mut neighbour);
            let growth = resident(pool.proxy.pid()).saturating_sub(before);
            assert!(growth < MAY_COST, "{shown:?}: {} KiB", growth >> 10);
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{shown:?}: still waited for"
            );
        }
        client.shut_write();
        let rest = text(&client.rest());
        let is_error = rest.contains("ERR") && rest.ends_with("\r\n") && rest.lines().count() == 1;
        assert!(is_error || shown.starts_with(&rest), "{shown:?}: {rest:?}");
        pool.assert_connection_is_given_up(&shown);
    }
}

#[test]
fn a_reply_that_drips_arrives_and_others_do_not_wait_for_it() {
    for (dialect, lie) in [
        (REDIS, "$31\r\nthirty bytes, one after one mor\r\n"),
        (
            MEMCACHED,
            "VALUE k 0 31\r\nthirty bytes, one after one mor\r\nEND\r\n",
        ),
    ] {
        let lie: &'static str = lie;
        let pool = need!(
            TestPool::open(dialect, Lie::Drip(lie)),
            "redis-server or memcached"
        );
        let mut neighbour = pool.client();
        let mut client = pool.client();
        client.send(pool.provoke().as_bytes());
        let start = Instant::now();
        pool.assert_neighbour_is_served(&mut neighbour);
        let served = start.elapsed();
        assert_eq!(pool.reply(&mut client), lie);
        assert!(served < start.elapsed(), "the neighbour waited {served:?}");
        assert_eq!(pool.faulty.opened.load(Ordering::SeqCst), 1);
    }
}
