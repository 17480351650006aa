//! `ring diff`: what it reads, prints and ends with.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::Value;

use super::super::ring::tell;
use super::super::{Invocation, RingDiffOptions};
use super::{output, read};
use crate::config::{Config, Input, Overrides, System, load_inputs};

const OLD: &str = "\
sessions:
  listen: 127.0.0.1:1
  servers: [h:1:1 one, h:2:1 two, h:3:1 three]
old_name:
  listen: 127.0.0.1:2
  distribution: modula
  servers: [h:1:1 one]
gone:
  listen: 127.0.0.1:3
  servers: [h:1:1]
drawn:
  listen: 127.0.0.1:4
  distribution: random
  servers: [h:1:1, h:2:1]
";

const NEW: &str = "\
sessions:
  listen: 127.0.0.1:1
  servers: [h:4:1 four, h:3:1 three, h:9:1 two, h:1:1 one]
new_name:
  listen: 127.0.0.1:2
  distribution: modula
  servers: [h:1:1 one]
fresh:
  listen: 127.0.0.1:5
  servers: [h:1:1]
drawn:
  listen: 127.0.0.1:4
  distribution: random
  servers: [h:1:1, h:2:1]
";

fn config(text: &str) -> Config {
    let input = Input::configuration("n.yml", text.into());
    let resolve = |host: &str, port: u16| {
        let ip: IpAddr = host.parse().expect("an address");
        Ok((ip, port).into())
    };
    let system = System {
        resolve: &resolve,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    load_inputs(input, None, &Overrides::default(), system).unwrap_or_else(|it| panic!("{it}"))
}

fn options(line: &str) -> RingDiffOptions {
    match read(&format!("nuthatch ring diff o n{line}")) {
        Invocation::RingDiff(options) => options,
        other => panic!("{line}: {other:?}"),
    }
}

fn told_of(old: &str, new: &str, options: &RingDiffOptions) -> Result<(String, bool), String> {
    let mut out = Vec::new();
    let exceeded = tell(&config(old), &config(new), options, &mut out)?;
    Ok((String::from_utf8(out).expect("text"), exceeded))
}

fn told(line: &str) -> (String, bool) {
    told_of(OLD, NEW, &options(line)).expect("an answer")
}

#[test]
fn every_pool_is_told_of() {
    let (text, exceeded) = told("");
    assert!(!exceeded);
    let lines: Vec<&str> = text.lines().collect();
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    for start in [
        "pool sessions: 2",
        "  four    h:4            -",
        "  three   h:3",
        "    ",
        "pool new_name: no key moves",
        "  it was called old_name",
        "pool fresh: added",
        "pool gone: removed",
        "pool drawn: keys have no server of their own before and after (distribution: random)",
    ] {
        assert!(has(start), "{start}\n{text}");
    }
    assert!(
        text.contains("its address was h:2") && text.contains("  added\n"),
        "{text}"
    );
    assert!(
        text.contains("% of the keys move\n") && text.contains("one -> four\n"),
        "{text}"
    );
}

#[test]
fn json_says_the_same_and_the_shares_add_up() {
    let (text, _) = told(" --json --max-move 10");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let pools = value["pools"].as_array().expect("pools");
    let pool = |name: &str| {
        pools
            .iter()
            .find(|it| it["pool"] == name)
            .expect("the pool")
    };
    let sessions = pool("sessions");
    let moved = sessions["moved"].as_f64().expect("a share");
    assert!((0.15..0.35).contains(&moved), "{sessions}");
    let moves = sessions["moves"].as_array().expect("moves").iter();
    let sum: f64 = moves.map(|it| it["share"].as_f64().expect("a share")).sum();
    assert!((sum - moved).abs() < 1e-9);
    assert_eq!(sessions["basis"], "hashes");
    assert_eq!(sessions["servers"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        (&sessions["exceeded"], &value["exceeded"]),
        (&true.into(), &true.into())
    );
    assert_eq!(pool("new_name")["pool_before"], "old_name");
    assert_eq!(pool("new_name")["change"], "none");
    assert_eq!(
        (&pool("gone")["change"], &pool("fresh")["change"]),
        (&"removed".into(), &"added".into())
    );
    assert_eq!(pool("drawn")["moved"], Value::Null);
    assert_eq!(value["keys"], Value::Array(vec![]));
}

#[test]
fn more_than_is_allowed_is_told() {
    let (text, exceeded) = told(" --max-move 10%");
    assert!(
        exceeded && text.ends_with("more than 10% of a pool moves\n"),
        "{text}"
    );
    assert!(!told(" --max-move 60").1);
    assert!(!told(" --max-move 0 --pool new_name").1, "no key moves");
    let random = NEW
        .replace("distribution: modula", "distribution: random")
        .replace("[h:1:1 one]", "[h:1:1 one, h:2:1]");
    let options = options(" --max-move 99 --pool new_name");
    let (_, exceeded) = told_of(OLD, &random, &options).expect("an answer");
    assert!(exceeded, "keys lose their places");
}

#[test]
fn one_pool_can_be_asked_for_by_its_old_or_new_name() {
    for name in ["old_name", "new_name"] {
        let (text, _) = told(&format!(" --pool {name}"));
        assert_eq!(
            text,
            "pool new_name: no key moves\n  it was called old_name\n"
        );
    }
    let error = told_of(OLD, NEW, &options(" --pool other")).expect_err("no such pool");
    assert_eq!(
        error,
        "there is no pool `other` in either file; the pools are: gone, drawn, old_name, sessions, fresh, new_name\n"
    );
}

#[test]
fn keys_are_told_where_they_move() {
    let temp = tempfile::tempdir().expect("a folder");
    let file = temp.path().join("keys");
    let keys: Vec<String> = (0..1_000)
        .map(|number| format!("user:{number}:name"))
        .collect();
    fs::write(&file, keys.join("\r\n") + "\n\n").expect("the file");
    let with = |line: &str| RingDiffOptions {
        keys: Some(file.clone()),
        ..options(line)
    };
    let (text, _) = told_of(OLD, NEW, &with("")).expect("an answer");
    let moved: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("sessions: user:"))
        .collect();
    assert!((100..400).contains(&moved.len()), "{text}");
    assert!(
        moved.iter().all(|line| line.ends_with(" -> four")),
        "{moved:?}"
    );
    let count = format!("pool sessions: {} of 1000 keys move\n", moved.len());
    assert!(text.contains(&count), "{text}");
    assert!(text.contains("pool new_name: 0 of 1000 keys move\n") && !text.contains("drawn: user"));
    // What is told of a key is what `locate` says.
    let (json, _) = told_of(OLD, NEW, &with(" --json --pool sessions")).expect("an answer");
    let value: Value = serde_json::from_str(&json).expect("JSON");
    let told = value["keys"].as_array().expect("keys");
    assert_eq!(
        (told.len(), &value["counts"][0]["moved"]),
        (moved.len(), &moved.len().into())
    );
    assert_eq!(told[0]["to"], "four");
    // The limit holds for these keys, too, however small their part of the hash space.
    fs::write(&file, told[0]["key"].as_str().expect("a key")).expect("the file");
    let (_, exceeded) = told_of(OLD, NEW, &with(" --max-move 60")).expect("an answer");
    assert!(exceeded);
}

#[test]
fn keys_that_cannot_be_read_are_errors() {
    let temp = tempfile::tempdir().expect("a folder");
    let file = temp.path().join("keys");
    let ask = |file: &PathBuf| {
        let keys = Some(file.clone());
        let options = RingDiffOptions {
            keys,
            ..options("")
        };
        told_of(OLD, NEW, &options).map_err(|it| it.replace(&*temp.path().to_string_lossy(), "DIR"))
    };
    assert_eq!(
        ask(&temp.path().join("none")),
        Err("failed to open keys 'DIR/none': No such file or directory (os error 2)\n".into())
    );
    fs::write(&file, format!("short\n{}\n", "k".repeat(64 << 10))).expect("the file");
    assert!(ask(&file).is_ok());
    fs::write(&file, format!("short\n{}", "k".repeat((64 << 10) + 1))).expect("the file");
    assert_eq!(
        ask(&file),
        Err("DIR/keys:2: a key has at most 65536 bytes\n".into())
    );
}

#[test]
fn wrong_arguments_end_with_status_two() {
    for line in [
        "nuthatch ring",
        "nuthatch ring diff",
        "nuthatch ring diff a",
        "nuthatch ring diff a b c",
        "nuthatch ring diff a b --max-move x",
        "nuthatch ring diff a b --max-move 101",
        "nuthatch ring diff a b --max-move -1",
        "nuthatch ring diff - -",
        "nuthatch ring diff a - --keys -",
        "nuthatch ring dif a b",
    ] {
        let printed = output(line);
        assert_eq!((printed.status, printed.to_stdout), (2, false), "{line}");
    }
    let help = output("nuthatch ring diff --help");
    assert_eq!((help.status, help.to_stdout), (0, true));
    assert!(help.text.contains("Example:"), "{}", help.text);
    assert!(matches!(
        read("nuthatch ring diff a -"),
        Invocation::RingDiff(_)
    ));
    assert!(matches!(
        read("nutcracker ring diff a b"),
        Invocation::Run(_)
    ));
}
