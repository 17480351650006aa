//! Servers that are killed, stopped, restarted and ejected, equally on both sides.

use std::thread;
use std::time::Duration;

use testkit::{Server, eventually};

use super::{NO_NUTCRACKER, NO_SERVERS, Play};
use crate::excuses::EJECT_PROBE;
use crate::line::{Line, probe_key};
use crate::proxy_pair::{Pool, ProxyPair, ServerSets};
use crate::request::{Protocol, Request, shown};
use crate::wire::Manner;

const SERVERS: usize = 3;
const KEYS: usize = 24;

/// The server that keeps working; the probe's key is on it.
const WELL: usize = 2;

pub(crate) fn redis(play: &mut Play) -> Result<(), &'static str> {
    run(play, Protocol::Redis)
}

pub(crate) fn memcached(play: &mut Play) -> Result<(), &'static str> {
    run(play, Protocol::Memcached)
}

fn run(play: &mut Play, protocol: Protocol) -> Result<(), &'static str> {
    let mut stage = Stage::build(protocol)?;
    killed_and_back(play, &mut stage)?;
    frozen(play, &mut stage)?;
    killed_with_requests_in_flight(play, &mut stage)?;
    ejected_and_back(play, &mut stage)?;
    alone_and_ejected(play, &mut stage)?;
    Ok(())
}

fn killed_and_back(play: &mut Play, stage: &mut Stage) -> Result<(), &'static str> {
    let mut scene = stage.scene(&["timeout: 2000"])?;
    scene.ask_all(play);
    stage.server_sets.both(0, kill);
    scene.settle();
    for _ in 0..2 {
        scene.ask_all(play);
    }
    scene.compare_counters(play, "killed");
    stage.server_sets.both(0, |server| server.restart());
    scene.settle();
    scene.ask_all(play);
    Ok(())
}

fn frozen(play: &mut Play, stage: &mut Stage) -> Result<(), &'static str> {
    let mut scene = stage.scene(&["timeout: 600"])?;
    scene.ask_all(play);
    stage.server_sets.both(1, |server| server.stop());
    scene.ask_all(play);
    scene.compare_counters(play, "frozen");
    stage.server_sets.both(1, |server| server.cont());
    scene.settle();
    scene.ask_all(play);
    Ok(())
}

/// The dying server has unread bytes, so that the connection is reset.
fn killed_with_requests_in_flight(play: &mut Play, stage: &mut Stage) -> Result<(), &'static str> {
    let mut scene = stage.scene(&[])?;
    let requests = singles(stage.server_sets.protocol);
    play.ask(&mut scene.line, &requests, &Manner::plain());
    stage.server_sets.both(1, |server| server.stop());
    scene.line.send(&requests);
    thread::sleep(Duration::from_millis(300));
    stage.server_sets.both(1, kill);
    let answers = scene.line.exchange(&[], &Manner::plain());
    play.judge(stage.server_sets.protocol, &requests, &answers);
    stage.server_sets.both(1, |server| server.restart());
    scene.settle();
    Ok(())
}

fn ejected_and_back(play: &mut Play, stage: &mut Stage) -> Result<(), &'static str> {
    const REST: Duration = Duration::from_millis(2_000);
    const PAST_REST: Duration = Duration::from_millis(2_200);
    let rest = format!("server_retry_timeout: {}", REST.as_millis());
    // Neither proxy has a connection to it yet: the end of an idle one is counted differently.
    stage.server_sets.both(0, kill);
    let mut scene = stage.scene(&["auto_eject_hosts: true", "server_failure_limit: 2", &rest])?;
    let requests = singles(stage.server_sets.protocol);
    play.ask_each(&mut scene.line, &requests);
    play.ask(&mut scene.line, &requests, &Manner::plain());
    scene.compare_counters(play, "ejected");
    // Still dead when the retry timeout is over: the full number of failures ejects it again.
    thread::sleep(PAST_REST);
    scene.question_by_requests(play, 2);
    play.ask_each(&mut scene.line, &requests);
    stage.server_sets.both(0, |server| server.restart());
    thread::sleep(PAST_REST);
    scene.settle();
    scene.ask_all(play);
    Ok(())
}

/// A pool whose only server is ejected refuses at once, even when the server is back.
fn alone_and_ejected(play: &mut Play, stage: &mut Stage) -> Result<(), &'static str> {
    let protocol = stage.server_sets.protocol;
    let (theirs, ours) = stage.server_sets.ports();
    let pool = Pool::new(protocol, 1)
        .with("auto_eject_hosts: true")
        .with("server_failure_limit: 1")
        .with("server_retry_timeout: 60000");
    let pair = ProxyPair::start(&[pool], &theirs[..1], &ours[..1]).ok_or(NO_NUTCRACKER)?;
    let mut line = Line::open(protocol, pair.ports[0], "alone");
    stage.server_sets.both(0, kill);
    let requests = singles(protocol);
    let refused = refusal(protocol);
    let both_refuse = eventually(Duration::from_secs(10), || {
        line.reconnect();
        let answers = line.leave(&requests[..1], &Manner::plain());
        (answers.theirs.bytes == refused && answers.ours.bytes == refused).then_some(())
    });
    if both_refuse.is_none() {
        play.fail("a pool with one dead server", "does not refuse");
    }
    stage.server_sets.both(0, |server| server.restart());
    line.reconnect();
    let answers = line.leave(&requests, &Manner::plain());
    play.judge(protocol, &requests, &answers);
    if answers.ours.bytes != refused.repeat(requests.len()) {
        play.fail(
            "a pool whose only server rests",
            &shown(&answers.ours.bytes),
        );
    }
    Ok(())
}

fn kill(server: &mut Server) {
    server.kill();
}

fn refusal(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Redis => b"-ERR Connection refused\r\n".to_vec(),
        Protocol::Memcached => b"SERVER_ERROR Connection refused\r\n".to_vec(),
    }
}

fn miss(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Redis => b"$-1\r\n".to_vec(),
        Protocol::Memcached => b"END\r\n".to_vec(),
    }
}

fn get(protocol: Protocol, key: &str) -> Request {
    match protocol {
        Protocol::Redis => Request::redis(&["GET", key]),
        Protocol::Memcached => Request::memcached(format!("get {key}").as_bytes(), None),
    }
}

/// Requests with one key each, for keys of every server.
fn singles(protocol: Protocol) -> Vec<Request> {
    let request = |n: usize| match (protocol, n % 3) {
        (Protocol::Redis, 0) => Request::redis_line(&format!("SET key{n} value{n}")),
        (Protocol::Redis, 1) => Request::redis_line(&format!("INCR counter{n}")),
        (Protocol::Redis, _) => Request::redis_line(&format!("GET key{}", n - 2)),
        (Protocol::Memcached, 0) => {
            Request::memcached(format!("set key{n} 0 0 1").as_bytes(), Some(b"x"))
        }
        (Protocol::Memcached, 1) => Request::memcached(format!("touch key{n} 0").as_bytes(), None),
        (Protocol::Memcached, _) => {
            Request::memcached(format!("get key{}", n - 2).as_bytes(), None)
        }
    };
    (0..KEYS).map(request).collect()
}

/// Requests with keys of all servers.
fn vectors(protocol: Protocol) -> Vec<Request> {
    let keys: String = (0..KEYS).map(|n| format!(" key{n}")).collect();
    let pairs: String = (0..KEYS).map(|n| format!(" key{n} value{n}")).collect();
    match protocol {
        Protocol::Redis => ["TOUCH", "MGET", "DEL", "UNLINK"]
            .iter()
            .map(|name| format!("{name}{keys}"))
            .chain([format!("MSET{pairs}")])
            .map(|line| Request::redis_line(&line))
            .collect(),
        Protocol::Memcached => ["get", "gets"]
            .iter()
            .map(|name| Request::memcached(format!("{name}{keys}").as_bytes(), None))
            .collect(),
    }
}

/// Two equal sets of servers, and the name of a client whose probe is on the server that keeps working.
struct Stage {
    server_sets: ServerSets,
    client: String,
}

impl Stage {
    fn build(protocol: Protocol) -> Result<Stage, &'static str> {
        let server_sets = ServerSets::start(protocol, SERVERS).ok_or(NO_SERVERS)?;
        let (theirs, ours) = server_sets.ports();
        let pair = ProxyPair::start(&[Pool::new(protocol, SERVERS)], &theirs, &ours)
            .ok_or(NO_NUTCRACKER)?;
        let lives_well = |name: &String| {
            Line::open(protocol, pair.ports[0], name);
            holds(&server_sets.ours[WELL], protocol, &probe_key(name))
        };
        let client = (0..100).map(|n| format!("client{n}")).find(lives_well);
        Ok(Stage {
            client: client.expect("one key of a hundred belongs to each server"),
            server_sets,
        })
    }

    /// Starts new proxies with these settings in front of the existing servers.
    fn scene(&self, settings: &[&str]) -> Result<Scene, &'static str> {
        let protocol = self.server_sets.protocol;
        let (theirs, ours) = self.server_sets.ports();
        let mut pool = Pool::new(protocol, SERVERS);
        pool.settings
            .extend(settings.iter().map(ToString::to_string));
        let pair = ProxyPair::start(&[pool], &theirs, &ours).ok_or(NO_NUTCRACKER)?;
        let line = Line::open(protocol, pair.ports[0], &self.client);
        Ok(Scene { pair, line })
    }
}

fn holds(server: &Server, protocol: Protocol, key: &str) -> bool {
    let mut client = server.client();
    match protocol {
        Protocol::Redis => client.ask(&["EXISTS", key]) == ":1\r\n",
        Protocol::Memcached => {
            client.send(format!("get {key}\r\n").as_bytes());
            client.line().starts_with(b"VALUE")
        }
    }
}

/// Two proxies and a client.
struct Scene {
    pair: ProxyPair,
    line: Line,
}

impl Scene {
    /// Requests for every server: with many keys, one by one, and in a pipeline.
    fn ask_all(&mut self, play: &mut Play) {
        let protocol = self.line.protocol();
        for request in vectors(protocol) {
            play.ask_twice(&mut self.line, &request);
        }
        play.ask(&mut self.line, &singles(protocol), &Manner::plain());
    }

    /// The retry timeout of a dead server is over. nutcracker uses clients' requests, as many as eject a
    /// server, to find out that it is still dead; Nuthatch probes it.
    fn question_by_requests(&mut self, play: &mut Play, limit: usize) {
        let protocol = self.line.protocol();
        let (miss, refusal) = (miss(protocol), refusal(protocol));
        let mut spent = 0;
        for n in 0..KEYS {
            let requests = [get(protocol, &format!("nothing{n}"))];
            let answers = self.line.exchange(&requests, &Manner::plain());
            if answers.theirs.bytes == refusal && answers.ours.bytes == miss {
                spent += 1;
            } else {
                play.judge(protocol, &requests, &answers);
            }
        }
        match spent == limit {
            true => play.excuse_counts.note(EJECT_PROBE),
            false => play.fail(
                "a dead server's rest is over",
                &format!("{spent} requests spent"),
            ),
        }
    }

    /// Waits until both sides have noticed what happened to their servers.
    fn settle(&mut self) {
        for request in singles(self.line.protocol()) {
            self.line.settle(&request);
        }
    }

    /// Both must have equal counters; nutcracker's lag behind until it is busy.
    fn compare_counters(&mut self, play: &mut Play, what: &str) {
        // A multi-get with some results does not count as an error here.
        let pool = match self.line.protocol() {
            Protocol::Redis => &["server_ejects", "forward_error"][..],
            Protocol::Memcached => &["server_ejects"],
        };
        let mut last = Vec::new();
        let alike = eventually(Duration::from_secs(5), || {
            drop(self.pair.theirs.stats());
            drop(self.line.exchange(&[], &Manner::plain()));
            last = differing(pool, &self.pair.theirs.stats(), &self.pair.ours.stats());
            last.is_empty().then_some(())
        });
        if alike.is_none() {
            play.fail(
                &format!("counters after a server was {what}"),
                &last.join(", "),
            );
        }
    }
}

/// Counters that differ between two statistics documents.
fn differing(pool: &[&str], theirs: &str, ours: &str) -> Vec<String> {
    const SERVER: &[&str] = &[
        "server_eof",
        "server_err",
        "server_timedout",
        "requests",
        "responses",
    ];
    let parse = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).expect("a stats document is JSON")
    };
    let (theirs, ours) = (parse(theirs), parse(ours));
    let (theirs, ours) = (&theirs["pool0"], &ours["pool0"]);
    let mut found = Vec::new();
    let mut compare = |path: String, theirs: &serde_json::Value, ours: &serde_json::Value| {
        // The reply to the last request may not be counted yet.
        let slack = i64::from(path.ends_with("responses"));
        let alike = theirs
            .as_i64()
            .zip(ours.as_i64())
            .is_some_and(|(a, b)| (a - b).abs() <= slack);
        if !alike {
            found.push(format!("{path}: nutcracker {theirs}, nuthatch {ours}"));
        }
    };
    for name in pool {
        compare((*name).to_owned(), &theirs[name], &ours[name]);
    }
    // Not the client with the probe: nutcracker's may be closed before it asks for that.
    for server in (1..=WELL).map(|n| format!("server{n}")) {
        for name in SERVER {
            compare(
                format!("{server}.{name}"),
                &theirs[&server][name],
                &ours[&server][name],
            );
        }
    }
    found
}
