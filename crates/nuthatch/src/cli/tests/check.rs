//! The arguments of `check`.

use super::super::{CheckOptions, Invocation};
use super::{output, read};
use crate::config::lints::LINTS;

fn options(line: &str) -> CheckOptions {
    match read(line) {
        Invocation::Check(options) => options,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn lints_are_denied_by_name_or_all_at_once() {
    let denied = |line: &str| {
        let options = options(line);
        let names = LINTS.iter().map(|lint| lint.name);
        names
            .filter(|name| options.denies(name))
            .collect::<Vec<_>>()
    };
    assert!(denied("nuthatch check f").is_empty());
    assert_eq!(denied("nuthatch check f --deny no-timeout"), ["no-timeout"]);
    for line in [
        "nuthatch check f --deny same-address --deny no-timeout",
        "nuthatch check f --deny no-timeout,same-address",
    ] {
        assert_eq!(denied(line), ["same-address", "no-timeout"], "{line}");
    }
    assert_eq!(denied("nuthatch check --deny all -").len(), LINTS.len());
}

#[test]
fn an_unknown_lint_is_an_error_with_the_nearest_one() {
    for (name, says) in [
        ("no-timout", "did you mean `no-timeout`?"),
        ("No_Timeout", "did you mean `no-timeout`?"),
        (
            "crc32-ketama",
            "they are: crc32-with-ketama, unnamed-servers,",
        ),
        ("al", "did you mean `all`?"),
    ] {
        let printed = output(&format!("nuthatch check f --deny {name}"));
        assert_eq!((printed.status, printed.to_stdout), (2, false), "{name}");
        assert!(printed.text.contains(says), "{}", printed.text);
    }
}

#[test]
fn every_command_shows_an_example() {
    for command in ["check", "locate", "ring diff", "demo"] {
        let printed = output(&format!("nuthatch {command} --help"));
        assert_eq!((printed.status, printed.to_stdout), (0, true), "{command}");
        let example = format!("\n  nuthatch {command} ");
        assert!(printed.text.contains(&example), "{}", printed.text);
    }
}
