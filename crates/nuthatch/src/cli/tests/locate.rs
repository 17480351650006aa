//! `locate`, checked against placements recorded from nutcracker 0.5.0 (the data file says how).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde_json::Value;

use super::super::LocateOptions;
use super::super::locate::{answer, explanations};
use crate::config::{Config, Overrides, load};

fn config(text: &str) -> Config {
    let temp = tempfile::tempdir().expect("a folder");
    let file = temp.path().join("n.yml");
    fs::write(&file, text).expect("the file");
    load(&file, None, &Overrides::default()).unwrap_or_else(|report| panic!("{report}"))
}

fn ask(config: &Config, pool: Option<&str>, json: bool, keys: &[&str]) -> Result<String, String> {
    let options = LocateOptions {
        conf_file: PathBuf::new(),
        overlay: None,
        pool: pool.map(str::to_owned),
        json,
        escapes: false,
        keys: keys.iter().map(OsString::from).collect(),
    };
    answer(config, &options)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// A recorded pool as a configuration.
fn recorded(set: &Value) -> String {
    let mut text = String::from("p:\n  listen: 127.0.0.1:1\n");
    for key in ["distribution", "hash", "hash_tag"] {
        if let Some(value) = set[key].as_str() {
            text.push_str(&format!("  {key}: {value:?}\n"));
        }
    }
    text.push_str("  servers:\n");
    for line in set["config_servers"].as_array().expect("servers") {
        text.push_str(&format!("    - {line}\n"));
    }
    text
}

#[test]
fn recorded_placements_are_told() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../hashkit/tests/data/hash-vectors.json"
    );
    let vectors: Value =
        serde_json::from_str(&fs::read_to_string(file).expect("the data")).expect("JSON");
    let keys: Vec<OsString> = vectors["dist_keys"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|key| OsString::from_vec(unhex(key.as_str().expect("hex"))))
        .collect();
    let mut told = 0;
    for set in vectors["sets"].as_array().expect("sets") {
        if set["ejected"]
            .as_array()
            .is_some_and(|ejected| !ejected.is_empty())
        {
            continue;
        }
        let config = config(&recorded(set));
        let options = LocateOptions {
            conf_file: PathBuf::new(),
            overlay: None,
            pool: None,
            json: true,
            escapes: false,
            keys: keys.clone(),
        };
        let answers: Value =
            serde_json::from_str(&answer(&config, &options).expect("an answer")).expect("JSON");
        for (answer, choice) in answers
            .as_array()
            .expect("answers")
            .iter()
            .zip(set["choice"].as_array().expect("choice"))
        {
            let server = &set["servers"][choice.as_u64().expect("an index") as usize];
            assert_eq!(answer["server"], server["name"], "{answer}");
            assert_eq!(answer["index"], *choice);
            told += 1;
        }
    }
    assert!(told > 10_000, "only {told} placements were recorded");
}

const POOLS: &str = "\
ketama:
  listen: 127.0.0.1:1
  servers: [h:1:1 one, h:2:1 two]
modula:
  listen: 127.0.0.1:2
  distribution: modula
  hash: crc32a
  servers: [h:1:1 one, /s:1 two]
random:
  listen: 127.0.0.1:3
  distribution: random
  servers: [h:1:1, h:2:1]
single:
  listen: 127.0.0.1:4
  servers: [h:11211:1]
";

#[test]
fn the_text_says_all_there_is() {
    let config = config(POOLS);
    let text = ask(&config, None, false, &["123456789"]).expect("an answer");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ketama: 123456789 -> "), "{text}");
    assert!(
        lines[0].contains(", hash 0x") && lines[0].contains(", point 0x"),
        "{text}"
    );
    // 0xcbf43926 mod 2 is 0, so slot 0 of two.
    assert_eq!(
        lines[1],
        "modula: 123456789 -> one (h:1), hash 0xcbf43926, slot 0"
    );
    assert_eq!(
        lines[2],
        "random: 123456789 -> any of 2 servers (distribution: random)"
    );
    assert_eq!(
        lines[3],
        "single: 123456789 -> h (h:11211), the only server"
    );
    assert_eq!(lines.len(), 4);
}

#[test]
fn json_says_the_same() {
    let config = config(POOLS);
    let json = |pool| -> Value {
        let text = ask(&config, Some(pool), true, &["123456789"]).expect("an answer");
        serde_json::from_str::<Value>(&text).expect("JSON")[0].take()
    };
    let modula = json("modula");
    assert_eq!(modula["pool"], "modula");
    assert_eq!(modula["key"], "123456789");
    assert_eq!(
        (&modula["hash"], &modula["slot"]),
        (&"0xcbf43926".into(), &0.into())
    );
    assert_eq!(
        (&modula["server"], &modula["address"]),
        (&"one".into(), &"h:1".into())
    );
    assert!(json("ketama")["point"].is_string());
    assert_eq!(json("single")["why"], "the only server");
    assert!(json("random").get("server").is_none());
}

#[test]
fn keys_of_any_bytes_are_shown() {
    let options = LocateOptions {
        conf_file: PathBuf::new(),
        overlay: None,
        pool: Some("ketama".into()),
        json: false,
        escapes: false,
        keys: vec![OsString::from_vec(vec![0x1b, 0xff])],
    };
    let config = config(POOLS);
    assert!(
        answer(&config, &options)
            .expect("an answer")
            .starts_with("ketama: \\x1b\\xff -> ")
    );
    let json = answer(
        &config,
        &LocateOptions {
            json: true,
            ..options
        },
    )
    .expect("an answer");
    assert!(json.contains("\"key_hex\": \"1bff\""), "{json}");
}

#[test]
fn keys_with_escapes_are_read() {
    let config = config(POOLS);
    let read = |keys: &[&str], escapes| {
        let options = LocateOptions {
            conf_file: PathBuf::new(),
            overlay: None,
            pool: Some("modula".into()),
            json: false,
            escapes,
            keys: keys.iter().map(OsString::from).collect(),
        };
        answer(&config, &options)
    };
    assert_eq!(
        read(&["123456789"], true),
        read(&[r"\x31\x323456789"], true)
    );
    let plain = read(&[r"\x31"], false).expect("an answer");
    assert!(plain.starts_with(r"modula: \\x31 -> "), "{plain}");
    let error = read(&["a", r"\y"], true).expect_err("no escape");
    assert!(error.contains(r"'\y' is no escape") && error.ends_with('\n'));
}

#[test]
fn explanations_are_about_the_asked_pools_and_keys() {
    let config = config(POOLS);
    let explain = |pool: Option<&str>, json| {
        let options = LocateOptions {
            conf_file: PathBuf::new(),
            overlay: None,
            pool: pool.map(str::to_owned),
            json,
            escapes: false,
            keys: vec!["123456789".into(), "other".into()],
        };
        explanations(&config, &options)
    };
    let text = explain(None, false).expect("an answer");
    let titles: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    let expected = ["ketama", "modula", "random", "single"]
        .iter()
        .flat_map(|pool| ["123456789", "other"].map(|key| format!("pool {pool}, key {key}")));
    let titles: Vec<&str> = titles.into_iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(titles, expected.collect::<Vec<_>>());
    assert!(!text.contains("  state "), "nothing is running: {text}");
    let modula = explain(Some("modula"), true).expect("an answer");
    let modula: Value = serde_json::from_str(&modula).expect("JSON");
    // 0xcbf43926 mod 2 is 0.
    assert_eq!(modula[0]["server"], "one");
    assert_eq!(modula[0]["now"]["server"], "one");
    // `auto_eject_hosts` is false, but it can be drained.
    assert_eq!(modula[0]["if_ejected"]["server"], "two");
    assert!(explain(Some("beta"), false).is_err());
}

#[test]
fn an_unknown_pool_is_refused() {
    let error = ask(&config(POOLS), Some("beta"), false, &["k"]).expect_err("no such pool");
    assert_eq!(
        error,
        "there is no pool `beta`; the pools are: ketama, modula, random, single\n"
    );
}
