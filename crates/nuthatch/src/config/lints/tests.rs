//! Each lint on a configuration that it is about, and on one that it is not; and the table.

use std::collections::HashSet;

use super::super::checked;
use super::super::overrides::Overrides;
use super::super::report::{Findings, Source};
use super::super::system::System;
use super::super::written;
use super::*;

/// Lines of a pool with servers that no lint finds anything in; a test puts further lines into it.
const SOUND: &str = "  listen: 127.0.0.1:1\n  timeout: 400\n";
const NAMED: &str = "  servers: [h:1:1 one, h:2:1 two, h:3:1 three]\n";

const PLENTY: u64 = 1 << 20;

fn checked(text: &str) -> Checked {
    let mut findings = Findings::default();
    let source = Source::new("n.yml", text);
    let root = written::read(&source, &mut findings.problems);
    let resolve = |host: &str, port: u16| {
        let ip: std::net::IpAddr = host.parse().expect("an address");
        Ok((ip, port).into())
    };
    let system = System {
        resolve: &resolve,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    let checked = checked::check(root, None, &Overrides::default(), system, &mut findings);
    checked.unwrap_or_else(|| panic!("{text}\n{:?}", findings.problems))
}

/// What is found, as `LINE:COLUMN NAME EVIDENCE`.
fn found_with(text: &str, descriptors: u64) -> Vec<String> {
    let findings = look(&checked(text), descriptors);
    let line = |it: &Finding| {
        format!(
            "{}:{} {} {}",
            it.position.line, it.position.column, it.lint, it.evidence
        )
    };
    findings.iter().map(line).collect()
}

/// What is found in a pool `p` with these lines from line 4 on.
fn found(lines: &str, servers: &str) -> Vec<String> {
    found_with(&format!("p:\n{SOUND}{lines}{servers}"), PLENTY)
}

/// That only this is found.
#[track_caller]
fn assert_found(lines: &str, servers: &str, expected: &[&str]) {
    assert_eq!(found(lines, servers), expected, "{lines}{servers}");
}

#[test]
fn nothing_is_found_where_nothing_is() {
    assert_found("", NAMED, &[]);
    assert_found("  redis: true\n", "  servers: [h:1:1]\n", &[]);
    let keeps = "  auto_eject_hosts: true\n  eject_policy: error\n";
    assert_found(keeps, NAMED, &[]);
    assert_found(&format!("{keeps}  distribution: modula\n"), NAMED, &[]);
}

#[test]
fn crc32_with_ketama() {
    assert_found(
        "  hash: crc32\n",
        NAMED,
        &[
            "4:3 crc32-with-ketama `crc32` has 32768 values, and `one` gets 100.0% of the keys; 2 of 3 servers get none",
        ],
    );
    assert_found("  hash: crc32\n  distribution: modula\n", NAMED, &[]);
    assert_found("  hash: crc32a\n", NAMED, &[]);
    // The warning at start says less, and is not repeated.
    let text = format!("p:\n{SOUND}  hash: crc32\n{NAMED}");
    assert!(checked(&text).config.warnings[0].contains("`crc32` with ketama puts nearly all keys"));
}

#[test]
fn unnamed_servers() {
    let servers = "  servers:\n    - h:1:1 one\n    - h:2:1\n    - h:3:2\n";
    let [found] = &found("", servers)[..] else {
        panic!("{:?}", found("", servers));
    };
    let start =
        "7:7 unnamed-servers 2 of 3 servers have no name; another address for `h:3`, which has ";
    assert!(found.starts_with(start), "{found}");
    // What is promised: the present address as the name moves nothing.
    let config = |servers: &str| checked(&format!("p:\n{SOUND}{servers}")).config;
    let named = servers
        .replace("h:2:1", "h:2:1 h:2")
        .replace("h:3:2", "h:3:2 h:3");
    let (old, new) = (config(servers), config(&named));
    let moved = crate::ring_diff::diff(&old.pools[0].settings, &new.pools[0].settings).moved;
    assert_eq!(moved, crate::ring_diff::Moved::Exact(0.0));
    assert_found("", &named, &[]);
    assert_found(
        "  distribution: random\n",
        servers,
        &[
            "4:3 weights-without-effect there are weights from 1 to 2, and `random` does not look at them",
        ],
    );
    assert_found("", "  servers: [h:1:1]\n", &[]);
}

#[test]
fn weights_that_do_not_arrive() {
    assert_found(
        "",
        "  servers:\n    - h:1:1000 one\n    - h:2:1 two\n",
        &[
            "6:7 weight-rounded-away `two` has the weight 1 of 1001, which is 0.1%, and gets 0 of 316 points, which is 0.0%",
        ],
    );
    assert_found("", "  servers:\n    - h:1:2 one\n    - h:2:1 two\n", &[]);
    // Modula's slots are exact.
    assert_found(
        "  distribution: modula\n",
        "  servers: [h:1:1000 one, h:2:1 two]\n",
        &[],
    );
}

#[test]
fn the_same_address_twice() {
    assert_found(
        "",
        "  servers:\n    - h:1:1 one\n    - h:1:1 two\n",
        &["6:7 same-address `one` and `two` have the same address h:1"],
    );
}

#[test]
fn servers_that_hang() {
    let text = format!("p:\n  listen: 127.0.0.1:1\n{NAMED}");
    assert_eq!(
        found_with(&text, PLENTY),
        [
            "1:1 no-timeout there is no `timeout`, so that requests to a silent server wait without limit"
        ]
    );
    assert_eq!(
        found_with(
            &text.replace("  servers", "  timeout: 0\n  servers"),
            PLENTY
        )
        .len(),
        1
    );
}

#[test]
fn ejections() {
    let eject = "  auto_eject_hosts: true\n";
    let [found] = &found(eject, NAMED)[..] else {
        panic!("{:?}", found(eject, NAMED));
    };
    let start = "4:3 remap-serves-old-values an ejection moves up to 3";
    assert!(
        found.starts_with(start) && found.ends_with("% of the keys for at least 30 s, and back"),
        "{found}"
    );
    // Of six hashes in a row only the last two stay.
    assert_found(
        &format!("{eject}  distribution: modula\n"),
        NAMED,
        &[
            "5:3 modula-with-ejection the ejection of `one`, which has 33.3% of the keys, moves 66.7% of all keys",
        ],
    );
    assert_found(
        &format!("{eject}  server_retry_timeout: 2500\n"),
        "  servers: [h:1:1]\n",
        &[
            "4:3 ejection-of-the-only-server 2 failures in a row make all requests fail for at least 2500 ms",
        ],
    );
    let keeps = format!("{eject}  eject_policy: miss\n");
    assert_found(
        &format!("{keeps}  server_failure_limit: 1\n"),
        NAMED,
        &["6:3 failure-limit-of-one a single failure takes a server out of use for at least 30 s"],
    );
    assert_found(
        &format!("{keeps}  retry_reads: true\n"),
        NAMED,
        &[
            "6:3 retry-below-failure-limit a read is sent 2 times at most, and 2 failures eject a server",
        ],
    );
    assert_found(
        &format!("{keeps}  server_retry_timeout: 400\n"),
        NAMED,
        &[
            "6:3 retry-timeout-below-timeout an ejected server may be used again after 400 ms, and requests wait for 400 ms",
        ],
    );
}

#[test]
fn a_failover_pool_of_the_same_servers() {
    let pool = |name: &str, port: u16, lines: &str, servers: &str| {
        format!(
            "{name}:\n  listen: 127.0.0.1:{port}\n  timeout: 400\n{lines}  servers: [{servers}]\n"
        )
    };
    let first = pool(
        "a",
        1,
        "  auto_eject_hosts: true\n  failover: b\n",
        "h:1:1 x, h:2:1 y",
    );
    let same = pool("b", 2, "", "h:2:1 p, h:3:1 q");
    let text = format!("{first}{same}");
    assert_eq!(
        found_with(&text, PLENTY),
        ["5:3 failover-to-same-servers 1 of 2 servers are in pool `b`, too, such as h:2"]
    );
    assert!(found_with(&text.replace("h:2:1 p", "h:4:1 p"), PLENTY).is_empty());
}

#[test]
fn descriptors() {
    let text = format!(
        "p:\n{SOUND}  redis: true\n  server_connections: 10\n{NAMED}nuthatch:\n  workers: 4\n"
    );
    // 4 workers times 3 servers times 10 connections for each of 2 versions, and 2 of the proxy's own.
    let needed = 4 * 3 * (10 * 2 + 2);
    let total = needed + 1 + 4 * 2 + 32;
    assert_eq!(
        found_with(&text, total),
        [format!(
            "5:3 too-few-descriptors {needed} server connections (4 workers) need {total} descriptors, and the limit is {total}"
        )]
    );
    assert!(found_with(&text, total + 1).is_empty());
    // Clients count where their number is limited, and a lease for each of them.
    let text = text.replace("workers: 4", "workers: 4\n  max_clients: 100");
    assert!(found_with(&text, total + 200).is_empty());
    let [found] = &found_with(&text, total + 199)[..] else {
        panic!("{:?}", found_with(&text, total + 199));
    };
    let start = "5:3 too-few-descriptors 100 clients are allowed, up to 100 of them with a connection of their own";
    assert!(found.starts_with(start), "{found}");
    // There cannot be more leases than `leased_connections` allows.
    let text = text.replace(
        "  redis: true\n",
        "  redis: true\n  leased_connections: 1\n",
    );
    assert!(found_with(&text, total + 112).is_empty());
    assert_eq!(found_with(&text, total + 111).len(), 1);
}

#[test]
fn too_few_server_connections_for_one_worker() {
    let text = |total: u64| {
        format!("p:\n{SOUND}{NAMED}nuthatch:\n  workers: 4\n  server_connections_total: {total}\n")
    };
    assert_eq!(
        found_with(&text(2), PLENTY),
        [
            "1:1 too-few-server-connections all pools need 3 connections to servers, and `server_connections_total` is 2"
        ]
    );
    for total in [0, 3, 100] {
        assert!(found_with(&text(total), PLENTY).is_empty());
    }
    // It bounds what descriptors are needed for: 3 of clients and 12 of probes, the listener, 4 workers, and the reserve.
    let needed = 3 + 12 + 1 + 8 + 32;
    assert!(found_with(&text(3), needed + 1).is_empty());
    assert_eq!(found_with(&text(3), needed).len(), 1);
}

#[test]
fn what_is_warned_of_at_start() {
    assert_found(
        "  connect_timeout: 500\n",
        NAMED,
        &[
            "4:3 warned-at-start pool `p`: `connect_timeout` has no effect for requests, as those that wait for a connection \
           wait no longer than `timeout`",
        ],
    );
}

#[test]
fn findings_are_in_the_order_of_the_file_and_show_their_place() {
    let text =
        format!("p:\n  listen: 127.0.0.1:1\n  hash: crc32\n  auto_eject_hosts: true\n{NAMED}");
    let findings = look(&checked(&text), PLENTY);
    let names: Vec<&str> = findings.iter().map(|it| it.lint).collect();
    assert_eq!(
        names,
        ["no-timeout", "crc32-with-ketama", "remap-serves-old-values"]
    );
    let shown = findings[1].shown("error").to_string();
    let expected = "n.yml:3:3: error[crc32-with-ketama]: pool `p`: `crc32` has 32768 values, and `one` gets 100.0% of the \
                    keys; 2 of 3 servers get none\n 3 |   hash: crc32\n   |   ^^^^\n  = nearly all keys are on one server, \
                    and the others are idle\n  = `hash: crc32a` spreads the keys, but moves them; `nuthatch ring diff` \
                    tells how many\n";
    assert_eq!(shown, expected);
    // The page shows the same.
    assert!(page().contains(&expected.replace("error", "warning")));
}

/// A row without a test of its own would be a lint that nobody has seen.
#[test]
fn every_row_is_tested_and_well_formed() {
    let tests = include_str!("tests.rs");
    let mut names = HashSet::new();
    for lint in LINTS {
        let name = lint.name;
        assert!(names.insert(name), "{name} is there twice");
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        );
        assert!(
            tests.contains(&format!(":3 {name} "))
                || tests.contains(&format!(":7 {name} "))
                || tests.contains(&format!(":1 {name} ")),
            "{name}"
        );
        assert!(lint.finds.ends_with('.'), "{name}");
        for text in [lint.consequence, lint.cure] {
            assert!(!text.ends_with('.'), "{name}");
            assert_eq!(text.is_empty(), name == "warned-at-start", "{name}");
        }
    }
}
