//! The keys that count most, with real servers.

use std::fs;

use serde_json::Value;

use crate::admin::{ask, rig};
use crate::latency::ctl;
use crate::need;
use crate::rig::wait_for;

#[test]
fn hot_keys_are_shown_to_operators_and_clients_once_a_reload_asks_for_them() {
    let args = ["--control=control.sock", "--workers=2"];
    let (rig, port) = need!(rig(2, &[], &args), "redis-server");
    let control = rig.proxy.dir().join("control.sock");
    let ctl = |words: &[&str]| ctl(&control, words);
    let none = ctl(&["hot-keys"]).success();
    assert!(none.contains("keys are counted in no pool"), "{none}");

    let file = rig.proxy.conf();
    let conf = fs::read_to_string(file).expect("a file");
    let conf = conf.replace("  redis: true\n", "  redis: true\n  hot_keys: 2\n");
    fs::write(file, conf).expect("a file");
    let change = ctl(&["reload", "--dry-run"]).success();
    assert!(change.contains("hot_keys"), "{change}");
    ctl(&["reload"]).success();

    // Several clients, so that several workers have some.
    for _ in 0..8 {
        let mut client = rig.client();
        for round in 0..100 {
            client.ask(&["GET", "hot"]);
            client.ask(&["SET", &format!("cold:{round}"), "value"]);
        }
        client.ask(&["SET", "large", &"v".repeat(100_000)]);
    }
    let page =
        || -> Value { serde_json::from_str(&ask(port, "/hotkeys", &[]).body).expect("JSON") };
    // A worker tells what it has counted within a second.
    wait_for("all are told", || page()[0]["counted"].as_u64() > Some(700));
    let page = page();
    let pool = &page[0];
    assert_eq!(pool["pool"], "pool");
    let hottest = &pool["by_requests"][0];
    assert_eq!(hottest["key"], "hot");
    let near = |value: &Value| (600..=1_000).contains(&value.as_u64().expect("a number"));
    assert!(
        near(&hottest["requests"]) && near(&hottest["at_least"]),
        "{hottest}"
    );
    assert_eq!(hottest["reads"], hottest["at_least"]);
    assert_eq!(pool["by_bytes"][0]["key"], "large");
    assert_eq!(pool["largest"][0]["key"], "large");
    assert_eq!(pool["largest"][0]["within"], "request");

    let json = ctl(&["hot-keys", "--json", "-n", "1"]).success();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["by_requests"], Value::from(vec![hottest.clone()]));
    let text = ctl(&["hot-keys", "--pool", "pool"]).success();
    assert!(text.starts_with("pool pool: "), "{text}");
    assert!(
        text.lines().any(|line| line.ends_with("100.0%  hot")),
        "{text}"
    );
    let unknown = ctl(&["hot-keys", "--pool", "x"]);
    assert!(unknown.output().contains("there is no pool 'x'"));

    let reply = rig.client().ask(&["HOTKEYS", "GET"]);
    assert!(reply.contains("by-net-bytes\r\n*"), "{reply}");
    assert!(reply.contains("\r\nlarge\r\n:"), "{reply}");
}
