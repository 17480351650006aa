//! Logs that programs read: each line is an object, whatever stands in names and requests.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::{Client, Signal, free_port};

use crate::failure::kill_noticed;
use crate::need;
use crate::rig::{BIN, Rig, nuthatch, wait_for};
use crate::tool::run;

/// The lines of a log, each of which must be an object that is shown safely.
fn objects(log: &str) -> Vec<Value> {
    assert!(log.is_empty() || log.ends_with('\n'), "{log}");
    let read = |line: &str| -> Value {
        assert!(!line.contains(char::is_control), "{line:?}");
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["time", "level", "message"] {
            assert!(value[field].is_string(), "{field} in {line}");
        }
        value
    };
    log.lines().map(read).collect()
}

/// The object of an event, once it is there.
fn event(log: impl Fn() -> String, name: &str) -> Value {
    let find = || objects(&log()).into_iter().find(|it| it["event"] == name);
    wait_for(name, || find().is_some());
    find().expect("it was there")
}

#[test]
fn lines_have_fields_for_pool_server_client_and_cause() {
    let args = ["--log-format=json", "-v", "6"];
    let mut rig = need!(
        Rig::redis_with(
            2,
            &["auto_eject_hosts: true", "server_failure_limit: 1"],
            &args
        ),
        "redis-server"
    );
    let mut client = rig.client();
    assert!(client.ask(&["MONITOR"]).starts_with("-ERR"));
    let log = || rig.proxy.stderr();
    let refused = event(log, "unsupported_command");
    assert_eq!(refused["pool"], "pool");
    assert!(
        refused["client"]
            .as_str()
            .is_some_and(|it| it.starts_with("127.0.0.1:")),
        "{refused}"
    );
    assert_eq!(refused["message"], "parsed unsupported command 'monitor'");
    assert_eq!(refused["level"], "alert");
    let opened = event(log, "client_opened");
    assert_eq!(
        (&opened["level"], &opened["pool"]),
        (&"info".into(), &"pool".into())
    );
    let keys = rig.keys();
    kill_noticed(&mut rig, 0);
    let closed = event(|| rig.proxy.stderr(), "server_closed");
    assert_eq!(closed["server"], "s0");
    let cause = closed["cause"].as_str().expect("a cause");
    let causes = [
        "the server closed the connection",
        "the server reset the connection",
    ];
    assert!(causes.contains(&cause), "{closed}");
    assert!(client.ask(&["GET", &keys[0]]).starts_with("-ERR"));
    let ejected = event(|| rig.proxy.stderr(), "ejected");
    assert_eq!(
        (&ejected["server"], &ejected["pool"]),
        (&"s0".into(), &"pool".into())
    );
    for _ in 0..20 {
        assert!(client.ask(&["MONITOR"]).starts_with("-ERR"));
    }
    rig.proxy.signal(Signal::TERM);
    rig.proxy.wait_exit(Duration::from_secs(10));
    let log = objects(&rig.proxy.stderr());
    let refused = log.iter().filter(|it| it["event"] == "unsupported_command");
    let told: u64 = refused.map(|it| 1 + it["more"].as_u64().unwrap_or(0)).sum();
    assert_eq!(told, 21);
    assert_eq!(log.last().expect("a line")["message"], "done");
    assert!(
        log[0]["message"]
            .as_str()
            .is_some_and(|it| it.starts_with("nuthatch-")),
        "{}",
        log[0]
    );
}

#[test]
fn hostile_names_and_requests_are_kept_and_forge_nothing() {
    let port = free_port();
    let conf = format!(
        "\"p\\\"}}\\n{{\\\"level\\\":\\\"alert\\\"}}\\e[2J\\x9b\\u202e\\\\\":\n  listen: 127.0.0.1:{port}\n  redis: true\n  \
         servers:\n    - \"127.0.0.1:1:1 s\\\"\\\\\\e]0;owned\\a\"\nnuthatch:\n  log_format: json\n"
    );
    let proxy = nuthatch(&["-o", "n.log", "-v", "11"], &conf);
    let mut client = Client::to_port(port);
    // Every byte, as the name of a command and as a key.
    for byte in 0..=255_u8 {
        client.send(b"*2\r\n$3\r\n");
        client.send(&[b'"', byte, b'\\']);
        client.send(b"\r\n$1\r\nk\r\n");
        assert!(client.line().starts_with(b"-"));
        client.send(b"*2\r\n$3\r\nGET\r\n$2\r\n\"");
        client.send(&[byte]);
        client.send(b"\r\n");
        assert!(client.line().starts_with(b"-"));
    }
    let mut broken = Client::to_port(port);
    broken.send(b"*1\r\n$\x1b[2J\"}\n\r\n");
    assert!(broken.line().starts_with(b"-"));
    let log = || fs::read_to_string(proxy.dir().join("n.log")).unwrap_or_default();
    let whole = || {
        let log = log();
        log[..log.rfind('\n').map_or(0, |end| end + 1)].to_owned()
    };
    let closed = event(whole, "server_closed");
    assert_eq!(
        closed["pool"],
        "p\"}\n{\"level\":\"alert\"}\u{1b}[2J\u{9b}\u{202e}\\"
    );
    assert_eq!(closed["server"], "s\"\\\u{1b}]0;owned\u{7}");
    event(whole, "bad_request");
    wait_for("all requests", || {
        let requested = objects(&whole());
        let requested = requested.iter().filter(|it| it["event"] == "requested");
        requested.count() >= 256
    });
    // From level 7 on they say where they were written.
    assert!(objects(&whole()).iter().all(|it| it["source"].is_string()));
    assert!(!log().contains("\u{202e}") && !log().contains('\u{9b}'));
}

#[test]
fn the_environment_and_the_file_ask_for_it_and_text_is_the_default() {
    let port = free_port();
    let pool = format!("p:\n  listen: 127.0.0.1:{port}\n  servers:\n    - 127.0.0.1:1:1\n");
    let file = format!("{pool}nuthatch:\n  log_format: json\n");
    let proxy = nuthatch(&[], &file);
    let is_started = || proxy.stderr().contains("started on pid");
    wait_for("the first line", is_started);
    assert!(!objects(&proxy.stderr()).is_empty());
    drop(proxy);
    // What is given outside of the file counts.
    let proxy = nuthatch(&["--log-format", "text"], &file);
    wait_for("the first line", || {
        proxy.stderr().contains("started on pid")
    });
    assert!(
        proxy.stderr().lines().all(|line| line.starts_with("[20")),
        "{}",
        proxy.stderr()
    );
    drop(proxy);
    let proxy = nuthatch(&[], &pool);
    wait_for("the first line", || {
        proxy.stderr().contains("started on pid")
    });
    assert!(
        proxy.stderr().lines().all(|line| line.starts_with("[20")),
        "{}",
        proxy.stderr()
    );
    drop(proxy);

    // A proxy that cannot start says why in the same form.
    let dir = tempfile::tempdir().expect("a folder");
    let conf = dir.path().join("n.yml");
    fs::write(&conf, "p:\n  listen: 127.0.0.1:1\n  serverz: 1\n").expect("the file");
    let start = |format: &str| {
        let mut command = Command::new(BIN);
        command.env("NUTHATCH_LOG_FORMAT", format);
        command
            .arg("-c")
            .arg(&conf)
            .args(["-a", "127.0.0.1", "-s", &free_port().to_string()]);
        run(command, &[])
    };
    let failed = start("json");
    assert_eq!(failed.status, Some(1));
    let log = objects(&failed.stderr);
    let last = log.last().expect("a line");
    assert_eq!(last["level"], "alert");
    assert!(
        last["message"]
            .as_str()
            .is_some_and(|it| it.contains("syntax is invalid")),
        "{last}"
    );
    let wrong = start("xml");
    assert!(
        wrong
            .stderr
            .contains("environment variable NUTHATCH_LOG_FORMAT"),
        "{}",
        wrong.stderr
    );
}
