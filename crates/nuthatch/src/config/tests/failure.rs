//! The settings about failures: what they mean, and which combinations are refused.

use std::time::Duration;

use proxy::settings::{EjectPolicy, FailoverSettings, FailurePolicy, TimeoutAction};

use super::super::Config;
use super::{lines, load_text, load_texts};
use crate::config::Overrides;

fn text(settings: &[&str]) -> String {
    let settings: String = settings.iter().map(|line| format!("  {line}\n")).collect();
    format!("p:\n  listen: 127.0.0.1:1\n{settings}  servers: [h:1:1]\n")
}

fn sound(settings: &[&str]) -> Config {
    load_text(&text(settings)).unwrap_or_else(|report| panic!("{report}"))
}

fn policy(settings: &[&str]) -> FailurePolicy {
    sound(settings).pools[0].settings.failure.clone()
}

#[test]
fn unless_told_otherwise_only_the_probe_differs_from_nutcracker() {
    let expected = FailurePolicy {
        eject: EjectPolicy::Remap,
        probe: true,
        connect_timeout: None,
        timeout_action: TimeoutAction::Close,
        client_idle_timeout: None,
        client_request_timeout: None,
        retry_reads: false,
        failover: None,
    };
    assert_eq!(policy(&[]), expected);
    assert_eq!(FailurePolicy::default(), expected);
}

#[test]
fn every_setting_of_failure_arrives() {
    let millis = |millis| Some(Duration::from_millis(millis));
    let config = sound(&[
        "timeout: 400",
        "auto_eject_hosts: true",
        "eject_policy: miss",
        "probe: false",
        "connect_timeout: 100",
        "timeout_action: answer",
        "client_idle_timeout: 60000",
        "client_request_timeout: 5000",
        "retry_reads: true",
    ]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let expected = FailurePolicy {
        eject: EjectPolicy::Miss,
        probe: false,
        connect_timeout: millis(100),
        timeout_action: TimeoutAction::Answer,
        client_idle_timeout: millis(60_000),
        client_request_timeout: millis(5_000),
        retry_reads: true,
        failover: None,
    };
    assert_eq!(config.pools[0].settings.failure, expected);
    assert_eq!(
        policy(&["auto_eject_hosts: true", "eject_policy: error"]).eject,
        EjectPolicy::Error
    );
}

#[test]
fn a_time_of_0_sets_no_limit() {
    let all = [
        "connect_timeout: 0",
        "client_idle_timeout: 0",
        "client_request_timeout: 0",
    ];
    assert_eq!(policy(&all), FailurePolicy::default());
    let settings = sound(&["server_retry_timeout: 0"]).pools[0]
        .settings
        .clone();
    assert_eq!(settings.server_retry_timeout, Duration::ZERO);
}

#[test]
fn settings_without_effect_are_warned_of() {
    for (settings, warning) in [
        (
            &["eject_policy: error"][..],
            "n.yml:3:3: warning: pool `p`: `eject_policy` has no effect without `auto_eject_hosts: true`",
        ),
        (
            &["probe: false"],
            "n.yml:3:3: warning: pool `p`: `probe` has no effect without `auto_eject_hosts: true`",
        ),
        (
            &["failover_ttl: 5"],
            "n.yml:3:3: warning: pool `p`: `failover_ttl` has no effect without `failover`",
        ),
        (
            &["timeout_action: answer"],
            "n.yml:3:3: warning: pool `p`: `timeout_action` has no effect without `timeout`",
        ),
        (
            &["timeout_action: answer", "timeout: 0"],
            "`timeout_action` has no effect without `timeout`",
        ),
        (
            &["timeout: 100", "connect_timeout: 100"],
            "n.yml:4:3: warning: pool `p`: `connect_timeout` has no effect for requests",
        ),
    ] {
        let warnings = sound(settings).warnings;
        assert_eq!(warnings.len(), 1, "{settings:?}: {warnings:?}");
        assert!(warnings[0].contains(warning), "{settings:?}: {warnings:?}");
    }
    for settings in [
        &["timeout_action: close"][..],
        &["connect_timeout: 100"],
        &["timeout: 101", "connect_timeout: 100"],
    ] {
        let warnings = sound(settings).warnings;
        assert!(warnings.is_empty(), "{settings:?}: {warnings:?}");
    }
}

#[test]
fn keys_cannot_stay_where_they_have_no_server() {
    for policy in ["error", "miss"] {
        let line = format!("eject_policy: {policy}");
        let report = load_text(&text(&[
            "auto_eject_hosts: true",
            "distribution: random",
            &line,
        ]))
        .expect_err("keys without servers");
        assert_eq!(
            lines(&report),
            [format!(
                "n.yml:5:17: `eject_policy: {policy}` keeps keys with their servers, and with \
                 `distribution: random` they have none"
            )]
        );
    }
    policy(&[
        "auto_eject_hosts: true",
        "distribution: random",
        "eject_policy: remap",
    ]);
}

#[test]
fn bad_values_of_failure_settings() {
    for (line, expected) in [
        (
            "eject_policy: drop",
            "n.yml:3:17: setting `eject_policy` is not a valid eject_policy: `drop`",
        ),
        (
            "timeout_action: anser",
            "n.yml:3:19: setting `timeout_action` is not a valid timeout_action: `anser`",
        ),
        ("probe: maybe", "n.yml:3:10: setting `probe` "),
        (
            "connect_timeout: -1",
            "n.yml:3:20: setting `connect_timeout` ",
        ),
        (
            "client_idle_timeout: 99999999999",
            "n.yml:3:24: setting `client_idle_timeout` ",
        ),
    ] {
        let report = load_text(&text(&[line])).expect_err(line);
        let found = lines(&report);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:#?}"
        );
    }
}

/// Pool `p` with these settings, and others: `gutter`, `mc` (memcached), `chain` (has a failover), `chance`
/// (keys have no server).
fn with_others(settings: &[&str]) -> String {
    let other = |name: &str, port: u16, lines: &str| {
        format!("{name}:\n  listen: 127.0.0.1:{port}\n  servers: [h:2:1]\n{lines}")
    };
    let eject = "  redis: true\n  auto_eject_hosts: true\n";
    let settings: String = settings.iter().map(|line| format!("  {line}\n")).collect();
    [
        format!("p:\n  listen: 127.0.0.1:1\n  redis: true\n{settings}  servers: [h:1:1]\n"),
        other("gutter", 2, "  redis: true\n"),
        other("mc", 3, ""),
        other("chain", 4, &format!("{eject}  failover: gutter\n")),
        other("chance", 5, "  redis: true\n  distribution: random\n"),
    ]
    .concat()
}

#[test]
fn a_failover_pool_arrives_with_its_limit() {
    let text = with_others(&["auto_eject_hosts: true", "failover: gutter"]);
    let config = load_text(&text).unwrap_or_else(|report| panic!("{report}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let pool = |name: &str| {
        let is_it = |pool: &&crate::config::PoolConfig| pool.settings.name == name;
        config.pools.iter().find(is_it).expect("it is there")
    };
    let failover = pool("p").settings.failure.failover.clone();
    let expected = FailoverSettings {
        pool: "gutter".into(),
        seconds: 60,
    };
    assert_eq!(failover, Some(expected));
    let other = config.failover_of(pool("p")).expect("it was found");
    assert_eq!(config.pools[other].settings.name, "gutter");
    assert_eq!(config.failover_of(pool("gutter")), None);
}

#[test]
fn a_failover_may_stand_in_an_overlay() {
    let overlay = "p:\n  failover: gutter\n  failover_ttl: 5\n";
    let text = with_others(&["auto_eject_hosts: true"]);
    let config = load_texts(&text, Some(overlay), &Overrides::default());
    let config = config.unwrap_or_else(|report| panic!("{report}"));
    let failover = config.pools[0].settings.failure.failover.as_ref();
    assert_eq!(failover.map(|failover| failover.seconds), Some(5));
    let report = load_texts(&with_others(&[]), Some(overlay), &Overrides::default())
        .expect_err("nothing is ejected");
    assert_eq!(
        lines(&report),
        ["o.yml:2:3: `failover` needs `auto_eject_hosts: true`"]
    );
}

#[test]
fn failovers_that_cannot_be() {
    let eject = "auto_eject_hosts: true";
    for (settings, expected, help) in [
        (
            &["failover: gutter"][..],
            "n.yml:4:3: `failover` needs `auto_eject_hosts: true`",
            "add it to pool `p`",
        ),
        (
            &[eject, "failover: gutta"],
            "n.yml:5:13: there is no pool `gutta`",
            "did you mean `gutter`?",
        ),
        (
            &[eject, "failover: p"],
            "n.yml:5:13: pool `p` cannot be its own failover",
            "name another pool",
        ),
        (
            &[eject, "failover: mc"],
            "n.yml:5:13: pool `mc` speaks memcached, and `p` Redis",
            "name a pool of the same protocol",
        ),
        (
            &[eject, "failover: chain"],
            "n.yml:5:13: pool `chain` has a failover itself",
            "remove `failover` from `chain`",
        ),
        (
            &[eject, "failover: chance"],
            "n.yml:5:13: pool `chance` has `distribution: random`",
            "name a pool with another distribution",
        ),
        (
            &[eject, "failover: gutter", "distribution: random"],
            "n.yml:5:3: `failover` needs keys that have a server",
            "use another distribution",
        ),
        (
            &[eject, "failover: gutter", "failover_ttl: 0"],
            "n.yml:6:17: setting `failover_ttl` ",
            "1 to 2592000",
        ),
        (
            &[eject, "failover: gutter", "failover_ttl: 2592001"],
            "n.yml:6:17: setting `failover_ttl` ",
            "1 to 2592000",
        ),
    ] {
        let report = load_text(&with_others(settings)).expect_err(expected);
        let found = lines(&report);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:#?}"
        );
        let text = report.to_string();
        assert!(text.contains(help), "{text}");
    }
}
