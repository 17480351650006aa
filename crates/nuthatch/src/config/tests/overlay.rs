//! The overlay, and the precedence: flag, environment, overlay, file, default.

use std::time::Duration;

use proxy::settings::{CrossShard, ProtocolSettings};

use super::super::table::{Scope, find};
use super::super::{Config, Overrides, Report, Workers};
use super::{lines, load_texts};

const FILE: &str = "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  servers: [h:1:1]\n";

fn overlaid(file: &str, overlay: &str) -> Result<Config, Report> {
    load_texts(file, Some(overlay), &Overrides::default())
}

fn cross_shard(config: &Config) -> CrossShard {
    match &config.pools[0].settings.protocol {
        ProtocolSettings::Redis(redis) => redis.cross_shard,
        ProtocolSettings::Memcached(_) => panic!("a Redis pool"),
    }
}

#[test]
fn an_overlay_adds_and_replaces() {
    let config = overlaid(
        FILE,
        "alpha:\n  cross_shard: error\nnuthatch:\n  workers: 3\n",
    )
    .expect("sound");
    assert_eq!(cross_shard(&config), CrossShard::Error);
    assert_eq!(config.globals.workers, Workers::Count(3));

    let file = format!("{FILE}  cross_shard: error\n  allow_flush: true\n");
    let config = overlaid(&file, "alpha:\n  cross_shard: first_key\n").expect("sound");
    assert_eq!(cross_shard(&config), CrossShard::FirstKey);
    assert!(
        config.pools[0].settings.allow_flush,
        "what the overlay does not name is kept"
    );
}

#[test]
fn an_empty_overlay_says_nothing() {
    assert!(overlaid(FILE, "# nothing\n").is_ok());
}

#[test]
fn the_order_of_precedence() {
    let file = format!("{FILE}nuthatch:\n  workers: 2\n");
    let overlay = "nuthatch:\n  workers: 3\n";
    let workers = find(Scope::Global, "workers").expect("a setting");
    let mut overrides = Overrides::default();
    let count = |text: &str, overlay, overrides: &Overrides| {
        let config = load_texts(text, overlay, overrides).expect("sound");
        config.globals.workers
    };
    assert_eq!(count(FILE, None, &overrides), Workers::Count(1));
    assert_eq!(count(&file, None, &overrides), Workers::Count(2));
    assert_eq!(count(&file, Some(overlay), &overrides), Workers::Count(3));
    overrides.set(workers, "4").expect("a number");
    assert_eq!(count(&file, Some(overlay), &overrides), Workers::Count(4));
    overrides.set(workers, "auto").expect("a value");
    assert_eq!(count(&file, Some(overlay), &overrides), Workers::Auto);
    assert!(overrides.set(workers, "none").is_err());
    assert_eq!(count(&file, Some(overlay), &overrides), Workers::Auto);
}

#[test]
fn a_pool_may_be_called_nuthatch() {
    let file = FILE.replace("alpha", "nuthatch");
    let overlay = "nuthatch:\n  workers: 2\n  shutdown_timeout: 7\n  cross_shard: error\n";
    let config = overlaid(&file, overlay).expect("sound");
    assert_eq!(config.pools[0].settings.name, "nuthatch");
    assert_eq!(cross_shard(&config), CrossShard::Error);
    assert_eq!(config.globals.workers, Workers::Count(2));
    assert_eq!(config.globals.shutdown_timeout, Duration::from_millis(7));

    let report = overlaid(FILE, overlay).expect_err("no such pool here");
    assert_eq!(
        lines(&report),
        ["o.yml:4:3: setting `cross_shard` is unknown in `nuthatch`"]
    );
}

#[test]
fn what_an_overlay_may_not_say() {
    for (overlay, expected, help) in [
        (
            "alhpa:\n  resp3: off\n",
            "o.yml:1:1: pool `alhpa` is not in the configuration file",
            "did you mean `alpha`?",
        ),
        (
            "alpha:\n  timeout: 3\n",
            "o.yml:2:3: `timeout` is a setting of twemproxy's",
            "change it in the configuration file",
        ),
        (
            "alpha:\n  cros_shard: error\n",
            "o.yml:2:3: setting `cros_shard` is unknown in pool `alpha`",
            "did you mean `cross_shard`?",
        ),
        (
            "alpha:\n  cross_shard: maybe\n",
            "o.yml:2:16: setting `cross_shard` is not a valid cross_shard policy: `maybe`",
            "expected one of: auto, first_key, error",
        ),
        (
            "alpha:\n  max_value: 1m\n",
            "o.yml:2:3: setting `max_value` is only valid for a memcached pool",
            "remove it",
        ),
        (
            "alpha: 3\n",
            "o.yml:1:8: `alpha` must be a mapping of settings",
            "a pool is",
        ),
        ("a: [\n", "o.yml:", ""),
    ] {
        let report = overlaid(FILE, overlay).expect_err(overlay);
        let found = lines(&report);
        assert_eq!(found.len(), 1, "{overlay}: {found:#?}");
        assert!(found[0].starts_with(expected), "{}", found[0]);
        assert!(report.to_string().contains(help), "{report}");
    }
}

#[test]
fn errors_of_both_files_are_reported_at_once() {
    let report =
        overlaid(&format!("{FILE}  timeout: x\n"), "alpha:\n  resp3: x\n").expect_err("errors");
    let found = lines(&report);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("n.yml:5:12") && found[1].starts_with("o.yml:2:10"),
        "{found:#?}"
    );
}

#[test]
fn an_overlay_says_nothing_of_pools_that_could_not_be_read() {
    let report = overlaid("alpha:\n  listen: [\n", "beta:\n  resp3: off\n").expect_err("errors");
    assert!(!report.to_string().contains("beta"), "{report}");
}
