//! More load than there is room for: memory, clients, simultaneous connects, requests, slow clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Client, eventually, free_port};

use crate::many::allow_many_descriptors;
use crate::need;
use crate::rig::{Rig, memcached_ask, nuthatch, pool, resident, text, wait_for};

const MIB: u64 = 1 << 20;

const TOO_MANY: &str = "-ERR max number of clients reached\r\n";

fn get(key: &str) -> String {
    format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len())
}

/// Stores `big`, of 1 MiB; returns the reply to a GET of it.
fn store_big(rig: &Rig) -> Vec<u8> {
    let big = vec![b'x'; MIB as usize];
    let mut client = rig.client();
    client.command(&[b"SET", b"big", &big]);
    assert_eq!(text(&client.reply()), "+OK\r\n");
    [format!("${MIB}\r\n").as_bytes(), &big, b"\r\n"].concat()
}

/// A plain connection, where the usual client is too slow or too strict.
fn connect(rig: &Rig) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", rig.port)).expect("it is accepted");
    let time_limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(time_limit).expect("it is not zero");
    stream
        .set_write_timeout(time_limit)
        .expect("it is not zero");
    stream
}

/// Exchanges requests with `client` until `done` and checks each reply; returns their number and the longest
/// wait.
fn converse(mut client: Client, name: &str, done: &AtomicBool) -> (usize, Duration) {
    let (mut count, mut longest) = (0, Duration::ZERO);
    while !done.load(Ordering::Relaxed) {
        let value = format!("{name}:{count}");
        let begun = Instant::now();
        assert_eq!(client.ask(&["SET", name, &value]), "+OK\r\n");
        let expected = format!("${}\r\n{value}\r\n", value.len());
        assert_eq!(client.ask(&["GET", name]), expected);
        longest = longest.max(begun.elapsed());
        count += 1;
    }
    (count, longest)
}

/// Runs `others` well-behaved clients during `trouble`; returns its result.
fn with_polite<T>(rig: &Rig, others: usize, trouble: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let done = &done;
    let clients: Vec<Client> = (0..others).map(|_| rig.client()).collect();
    thread::scope(|scope| {
        let polite: Vec<_> = (0..)
            .zip(clients)
            .map(|(number, client): (usize, Client)| {
                scope.spawn(move || converse(client, &format!("polite{number}"), done))
            })
            .collect();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(trouble));
        done.store(true, Ordering::Relaxed);
        for one in polite {
            let (count, longest) = one.join().expect("every reply is right");
            assert!(count > 20, "only {count} exchanges");
            assert!(longest < Duration::from_secs(5), "one waited {longest:?}");
        }
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn max_memory_holds_back_or_closes_the_greedy_and_nobody_else() {
    greedy_against_polite(1);
    greedy_against_polite(2);
}

/// Ten clients ask for 60 MiB each and read nothing; the limit is 48 MiB.
fn greedy_against_polite(workers: u64) {
    const CAP: u64 = 48 * MIB;
    let args = ["--max-memory", "48m", "--workers", &workers.to_string()];
    let rig = need!(Rig::redis_with(1, &[], &args), "redis-server");
    let reply = store_big(&rig);
    let pid = rig.proxy.pid();
    let idle = resident(pid);
    let mut most = idle;
    let greedy = with_polite(&rig, 4, || {
        let mut greedy: Vec<TcpStream> = (0..10).map(|_| connect(&rig)).collect();
        for client in &mut greedy {
            let requests = get("big").repeat(60);
            client.write_all(requests.as_bytes()).expect("it fits");
        }
        let (mut last, mut at_rest) = (0, 0);
        let rests = eventually(Duration::from_secs(60), || {
            most = most.max(resident(pid));
            let now = rig.server_stat(0, "response_bytes") / MIB as i64;
            at_rest = if now == last && now > 40 {
                at_rest + 1
            } else {
                0
            };
            last = now;
            thread::sleep(Duration::from_millis(5));
            (at_rest == 30).then_some(())
        });
        assert!(rests.is_some(), "somebody is neither held back nor closed");
        greedy
    });
    assert!(rig.pool_stat("client_shed") > 0, "340 MiB do not fit");
    let held = rig.pool_stat("buffered_bytes") as u64;
    assert!(
        (CAP / 4..=CAP + CAP / 8).contains(&held),
        "{held} bytes are held"
    );
    // Memory freed a moment ago is not returned to the system yet, nor available to another worker.
    assert!(
        most < idle + (1 + workers) * CAP,
        "{} MiB above idle",
        (most - idle) / MIB
    );

    // The remaining clients get correct replies, in order, up to their end.
    let mut whole = 0;
    for mut client in greedy {
        let rest = read_to_end_or(&mut client, 60 * reply.len());
        for piece in rest.chunks(reply.len()) {
            assert!(reply.starts_with(piece), "a wrong reply");
        }
        whole += usize::from(rest.len() == 60 * reply.len());
    }
    assert!(whole > 0, "nobody was merely held back");
    wait_for("nobody is held back any more", || {
        rig.pool_stat("client_held_back") == 0
    });
}

/// What a client gets: `most` bytes, or less if it was closed.
fn read_to_end_or(client: &mut TcpStream, most: usize) -> Vec<u8> {
    let mut got = vec![0; most];
    let mut filled = 0;
    while filled < most {
        match client.read(&mut got[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            // Closed with unread requests of its own.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {filled} bytes"),
        }
    }
    got.truncate(filled);
    got
}

#[test]
fn max_clients_counts_all_pools() {
    let redis = need!(testkit::redis(), "redis-server");
    let memcached = need!(testkit::memcached(), "memcached");
    let ports = [free_port(), free_port()];
    let listen = ports.map(|port| format!("127.0.0.1:{port}"));
    let conf = pool("r", &listen[0], &[redis.endpoint()], &["redis: true"])
        + &pool("m", &listen[1], &[memcached.endpoint()], &[])
        + "nuthatch:\n  max_clients: 3\n  stats_extended: true\n";
    let proxy = nuthatch(&[], &conf);
    let of_redis = || Client::to_port(ports[0]);
    let of_memcached = || Client::to_port(ports[1]);
    wait_for("the probes of the start have gone", || {
        let stats: serde_json::Value = serde_json::from_str(&proxy.stats()).expect("JSON");
        let count = |pool: &str, name: &str| stats[pool][name].as_i64();
        ["r", "m"].iter().all(|pool| {
            count(pool, "client_total") == Some(1) && count(pool, "client_connections") == Some(0)
        })
    });
    let (mut one, mut two, mut three) = (of_redis(), of_memcached(), of_redis());
    let mut all_are_served = || {
        assert_eq!(one.ask(&["PING"]), "+PONG\r\n");
        assert!(memcached_ask(&mut two, "version\r\n").starts_with("VERSION"));
        assert_eq!(three.ask(&["PING"]), "+PONG\r\n");
    };
    // Listeners are served in any order, so a fourth client could be admitted before one of these.
    all_are_served();
    assert_eq!(text(&of_redis().rest()), TOO_MANY);
    assert_eq!(
        text(&of_memcached().rest()),
        "ERROR Too many open connections\r\n"
    );
    all_are_served();
    drop(three);
    wait_for("a seat is free, for whichever pool", || {
        let mut client = of_memcached();
        client.send(b"version\r\n");
        client.shut_write();
        text(&client.rest()).starts_with("VERSION")
    });
}

#[test]
fn eight_thousand_idle_clients_cost_little_and_requests_go_on() {
    const CLIENTS: usize = 8_000;
    allow_many_descriptors();
    let rig = need!(Rig::redis(1, &["backlog: 4096"]), "redis-server");
    let pid = rig.proxy.pid();
    let mut other = rig.client();
    assert_eq!(other.ask(&["PING"]), "+PONG\r\n");
    let before = resident(pid);
    let idle: Vec<TcpStream> = with_polite(&rig, 2, || {
        let idle = (0..CLIENTS).map(|_| connect(&rig)).collect();
        wait_for("all are there", || {
            rig.pool_stat("client_connections") >= CLIENTS as i64
        });
        thread::sleep(Duration::from_millis(200));
        idle
    });
    let cost = resident(pid).saturating_sub(before);
    assert!(
        cost < CLIENTS as u64 * 1_536,
        "{} bytes each",
        cost / CLIENTS as u64
    );
    drop(idle);
    wait_for("all have gone", || rig.pool_stat("client_connections") == 1);
    assert_eq!(other.ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn in_a_storm_of_connects_everybody_is_served_or_told() {
    const AT_ONCE: usize = 16;
    const EACH: usize = 250;
    allow_many_descriptors();
    let args = ["--max-clients", "1000", "--workers", "2"];
    let rig = need!(Rig::redis_with(1, &[], &args), "redis-server");
    let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    with_polite(&rig, 2, || {
        thread::scope(|scope| {
            let storms: Vec<_> = (0..AT_ONCE)
                .map(|_| scope.spawn(|| storm(&rig, EACH, &served, &refused)))
                .collect();
            // No client closes before the last one has connected.
            let clients: Vec<_> = storms
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect();
            assert!(
                clients.iter().all(Result::is_ok),
                "somebody was neither served nor told"
            );
        });
    });
    let (served, refused) = (served.into_inner(), refused.into_inner());
    assert_eq!(served + refused, AT_ONCE * EACH);
    assert!(
        (900..=1_000).contains(&served),
        "{served} served, {refused} refused"
    );
}

/// Connects `count` times, sends a request on each, and returns all connections once each was answered.
fn storm(rig: &Rig, count: usize, served: &AtomicUsize, refused: &AtomicUsize) -> Vec<TcpStream> {
    let mut clients: Vec<TcpStream> = (0..count).map(|_| connect(rig)).collect();
    for client in &mut clients {
        // A client that was refused may have its connection closed already.
        let _ = client.write_all(b"*1\r\n$4\r\nPING\r\n");
    }
    for client in &mut clients {
        let mut line = String::new();
        let read = BufReader::new(client).read_line(&mut line);
        match line.as_str() {
            _ if read.is_err() => panic!("neither served nor told: {read:?}"),
            "+PONG\r\n" => served.fetch_add(1, Ordering::Relaxed),
            TOO_MANY => refused.fetch_add(1, Ordering::Relaxed),
            other => panic!("neither served nor told: {other:?}"),
        };
    }
    clients
}

#[test]
fn who_reads_slowly_gets_everything_and_holds_up_nobody() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let reply = store_big(&rig);
    with_polite(&rig, 2, || {
        let mut slow = rig.client();
        slow.send(get("big").repeat(20).as_bytes());
        for _ in 0..20 {
            for piece in reply.chunks(40_000) {
                assert!(slow.exactly(piece.len()) == piece);
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    assert_eq!(rig.pool_stat("client_overflow"), 0);
}

#[test]
fn who_writes_a_byte_at_a_time_is_answered_and_holds_up_nobody() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    with_polite(&rig, 2, || {
        let mut slow = rig.client();
        let requests = "*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$5\r\nvalue\r\n".to_owned() + &get("slow");
        for _ in 0..3 {
            for byte in requests.as_bytes() {
                slow.send(&[*byte]);
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(text(&slow.reply()), "+OK\r\n");
            assert_eq!(text(&slow.reply()), "$5\r\nvalue\r\n");
        }
    });
}

#[test]
fn a_million_requests_of_one_client_are_answered_in_order_with_little_memory() {
    const REQUESTS: usize = 1_000_000;
    let rig = need!(Rig::redis(2, &["client_backlog: 1m"]), "redis-server");
    let pid = rig.proxy.pid();
    assert_eq!(rig.client().ask(&["PING"]), "+PONG\r\n");
    let mut writer = connect(&rig);
    let mut reader = BufReader::new(writer.try_clone().expect("there are descriptors"));
    let idle = resident(pid);
    let most = with_polite(&rig, 2, || {
        thread::scope(|scope| {
            scope.spawn(move || {
                let requests = "*2\r\n$4\r\nINCR\r\n$1\r\nc\r\n".repeat(1_000);
                for _ in 0..REQUESTS / 1_000 {
                    writer.write_all(requests.as_bytes()).expect("it is read");
                }
            });
            let (mut most, mut line) = (0, String::new());
            for number in 1..=REQUESTS {
                line.clear();
                reader.read_line(&mut line).expect("there is a reply");
                assert_eq!(line, format!(":{number}\r\n"));
                if number % 10_000 == 0 {
                    most = most.max(resident(pid));
                }
            }
            most
        })
    });
    assert!(
        most < idle + 8 * MIB,
        "{} KiB above idle",
        (most - idle) >> 10
    );
}
