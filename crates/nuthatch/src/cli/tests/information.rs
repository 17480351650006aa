//! Options that only print something.

use super::super::Invocation;
use super::{output, read};

const HELP: &str = include_str!("files/help.txt");
const DESCRIPTION: &str = include_str!("files/describe-stats.txt");
const VERSION: &str = "This is nutcracker-0.5.0\nasync event backend: epoll\n\n";

#[test]
fn as_nutcracker_it_is_nutcrackers_text() {
    let stats = DESCRIPTION
        .strip_prefix(VERSION)
        .expect("the version first");
    for (line, text) in [
        ("nutcracker -V", VERSION.to_owned()),
        ("nutcracker --version -t", VERSION.to_owned()),
        ("nutcracker -h", HELP.to_owned()),
        ("nutcracker -hV", HELP.to_owned()),
        ("/usr/sbin/nutcracker -D", DESCRIPTION.to_owned()),
        ("nutcracker -D -h -t", format!("{HELP}{stats}")),
    ] {
        let printed = output(line);
        assert!(printed.text == text, "{line}:\n{}", printed.text);
        assert_eq!((printed.status, printed.to_stdout), (0, false), "{line}");
    }
}

#[test]
fn as_nuthatch_it_says_what_else_there_is() {
    let version = format!("This is nuthatch-{}\n", env!("CARGO_PKG_VERSION"));
    assert!(output("nuthatch -V").text.starts_with(&version));

    let help = output("nuthatch --help").text;
    assert!(
        help.contains("Usage: nuthatch [-?hVdDt]") && help.contains("--mbuf-size=N"),
        "{help}"
    );
    for own in [
        "--overlay=S",
        "--workers=N",
        "NUTHATCH_SHUTDOWN_TIMEOUT",
        "nuthatch locate",
    ] {
        assert!(help.contains(own), "{own}\n{help}");
    }
}

/// `-D` describes the document that is served with the same options.
#[test]
fn counters_of_our_own_are_described_where_they_are_served() {
    let stats = DESCRIPTION.strip_prefix(VERSION).expect("the version");
    let version = output("nuthatch -V").text;
    for line in ["nuthatch -D", "nuthatch -D --stats-extended=false"] {
        assert_eq!(output(line).text, format!("{version}{stats}"), "{line}");
    }
    for line in [
        "nuthatch -D --stats-extended=true",
        "nutcracker --stats-extended true -D",
    ] {
        let description = output(line).text;
        for own in [
            "  cross_shard         \"# ",
            "  cross_shard_refused \"# ",
            "  server_total        \"# ",
        ] {
            assert!(description.contains(own), "{line}\n{description}");
        }
    }
}

#[test]
fn commands_are_ours_alone() {
    assert!(matches!(read("nuthatch demo --once"), Invocation::Demo(options) if options.once));
    assert!(matches!(read("nuthatch demo"), Invocation::Demo(options) if !options.once));
    assert!(
        matches!(read("nuthatch check f --overlay o"), Invocation::Check(options) if options.overlay.is_some())
    );
    for line in ["nutcracker demo", "nutcracker check f"] {
        assert!(matches!(read(line), Invocation::Run(_)), "{line}");
    }
}

#[test]
fn commands_explain_themselves() {
    for line in [
        "nuthatch help",
        "nuthatch help locate",
        "nuthatch check --help",
    ] {
        let printed = output(line);
        assert_eq!((printed.status, printed.to_stdout), (0, true), "{line}");
        assert!(printed.text.contains("Usage: nuthatch"), "{}", printed.text);
    }
    for line in [
        "nuthatch check",
        "nuthatch locate -c f",
        "nuthatch demo --onec",
        "nuthatch help nonsense",
    ] {
        let printed = output(line);
        assert_eq!((printed.status, printed.to_stdout), (2, false), "{line}");
    }
}

#[test]
fn the_schema_is_printed() {
    for (line, overlay) in [
        ("nuthatch schema", false),
        ("nuthatch schema --overlay", true),
    ] {
        let printed = output(line);
        assert!(printed.to_stdout && printed.status == 0, "{line}");
        let schema: serde_json::Value = serde_json::from_str(&printed.text).expect("JSON");
        assert_eq!(
            schema,
            crate::config::schema::json_schema(overlay),
            "{line}"
        );
    }
}

#[test]
fn the_manual_is_printed() {
    let printed = output("nuthatch docs configuration");
    assert!(printed.to_stdout && printed.text == crate::config::docs::configuration());
    for (page, start) in [
        ("check", "# nuthatch check"),
        ("redis", "# Redis and Valkey"),
        ("memcached", "# memcached"),
    ] {
        let printed = output(&format!("nuthatch docs {page}"));
        assert!(printed.to_stdout && printed.text.contains(start), "{page}");
    }
    assert_eq!(output("nuthatch docs nothing").status, 2);
}
