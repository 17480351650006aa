//! The proxy in front of real servers, started by one call.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use testkit::{Client, Endpoint, Proxy, Server, eventually, free_port};

/// The binary under test.
pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_nuthatch");

/// How long a test waits for something that will happen.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Maximum number of keys tried until every server of a pool has one.
const KEYS_TRIED: usize = 400;

/// Skips the test if the rig (or any `Option`) is `None`.
#[macro_export]
macro_rules! need {
    ($thing:expr, $tool:literal) => {
        match $thing {
            Some(thing) => thing,
            None => testkit::skip!("{} is not installed", $tool),
        }
    };
}

/// One pool of a configuration file. Servers are called `s0`, `s1`, ... in the given order.
pub(crate) fn pool(name: &str, listen: &str, servers: &[&Endpoint], lines: &[&str]) -> String {
    let mut text = format!("{name}:\n  listen: {listen}\n");
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("  servers:\n");
    for (index, server) in servers.iter().enumerate() {
        text.push_str(&format!("    - {server}:1 s{index}\n"));
    }
    text
}

/// Runs the proxy with `conf`.
pub(crate) fn nuthatch(args: &[&str], conf: &str) -> Proxy {
    testkit::nuthatch(Path::new(BIN), args, conf)
}

/// Asks for all counters in the statistics, including those that nutcracker does not have.
pub(crate) const ALL_COUNTERS: &str = "--stats-extended=true";

/// One pool called `pool` on a free port, and its servers. Its statistics have all counters.
pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    pub(crate) servers: Vec<Server>,
    pub(crate) port: u16,
    redis: bool,
}

impl Rig {
    /// A Redis pool of `count` servers with more lines of configuration.
    pub(crate) fn redis(count: usize, lines: &[&str]) -> Option<Rig> {
        Rig::redis_with(count, lines, &[])
    }

    /// The same with arguments for the proxy.
    pub(crate) fn redis_with(count: usize, lines: &[&str], args: &[&str]) -> Option<Rig> {
        let servers = (0..count).map(|_| testkit::redis());
        Some(Rig::before_redis(
            servers.collect::<Option<_>>()?,
            lines,
            args,
        ))
    }

    /// A Redis pool of existing servers.
    pub(crate) fn before_redis(servers: Vec<Server>, lines: &[&str], args: &[&str]) -> Rig {
        let lines = [&["redis: true"], lines].concat();
        Rig::start(servers, &lines, args, true, "")
    }

    /// A memcached pool of `count` servers.
    pub(crate) fn memcached(count: usize, lines: &[&str]) -> Option<Rig> {
        let servers = (0..count).map(|_| testkit::memcached());
        Some(Rig::before_memcached(
            servers.collect::<Option<_>>()?,
            lines,
            &[],
        ))
    }

    /// A memcached pool of existing servers.
    pub(crate) fn before_memcached(servers: Vec<Server>, lines: &[&str], args: &[&str]) -> Rig {
        Rig::start(servers, lines, args, false, "")
    }

    /// The same with `more` pools in the file.
    pub(crate) fn start(
        servers: Vec<Server>,
        lines: &[&str],
        args: &[&str],
        redis: bool,
        more: &str,
    ) -> Rig {
        let port = free_port();
        let endpoints: Vec<_> = servers.iter().map(Server::endpoint).collect();
        let conf = pool("pool", &format!("127.0.0.1:{port}"), &endpoints, lines);
        Rig {
            proxy: nuthatch(&[&[ALL_COUNTERS], args].concat(), &(conf + more)),
            servers,
            port,
            redis,
        }
    }

    /// A new client of the pool.
    pub(crate) fn client(&self) -> Client {
        Client::to_port(self.port)
    }

    /// One key for each server, stored through the proxy with the value `v` and found by asking the servers
    /// directly.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut client = self.client();
        let mut direct: Vec<_> = self.servers.iter().map(Server::client).collect();
        let mut keys = vec![None; self.servers.len()];
        for number in 0..KEYS_TRIED {
            let key = format!("key:{number}");
            self.store(&mut client, &key);
            let holder = direct
                .iter_mut()
                .position(|server| self.holds(server, &key));
            let holder = holder.expect("some server has the key that was stored");
            keys[holder].get_or_insert(key);
            if keys.iter().all(Option::is_some) {
                break;
            }
        }
        let found: Option<Vec<_>> = keys.into_iter().collect();
        found.expect("every server owns one of four hundred keys")
    }

    fn store(&self, client: &mut Client, key: &str) {
        if self.redis {
            assert_eq!(client.ask(&["SET", key, "v"]), "+OK\r\n");
        } else {
            client.send(format!("set {key} 0 0 1\r\nv\r\n").as_bytes());
            assert_eq!(client.line(), b"STORED\r\n");
        }
    }

    fn holds(&self, server: &mut Client, key: &str) -> bool {
        if self.redis {
            return server.ask(&["EXISTS", key]) == ":1\r\n";
        }
        server.send(format!("get {key}\r\n").as_bytes());
        server.until(b"END\r\n").starts_with(b"VALUE")
    }

    /// A counter of the pool from the statistics.
    pub(crate) fn pool_stat(&self, name: &str) -> i64 {
        stat(&self.stats()["pool"], name)
    }

    /// A counter of server `index` from the statistics.
    pub(crate) fn server_stat(&self, index: usize, name: &str) -> i64 {
        stat(&self.stats()["pool"][format!("s{index}")], name)
    }

    /// The whole statistics document.
    pub(crate) fn stats(&self) -> Value {
        let text = self.proxy.stats();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }
}

fn stat(object: &Value, name: &str) -> i64 {
    object[name]
        .as_i64()
        .unwrap_or_else(|| panic!("no number {name} in {object}"))
}

/// Waits until `question` is true.
///
/// # Panics
///
/// When it is not within [`TIME_LIMIT`]; `what` describes it.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut question: impl FnMut() -> bool) {
    let answer = eventually(TIME_LIMIT, || question().then_some(()));
    assert!(answer.is_some(), "waited in vain: {what}");
}

/// Sends a memcached request and reads one line.
pub(crate) fn memcached_ask(client: &mut Client, request: &str) -> String {
    client.send(request.as_bytes());
    text(&client.line())
}

/// Bytes as text, for messages and comparisons.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Resident memory of a process in bytes, as Linux reports it.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("Linux reports VmRSS");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number of kB");
    kib << 10
}

/// A Redis pool called `pool` with any listener as its server; returns the proxy and its port.
pub(crate) fn redis_front(servers: &[&Endpoint], lines: &[&str]) -> (Proxy, u16) {
    let port = free_port();
    let lines = [&["redis: true"], lines].concat();
    let conf = pool("pool", &format!("127.0.0.1:{port}"), servers, &lines);
    (nuthatch(&[], &conf), port)
}
