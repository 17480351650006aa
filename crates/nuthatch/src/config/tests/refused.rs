//! Configurations that are refused: every kind of error that nutcracker reports, and ours.

use super::super::load;
use super::{lines, load_text};
use crate::config::Overrides;

/// A pool with one more line, which is line 3.
fn with(line: &str) -> String {
    format!("a:\n  listen: 127.0.0.1:1\n{line}\n  servers:\n    - h:1:1\n")
}

/// Each text is refused with exactly one problem, which begins with the given text.
fn assert_refused(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let report = load_text(text).expect_err(text);
        let found = lines(&report);
        assert_eq!(found.len(), 1, "{text:?}: {found:#?}");
        assert!(
            found[0].starts_with(expected),
            "{text:?}:\n{}\nnot\n{expected}",
            found[0]
        );
    }
}

/// The same for one line in a pool.
fn assert_line_refused(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_refused(&[(&with(line), expected)]);
    }
}

#[test]
fn files_that_are_no_configuration() {
    assert_refused(&[
        ("", "the configuration has no pools"),
        ("# nothing\n", "the configuration has no pools"),
        ("---\n", "n.yml:"),
        ("alpha\n", "n.yml:1:1: the file must be a mapping of pools"),
        (
            "- a\n- b\n",
            "n.yml:1:1: the file must be a mapping of pools",
        ),
        ("a: b\n", "n.yml:1:4: `a` must be a mapping of settings"),
        ("a:\n", "n.yml:1:1: `a` has no settings"),
        ("a: [1]\n", "n.yml:1:4: `a` must be a mapping of settings"),
        (
            "redis: true\n",
            "n.yml:1:1: setting `redis` stands outside of a pool",
        ),
        (
            "nuthatch:\n  workers: 2\n",
            "n.yml:1:1: the file has no pools",
        ),
        ("\"\":\n  redis: true\n", "n.yml:1:1: a pool needs a name"),
    ]);
}

#[test]
fn files_that_are_no_yaml() {
    for (text, expected) in [
        ("a:\n\tlisten: x\n", "n.yml:2:"),
        ("a:\n  listen: \"x\n", "n.yml:"),
        ("a:\n  listen: x: y\n", "n.yml:2:"),
        ("a: &x\n  listen: *y\n", "n.yml:2:11"),
        ("a: [\n", "n.yml:"),
        ("a: b\n}\n", "n.yml:"),
        ("a:\n  listen: @x\n", "n.yml:2:11"),
    ] {
        let report = load_text(text).expect_err(text);
        let found = lines(&report);
        assert!(
            found
                .iter()
                .any(|line| line.starts_with(expected) && line.contains("YAML")),
            "{found:#?}"
        );
    }
}

#[test]
fn files_that_cannot_be_read() {
    let report = load("no/such.yml".as_ref(), None, &Overrides::default()).expect_err("no file");
    let expected = "failed to open configuration 'no/such.yml': No such file or directory\n";
    assert_eq!(report.to_string(), expected);

    let report = load("/".as_ref(), None, &Overrides::default()).expect_err("a folder");
    assert!(
        report
            .to_string()
            .starts_with("failed to open configuration '/': Is a directory")
    );

    let temp = tempfile::tempdir().expect("a folder");
    let file = temp.path().join("n.yml");
    std::fs::write(&file, b"a:\n  b: \xff\n").expect("the file");
    let report = load(&file, None, &Overrides::default()).expect_err("not text");
    assert!(
        report.to_string().contains("it is not UTF-8 text (line 2)"),
        "{report}"
    );

    std::fs::write(&file, " ".repeat(5 << 20)).expect("the file");
    let report = load(&file, None, &Overrides::default()).expect_err("too large");
    assert!(
        report
            .to_string()
            .contains("it is larger than 4194304 bytes"),
        "{report}"
    );
}

#[test]
fn pools_that_lack_something() {
    assert_refused(&[
        (
            "a:\n  listen: 127.0.0.1:1\n",
            "n.yml:1:1: setting `servers` is missing in pool `a`",
        ),
        (
            "a:\n  servers:\n    - h:1:1\n",
            "n.yml:1:1: setting `listen` is missing in pool `a`",
        ),
        (
            "a:\n  listen: 127.0.0.1:1\n  servers:\n",
            "n.yml:3:3: setting `servers` has no value",
        ),
        (
            "a:\n  listen: 127.0.0.1:1\n  servers: []\n",
            "n.yml:3:3: pool `a` has no servers",
        ),
        (
            "a:\n  listen: 127.0.0.1:1\n  servers: h:1:1\n",
            "n.yml:3:12: setting `servers` is not a list",
        ),
        (
            "a:\n  listen: 127.0.0.1:1\n  servers:\n    - h:1:1\n    -\n",
            "n.yml:5:6: a server is missing after the dash",
        ),
        (
            "a:\n  listen: 127.0.0.1:1\n  servers:\n    - h:1:1\n    - [h]\n",
            "n.yml:5:7: a server must be one line of text",
        ),
    ]);
}

#[test]
fn settings_with_bad_values() {
    assert_line_refused(&[
        (
            "  redis: True",
            "n.yml:3:10: setting `redis` is not \"true\" or \"false\"",
        ),
        (
            "  preconnect: yes",
            "n.yml:3:15: setting `preconnect` is not \"true\" or \"false\"",
        ),
        (
            "  auto_eject_hosts: 1",
            "n.yml:3:21: setting `auto_eject_hosts` is not \"true\"",
        ),
        (
            "  tcpkeepalive: on",
            "n.yml:3:17: setting `tcpkeepalive` is not \"true\"",
        ),
        (
            "  reuseport: TRUE",
            "n.yml:3:14: setting `reuseport` is not \"true\"",
        ),
        (
            "  hash: FNV1A_64",
            "n.yml:3:9: setting `hash` is not a valid hash: `FNV1A_64`",
        ),
        (
            "  hash_tag: \"{\"",
            "n.yml:3:13: setting `hash_tag` is not a valid hash tag string",
        ),
        (
            "  hash_tag: é€",
            "n.yml:3:13: setting `hash_tag` is not a valid hash tag string",
        ),
        (
            "  hash_tag: {}",
            "n.yml:3:13: setting `hash_tag` cannot be a mapping",
        ),
        (
            "  distribution: consistent",
            "n.yml:3:17: setting `distribution` is not a valid distribution",
        ),
        (
            "  timeout: -1",
            "n.yml:3:12: setting `timeout` is not a number",
        ),
        (
            "  timeout: 400ms",
            "n.yml:3:12: setting `timeout` is not a number",
        ),
        (
            "  timeout: 2147483648",
            "n.yml:3:12: setting `timeout` is too large",
        ),
        (
            "  timeout: \"\"",
            "n.yml:3:3: setting `timeout` has no value",
        ),
        ("  timeout:", "n.yml:3:3: setting `timeout` has no value"),
        (
            "  backlog: 1.5",
            "n.yml:3:12: setting `backlog` is not a number",
        ),
        (
            "  client_connections: x",
            "n.yml:3:23: setting `client_connections` is not a number",
        ),
    ]);
}

#[test]
fn numbers_and_settings_of_ours_with_bad_values() {
    assert_line_refused(&[
        (
            "  server_connections: 0",
            "n.yml:3:23: setting `server_connections` cannot be 0",
        ),
        (
            "  server_connections: 65536",
            "n.yml:3:23: setting `server_connections` is too large",
        ),
        (
            "  server_retry_timeout: 0x10",
            "n.yml:3:25: setting `server_retry_timeout` is not a number",
        ),
        (
            "  server_failure_limit: 99999999999999999999",
            "n.yml:3:25: setting `server_failure_limit` is too large",
        ),
        (
            "  redis_db: -0",
            "n.yml:3:13: setting `redis_db` is not a number",
        ),
        (
            "  redis: true\n  redis_auth: \"\"",
            "n.yml:4:3: setting `redis_auth` has no value",
        ),
        (
            "  hash_char: maybe",
            "n.yml:3:14: setting `hash_char` is not a valid hash_char",
        ),
        (
            "  allow_flush: y",
            "n.yml:3:16: setting `allow_flush` is not \"true\"",
        ),
        (
            "  error_detail: y",
            "n.yml:3:17: setting `error_detail` is not \"true\"",
        ),
        (
            "  max_value: 17g",
            "n.yml:3:14: setting `max_value` is too large",
        ),
        (
            "  max_value: 0",
            "n.yml:3:14: setting `max_value` cannot be 0",
        ),
        (
            "  max_value: 1t",
            "n.yml:3:14: setting `max_value` is not a number",
        ),
        (
            "  listen: 127.0.0.1:2",
            "n.yml:3:3: setting `listen` is a duplicate in pool `a`",
        ),
        (
            "  redis: {a: b}",
            "n.yml:3:10: setting `redis` cannot be a mapping",
        ),
        (
            "  redis: [true]",
            "n.yml:3:10: setting `redis` cannot be a list",
        ),
    ]);
}

#[test]
fn settings_of_redis_pools_with_bad_values() {
    for name in [
        "cross_shard",
        "resp3",
        "redis_db_fixed",
        "redis_version",
        "ask_version",
    ] {
        let report =
            load_text(&with(&format!("  redis: true\n  {name}: nonsense"))).expect_err(name);
        assert!(
            lines(&report)[0].contains(&format!("setting `{name}` is not")),
            "{report}"
        );
    }
}

#[test]
fn settings_in_the_wrong_place() {
    assert_line_refused(&[
        (
            "  hahs: md5",
            "n.yml:3:3: setting `hahs` is unknown in pool `a`",
        ),
        (
            "  workers: 2",
            "n.yml:3:3: setting `workers` is unknown in pool `a`",
        ),
        (
            "  redis_auth: x",
            "n.yml:3:3: setting `redis_auth` is only valid for a redis pool",
        ),
        (
            "  cross_shard: error",
            "n.yml:3:3: setting `cross_shard` is only valid for a redis pool",
        ),
        (
            "  resp3: off",
            "n.yml:3:3: setting `resp3` is only valid for a redis pool",
        ),
        (
            "  redis_db_fixed: true",
            "n.yml:3:3: setting `redis_db_fixed` is only valid for a redis pool",
        ),
        (
            "  redis: true\n  max_value: 1m",
            "n.yml:4:3: setting `max_value` is only valid for a memcached pool",
        ),
    ]);
    assert_refused(&[
        (
            &format!("{}nuthatch:\n  redis: true\n", with("")),
            "n.yml:7:3: setting `redis` is unknown in `nuthatch`",
        ),
        (
            &format!("{}nuthatch:\n  wrokers: 2\n", with("")),
            "n.yml:7:3: setting `wrokers` is unknown in `nuthatch`",
        ),
        (
            &format!("{}nuthatch: 3\n", with("")),
            "n.yml:6:11: `nuthatch` must be a mapping",
        ),
        (
            &format!("{}nuthatch:\n  workers: 0\n", with("")),
            "n.yml:7:12: setting `workers` cannot be 0",
        ),
        (
            &format!("{}nuthatch:\n  shutdown_timeout: 5s\n", with("")),
            "n.yml:7:21: setting `shutdown_timeout` is not a number",
        ),
    ]);
}

#[test]
fn advice_is_given() {
    for (line, help) in [
        (
            "  servr_connections: 2",
            "did you mean `server_connections`?",
        ),
        (
            "  workers: 2",
            "it belongs under the top-level key `nuthatch:`",
        ),
        (
            "  Server-Connections: 2",
            "did you mean `server_connections`?",
        ),
        ("  hash: murmr", "did you mean `murmur`?"),
        // `fnv1_64` has the same edit distance, and would move every key.
        ("  hash: fnv1a64", "did you mean `fnv1a_64`?"),
        ("  hash: FNV1A-64", "did you mean `fnv1a_64`?"),
        ("  hash: crc-32a", "did you mean `crc32a`?"),
        ("  hash: crc32b", "  = expected one of: one_at_a_time, md5,"),
        ("  distribution: Ketama", "did you mean `ketama`?"),
        ("  hash_tag: {}", "quote it: \"{}\""),
        ("  redis_auth: x", "set `redis: true`, or remove it"),
    ] {
        let report = load_text(&with(line)).expect_err(line);
        assert!(report.to_string().contains(help), "{report}");
    }
}

#[test]
fn bad_servers() {
    let servers = |lines: &str| format!("a:\n  listen: 127.0.0.1:1\n  servers:\n{lines}");
    for (line, expected) in [
        ("    - h:1\n", "n.yml:4:7: server `h:1` is not a server"),
        (
            "    - h:1:0\n",
            "n.yml:4:11: server `h:1:0` has a zero weight",
        ),
        (
            "    - h:1:-1 n\n",
            "n.yml:4:11: server `h:1:-1 n` has an invalid weight",
        ),
        (
            "    - \"h:0:1\"\n",
            "n.yml:4:10: server `h:0:1` has an invalid port",
        ),
        (
            "    - é:65536:1\n",
            "n.yml:4:9: server `é:65536:1` has an invalid port",
        ),
        (
            "    - \"h\\x3a0:1\"\n",
            "n.yml:4:7: server `h:0:1` has an invalid port",
        ),
        (
            "    - /s:1:1\n",
            "n.yml:4:7: server `/s:1:1` is not a server",
        ),
        (
            "    - h:1:1\n    - h:1:2\n",
            "n.yml:5:7: pool `a` has servers with same name `h:1`",
        ),
        (
            "    - h:1:1 n\n    - i:1:2 n\n",
            "n.yml:5:7: pool `a` has servers with same name `n`",
        ),
        (
            "    - h:1:2147483647\n    - h:2:2147483647\n    - h:3:2\n",
            "n.yml:6:7: the weights of the servers add up to too much",
        ),
        (
            "    - h:1:16777216\n    - h:2:1\n  distribution: modula\n",
            "n.yml:5:7: the weights of the servers add up to too much",
        ),
    ] {
        assert_refused(&[(&servers(line), expected)]);
    }
}

#[test]
fn bad_listen_addresses() {
    let listen = |listen: &str| format!("a:\n  servers:\n    - h:1:1\n  listen: {listen}\n");
    for (text, expected) in [
        (
            "localhost",
            "n.yml:4:11: setting `listen` has an invalid \"hostname:port\" format",
        ),
        (
            "127.0.0.1:0",
            "n.yml:4:21: setting `listen` has an invalid port",
        ),
        (
            "127.0.0.1:65536",
            "n.yml:4:21: setting `listen` has an invalid port",
        ),
        (":1", "n.yml:4:11: setting `listen` has no host"),
        (
            "no such host:1",
            "n.yml:4:11: setting `listen` has a host that cannot be resolved",
        ),
        (
            "/s 1777",
            "n.yml:4:14: setting `listen` has an invalid file permission",
        ),
    ] {
        assert_refused(&[(&listen(text), expected)]);
    }
}

#[test]
fn pools_in_each_others_way() {
    let pool = |name: &str, listen: &str, more: &str| {
        format!("{name}:\n  listen: {listen}\n{more}  servers:\n  - h:1:1\n")
    };
    let both =
        |first: &str, second: &str, more: &str| pool("a", first, more) + &pool("b", second, more);
    let clash = "n.yml:6:11: pools `a` and `b` have the same listen address";
    assert_refused(&[
        (&both("127.0.0.1:1", "127.0.0.1:1", ""), clash),
        (&both("127.0.0.1:1", "127.0.0.1:01", ""), clash),
        (&both("/s", "/s 0600", ""), clash),
        (
            &(pool("a", "127.0.0.1:1", "") + &pool("a", "127.0.0.1:2", "")),
            "n.yml:5:1: pool `a` is a duplicate",
        ),
    ]);
    let shared = both("127.0.0.1:1", "127.0.0.1:01", "  reuseport: true\n");
    assert!(load_text(&shared).is_ok(), "both share the port on purpose");
}

#[test]
fn pools_that_lead_back_to_themselves() {
    let pool = |name: &str, listen: &str, server: &str| {
        format!("{name}:\n  listen: {listen}\n  servers:\n  - h:1:1\n  - {server}:1\n")
    };
    let own = "n.yml:5:5: pool `a` listens here itself";
    for (listen, server) in [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("127.0.0.1:1", "localhost:1"),
        ("127.0.0.1:1", "0.0.0.0:1"),
        ("\"::1:1\"", "LocalHost:1"),
        ("localhost:1", "localhost:1"),
        ("0.0.0.0:1", "127.0.0.5:01"),
        ("\"[::]:1\"", "127.0.0.1:1"),
        ("/run/a.sock 0600", "/run/a.sock"),
    ] {
        assert_refused(&[(&pool("a", listen, server), own)]);
    }
    for (listen, server) in [
        ("127.0.0.1:1", "127.0.0.1:2"),
        ("127.0.0.1:1", "127.0.0.2:1"),
        ("127.0.0.1:1", "cache:1"),
        ("0.0.0.0:1", "10.0.0.1:1"),
        ("/run/a.sock", "/run/b.sock"),
    ] {
        let text = pool("a", listen, server);
        assert!(load_text(&text).is_ok(), "{text}");
    }
    let chain =
        |last: &str| pool("a", "127.0.0.1:1", "127.0.0.1:2") + &pool("b", "127.0.0.1:2", last);
    let back = "n.yml:5:5: pool `a` leads back to itself: to `b`, then `a`";
    assert_refused(&[(&chain("127.0.0.1:1"), back)]);
    assert!(load_text(&chain("127.0.0.1:3")).is_ok());
}

#[test]
fn what_other_programs_call_a_setting_gets_a_hint() {
    let help = |line: &str| {
        let report = load_text(&with(line)).expect_err(line);
        let help = report.problems().iter().flat_map(|it| it.help.clone());
        help.collect::<Vec<String>>()
    };
    for (line, expected) in [
        ("  database: 1", "the setting for that is `redis_db`"),
        ("  password: x", "the setting for that is `redis_auth`"),
        (
            "  redis_auth: !foo",
            "settings are plain text and need no tag; a value that begins with `!` needs quotes",
        ),
    ] {
        assert!(
            help(line).contains(&expected.to_owned()),
            "{:?}",
            help(line)
        );
    }
}

#[test]
fn a_tab_is_reported_where_it_stands() {
    for (text, expected) in [
        ("a:\n\tb: c\n", "n.yml:2:1: "),
        ("a:\n  b: c\n \td: e\n", "n.yml:3:2: "),
        ("a:\n  s:\n\t- h:1:1\n", "n.yml:3:1: "),
    ] {
        let report = load_text(text).expect_err(text);
        let found = lines(&report);
        let tab = format!("{expected}this is not valid YAML: a line is indented with a tab");
        assert!(found.contains(&tab), "{text:?}: {found:#?}");
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let text = "a:\n  listen: x\n  hahs: md5\n  timeout: -1\n  servers:\n    - h:1\n    - h:1:1\n    - h:1:2\nb:\n  redis: 1\n";
    let report = load_text(text).expect_err("errors");
    let positions: Vec<String> = lines(&report)
        .iter()
        .map(|line| line.split(": ").next().unwrap_or_default().to_owned())
        .collect();
    let expected = ["2:11", "3:3", "4:12", "6:7", "8:7", "9:1", "9:1", "10:10"]
        .map(|position| format!("n.yml:{position}"));
    assert_eq!(positions, expected);
}

#[test]
fn what_precedes_a_syntax_error_is_checked_too() {
    let report = load_text("a:\n  timeout: x\nb:\n  hash: y\n  servers: [\n").expect_err("errors");
    let found = lines(&report);
    let begins = |prefix: &str| found.iter().any(|line| line.starts_with(prefix));
    assert!(
        begins("n.yml:2:12: setting `timeout`") && begins("n.yml:4:9: setting `hash`"),
        "{found:#?}"
    );
    assert!(found.iter().any(|line| line.contains("not valid YAML")));
    // `b` may have its `listen` further down.
    assert!(
        !found
            .iter()
            .any(|line| line.contains("missing in pool `b`")),
        "{found:#?}"
    );
}
