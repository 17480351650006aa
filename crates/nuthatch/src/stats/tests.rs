//! The document byte for byte, and the port with all kinds of readers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use proxy::metrics::{POOL_ROWS, Row, SERVER_ROWS};
use proxy::settings::{Address, MemcachedSettings, PoolSettings, ProtocolSettings, ServerSettings};
use proxy::{FailoverPool, Memory};

use super::*;
use crate::clock::Clock;
use crate::connections::{ConnectionCounts, Kind};
use crate::live::Directory;
use crate::pool::{PoolId, PoolShare};

fn pool(name: &str, servers: &[&str], failover: Option<FailoverPool>) -> Arc<PoolShare> {
    let server = |name: &&str| ServerSettings {
        name: name.to_string(),
        pname: format!("{name}:1"),
        address: Address::tcp(name, 1),
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
    let settings = PoolSettings::new(name, servers.iter().map(server).collect(), protocol);
    let memory = Arc::new(Memory::new(0));
    let core = proxy::PoolShare::new(settings, failover, &memory, 2);
    Arc::new(PoolShare::new(PoolId::new(0), core, false, usize::MAX))
}

fn source() -> Source {
    let pools = vec![pool("a", &["s1", "s2"], None), pool("b\"", &["s3"], None)];
    Source {
        version: "0.5.0",
        hostname: "machine".into(),
        started: Instant::now(),
        clock: Clock::start(),
        counts: ConnectionCounts::new(2),
        directory: Arc::new(Directory::of(pools, false)),
        recent: Arc::default(),
    }
}

const SERVER: &str = "\"server_eof\":0, \"server_err\":0, \"server_timedout\":0, \
    \"server_connections\":0, \"server_ejected_at\":0, \"requests\":0, \"request_bytes\":0, \
    \"responses\":0, \"response_bytes\":0, \"in_queue\":0, \"in_queue_bytes\":0, \"out_queue\":0, \
    \"out_queue_bytes\":0";

const POOL: &str = "\"client_eof\":0, \"client_err\":0, \"client_connections\":0, \
    \"server_ejects\":0, \"forward_error\":0, \"fragments\":0";

#[test]
fn the_document_has_nutcrackers_shape() {
    let source = source();
    let counted = source.counts.count(Kind::Server);
    drop(source.counts.count(Kind::Listener));
    let document = String::from_utf8(source.document_at(5, 1_700_000_000)).unwrap();
    let header = "\"service\":\"nutcracker\", \"source\":\"machine\", \"version\":\"0.5.0\", \
        \"uptime\":5, \"timestamp\":1700000000, \"total_connections\":2, \"curr_connections\":1";
    let expected = format!(
        "{{{header}, \"a\": {{{POOL}, \"s1\": {{{SERVER}}},\"s2\": {{{SERVER}}}}},\
         \"b\\\"\": {{{POOL}, \"s3\": {{{SERVER}}}}}}}\n"
    );
    assert_eq!(document, expected);
    serde_json::from_str::<serde_json::Value>(&document).unwrap();
    drop(counted);
}

#[test]
fn metrics_of_our_own_follow_nutcrackers_on_request() {
    let pools = source().directory.in_force().pools.clone();
    let extended = |pools| Source {
        directory: Arc::new(Directory::of(pools, true)),
        recent: Arc::default(),
        ..source()
    };
    let document = String::from_utf8(extended(pools.clone()).document_at(0, 0)).unwrap();
    let place = |name: &str| document.find(&format!("\"{name}\":"));
    for rows in [POOL_ROWS, SERVER_ROWS] {
        let (theirs, ours): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.nutcracker);
        let last = theirs.iter().map(|row| place(row.name)).max().unwrap();
        let ours = ours.iter().filter(|row| row.name != "failovers");
        ours.for_each(|row| assert!(place(row.name) > last, "{}", row.name));
    }
    assert_eq!(place("failovers"), None, "there is no failover pool");
    let other = FailoverPool {
        pool: Arc::clone(pools[1].core()),
        seconds: 60,
    };
    let first = pool("a", &["s1", "s2"], Some(other));
    let pools = vec![first, Arc::clone(&pools[1])];
    let document = String::from_utf8(extended(pools).document_at(0, 0)).unwrap();
    assert_eq!(document.matches(", \"failovers\":0").count(), 1);
    serde_json::from_str::<serde_json::Value>(&document).unwrap();
}

fn serve() -> SocketAddr {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), 512, true).unwrap();
    let Listener::Tcp(socket) = &listener else {
        unreachable!("it was made for TCP");
    };
    let address = socket.local_addr().unwrap();
    start(listener, Arc::new(source())).unwrap();
    address
}

fn document_from(mut stream: TcpStream) -> String {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    // A reset after the document does no harm here, but does where it discards unread bytes.
    let reset = stream.take_error().unwrap();
    assert!(reset.is_none(), "{reset:?}");
    text
}

#[test]
fn silent_and_talkative_readers_keep_nobody_waiting() {
    let address = serve();
    // More than may linger at a time.
    let silent: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut talkative = TcpStream::connect(address).unwrap();
    talkative.write_all(&[b'x'; 200_000]).unwrap();
    let begin = Instant::now();
    for _ in 0..10 {
        let text = document_from(TcpStream::connect(address).unwrap());
        assert!(text.starts_with("{\"service\"") && text.ends_with("}\n"));
    }
    assert!(document_from(talkative).ends_with("}\n"));
    assert!(begin.elapsed() < Duration::from_secs(4));
    drop(silent);
}

#[test]
fn whatever_readers_send_and_whenever_they_read_they_get_the_whole_document() {
    let address = serve();
    let http = b"GET / HTTP/1.0\r\n\r\n".as_slice();
    let readers: Vec<TcpStream> = [http, b"", b"\xff\0stats\n", &[b'x'; 60_000], b"\n"]
        .into_iter()
        .cycle()
        // More than may linger at a time.
        .take(150)
        .map(|request| {
            let mut reader = TcpStream::connect(address).unwrap();
            reader.write_all(request).unwrap();
            reader
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    for (number, reader) in readers.into_iter().enumerate() {
        let text = document_from(reader);
        let whole = text.starts_with("{\"service\"") && text.ends_with("}}}\n");
        assert!(whole, "reader {number} got {text:?}");
    }
}

#[test]
fn a_reader_that_says_more_after_it_was_answered_is_not_reset() {
    let mut reader = TcpStream::connect(serve()).unwrap();
    thread::sleep(Duration::from_millis(200));
    for _ in 0..5 {
        reader.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    assert!(document_from(reader).ends_with("}}}\n"));
}
