//! Latency as the admin pages tell it, with a real server.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::Client;

use crate::admin::{ask, rig, sample};
use crate::need;
use crate::rig::{BIN, Rig, wait_for};
use crate::tool::{self, Done};

/// How long the slow requests take at the server.
const SLOW: Duration = Duration::from_millis(200);

/// What `/servers` says of the only server.
fn latency(port: u16) -> Value {
    let page: Value = serde_json::from_str(&ask(port, "/servers", &[]).body).expect("JSON");
    page["pools"][0]["servers"][0]["latency"].clone()
}

/// What `nuthatch ctl` says.
pub(crate) fn ctl(control: &Path, words: &[&str]) -> Done {
    let mut command = Command::new(BIN);
    command.arg("ctl").arg("--control").arg(control);
    tool::run(command, words)
}

#[test]
fn requests_are_measured_by_class_and_those_that_wait_for_others_are_not() {
    let (rig, port) = need!(rig(1, &[], &[]), "redis-server");
    let mut client = rig.client();
    let before = latency(port);
    let count = |latency: &Value, class: &str| latency[class]["count"].as_u64().expect("a count");
    for _ in 0..40 {
        client.ask(&["GET", "k"]);
    }
    for _ in 0..20 {
        assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    }
    let began = Instant::now();
    let pause = SLOW.as_millis().to_string();
    let mut direct = rig.servers[0].client();
    assert_eq!(direct.ask(&["CLIENT", "PAUSE", &pause, "WRITE"]), "+OK\r\n");
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    let slowest = began.elapsed().as_micros() as u64;
    // Nobody pushes an element, so that this waits for as long as it says.
    assert_eq!(client.ask(&["BLPOP", "none", "1"]), "*-1\r\n");

    let after = latency(port);
    let grown = |class| count(&after, class) - count(&before, class);
    assert_eq!((grown("read"), grown("write")), (40, 20 + 1));
    assert_eq!(grown("waiting"), 40 + 20 + 1);
    for class in ["read", "write", "waiting"] {
        let quantiles = ["p50", "p90", "p99", "p999"].map(|name| after[class][name].as_u64());
        assert!(quantiles.is_sorted(), "{after}");
        assert!(quantiles[0].is_some(), "{after}");
    }
    let worst = after["write"]["p999"].as_u64().expect("a time");
    let least = SLOW.as_micros() as u64 * 9 / 10;
    assert!((least..=slowest * 101 / 100).contains(&worst), "{after}");

    let of = |part: &str, labels: &str| {
        let labels = format!("{{pool=\"pool\",server=\"s0\",class=\"write\"{labels}}}");
        sample(
            port,
            &format!("nuthatch_server_latency_seconds_{part}{labels}"),
        )
    };
    let all = of("count", "");
    assert_eq!(of("bucket", ",le=\"+Inf\""), all);
    assert_eq!(
        of("bucket", ",le=\"0.065536\""),
        all - 1.0,
        "but the slow one"
    );
    assert_eq!(of("bucket", ",le=\"16.777216\""), all);
    assert!(of("sum", "") >= SLOW.as_secs_f64() * 0.9);
}

/// In words, and in microseconds: what was slow, and how slow it was.
#[test]
fn what_was_slow_lately_is_told_of_a_key_s_server_and_of_all() {
    let rig = need!(
        Rig::redis_with(2, &[], &["--control=control.sock"]),
        "redis-server"
    );
    let control = rig.proxy.dir().join("control.sock");
    let ctl = |words: &[&str]| ctl(&control, words).success();
    let keys = rig.keys();
    let pause = SLOW.as_millis().to_string();
    let paused = rig.servers[0]
        .client()
        .ask(&["CLIENT", "PAUSE", &pause, "WRITE"]);
    assert_eq!(paused, "+OK\r\n");
    assert_eq!(rig.client().ask(&["SET", &keys[0], "v"]), "+OK\r\n");

    let status = ctl(&["status"]);
    let line = status.lines().find(|line| line.starts_with("  s0 "));
    let line = line.expect("a line of the server");
    assert!(
        line.contains(", p50 ") && line.contains(" ms of ") && line.contains(" requests in "),
        "{status}"
    );
    let explained = ctl(&["explain", &keys[0]]);
    assert!(explained.contains(" queued, p50 "), "{explained}");
    let json: Value = serde_json::from_str(&ctl(&["explain", "--json", &keys[0]])).expect("JSON");
    let latency = &json[0]["state"]["recent_latency"];
    let worst = latency["p99"].as_u64().expect("a time");
    assert!(worst >= SLOW.as_micros() as u64 * 9 / 10, "{json}");
    let json: Value = serde_json::from_str(&ctl(&["status", "--json"])).expect("JSON");
    assert_eq!(
        json["pools"][0]["servers"][0]["recent_latency"]["p99"],
        worst
    );
    // It is forgotten after a while.
    wait_for("nothing lately", || {
        ctl(&["explain", &keys[0]]).contains(" queued, no requests answered in ")
    });
}

#[test]
fn slow_requests_are_shown_to_operators_and_clients_once_a_reload_asks_for_them() {
    let args = ["--control=control.sock"];
    let (rig, port) = need!(rig(1, &[], &args), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["CLIENT", "SETNAME", "app"]), "+OK\r\n");
    let control = rig.proxy.dir().join("control.sock");
    let ctl = |words: &[&str]| ctl(&control, words);
    let slow_set = |client: &mut Client| {
        let pause = SLOW.as_millis().to_string();
        let paused = rig.servers[0]
            .client()
            .ask(&["CLIENT", "PAUSE", &pause, "WRITE"]);
        assert_eq!(paused, "+OK\r\n");
        assert_eq!(client.ask(&["SET", "slow:key", "v"]), "+OK\r\n");
    };
    slow_set(&mut client);
    let none = ctl(&["slowlog"]).success();
    assert!(none.contains("no slow request is known"), "{none}");

    let file = rig.proxy.conf();
    let conf = fs::read_to_string(file).expect("a file");
    let conf = conf.replace("  redis: true\n", "  redis: true\n  slow_log: 100\n");
    fs::write(file, conf).expect("a file");
    ctl(&["reload"]).success();
    slow_set(&mut client);
    assert_eq!(client.ask(&["GET", "slow:key"]), "$1\r\nv\r\n");

    let lines = ctl(&["slowlog"]).success();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(
        lines.contains(" pool pool server s0: SET slow:key took "),
        "{lines}"
    );
    let json: Value = serde_json::from_str(&ctl(&["slowlog", "--json"]).success()).expect("JSON");
    assert_eq!(json[0]["client_name"], "app");
    assert!(json[0]["served"].as_u64().expect("a time") >= SLOW.as_micros() as u64 * 9 / 10);
    let page: Value = serde_json::from_str(&ask(port, "/slowlog", &[]).body).expect("JSON");
    assert_eq!(page, json);
    assert_eq!(client.ask(&["SLOWLOG", "LEN"]), ":1\r\n");
    assert_eq!(
        sample(port, "nuthatch_pool_slow_requests_total{pool=\"pool\"}"),
        1.0
    );
}
