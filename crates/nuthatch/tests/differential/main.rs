//! Sends the same traffic through Debian's nutcracker and through Nuthatch, each in front of an equal set of
//! real servers: the replies must be identical. Intended differences are rows of docs/compatibility.md.
//!
//! `NUTHATCH_DIFF_SEEDS=n` runs n seeds of random traffic, `NUTHATCH_DIFF_SEED=n` runs only seed n.

mod compare;
mod compatibility_table;
mod excuses;
mod fake;
mod frames;
mod line;
mod memcached_traffic;
mod nutcracker;
mod proxy_pair;
mod redis_traffic;
mod request;
mod scenarios;
mod seed;
mod wire;

use compatibility_table::Proof;
use scenarios::Scenario;

/// Runs a scenario (unless another test has) and fails with what was found.
fn expect_no_difference(scenario: &Scenario) {
    let report = scenario.report();
    if let Some(reason) = report.skipped {
        testkit::skip!("{reason}");
    }
    let count = report.failures.len();
    assert!(
        count == 0,
        "{count} differences without an excuse:\n\n{}\n",
        report.failures.join("\n\n")
    );
}

#[test]
fn random_redis_traffic_is_answered_alike() {
    expect_no_difference(&scenarios::RANDOM_REDIS);
}

#[test]
fn random_memcached_traffic_is_answered_alike() {
    expect_no_difference(&scenarios::RANDOM_MEMCACHED);
}

#[test]
fn odd_redis_requests_differ_as_documented() {
    expect_no_difference(&scenarios::ODD_REDIS);
}

#[test]
fn odd_memcached_requests_differ_as_documented() {
    expect_no_difference(&scenarios::ODD_MEMCACHED);
}

#[test]
fn redis_keys_written_through_one_proxy_are_found_through_the_other() {
    expect_no_difference(&scenarios::PLACED_REDIS);
}

#[test]
fn memcached_keys_written_through_one_proxy_are_found_through_the_other() {
    expect_no_difference(&scenarios::PLACED_MEMCACHED);
}

#[test]
fn failing_redis_servers_are_reported_alike() {
    expect_no_difference(&scenarios::FAILING_REDIS);
}

#[test]
fn failing_memcached_servers_are_reported_alike() {
    expect_no_difference(&scenarios::FAILING_MEMCACHED);
}

#[test]
fn strange_replies_of_redis_servers_are_passed_on_alike() {
    expect_no_difference(&scenarios::REDIS_REPLIES);
}

#[test]
fn strange_replies_of_memcached_servers_are_passed_on_alike() {
    expect_no_difference(&scenarios::MEMCACHED_REPLIES);
}

#[test]
fn settings_mean_the_same() {
    expect_no_difference(&scenarios::SETTINGS);
}

#[test]
fn nutcracker_does_not_differ_from_itself() {
    expect_no_difference(&scenarios::ITSELF);
}

#[test]
fn the_document_and_the_excuses_name_each_other() {
    let rows = compatibility_table::rows();
    let mut ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands there twice");
    let mut documented: Vec<_> = rows
        .iter()
        .filter(|row| row.proof == Proof::Differential)
        .map(|row| row.id.as_str())
        .collect();
    documented.sort_unstable();
    let mut known = excuses::ids();
    known.sort_unstable();
    assert_eq!(
        documented, known,
        "the rows tested by these runs, and the excuses"
    );
}

#[test]
fn the_tests_that_the_document_names_exist() {
    for row in compatibility_table::rows() {
        let Proof::Test { file, function } = &row.proof else {
            continue;
        };
        let text = std::fs::read_to_string(compatibility_table::root().join(file))
            .unwrap_or_else(|error| panic!("{}: {}: {error}", row.id, file.display()));
        assert!(
            text.contains(&format!("fn {function}(")),
            "{}: no {function} in {}",
            row.id,
            file.display()
        );
    }
}

#[test]
fn every_excuse_was_needed() {
    if seed::is_replay() {
        return;
    }
    let reports: Vec<_> = scenarios::all().into_iter().map(Scenario::report).collect();
    if let Some(reason) = reports.iter().find_map(|report| report.skipped) {
        testkit::skip!("{reason}");
    }
    for id in excuses::ids() {
        assert!(
            reports.iter().any(|report| report.excuses.contains(&id)),
            "{id} is documented, and nothing that was played needed it"
        );
    }
}
