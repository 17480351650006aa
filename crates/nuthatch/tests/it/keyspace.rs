//! Commands about all keys of a pool: KEYS, SCAN, DBSIZE, RANDOMKEY.

use std::collections::BTreeSet;

use testkit::Client;

use crate::need;
use crate::rig::Rig;

/// The strings of a reply, in order.
fn strings(reply: &str) -> Vec<String> {
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let after = |at: usize| lines.get(at + 1).map(|line| (*line).to_owned());
    let lengths = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with('$'));
    lengths.filter_map(|(at, _)| after(at)).collect()
}

/// Scans until the cursor is 0; returns all names, and how many calls that took.
fn scan(client: &mut Client, more: &[&str]) -> (Vec<String>, usize) {
    let (mut cursor, mut names, mut calls) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let reply = client.ask(&[&["SCAN", &cursor], more].concat());
        let mut found = strings(&reply);
        assert!(!found.is_empty(), "{reply}");
        cursor = found.remove(0);
        names.extend(found);
        calls += 1;
        if cursor == "0" {
            return (names, calls);
        }
        let number: u64 = cursor.parse().expect("a decimal number");
        assert!(
            number <= 1 << 53 && number.to_string() == cursor,
            "{cursor}"
        );
        assert!(calls < 10_000, "there is an end");
    }
}

fn fill(client: &mut Client, count: usize) -> BTreeSet<String> {
    let names: BTreeSet<String> = (0..count).map(|key| format!("name:{key}")).collect();
    for name in &names {
        assert_eq!(client.ask(&["SET", name, "v"]), "+OK\r\n");
    }
    names
}

#[test]
fn all_keys_are_seen_through_one_server_and_through_three() {
    for servers in [1, 3] {
        let rig = need!(Rig::redis(servers, &[]), "redis-server");
        let mut client = rig.client();
        let before: usize = strings(&client.ask(&["KEYS", "*"])).len();
        let names = fill(&mut client, 1_000);
        let set = |names: Vec<String>| -> BTreeSet<String> { names.into_iter().collect() };
        assert_eq!(client.ask(&["DBSIZE"]), format!(":{}\r\n", before + 1_000));
        assert_eq!(set(strings(&client.ask(&["KEYS", "name:*"]))), names);
        assert_eq!(client.ask(&["KEYS", "nothing*"]), "*0\r\n");
        let (found, calls) = scan(&mut client, &["MATCH", "name:*", "COUNT", "50"]);
        assert_eq!(set(found), names);
        assert!(calls >= 1_000 / 100, "{calls}");
        assert_eq!(client.ask(&["LPUSH", "name:list", "v"]), ":1\r\n");
        let (lists, _) = scan(&mut client, &["TYPE", "list", "COUNT", "100"]);
        assert_eq!(lists, ["name:list"]);
        let one = strings(&client.ask(&["RANDOMKEY"]));
        assert_eq!(client.ask(&["EXISTS", &one[0]]), ":1\r\n");
    }
}

#[test]
fn another_proxy_of_the_same_servers_goes_on_with_a_scan_and_one_of_others_does_not() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let mut client = rig.client();
    fill(&mut client, 500);
    let first = strings(&client.ask(&["SCAN", "0", "COUNT", "10"]));
    let cursor = first[0].as_str();
    assert_ne!(cursor, "0");
    let others = need!(Rig::redis(2, &[]), "redis-server");
    let error = others.client().ask(&["SCAN", cursor]);
    assert!(
        error.starts_with("-ERR invalid cursor: it was given out before"),
        "{error}"
    );
    assert_eq!(client.ask(&["SCAN", "x"]), "-ERR invalid cursor\r\n");
    let error = client.ask(&["SCAN", cursor, "COUNT", "x"]);
    assert_eq!(error, "-ERR value is not an integer or out of range\r\n");
    assert_eq!(
        client.ask(&["SCAN", cursor, "NONSENSE"]),
        "-ERR syntax error\r\n"
    );
    assert!(
        client
            .ask(&["SCAN", cursor, "COUNT", "10"])
            .starts_with("*2\r\n")
    );
}

#[test]
fn a_server_that_is_gone_is_an_error_and_not_the_end() {
    let mut rig = need!(Rig::redis(3, &[]), "redis-server");
    let mut client = rig.client();
    fill(&mut client, 300);
    rig.servers[1].kill();
    let error = "-ERR Connection refused\r\n";
    let mut cursor = "0".to_owned();
    let last = loop {
        let reply = client.ask(&["SCAN", &cursor, "COUNT", "100"]);
        match strings(&reply).first() {
            Some(next) => cursor.clone_from(next),
            None => break reply,
        }
        assert_ne!(cursor, "0", "two thirds of the keys are not all");
    };
    assert!(last == error || last.starts_with("-ERR "), "{last}");
    for command in [&["DBSIZE"][..], &["KEYS", "*"], &["RANDOMKEY"]] {
        let reply = client.ask(command);
        assert_eq!(reply, error, "{command:?}");
    }
}

#[test]
fn a_script_that_is_loaded_is_known_to_the_server_of_every_key() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let mut client = rig.client();
    let script = format!(
        "-- {}\nreturn redis.call('GET', KEYS[1])",
        "x".repeat(100_000)
    );
    let sha = strings(&client.ask(&["SCRIPT", "LOAD", &script])).remove(0);
    assert_eq!(
        client.ask(&["SCRIPT", "EXISTS", &sha, "0"]),
        "*2\r\n:1\r\n:0\r\n"
    );
    for key in rig.keys() {
        assert_eq!(client.ask(&["SET", &key, "v"]), "+OK\r\n");
        assert_eq!(client.ask(&["EVALSHA", &sha, "1", &key]), "$1\r\nv\r\n");
    }
    let error = client.ask(&["SCRIPT", "LOAD", "return ("]);
    assert!(error.starts_with("-ERR Error compiling script"), "{error}");
    assert_eq!(client.ask(&["SCRIPT", "FLUSH"]), "+OK\r\n");
    assert_eq!(client.ask(&["SCRIPT", "EXISTS", &sha]), "*1\r\n:0\r\n");
    let refused = client.ask(&["SCRIPT", "KILL"]);
    assert!(refused.starts_with("-NOTBUSY "), "{refused}");
}
