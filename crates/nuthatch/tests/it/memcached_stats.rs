//! `stats` of memcached pools with several servers.

use std::collections::HashMap;

use testkit::Client;

use crate::failure::kill_noticed;
use crate::need;
use crate::rig::{Rig, memcached_ask, text, wait_for};

/// The statistics that a client gets, none of them twice.
fn stats(client: &mut Client, arguments: &str) -> HashMap<String, String> {
    client.send(format!("stats{arguments}\r\n").as_bytes());
    let mut found = HashMap::new();
    loop {
        let line = text(&client.line());
        if line == "END\r\n" {
            return found;
        }
        let words = line.trim_end().strip_prefix("STAT ");
        let (name, value) = words.and_then(|words| words.split_once(' ')).expect("STAT");
        assert_eq!(
            found.insert(name.to_owned(), value.to_owned()),
            None,
            "{name}"
        );
    }
}

fn number(stats: &HashMap<String, String>, name: &str) -> u64 {
    let value = &stats[name];
    let number = value.parse();
    number.unwrap_or_else(|_| panic!("{name} is {value}"))
}

#[test]
fn clients_see_one_server_with_everything_that_all_have() {
    let mut rig = need!(Rig::memcached(2, &[]), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    client.send(format!("get {}\r\n", keys.join(" ")).as_bytes());
    client.until(b"END\r\n");
    let joined = stats(&mut client, "");
    let mut each = Vec::new();
    for server in &rig.servers {
        each.push(stats(&mut server.client(), ""));
    }
    for name in [
        "curr_items",
        "total_items",
        "get_hits",
        "cmd_set",
        "limit_maxbytes",
        "bytes",
    ] {
        let sum = each.iter().map(|stats| number(stats, name)).sum::<u64>();
        assert_eq!(number(&joined, name), sum, "{name}");
    }
    assert_eq!(joined["pid"], rig.proxy.pid().to_string());
    assert_eq!(joined["version"], each[0]["version"]);
    assert_eq!(joined["threads"], each[0]["threads"]);
    let late = number(&each[0], "time").abs_diff(number(&joined, "time"));
    assert!(late <= 2, "{late} s");
    assert_eq!(joined["servers_missing"], "0");
    // What is left out is not lost.
    let named = stats(&mut client, " servers");
    for name in each[0].keys() {
        assert!(named.contains_key(&format!("s0:{name}")), "{name}");
        let may_be_missing = ["hash_power_level"].contains(&name.as_str());
        assert!(joined.contains_key(name) || may_be_missing, "{name}");
    }
    assert_eq!(named["s1:pid"], rig.servers[1].pid().to_string());

    kill_noticed(&mut rig, 0);
    let joined = stats(&mut client, "");
    assert_eq!(joined["servers_missing"], "1");
    assert_eq!(
        number(&joined, "curr_items"),
        number(&each[1], "curr_items")
    );
    assert!(!stats(&mut client, " servers").contains_key("s0:pid"));
}

#[test]
fn items_slabs_and_sizes_keep_their_grammar() {
    let rig = need!(Rig::memcached(2, &["admin_commands: true"]), "memcached");
    rig.keys();
    let mut client = rig.client();
    let joined = stats(&mut client, " items");
    let mut sum = 0;
    for server in &rig.servers {
        sum += number(&stats(&mut server.client(), " items"), "items:1:number");
    }
    assert_eq!(number(&joined, "items:1:number"), sum);
    let alone = stats(&mut rig.servers[0].client(), " items");
    assert!(alone.keys().all(|name| joined.contains_key(name)));
    let joined = stats(&mut client, " slabs");
    assert_eq!(joined["1:chunk_size"], "96");
    assert_eq!(joined["active_slabs"], "1");
    assert_eq!(number(&joined, "1:used_chunks"), sum);
    assert_eq!(stats(&mut client, " sizes")["sizes_status"], "disabled");
    let settings = stats(&mut client, " settings");
    assert!(settings["cas_enabled"] == "yes" && !settings.contains_key("tcpport"));
    client.send(b"stats  cachedump 1 100\r\n");
    let dumped = text(&client.until(b"END\r\n"));
    // It shows the items that were not used of late: there may be none.
    let items = dumped.lines().filter(|line| line.starts_with("ITEM key:"));
    let items = items.count();
    assert!(items as u64 <= sum, "{dumped}");
    assert_eq!(dumped.lines().count(), items + 1, "{dumped}");
}

#[test]
fn details_and_resets_reach_every_server() {
    let rig = need!(Rig::memcached(2, &["admin_commands: true"]), "memcached");
    let mut client = rig.client();
    assert_eq!(memcached_ask(&mut client, "stats detail on\r\n"), "OK\r\n");
    for number in 0..20 {
        let request = format!("set a:{number} 0 0 1\r\nv\r\n");
        assert_eq!(memcached_ask(&mut client, &request), "STORED\r\n");
    }
    let dump = "PREFIX a get 0 hit 0 set 20 del 0\r\n";
    assert_eq!(memcached_ask(&mut client, "stats detail dump\r\n"), dump);
    assert_eq!(client.line(), b"END\r\n");
    assert_eq!(memcached_ask(&mut client, "stats detail off\r\n"), "OK\r\n");
    let usage = memcached_ask(&mut client, "stats detail\r\n");
    assert_eq!(usage, "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
    assert_eq!(number(&stats(&mut client, ""), "cmd_set"), 20);
    // What memcached answers to this has no end.
    let refused = memcached_ask(&mut client, "stats sizes_enable\r\n");
    assert!(refused.starts_with("ERROR "), "{refused}");
    assert_eq!(memcached_ask(&mut client, "get none\r\n"), "END\r\n");

    for setting in ["allow_flush: true", "admin_commands: true"] {
        let rig = need!(Rig::memcached(2, &[setting]), "memcached");
        rig.keys();
        let mut client = rig.client();
        assert_eq!(memcached_ask(&mut client, "stats reset\r\n"), "RESET\r\n");
        wait_for("the counters are 0", || {
            number(&stats(&mut client, ""), "cmd_set") == 0
        });
    }
}

#[test]
fn administration_reaches_no_server_unless_it_is_allowed() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let mut client = rig.client();
    for request in [
        "verbosity 9",
        "stats reset",
        "stats cachedump 1 100",
        "stats detail on",
        "stats detail dump",
        "stats sizes",
        "stats conns",
    ] {
        let refused = memcached_ask(&mut client, &format!("{request}\r\n"));
        assert!(refused.starts_with("CLIENT_ERROR "), "{request}: {refused}");
        assert!(refused.contains("admin_commands: true"), "{refused}");
    }
    for request in ["verbosity 0", "verbosity 1"] {
        let reply = memcached_ask(&mut client, &format!("{request}\r\n"));
        assert_eq!(reply, "OK\r\n", "{request}");
    }
    for request in ["", " items", " slabs", " settings", " servers"] {
        stats(&mut client, request);
    }
    let settings = stats(&mut rig.servers[0].client(), " settings");
    assert_eq!(settings["detail_enabled"], "no");
    assert_eq!(settings["verbosity"], "1");
}
