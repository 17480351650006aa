//! Sentinels that disagree, lie, are silent, or say what has no end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;

use proxy::Memory;
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use super::*;
use crate::config::ServerSource;
use crate::discovery::Turn;
use crate::pool::{PoolId, PoolShare};
use crate::standing::Standing;

const TIME_LIMIT: Duration = Duration::from_secs(20);

/// A server that answers each request with what a function says; it closes the connection when that is nothing.
fn server(answer: impl Fn(&[String]) -> Vec<u8> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || serve(stream, &answer));
        }
    });
    port
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&[String]) -> Vec<u8>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let line = |reader: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        let _ = reader.read_line(&mut line);
        line.get(1..).and_then(|it| it.trim().parse::<usize>().ok())
    };
    while let Some(count) = line(&mut reader) {
        let mut words = Vec::new();
        for _ in 0..count {
            let mut word = vec![0; line(&mut reader).unwrap() + 2];
            reader.read_exact(&mut word).unwrap();
            words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
        }
        let answer = answer(&words);
        if answer.is_empty() || stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn list(words: &[&str]) -> String {
    let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    format!(
        "*{}\r\n{}",
        words.len(),
        words.iter().map(bulk).collect::<String>()
    )
}

/// What a Sentinel says at present: the port of the master, its epoch, and the ports of other Sentinels.
type Says = Arc<Mutex<(u16, i64, Vec<u16>)>>;

/// A Sentinel that knows one master, called `m`.
fn sentinel(id: &'static str, says: &Says) -> u16 {
    let says = Arc::clone(says);
    server(move |words| {
        let (port, epoch, others) = says.lock().unwrap().clone();
        let (port, epoch) = (port.to_string(), epoch.to_string());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["SUBSCRIBE", _] => list(&["subscribe", "+switch-master", "1"]),
            ["SENTINEL", "MYID"] => format!("+{id}\r\n"),
            ["SENTINEL", "MASTERS"] => {
                format!("*1\r\n{}", list(&["name", "m", "config-epoch", &epoch]))
            }
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m"] => list(&["127.0.0.1", &port]),
            ["SENTINEL", "SENTINELS", "m"] => {
                let other = |port: &u16| list(&["ip", "127.0.0.1", "port", &port.to_string()]);
                let others: String = others.iter().map(other).collect();
                format!("*{}\r\n{others}", says.lock().unwrap().2.len())
            }
            _ => "-ERR unknown command\r\n".to_owned(),
        }
        .into_bytes()
    })
}

fn says(port: u16, epoch: i64) -> Says {
    Arc::new(Mutex::new((port, epoch, Vec::new())))
}

fn redis(role: &'static str) -> u16 {
    server(move |words| match words[0].as_str() {
        "ROLE" => list(&[role, "0"]).into_bytes(),
        _ => b"-ERR no\r\n".to_vec(),
    })
}

/// A pool with the master `m`, and what looks for it.
struct Stage {
    pool: Arc<PoolShare>,
    publisher: Publisher,
    standing: Arc<Standing>,
    sentinels: Sentinels,
}

impl Stage {
    fn new(ports: &[u16]) -> Self {
        let source = Arc::new(SentinelSource {
            seeds: ports
                .iter()
                .map(|port| Address::tcp("127.0.0.1", *port))
                .collect(),
            shards: vec![("m".into(), 1)],
            user: None,
            password: None,
        });
        let discovery = Discovery {
            source: ServerSource::Sentinel(Arc::clone(&source)),
            databases: (0, 0),
            max_weights: 10,
            max_removed: 50,
        };
        let server = ServerSettings {
            name: "m".into(),
            pname: "m".into(),
            address: Address::Unknown,
            weight: 1,
            db: 0,
            replication: Default::default(),
        };
        let protocol = ProtocolSettings::Redis(RedisSettings::default());
        let settings = PoolSettings::new("alpha", vec![server], protocol);
        let core = proxy::PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1);
        let pool = Arc::new(PoolShare::new(PoolId::new(0), core, false, 1));
        let (wake, _) = Wake::new();
        let standing = Arc::new(Standing::new("sentinels".into(), wake.clone()));
        let found = Found::new(&standing, 50);
        let resolver = Resolver::start().unwrap();
        Self {
            publisher: Publisher::new(&pool, &[], &Turn::default()),
            sentinels: Sentinels::new(&source, discovery, &resolver, wake, found),
            pool,
            standing,
        }
    }

    /// Looks once; returns the port of the master, or 0 if it is not known.
    fn look(&mut self) -> u16 {
        self.sentinels.look(&self.publisher, true);
        match self.pool.core().plan().servers[0].endpoint.address {
            Address::Tcp { port, .. } => port,
            _ => 0,
        }
    }

    /// Looks until the master is there.
    fn look_until(&mut self, port: u16) {
        self.until(|stage| stage.look() == port);
    }

    fn until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let until = Instant::now() + TIME_LIMIT;
        while !is_so(self) {
            assert!(Instant::now() < until, "{:?}", self.standing.known());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn problem(&self) -> String {
        self.standing.known().problem.unwrap_or_default()
    }
}

#[test]
fn most_sentinels_are_believed_and_one_alone_is_not() {
    let (old, new) = (redis("master"), redis("master"));
    let all = [says(old, 1), says(old, 1), says(old, 1)];
    let ids = ["a", "b", "c"];
    let ports: Vec<u16> = ids
        .iter()
        .zip(&all)
        .map(|(id, says)| sentinel(id, says))
        .collect();
    let mut stage = Stage::new(&ports);
    assert_eq!(stage.look(), old, "the first look waits for the answers");
    // One lies, or knows more than the others.
    all[0].lock().unwrap().0 = new;
    all[0].lock().unwrap().1 = 99;
    for _ in 0..30 {
        assert_eq!(stage.look(), old);
        thread::sleep(Duration::from_millis(20));
    }
    all[1].lock().unwrap().0 = new;
    stage.look_until(new);
    assert_eq!(stage.problem(), "");
    let plan = stage.pool.core().plan();
    assert_eq!(plan.servers[0].pname, format!("127.0.0.1:{new}:1"));
    assert_eq!(plan.servers[0].share.name(), "m");
}

#[test]
fn a_master_that_says_it_is_none_is_not_used() {
    let (old, replica) = (redis("master"), redis("slave"));
    let told = says(old, 1);
    let mut stage = Stage::new(&[sentinel("a", &told)]);
    assert_eq!(stage.look(), old);
    told.lock().unwrap().0 = replica;
    stage.until(|stage| {
        assert_eq!(stage.look(), old);
        stage.problem().ends_with("it says that it is none")
    });
    // One that cannot be reached is none either.
    told.lock().unwrap().0 = 1;
    stage.until(|stage| {
        assert_eq!(stage.look(), old);
        stage
            .problem()
            .contains("127.0.0.1:1 is told as its master")
    });
    told.lock().unwrap().0 = old;
    stage.until(|stage| stage.look() == old && stage.problem().is_empty());
}

#[test]
fn one_answer_is_enough_when_nothing_is_known_yet() {
    let master = redis("master");
    let ports = [sentinel("a", &says(master, 1)), 1, 2];
    let mut stage = Stage::new(&ports);
    stage.look_until(master);
    let silent = Stage::new(&[1]).look();
    assert_eq!(silent, 0);
}

#[test]
fn other_sentinels_are_found_when_most_know_them() {
    let master = redis("master");
    let (first, second, third) = (says(master, 1), says(master, 1), says(master, 1));
    let ports = [
        sentinel("a", &first),
        sentinel("b", &second),
        sentinel("c", &third),
    ];
    first.lock().unwrap().2 = vec![ports[1], ports[2]];
    let mut stage = Stage::new(&ports[..1]);
    let address = |port: u16| Address::tcp("127.0.0.1", port);
    stage.until(|stage| {
        stage.look();
        stage.sentinels.watched.contains_key(&address(ports[2]))
    });
    // One of three tells of very many.
    stage.until(|stage| {
        stage.look();
        stage
            .sentinels
            .watched
            .values()
            .all(|it| it.state().view.is_some())
    });
    second.lock().unwrap().2 = (1..5_000).collect();
    for _ in 0..60 {
        stage.look();
        thread::sleep(Duration::from_millis(20));
    }
    assert!(stage.sentinels.watched.len() <= MOST_SENTINELS);
}

#[test]
fn nonsense_changes_nothing_and_is_told() {
    let master = redis("master");
    let good = says(master, 1);
    let garbage = server(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let endless = server(|_| {
        b"*400000\r\n"
            .iter()
            .chain(b":1\r\n".repeat(2_000_000).iter())
            .copied()
            .collect()
    });
    let empty = server(|_| Vec::new());
    let mut stage = Stage::new(&[sentinel("a", &good), garbage, endless, empty]);
    stage.look_until(master);
    good.lock().unwrap().0 = redis("master");
    stage.until(|stage| {
        assert_eq!(stage.look(), master, "one of four tells of another");
        stage
            .problem()
            .starts_with("shard 'm': only 1 of 4 Sentinels tell")
    });
    // Those without sense can be alone.
    let mut stage = Stage::new(&[garbage]);
    stage.until(|stage| {
        assert_eq!(stage.look(), 0);
        stage.problem().contains("no Sentinel answers (127.0.0.1")
    });
    assert!(
        stage.problem().contains("its reply makes no sense"),
        "{}",
        stage.problem()
    );
}
