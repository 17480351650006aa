//! A name server of the test's own, good and bad.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use proxy::Memory;
use proxy::settings::{Address, MemcachedSettings, PoolSettings, ProtocolSettings, ServerSettings};

use super::*;
use crate::discovery::Turn;
use crate::pool::{PoolId, PoolShare};
use crate::standing::{Standing, Wake};

/// What a name server answers: a code, flags, and records as bytes.
#[derive(Clone, Default)]
struct Says {
    code: u8,
    is_truncated: bool,
    is_silent: bool,
    records: Vec<Vec<u8>>,
}

/// A name server on a port of its own, over UDP and TCP; over TCP nothing is truncated.
fn name_server(says: &Arc<Mutex<Says>>) -> SocketAddr {
    // Somebody may have the port for TCP.
    let mut bound = (0..100).filter_map(|_| {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        let listener = TcpListener::bind(socket.local_addr().ok()?).ok()?;
        Some((socket, listener))
    });
    let (socket, listener) = bound.next().expect("a port");
    let address = socket.local_addr().unwrap();
    let (by_datagram, over_tcp) = (Arc::clone(says), Arc::clone(says));
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let says = by_datagram.lock().unwrap().clone();
            let _ = socket.send_to(b"noise", from);
            if !says.is_silent {
                let _ = socket.send_to(&answer(&buffer[..length], &says), from);
            }
        }
    });
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message).unwrap();
            let says = Says {
                is_truncated: false,
                ..over_tcp.lock().unwrap().clone()
            };
            let answer = answer(&message, &says);
            let length = (answer.len() as u16).to_be_bytes();
            let _ = stream.write_all(&[&length[..], &answer].concat());
        }
    });
    address
}

fn answer(question: &[u8], says: &Says) -> Vec<u8> {
    let mut message = question[..question.len() - 11].to_vec();
    let kind = message[message.len() - 3];
    let of_kind = says.records.iter().filter(|record| record[3] == kind);
    let records: Vec<u8> = of_kind.clone().flatten().copied().collect();
    message[2] = 0x81 | u8::from(says.is_truncated) << 1;
    message[3] = 0x80 | says.code;
    let count = if says.is_truncated {
        0
    } else {
        of_kind.count() as u16
    };
    message[6..8].copy_from_slice(&count.to_be_bytes());
    message[11] = 0;
    if count > 0 {
        message.extend(records);
    }
    message
}

fn record(kind: RecordType, ttl: u16, data: &[u8]) -> Vec<u8> {
    let [high, low] = ttl.to_be_bytes();
    let head = [
        0xc0,
        12,
        0,
        kind as u8,
        0,
        1,
        0,
        0,
        high,
        low,
        0,
        data.len() as u8,
    ];
    [&head[..], data].concat()
}

fn server(priority: u8, weight: u8, port: u16, host: &str) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let mut data = vec![0, priority, 0, weight, high, low];
    for label in host.split('.').filter(|label| !label.is_empty()) {
        data.push(label.len() as u8);
        data.extend(label.bytes());
    }
    data.push(0);
    record(RecordType::Srv, 7, &data)
}

struct Stage {
    says: Arc<Mutex<Says>>,
    pool: Arc<PoolShare>,
    publisher: Publisher,
    standing: Arc<Standing>,
    source: NamedServers,
}

impl Stage {
    fn new(source: ServerSource) -> Self {
        let says = Arc::new(Mutex::new(Says::default()));
        let address = name_server(&says);
        let discovery = Discovery {
            source,
            databases: (0, 0),
            max_weights: 1_000,
            max_removed: 50,
        };
        let nowhere = ServerSettings {
            name: "n".into(),
            pname: "n".into(),
            address: Address::Unknown,
            weight: 1,
            db: 0,
            replication: Default::default(),
        };
        let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
        let settings = PoolSettings::new("alpha", vec![nowhere], protocol);
        let core = proxy::PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1);
        let pool = Arc::new(PoolShare::new(PoolId::new(0), core, false, 1));
        let standing = Arc::new(Standing::new("srv".into(), Wake::new().0));
        let found = Found::new(&standing, 50);
        Self {
            says,
            publisher: Publisher::new(&pool, &[], &Turn::default()),
            source: NamedServers {
                name_servers: Box::new(move || Ok(vec![address])),
                ..NamedServers::new(discovery, found)
            },
            pool,
            standing,
        }
    }

    fn says(&self, records: Vec<Vec<u8>>) {
        self.says.lock().unwrap().records = records;
    }

    /// Looks; returns the servers, and after how many seconds it is to look again.
    fn look(&mut self) -> (String, u64) {
        let next = self.source.look(&self.publisher, false);
        let plan = self.pool.core().plan();
        let line =
            |server: &proxy::PlannedServer| format!("{} {}", server.share.name(), server.pname);
        let lines: Vec<String> = plan.servers.iter().map(line).collect();
        (lines.join(", "), next.as_secs())
    }

    fn problem(&self) -> String {
        self.standing.known().problem.unwrap_or_default()
    }
}

fn service() -> Stage {
    Stage::new(ServerSource::Srv("_r._tcp.example.org".into()))
}

#[test]
fn servers_of_a_service_have_the_names_of_its_hosts() {
    let mut stage = service();
    stage.says(vec![
        server(1, 50, 6379, "r-10.Example.org"),
        server(1, 50, 6379, "r-1.example.org"),
        server(2, 50, 6379, "spare.example.org"),
    ]);
    let both = "r-1.example.org:6379 r-1.example.org:6379:1, r-10.example.org:6379 r-10.example.org:6379:1";
    assert_eq!(
        stage.look(),
        (both.into(), 7),
        "the TTL says when to look again"
    );
    let number = stage.pool.core().plan().number;
    // In another order, with a weight that follows the number of servers.
    stage.says(vec![
        server(1, 33, 6379, "r-1.example.org"),
        server(1, 33, 6379, "r-10.example.org"),
    ]);
    assert_eq!(stage.look().0, both);
    assert_eq!(stage.pool.core().plan().number, number);
    stage.says(vec![
        server(1, 30, 1, "a"),
        server(1, 0, 1, "b"),
        server(1, 5, 6379, "r-1.example.org"),
    ]);
    let expected = "a:1 a:1:30, b:1 b:1:1, r-1.example.org:6379 r-1.example.org:6379:5";
    assert_eq!(stage.look().0, expected, "weights that differ count");
}

#[test]
fn all_addresses_of_a_name_are_servers() {
    let mut stage = Stage::new(ServerSource::Dns("r.example.org".into(), 6379));
    let four = |last| record(RecordType::A, 3_000, &[10, 0, 0, last]);
    let six = record(
        RecordType::Aaaa,
        2_000,
        &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    );
    stage.says(vec![four(2), six, four(1), four(2)]);
    let expected =
        "fd00::1:6379 fd00::1:6379:1, 10.0.0.1:6379 10.0.0.1:6379:1, 10.0.0.2:6379 10.0.0.2:6379:1";
    assert_eq!(
        stage.look(),
        (expected.into(), 300),
        "it is asked every five minutes at least"
    );
    let plan = stage.pool.core().plan();
    assert_eq!(
        plan.servers[0].endpoint.address,
        Address::tcp("fd00::1", 6379)
    );
}

fn bad_answers() -> Vec<(Says, &'static str)> {
    let all_gone = vec![server(1, 1, 1, "x")];
    vec![
        (
            Says {
                code: 3,
                ..Says::default()
            },
            "the name does not exist",
        ),
        (
            Says {
                code: 2,
                ..Says::default()
            },
            "the name server has failed (SERVFAIL)",
        ),
        (Says::default(), "it lists no server"),
        (
            Says {
                records: vec![server(1, 1, 1, "")],
                ..Says::default()
            },
            "it lists no server",
        ),
        (
            Says {
                records: vec![record(RecordType::Srv, 1, &[0, 1])],
                ..Says::default()
            },
            "the answer makes no sense",
        ),
        (
            Says {
                records: vec![server(1, 1, 1, "a b")],
                ..Says::default()
            },
            "line 1, column 1: server `a b:1:1` is not a server",
        ),
        (
            Says {
                records: vec![server(1, 1, 0, "a")],
                ..Says::default()
            },
            "line 1, column 3: server `a:0:1` has an invalid port",
        ),
        (
            Says {
                records: all_gone,
                ..Says::default()
            },
            "",
        ),
    ]
}

#[test]
fn the_last_good_answer_stays() {
    let mut stage = service();
    stage.says(vec![
        server(1, 1, 1, "a"),
        server(1, 1, 1, "b"),
        server(1, 1, 1, "c"),
    ]);
    let good = stage.look().0;
    for (says, problem) in bad_answers() {
        *stage.says.lock().unwrap() = says;
        assert_eq!(stage.look().0, good, "{problem}");
        assert!(
            stage.problem().starts_with(problem),
            "{problem}: {}",
            stage.problem()
        );
    }
    assert!(
        stage.standing.known().held_back.is_some(),
        "all of them are missing"
    );
}

#[test]
fn a_long_answer_is_fetched_over_tcp_and_silence_ends() {
    let mut stage = service();
    stage.says(vec![server(1, 1, 1, "a")]);
    stage.says.lock().unwrap().is_truncated = true;
    assert_eq!(stage.look().0, "a:1 a:1:1");
    stage.says.lock().unwrap().is_silent = true;
    let began = Instant::now();
    assert_eq!(stage.look(), ("a:1 a:1:1".into(), AFTER_FAILURE.as_secs()));
    assert!(began.elapsed() < TIME_LIMIT * 3);
    assert!(
        stage.problem().ends_with("it does not answer in time"),
        "{}",
        stage.problem()
    );
}

#[test]
fn name_servers_are_read_as_the_system_does() {
    let text = "# x\nsearch a b\nnameserver 10.0.0.1\nnameserver  ::1\noptions ndots:5\nnameserver x\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
    let expected: Vec<SocketAddr> = ["10.0.0.1:53", "[::1]:53", "10.0.0.2:53"]
        .map(|it| it.parse().unwrap())
        .into();
    assert_eq!(name_servers(text), expected);
    assert_eq!(name_servers(""), ["127.0.0.1:53".parse().unwrap()]);
}
