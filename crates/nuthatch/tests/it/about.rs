//! What the proxy says of itself, beside what a real server says of itself.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testkit::{Client, Tool, eventually};

use crate::need;
use crate::rig::{Rig, TIME_LIMIT, wait_for};
use crate::tool;

/// The value of a line of INFO.
fn value(info: &str, name: &str) -> String {
    let mut lines = info.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found
        .unwrap_or_else(|| panic!("no {name} in {info}"))
        .into()
}

/// The names in INFO.
fn names(info: &str) -> BTreeSet<&str> {
    let lines = info.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect()
}

/// The names of the fields in a line of CLIENT LIST.
fn fields(line: &str) -> Vec<&str> {
    let words = line.trim().split(' ');
    words
        .filter_map(|word| Some(word.split_once('=')?.0))
        .collect()
}

#[test]
fn info_has_the_keys_that_clients_and_checks_read() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let (mut client, _other) = (rig.client(), rig.client());
    client.ask(&["SET", "k", "v"]);
    let mut info = String::new();
    // The connection by which it was found out that the proxy listens may still be there, and the other client not yet.
    wait_for("there are two clients", || {
        info = client.ask(&["INFO", "everything"]);
        value(&info, "connected_clients") == "2"
    });
    for (name, expected) in [
        ("role", "master"),
        ("connected_slaves", "0"),
        ("redis_mode", "standalone"),
        ("loading", "0"),
        ("cluster_enabled", "0"),
        ("connected_clients", "2"),
        ("pool", "pool"),
        ("pool_servers", "2"),
        ("pool_servers_live", "2"),
        ("pool_plan", "1"),
        ("tcp_port", &rig.port.to_string()),
        ("process_id", &rig.proxy.pid().to_string()),
    ] {
        assert_eq!(value(&info, name), expected, "{name}");
    }
    assert_eq!(value(&info, "run_id").len(), 40);
    let number = |info: &str, name| value(info, name).parse::<u64>().expect("a number");
    assert!(number(&info, "used_memory") > 1 << 20);
    assert!(number(&info, "total_commands_processed") >= 1);
    assert!(number(&info, "total_connections_received") >= 2);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later");
    let theirs = Duration::from_micros(number(&info, "server_time_usec"));
    assert!(now.abs_diff(theirs) < Duration::from_secs(10));

    let real = rig.servers[0].client().ask(&["INFO", "everything"]);
    let own = ["maxclients", "nuthatch_version", "workers"];
    let is_own = |name: &&str| own.contains(name) || name.starts_with("pool");
    let known = names(&real);
    let unknown: Vec<_> = names(&info)
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    assert!(
        unknown.iter().all(is_own),
        "Redis does not have {unknown:?}"
    );
}

#[test]
fn info_tells_of_load_and_of_servers_that_are_ejected() {
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 60000",
        "timeout: 1000",
    ];
    let mut rig = need!(Rig::redis(2, &lines), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    let mut is_busy = || {
        for _ in 0..200 {
            client.ask(&["PING"]);
        }
        value(&client.ask(&["INFO", "stats"]), "instantaneous_ops_per_sec") != "0"
    };
    assert!(eventually(TIME_LIMIT, || is_busy().then_some(())).is_some());
    rig.servers[1].kill();
    let mut client = rig.client();
    wait_for("one server is live", || {
        client.ask(&["GET", &keys[1]]);
        value(&client.ask(&["INFO", "nuthatch"]), "pool_servers_live") == "1"
    });
}

#[test]
fn client_lines_have_the_fields_of_redis() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    for version in ["2", "3"] {
        let (mut client, mut direct) = (rig.client(), rig.servers[0].client());
        let mut ask = |words: &[&str]| {
            let through = client.ask(words);
            (through, direct.ask(words))
        };
        ask(&["HELLO", version]);
        for question in [["CLIENT", "INFO"], ["CLIENT", "LIST"]] {
            let (through, real) = ask(&question);
            assert_eq!(through[..1], real[..1], "the same type");
            let known = fields(real.lines().nth(1).expect("a line"));
            let ours = fields(through.lines().nth(1).expect("a line"));
            assert_eq!(ours[..known.len()], known, "in its order");
            assert_eq!(ours[known.len()..], ["lib-name", "lib-ver", "cross-shard"]);
        }
    }
}

#[test]
fn client_list_shows_the_clients_of_all_workers() {
    let rig = need!(Rig::redis_with(1, &[], &["--workers=2"]), "redis-server");
    let mut clients: Vec<Client> = (0..4).map(|_| rig.client()).collect();
    let id = |client: &mut Client| client.ask(&["CLIENT", "ID"])[1..].trim().to_owned();
    let ids: Vec<String> = clients.iter_mut().map(id).collect();
    for client in &mut clients {
        let list = client.ask(&["CLIENT", "LIST"]);
        let of_line = |line: &str| Some(line.strip_prefix("id=")?.split(' ').next()?.to_owned());
        let listed: Vec<String> = list.lines().filter_map(of_line).collect();
        let mut sorted = ids.clone();
        sorted.sort_by_key(|id| id.parse::<u64>().expect("a number"));
        assert_eq!(listed, sorted);
        let info = client.ask(&["INFO", "clients"]);
        assert_eq!(value(&info, "connected_clients"), "4");
    }
}

/// Commands whose description has no remarks in Redis 7.0, which are not in the proxy's, and whose number of arguments is
/// not nutcracker's.
const DESCRIBED: &[&str] = &[
    "get",
    "hget",
    "zincrby",
    "rename",
    "renamenx",
    "lcs",
    "setbit",
    "mget",
    "mset",
    "del",
    "lmove",
    "smove",
    "zunionstore",
    "xread",
    "xreadgroup",
    "object|freq",
    "xgroup|create",
    "memory|usage",
    "migrate",
    "blpop",
    "publish",
    "multi",
    "bitop",
    "zmpop",
];

#[test]
fn commands_are_described_as_a_server_describes_them() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    for version in ["2", "3"] {
        let (mut client, mut direct) = (rig.client(), rig.servers[0].client());
        client.ask(&["HELLO", version]);
        direct.ask(&["HELLO", version]);
        for name in DESCRIBED {
            let question = ["COMMAND", "INFO", name];
            let (ours, theirs) = (client.ask(&question), direct.ask(&question));
            assert_eq!(sorted(&ours), sorted(&theirs), "{name}");
        }
        for question in [
            "COMMAND GETKEYSANDFLAGS SORT a STORE b",
            "COMMAND GETKEYSANDFLAGS GET k",
            "COMMAND GETKEYS EVAL x 0",
            "COMMAND GETKEYS EVAL x 1 k",
            "COMMAND LIST FILTERBY PATTERN mge*",
            "COMMAND LIST FILTERBY ACLCAT nosuch",
            "CLIENT TRACKINGINFO",
            "CLIENT UNBLOCK 999999",
            "ACL WHOAMI",
            "ROLE",
            "MODULE LIST",
            "SLOWLOG LEN",
            "CONFIG GET proto-max-bulk-len",
            "CONFIG GET nosuch",
            "LATENCY LATEST",
            "LATENCY GRAPH x",
            "OBJECT nosuch",
        ] {
            let words: Vec<&str> = question.split(' ').collect();
            assert_eq!(client.ask(&words), direct.ask(&words), "{question}");
        }
    }
}

/// The lines of a reply, in any order: sets have none.
fn sorted(reply: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = reply.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn config_get_knows_names_that_redis_has() {
    let rig = need!(
        Rig::redis(1, &["client_idle_timeout: 90000"]),
        "redis-server"
    );
    let mut client = rig.client();
    let pairs = |reply: String| -> Vec<(String, String)> {
        let lines: Vec<&str> = reply.lines().skip(1).collect();
        let pairs = lines
            .chunks(4)
            .map(|chunk| (chunk[1].into(), chunk[3].into()));
        pairs.collect()
    };
    let ours = pairs(client.ask(&["CONFIG", "GET", "*"]));
    let theirs = pairs(rig.servers[0].client().ask(&["CONFIG", "GET", "*"]));
    assert!(ours.len() > 10);
    for (name, value) in &ours {
        assert!(theirs.iter().any(|(known, _)| known == name), "{name}");
        if name == "timeout" {
            assert_eq!(value, "90");
        }
    }
}

#[test]
fn redis_cli_has_hints_and_lists() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let cli = |args: &[&str]| {
        let port = rig.port.to_string();
        let tool = Tool::find("redis-cli")?;
        let mut command = tool.command();
        command.args(["-p", &port]);
        Some(tool::run(command, args).success())
    };
    let list = need!(cli(&["-3", "CLIENT", "LIST"]), "redis-cli");
    assert!(
        list.starts_with("id=") && list.contains(" cmd=client|list "),
        "{list}"
    );
    let docs = need!(cli(&["COMMAND", "DOCS", "mget"]), "redis-cli");
    assert!(
        docs.contains("Answered by the servers that have the keys"),
        "{docs}"
    );
    let info = need!(cli(&["INFO", "server"]), "redis-cli");
    assert!(info.contains("nuthatch"), "{info}");
    let help = need!(cli(&["XINFO", "HELP"]), "redis-cli");
    assert!(help.starts_with("XINFO <subcommand>"), "{help}");
}
