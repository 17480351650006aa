//! The requests of fake memcached clients, and their expected replies.

use crate::clients::Client;
use crate::expected::Expected;
use crate::keys::{self, Tag};
use crate::memcached_meta;
use crate::redis_client::{Composed, salt, size};
use crate::scenario::{Ending, Scenario};

/// The next request.
pub(crate) fn compose(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    if client.plan.greedy {
        return match client.rng.chance(client.plan.quiet, 100) {
            true => store(client, scenario, tag),
            false => retrieve(client, scenario, tag, "get", 1),
        };
    }
    match client.rng.weighted(&[24, 18, 24, 14, 10, 6, 4, 24]) {
        0 => {
            let verb = client.rng.pick(&["get", "get", "gets", "gat", "gats"]);
            retrieve(client, scenario, tag, verb, 1)
        }
        1 => {
            let verb = client.rng.pick(&["get", "gets", "gat"]);
            let count = client.rng.pick(&[2, 3, 7, 20]);
            retrieve(client, scenario, tag, verb, count)
        }
        2 => store(client, scenario, tag),
        3 => change(client, scenario, tag),
        4 => refused(client, scenario, tag),
        5 => everywhere(client, scenario),
        7 => memcached_meta::compose(client, |client, mark| key(client, scenario, tag, 0, mark)),
        _ => Composed {
            bytes: b"version\r\n".to_vec(),
            want: Some(Expected::Placeholder),
            is_local: false,
            ..Composed::default()
        },
    }
}

/// A client's final requests.
pub(crate) fn last_words(client: &mut Client, tag: Tag) -> Composed {
    match client.plan.ending {
        Ending::Quit => Composed {
            bytes: b"quit\r\n".to_vec(),
            ..Composed::default()
        },
        Ending::Garbage if client.rng.chance(1, 2) => fatal(
            b"set k 0 0 3\r\nabcdefgh\r\nget k\r\n".to_vec(),
            "CLIENT_ERROR",
        ),
        Ending::Garbage => fatal(
            b"set k 0 0 2147483646\r\nabcdefgh".to_vec(),
            "CLIENT_ERROR bad command line format",
        ),
        Ending::CutShort | Ending::Stall => {
            let cut =
                client
                    .rng
                    .pick(&["get", "set k 0 0 10\r\nabc", "set k 0 0 90000\r\nxyz", "\r"]);
            Composed {
                bytes: cut.into(),
                ..Composed::default()
            }
        }
        _ => {
            let _ = tag;
            Composed::default()
        }
    }
}

fn fatal(bytes: Vec<u8>, begins: &'static str) -> Composed {
    Composed {
        bytes,
        want: Some(Expected::Line {
            begins,
            mentions: String::new(),
        }),
        is_local: true,
        ..Composed::default()
    }
}

fn key(client: &mut Client, scenario: &Scenario, tag: Tag, part: usize, mark: char) -> Vec<u8> {
    let size = if matches!(mark, 'b' | 'w' | 'm' | 'f') {
        size(client)
    } else {
        0
    };
    let salt = salt(&mut client.rng, scenario);
    keys::key(&salt, tag, part, mark, size)
}

fn retrieve(
    client: &mut Client,
    scenario: &Scenario,
    tag: Tag,
    verb: &'static str,
    count: usize,
) -> Composed {
    let keys: Vec<Vec<u8>> = (0..count)
        .map(|part| {
            let failing = !client.plan.greedy && client.rng.chance(1, 50);
            let usual = if client.plan.greedy {
                'b'
            } else {
                client.rng.pick(&['b', 'b', 'b', 'n'])
            };
            key(
                client,
                scenario,
                tag,
                part,
                if failing { 'e' } else { usual },
            )
        })
        .collect();
    let exptime = if verb.starts_with("ga") { " 100" } else { "" };
    let mut bytes = format!("{verb}{exptime}").into_bytes();
    for key in &keys {
        bytes.push(b' ');
        bytes.extend_from_slice(key);
    }
    bytes.extend_from_slice(b"\r\n");
    let want = match keys.as_slice() {
        [only] => Expected::Keyed {
            verb,
            key: only.clone(),
        },
        _ => Expected::Values { verb, keys },
    };
    Composed {
        bytes,
        want: Some(want),
        is_local: false,
        ..Composed::default()
    }
}

fn store(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let verb = client
        .rng
        .pick(&["set", "set", "add", "replace", "append", "prepend", "cas"]);
    let mark = client.rng.pick(&['w', 'w', 'w', 'm', 'f']);
    let key = key(client, scenario, tag, 0, mark);
    let value = keys::value(&key, keys::read(&key).map_or(0, |key| key.size));
    let quiet = client.rng.chance(client.plan.quiet, 100);
    let name = String::from_utf8_lossy(&key).into_owned();
    let cas = if verb == "cas" { " 77" } else { "" };
    let noreply = if quiet {
        client.rng.pick(&[" noreply", "  noreply"])
    } else {
        ""
    };
    let exptime = client.rng.pick(&["0", "-1", "100"]);
    let line = format!(
        "{verb} {name} 5 {exptime} {}{cas}{noreply}\r\n",
        value.len()
    );
    let bytes = [line.as_bytes(), &value, b"\r\n"].concat();
    Composed {
        bytes,
        want: (!quiet).then_some(Expected::Keyed { verb, key }),
        is_quiet: quiet,
        ..Composed::default()
    }
}

fn change(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let verb = client
        .rng
        .pick(&["incr", "incr", "decr", "delete", "touch"]);
    let mark = client.rng.pick(&['y', 'y', 'n', 'e']);
    let key = key(client, scenario, tag, 0, mark);
    let quiet = client.rng.chance(client.plan.quiet, 100);
    let name = String::from_utf8_lossy(&key).into_owned();
    let argument = if verb == "delete" { "" } else { " 3" };
    let noreply = if quiet { " noreply" } else { "" };
    let bytes = format!("{verb} {name}{argument}{noreply}\r\n").into_bytes();
    Composed {
        bytes,
        want: (!quiet).then_some(Expected::Keyed { verb, key }),
        is_quiet: quiet,
        ..Composed::default()
    }
}

/// Requests that are refused; if they have a data block it is discarded.
fn refused(client: &mut Client, scenario: &Scenario, tag: Tag) -> Composed {
    let long = "k".repeat(251);
    let (bytes, begins, mentions) = match client.rng.below(7) {
        0 => ("mg Zm9 v b\r\n".into(), "CLIENT_ERROR", "key"),
        1 => (
            "ms k 5 q q\r\nhello\r\n".into(),
            "CLIENT_ERROR",
            "duplicate",
        ),
        2 => (format!("get {long}\r\n"), "CLIENT_ERROR", "251"),
        3 => (
            format!("set {long} 0 0 9\r\nget k\r\nxy\r\n"),
            "CLIENT_ERROR",
            "251",
        ),
        4 => ("GET k\r\n".into(), "ERROR", "GET"),
        5 => ("incr k\r\n".into(), "ERROR", "incr"),
        _ => (
            format!("set {long} 0 0 70000\r\n{}\r\n", "get k\r\n".repeat(10_000)),
            "CLIENT_ERROR",
            "251",
        ),
    };
    let _ = (scenario, tag);
    Composed {
        bytes: bytes.into_bytes(),
        want: Some(Expected::Line {
            begins,
            mentions: mentions.into(),
        }),
        is_local: true,
        ..Composed::default()
    }
}

fn everywhere(client: &mut Client, scenario: &Scenario) -> Composed {
    match client.rng.below(4) {
        0 => Composed {
            bytes: b"stats servers\r\n".to_vec(),
            want: Some(Expected::Stats),
            is_local: false,
            ..Composed::default()
        },
        1 => Composed {
            bytes: b"verbosity 1\r\n".to_vec(),
            want: Some(Expected::Everywhere),
            is_local: false,
            ..Composed::default()
        },
        2 => Composed {
            bytes: b"verbosity 1 noreply\r\n".to_vec(),
            want: None,
            is_local: false,
            ..Composed::default()
        },
        _ if scenario.allow_flush => Composed {
            bytes: b"flush_all\r\n".to_vec(),
            want: Some(Expected::Everywhere),
            is_local: false,
            ..Composed::default()
        },
        _ => fatal(b"flush_all\r\n".to_vec(), "CLIENT_ERROR"),
    }
}
