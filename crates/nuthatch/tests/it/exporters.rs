//! Parses the statistics document as programs written for nutcracker's do. Two of them are strict: every
//! unknown name in a pool must be a server.

use serde_json::{Map, Value};
use testkit::{Client, Endpoint, Proxy, free_port};

use crate::need;
use crate::rig::{ALL_COUNTERS, nuthatch, pool};

/// The names that both know in a pool; every other name is a server's to them.
const POOL_KEYS: [&str; 6] = [
    "client_eof",
    "client_err",
    "client_connections",
    "server_ejects",
    "forward_error",
    "fragments",
];

const SERVER_KEYS: [&str; 13] = [
    "server_eof",
    "server_err",
    "server_timedout",
    "server_connections",
    "server_ejected_at",
    "requests",
    "request_bytes",
    "responses",
    "response_bytes",
    "in_queue",
    "in_queue_bytes",
    "out_queue",
    "out_queue_bytes",
];

/// Parses like stuartnelson3/twemproxy_exporter (Go): into types, so that a member of another type fails the
/// whole document. Returns the pools and their servers.
fn decode_into_types(text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let document = object("the document", &parse(text)?)?;
    let mut pools = Vec::new();
    for (name, value) in &document {
        match name.as_str() {
            "service" | "source" | "version" => drop(string(name, value)?),
            "uptime" | "timestamp" | "total_connections" | "curr_connections" => {
                integer(name, value)?;
            }
            _ => pools.push((name.clone(), decode_pool(name, value)?)),
        }
    }
    Ok(pools)
}

fn decode_pool(name: &str, value: &Value) -> Result<Vec<String>, String> {
    let mut servers = Vec::new();
    for (key, value) in &object(name, value)? {
        if POOL_KEYS.contains(&key.as_str()) {
            integer(key, value)?;
            continue;
        }
        for (field, value) in &object(key, value)? {
            integer(field, value)?;
        }
        servers.push(key.clone());
    }
    Ok(servers)
}

/// Parses like getupcloud's exporter (Python): it removes the names that it knows from a pool and indexes all
/// others as servers; indexing a number is a TypeError, a missing key a KeyError.
fn decode_by_index(text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let document = object("the document", &parse(text)?)?;
    let pools = document.iter().filter(|(_, value)| value.is_object());
    pools
        .map(|(name, pool)| {
            let mut rest = object(name, pool)?;
            for key in POOL_KEYS {
                let value = rest.shift_remove(key);
                integer(key, &value.ok_or(format!("KeyError: {name}.{key}"))?)?;
            }
            for (server, stats) in &rest {
                let Value::Object(stats) = stats else {
                    return Err(format!("TypeError: {name}.{server} is {stats}"));
                };
                for key in SERVER_KEYS {
                    let value = stats.get(key);
                    integer(
                        key,
                        value.ok_or(format!("KeyError: {name}.{server}.{key}"))?,
                    )?;
                }
            }
            Ok((name.clone(), rest.keys().cloned().collect()))
        })
        .collect()
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error} in {text}"))
}

fn object(name: &str, value: &Value) -> Result<Map<String, Value>, String> {
    let object = value.as_object().cloned();
    object.ok_or_else(|| format!("cannot unmarshal {value} of {name} into an object"))
}

fn integer(name: &str, value: &Value) -> Result<i64, String> {
    let integer = value.as_i64();
    integer.ok_or_else(|| format!("cannot unmarshal {value} of {name} into an integer"))
}

fn string(name: &str, value: &Value) -> Result<String, String> {
    let string = value.as_str().map(str::to_owned);
    string.ok_or_else(|| format!("cannot unmarshal {value} of {name} into a string"))
}

/// Two pools of servers that do not exist, each asked once, so that something is counted.
fn used(start: impl Fn(&str) -> Option<Proxy>, lines: &[&str]) -> Option<Proxy> {
    let (redis, memcached) = (free_port(), free_port());
    let at = |port: u16| format!("127.0.0.1:{port}");
    let (one, two) = (
        Endpoint::loopback(free_port()),
        Endpoint::loopback(free_port()),
    );
    let redis_lines = [&["redis: true"], lines].concat();
    let conf = pool("sessions", &at(redis), &[&one, &two], &redis_lines)
        + &pool("pages", &at(memcached), &[&one], lines);
    let proxy = start(&conf)?;
    let reply = Client::to_port(redis).ask(&["GET", "k"]);
    assert!(reply.starts_with("-ERR"), "{reply}");
    let mut client = Client::to_port(memcached);
    client.send(b"get k\r\n");
    assert!(client.line().starts_with(b"SERVER_ERROR"));
    Some(proxy)
}

/// What both parsers find in the document of [`used`].
fn found() -> Vec<(String, Vec<String>)> {
    let pool = |name: &str, servers: &[&str]| {
        let servers = servers.iter().map(ToString::to_string).collect();
        (name.to_owned(), servers)
    };
    vec![pool("pages", &["s0"]), pool("sessions", &["s0", "s1"])]
}

#[test]
fn exporters_decode_the_document_of_nutcracker() {
    let proxy = need!(used(testkit::nutcracker, &[]), "nutcracker");
    let text = proxy.stats();
    assert_eq!(decode_into_types(&text), Ok(found()));
    assert_eq!(decode_by_index(&text), Ok(found()));
}

#[test]
fn exporters_decode_the_document() {
    let ejected = ["auto_eject_hosts: true", "server_failure_limit: 1"];
    for lines in [&[][..], &ejected] {
        let proxy = used(|conf| Some(nuthatch(&["--workers", "2"], conf)), lines);
        let text = proxy.expect("it was built for this test").stats();
        assert_eq!(decode_into_types(&text), Ok(found()), "{text}");
        assert_eq!(decode_by_index(&text), Ok(found()), "{text}");
    }
}

/// Why our own counters are not in the document by default. This also checks that the parsers are as strict
/// as the programs that they imitate.
#[test]
fn exporters_cannot_decode_counters_of_our_own() {
    let proxy = used(|conf| Some(nuthatch(&[ALL_COUNTERS], conf)), &[]);
    let text = proxy.expect("it was built for this test").stats();
    let error = decode_into_types(&text).expect_err("cross_shard is no server");
    assert!(
        error.starts_with("cannot unmarshal ") && error.contains("cross_shard"),
        "{error}"
    );
    let error = decode_by_index(&text).expect_err("cross_shard is no server");
    assert!(error.starts_with("TypeError: pages.cross_shard"), "{error}");
}
