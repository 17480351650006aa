//! The statistics document: compared with nutcracker's, under the same traffic, field by field.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use testkit::{Client, Endpoint, Proxy, Server, free_port};

use crate::need;
use crate::rig::{BIN, Rig, nuthatch, pool, wait_for};

/// Two pools with their own servers; the server names are equal, so that keys are placed alike.
struct Twin {
    proxy: Proxy,
    redis: u16,
    memcached: u16,
    redis_servers: Vec<Server>,
    _memcached_servers: Vec<Server>,
}

impl Twin {
    fn start(start: impl Fn(&str) -> Option<Proxy>) -> Option<Twin> {
        let redis_servers: Vec<_> = (0..2).map(|_| testkit::redis()).collect::<Option<_>>()?;
        let memcached_servers: Vec<_> = (0..2)
            .map(|_| testkit::memcached())
            .collect::<Option<_>>()?;
        let (redis, memcached) = (free_port(), free_port());
        let at = |port: u16| format!("127.0.0.1:{port}");
        let ends = |servers: &[Server]| -> Vec<_> {
            servers
                .iter()
                .map(|server| server.endpoint().clone())
                .collect()
        };
        let (r, m) = (ends(&redis_servers), ends(&memcached_servers));
        let conf = pool(
            "zebra",
            &at(redis),
            &r.iter().collect::<Vec<_>>(),
            &["redis: true"],
        ) + &pool("ant", &at(memcached), &m.iter().collect::<Vec<_>>(), &[]);
        Some(Twin {
            proxy: start(&conf)?,
            redis,
            memcached,
            redis_servers,
            _memcached_servers: memcached_servers,
        })
    }

    fn document(&self) -> (String, Map<String, Value>) {
        let text = self.proxy.stats();
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in {text}"));
        (text, value.as_object().expect("an object").clone())
    }

    /// Traffic whose counts do not depend on timing.
    fn drive(&mut self) {
        let mut redis = Client::to_port(self.redis);
        for number in 0..40 {
            let key = format!("key{number}");
            assert_eq!(redis.ask(&["SET", &key, "value"]), "+OK\r\n");
            assert_eq!(redis.ask(&["GET", &key]), "$5\r\nvalue\r\n");
        }
        assert_eq!(
            redis
                .ask(&["MGET", "key1", "key2", "key3", "key4"])
                .matches("value")
                .count(),
            4
        );
        assert_eq!(redis.ask(&["DEL", "key1", "key2", "key3"]), ":3\r\n");
        assert_eq!(redis.ask(&["PING"]), "+PONG\r\n");
        drop(redis);

        let mut memcached = Client::to_port(self.memcached);
        for number in 0..40 {
            memcached.send(format!("set key{number} 0 0 5\r\nvalue\r\n").as_bytes());
            assert_eq!(memcached.line(), b"STORED\r\n");
        }
        memcached.send(b"get key1 key2 key3 nokey\r\n");
        memcached.until(b"END\r\n");
        memcached.send(b"delete key1\r\nget key1\r\n");
        assert_eq!(memcached.until(b"END\r\n"), b"DELETED\r\nEND\r\n");
        memcached.send(b"quit\r\n");
        memcached.rest();
        self.lose_a_server();
    }

    /// One server dies and its keys are requested; the client's connection stays open.
    fn lose_a_server(&mut self) {
        self.redis_servers[1].kill();
        let gone = || number(&self.document().1, "zebra", "s1", "server_connections") == 0;
        wait_for("the server is gone", gone);
        let mut redis = Client::to_port(self.redis);
        let asked: Vec<_> = (4..40)
            .map(|n| redis.ask(&["GET", &format!("key{n}")]))
            .collect();
        assert!(
            asked
                .iter()
                .any(|reply| reply == "-ERR Connection refused\r\n"),
            "{asked:?}"
        );
    }
}

fn number(document: &Map<String, Value>, pool: &str, server: &str, field: &str) -> i64 {
    document[pool][server][field].as_i64().expect("a number")
}

#[test]
fn the_document_is_nutcrackers_field_by_field() {
    let theirs = need!(
        Twin::start(testkit::nutcracker),
        "nutcracker, redis-server or memcached"
    );
    let ours = need!(
        Twin::start(|conf| Some(nuthatch(&[], conf))),
        "redis-server or memcached"
    );
    let mut twins = [theirs, ours];
    for twin in &mut twins {
        twin.drive();
    }
    let [theirs, ours] = twins.map(|twin| settled(&twin));
    let names = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs), "fields in order");
    for (field, value) in &theirs {
        match value {
            Value::Object(pool) => {
                compare_pool(field, pool, ours[field].as_object().expect("a pool"))
            }
            Value::String(text) if field == "source" => assert_eq!(&ours[field], text),
            Value::String(text) if field == "service" => assert_eq!(&ours[field], text),
            Value::String(_) => assert!(ours[field].is_string(), "{field}"),
            _ => assert!(ours[field].is_u64(), "{field}"),
        }
    }
}

/// The document after the traffic has ended. nutcracker's is older than its readers expect: each request for
/// it advances it by one step.
fn settled(twin: &Twin) -> Map<String, Value> {
    let mut last = Map::new();
    let mut alike = 0;
    wait_for("the statistics settle", || {
        drop(Client::to_port(twin.redis));
        let mut now = twin.document().1;
        for moving in [
            "uptime",
            "timestamp",
            "total_connections",
            "curr_connections",
        ] {
            now.insert(moving.into(), 0.into());
        }
        let pools = ["zebra", "ant"];
        let counted = |now: &Map<String, Value>| pools.map(|pool| without_clients(&now[pool]));
        let same = !last.is_empty() && counted(&now) == counted(&last);
        alike = if same { alike + 1 } else { 0 };
        last = now;
        alike >= 20
            && pools
                .iter()
                .all(|pool| last[*pool]["client_connections"] == 0)
    });
    last
}

/// A pool without the counters that reading the document itself changes.
fn without_clients(pool: &Value) -> Value {
    let mut pool = pool.clone();
    let fields = pool.as_object_mut().expect("a pool");
    fields.retain(|name, _| !name.starts_with("client_"));
    pool
}

fn compare_pool(name: &str, theirs: &Map<String, Value>, ours: &Map<String, Value>) {
    let scalars = |map: &Map<String, Value>| -> Vec<String> {
        let scalars = map.iter().filter(|(_, value)| value.is_i64());
        scalars.map(|(name, _)| name.clone()).collect()
    };
    let known = scalars(theirs);
    assert_eq!(scalars(ours), known, "fields of {name} in order");
    let names = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "members of {name} in order");
    for field in known {
        match field.as_str() {
            // nutcracker never counts fragments; the probes of this test are clients.
            "fragments" | "client_eof" | "client_err" => {}
            _ => assert_eq!(ours[&field], theirs[&field], "{name}.{field}"),
        }
    }
    for (server, value) in theirs.iter().filter(|(_, value)| value.is_object()) {
        let theirs = value.as_object().expect("a server");
        let ours = ours[server].as_object().expect("the same server");
        compare_server(&format!("{name}.{server}"), theirs, ours);
    }
}

fn compare_server(name: &str, theirs: &Map<String, Value>, ours: &Map<String, Value>) {
    let known: Vec<_> = theirs.keys().cloned().collect();
    let all: Vec<_> = ours.keys().cloned().collect();
    assert_eq!(all, known, "fields of {name} in order");
    for (field, value) in theirs {
        assert_eq!(&ours[field], value, "{name}.{field}");
    }
}

#[test]
fn the_version_goes_with_the_name() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let link = dir.path().join("nutcracker");
    std::os::unix::fs::symlink(BIN, &link).expect("the folder can be written");
    let listen = format!("127.0.0.1:{}", free_port());
    let conf = pool("p", &listen, &[&Endpoint::loopback(1)], &[]);
    for (program, version) in [
        (Path::new(BIN), env!("CARGO_PKG_VERSION")),
        (&link, "0.5.0"),
    ] {
        let text = testkit::nuthatch(program, &[], &conf).stats();
        let document: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["service"], "nutcracker");
        assert_eq!(document["version"], version);
    }
}

#[test]
fn the_document_is_never_older_than_its_reader() {
    let rig = need!(Rig::redis_with(1, &[], &["-i", "30000"]), "redis-server");
    let mut client = rig.client();
    for count in 1..=50 {
        client.ask(&["GET", "k"]);
        assert_eq!(rig.server_stat(0, "requests"), count);
        assert_eq!(rig.server_stat(0, "responses"), count);
    }
}

#[test]
fn uptime_time_and_ejections_are_in_nutcrackers_units() {
    let lines = ["auto_eject_hosts: true", "server_failure_limit: 1"];
    let mut rig = need!(Rig::redis(1, &lines), "redis-server");
    rig.servers[0].kill();
    assert!(rig.client().ask(&["GET", "k"]).starts_with("-ERR "));
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let seconds = i64::try_from(since_epoch.as_secs()).expect("before the year 292277026596");
    let document = rig.stats();
    let value = |name: &str| document[name].as_i64().expect("a number");
    assert!((value("timestamp") - seconds).abs() <= 2);
    assert!(value("uptime") < 60);
    let ejected = rig.server_stat(0, "server_ejected_at");
    assert!(
        (ejected / 1_000_000 - seconds).abs() <= 2,
        "{ejected} is not in microseconds"
    );
}

#[test]
fn the_document_is_one_line_and_its_reader_need_not_be_polite() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let address = ("127.0.0.1", rig.proxy.stats_port());
    // A reader that connects and sends nothing delays nobody.
    let _silent = TcpStream::connect(address).expect("stats are served");
    let mut stream = TcpStream::connect(address).expect("stats are served");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("not zero");
    stream
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .expect("it is open");
    let mut text = Vec::new();
    // So that the document has been sent, and a reset would have destroyed it, before it is read.
    std::thread::sleep(Duration::from_millis(500));
    stream
        .read_to_end(&mut text)
        .expect("it is closed in order");
    let reset = stream.take_error().expect("it is a socket");
    assert!(reset.is_none(), "{reset:?}");
    let text = String::from_utf8(text).expect("the document is text");
    assert!(
        text.starts_with("{\"service\":\"nutcracker\", \"source\":\""),
        "{text}"
    );
    assert!(text.ends_with("}}}\n"), "{text}");
    assert_eq!(text.matches('\n').count(), 1);
}

#[test]
fn the_counters_of_all_workers_are_added_up() {
    let rig = Rig::redis_with(2, &[], &["--workers", "4"]);
    let rig = need!(rig, "redis-server");
    let keys = rig.keys();
    let before = rig.server_stat(0, "requests");
    let mut clients: Vec<_> = (0..12).map(|_| rig.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&["GET", &keys[0]]), "$1\r\nv\r\n");
    }
    assert_eq!(rig.server_stat(0, "requests"), before + 12);
    assert_eq!(rig.server_stat(0, "server_connections"), 4);
    assert_eq!(rig.pool_stat("client_connections"), 12);
}
