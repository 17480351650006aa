//! Reads from replicas: `read_from` and what belongs to it.

use std::time::Duration;

use proxy::settings::{ReadFrom, ReplicaSettings};

use super::{lines, load_text};

/// A pool of two servers, with more lines from line 7 on.
fn with(lines: &str) -> String {
    format!(
        "a:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n    - h:1:1 one\n    - h:2:1 two\n{lines}"
    )
}

#[test]
fn replicas_belong_to_the_servers_that_they_are_listed_for() {
    let text = with(
        "  read_from: zone\n  zone: z1\n  read_your_writes: 50\n  replicas:\n    two: [r:1, r:2 z1, \"h:2 z2\", \"[::1]:7 z1\"]\n    one: []\n",
    );
    let config = load_text(&text).expect("it is valid");
    let settings = &config.pools[0].settings;
    let reads = settings.reads.as_deref().expect("replicas are read");
    assert_eq!(
        (reads.from, reads.own_writes),
        (ReadFrom::Zone, Duration::from_millis(50))
    );
    assert_eq!(reads.zone.as_deref(), Some("z1"));
    let own = |server: usize| {
        let replicas: &[ReplicaSettings] = &settings.servers[server].replication.replicas;
        let shown = replicas
            .iter()
            .map(|it| format!("{} {:?}", it.name, it.zone.as_deref()));
        shown.collect::<Vec<_>>()
    };
    assert!(own(0).is_empty());
    assert_eq!(
        own(1),
        ["r:1 None", "r:2 Some(\"z1\")", "[::1]:7 Some(\"z1\")"]
    );
    assert_eq!(settings.servers[1].replication.zone.as_deref(), Some("z2"));
}

#[test]
fn a_pool_without_read_from_has_no_reads_elsewhere() {
    let config = load_text(&with("")).expect("it is valid");
    assert!(config.pools[0].settings.reads.is_none());
}

#[test]
fn what_does_not_go_together_is_refused_where_it_stands() {
    let many: Vec<String> = (0..18).map(|port| format!("r:{}", port + 1)).collect();
    let many = format!(
        "  read_from: prefer_replica\n  replicas: {{one: [{}]}}\n",
        many.join(", ")
    );
    let cases = [
        (
            "  read_from: replicas\n",
            "n.yml:7:14: setting `read_from` is not a valid rule for reads",
        ),
        (
            "  read_from: prefer_replica\n",
            "n.yml:7:14: `read_from` needs `replicas`",
        ),
        (
            "  read_from: replica\n  replicas: {one: [r:1]}\n",
            "n.yml:7:14: server `two` has no replica, so that nothing could be read there",
        ),
        (
            "  read_from: zone\n  replicas: {one: [r:1]}\n",
            "n.yml:7:14: `read_from: zone` needs `zone`",
        ),
        (
            "  read_from: prefer_replica\n  replicas: {onw: [r:1]}\n",
            "n.yml:8:14: pool `a` has no server `onw`",
        ),
        (
            "  read_from: prefer_replica\n  replicas: {one: [r:1], one: [r:2]}\n",
            "n.yml:8:26: the replicas of `one` are listed twice",
        ),
        (
            "  read_from: prefer_replica\n  replicas: {one: [r:1, r:1 z]}\n",
            "n.yml:8:25: replica `r:1` is listed twice",
        ),
        (
            "  read_from: prefer_replica\n  replicas: {one: [r]}\n",
            "n.yml:8:20: replica `r` does not begin with `host:port`",
        ),
        (
            "  read_from: prefer_replica\n  replicas: {one: [\"r:1 a b\"]}\n",
            "n.yml:8:20: replica `r:1 a b` has more than a zone behind it",
        ),
        (
            "  read_from: prefer_replica\n  replicas: {one: r:1}\n",
            "n.yml:8:19: the replicas of `one` must be a list",
        ),
        (
            "  read_from: prefer_replica\n  replicas: [r:1]\n",
            "n.yml:8:13: setting `replicas` cannot be a list",
        ),
        (&many, "n.yml:8:19: `one` has more than 16 replicas"),
    ];
    for (more, expected) in cases {
        let report = load_text(&with(more)).expect_err(more);
        let found = lines(&report);
        assert_eq!(found.len(), 1, "{more:?}: {found:#?}");
        assert!(
            found[0].starts_with(expected),
            "{more:?}:\n{}\nnot\n{expected}",
            found[0]
        );
    }
}

#[test]
fn replicas_of_servers_that_are_found_are_not_listed() {
    let cluster =
        "a:\n  listen: 127.0.0.1:1\n  redis: true\n  cluster: [h:1]\n  read_from: replica\n";
    assert!(load_text(cluster).is_ok());
    let listed = format!("{cluster}  replicas: {{one: [r:1]}}\n");
    let found = lines(&load_text(&listed).expect_err("they are found out"));
    assert!(
        found[0].starts_with("n.yml:6:3: `replicas` needs a list of `servers`"),
        "{found:?}"
    );
    let srv = "a:\n  listen: 127.0.0.1:1\n  redis: true\n  servers: {srv: s.x}\n  read_from: prefer_replica\n";
    let found = lines(&load_text(srv).expect_err("nobody knows any"));
    let expected = "n.yml:5:14: no replicas are known of servers that are found in this way";
    assert!(found[0].starts_with(expected), "{found:?}");
}

#[test]
fn memcached_has_none() {
    let text = with("  read_from: master\n").replace("redis: true", "redis: false");
    let found = lines(&load_text(&text).expect_err("it is of Redis"));
    assert!(found[0].starts_with("n.yml:7:3: setting `read_from` is only valid for a redis pool"));
}
