//! Clients against a real server, with something between them that misbehaves: they notice.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use nuthatch_bench::faults::Owner;
use testkit::{Server, skip};

use super::*;

/// One in so many parts of the replies is changed. Some are on connections that the client leaves just then.
const BEND_ONE_IN: usize = 60;

/// A client plays until there were as many.
const ENOUGH: usize = 5 * BEND_ONE_IN;

/// A client plays no longer than that.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Changes a part of the replies; `None` closes the connection.
type Bend = fn(Vec<u8>) -> Option<Vec<u8>>;

/// Runs a client against `server`. Some parts of the replies are changed.
fn play(server: &Server, protocol: Protocol, bend: Bend) -> Tally {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let direct = server.addr();
    let parts = Arc::new(AtomicUsize::new(0));
    let of_server = Arc::clone(&parts);
    thread::spawn(move || {
        for client in listener.incoming() {
            join(
                client.unwrap(),
                TcpStream::connect(direct).unwrap(),
                &of_server,
                bend,
            );
        }
    });
    let shared = Arc::new(Shared::default());
    let rules = Rules {
        protocol,
        address,
        has_password: false,
        is_limited: false,
        closes_idle: false,
    };
    // Each run has keys of its own.
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let owner = Owner {
        pool: 0,
        client: number as u16,
    };
    let keyspace = Keyspace::new(owner, protocol, None, None);
    let random = Random::new(7, 0);
    let wants_resp3 = protocol == Protocol::Redis;
    let mut client = Client::new(keyspace, rules, Arc::clone(&shared), random, wants_resp3);
    let ends = thread::spawn(move || {
        testkit::eventually(TIME_LIMIT, || {
            (parts.load(Ordering::Relaxed) >= ENOUGH).then_some(())
        });
        shared.end();
    });
    client.play();
    ends.join().unwrap();
    let mut tally = client.tally;
    tally.resolve(|_, _| false);
    tally
}

fn join(client: TcpStream, server: TcpStream, parts: &Arc<AtomicUsize>, bend: Bend) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        // Either side may close at any time.
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    let parts = Arc::clone(parts);
    thread::spawn(move || {
        let mut buffer = vec![0; 4096];
        while let Ok(count @ 1..) = from_server.read(&mut buffer) {
            let mut part = buffer[..count].to_vec();
            let number = parts.fetch_add(1, Ordering::Relaxed) + 1;
            if number.is_multiple_of(BEND_ONE_IN) {
                match bend(part) {
                    Some(bent) => part = bent,
                    None => break,
                }
            }
            if to_client.write_all(&part).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn honest_servers_are_found_honest() {
    let (Some(redis), Some(memcached)) = (testkit::redis(), testkit::memcached()) else {
        skip!("redis-server or memcached is not installed");
    };
    for (server, protocol) in [(redis, Protocol::Redis), (memcached, Protocol::Memcached)] {
        let tally = play(&server, protocol, Some);
        assert_eq!(tally.flaw_count, 0, "{:?}", tally.flaws);
        assert!(tally.replies > 200 && tally.kinds.len() > 8, "{tally:?}");
    }
}

#[test]
fn what_is_lost_doubled_or_changed_is_found() {
    let (Some(redis), Some(memcached)) = (testkit::redis(), testkit::memcached()) else {
        skip!("redis-server or memcached is not installed");
    };
    let bends: [Bend; 4] = [
        |part| Some([part.clone(), part].concat()),
        |_| Some(Vec::new()),
        |part| Some(part.iter().map(|byte| byte ^ 1).collect()),
        |_| None,
    ];
    thread::scope(|scope| {
        for (server, protocol) in [(&redis, Protocol::Redis), (&memcached, Protocol::Memcached)] {
            for (number, bend) in bends.into_iter().enumerate() {
                // Each waits most of the time.
                scope.spawn(move || {
                    let tally = play(server, protocol, bend);
                    assert!(tally.flaw_count > 0, "{protocol:?}, {number}");
                });
            }
        }
    });
}
