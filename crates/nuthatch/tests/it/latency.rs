//! Latency as the admin pages tell it, with a real server.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::admin::{ask, rig, sample};
use crate::need;

/// How long the slow requests take at the server.
const SLOW: Duration = Duration::from_millis(200);

/// What `/servers` says of the only server.
fn latency(port: u16) -> Value {
    let page: Value = serde_json::from_str(&ask(port, "/servers", &[]).body).expect("JSON");
    page["pools"][0]["servers"][0]["latency"].clone()
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
