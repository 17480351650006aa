//! What the proxy says of itself: INFO, CLIENT, COMMAND, CONFIG GET and their like.

use proxy::limits::{MAX_ASKED, MAX_LISTED_CLIENTS};

use crate::alone::Alone;
use crate::stage::{Stage, redis_pool};
use crate::words::redis;

#[test]
fn info_tells_who_is_talking() {
    let mut alone = Alone::new();
    let version = format!("nuthatch_version:{}\r\n", env!("CARGO_PKG_VERSION"));
    for section in [
        "INFO",
        "INFO all",
        "INFO Default",
        "INFO everything",
        "INFO server nuthatch",
    ] {
        let reply = alone.ask(section);
        assert!(
            reply.starts_with('$') && reply.contains("\r\n# Server\r\n"),
            "{reply}"
        );
        assert!(reply.contains("redis_version:7.0.0\r\n") && reply.contains(&version));
    }
    assert_eq!(alone.ask("INFO keyspace"), "$12\r\n# Keyspace\r\n\r\n");
    assert_eq!(alone.ask("INFO nosuch"), "$0\r\n\r\n");
    let reply = alone.ask("INFO cluster REPLICATION nosuch");
    let body = reply.split_once("\r\n").map(|(_, body)| body);
    let expected = "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n";
    assert!(
        body.is_some_and(|body| body.starts_with(expected)),
        "{reply}"
    );
    assert!(
        reply.ends_with("\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n"),
        "{reply}"
    );
}

#[test]
fn info_counts_what_the_pool_does() {
    let mut alone = Alone::new();
    let bits = format!("arch_bits:{}", usize::BITS);
    let reply = alone.ask("INFO");
    for line in [
        "tcp_port:22121",
        "process_id:7",
        "run_id:0123456789abcdef0123456789abcdef01234567",
        "uptime_in_seconds:1",
        "server_time_usec:1700000001000000",
        bits.as_str(),
        "connected_clients:1",
        "maxclients:1000",
        "used_memory:2048",
        "used_memory_human:2.00K",
        "loading:0",
        "total_connections_received:1",
        "used_cpu_user:1.500000",
        "role:master",
        "cluster_enabled:0",
        "pool_servers:1",
        "pool_servers_live:1",
        "pool_plan:1",
    ] {
        assert!(
            reply.contains(&format!("\r\n{line}\r\n")),
            "{line}: {reply}"
        );
    }
    let reply = alone.ask("INFO stats");
    assert!(
        reply.contains("\r\ntotal_commands_processed:1\r\n"),
        "{reply}"
    );
}

#[test]
fn on_resp3_text_is_verbatim() {
    let mut alone = Alone::new();
    alone.speak_resp3();
    let reply = alone.ask("INFO cluster");
    assert_eq!(reply, "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
    assert!(alone.ask("CLIENT INFO").contains("\r\ntxt:id=1 addr="));
    assert!(
        alone
            .ask("MEMORY DOCTOR")
            .contains("\r\ntxt:The proxy keeps no data")
    );
    assert_eq!(
        alone.ask("CONFIG GET save"),
        "%1\r\n$4\r\nsave\r\n$0\r\n\r\n"
    );
    assert_eq!(alone.ask("LATENCY HISTOGRAM"), "%0\r\n");
}

const CLIENT_LINE: &str = "id=1 addr=10.1.0.0:5000 laddr=127.0.0.1:22121 fd=-1 name=worker age=2 idle=0 flags=N db=0 sub=0 \
    psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 \
    events=r cmd=client|info user=default redir=-1 resp=2 lib-name=redis-py lib-ver=8.1 cross-shard=undecided\n";

#[test]
fn client_info_has_every_field_of_redis() {
    let mut alone = Alone::new();
    for told in [
        "SETNAME worker",
        "SETINFO LIB-NAME redis-py",
        "SETINFO lib-ver 8.1",
    ] {
        assert_eq!(alone.ask(&format!("CLIENT {told}")), "+OK\r\n");
    }
    alone.stage.wait(2_500);
    let expected = format!("${}\r\n{CLIENT_LINE}\r\n", CLIENT_LINE.len());
    // Memory that buffers keep is no concern of this test.
    let mut reply = alone.ask("CLIENT INFO");
    let memory = reply
        .split(" tot-mem=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let memory = format!("tot-mem={}", memory.expect("a number"));
    let longer = memory.len() - "tot-mem=0".len();
    reply = reply.replace(&memory, "tot-mem=0");
    let header = format!("${}\r\n", CLIENT_LINE.len() + longer);
    assert_eq!(
        reply.replace(&header, &format!("${}\r\n", CLIENT_LINE.len())),
        expected
    );
    assert_eq!(alone.ask("RESET"), "+RESET\r\n");
    let reply = alone.ask("CLIENT INFO");
    assert!(
        reply.contains(" name= ") && reply.contains(" lib-name=redis-py "),
        "{reply}"
    );
}

#[test]
fn client_list_shows_the_clients_of_all_workers() {
    let mut stage = Stage::with_workers(redis_pool(1), 2, 7);
    let clients: Vec<usize> = [0, 1, 0, 0].map(|worker| stage.client_of(worker)).into();
    let mut ask = |client: usize, words: &[&str]| {
        let reply = stage.ask(clients[client], redis(words));
        let lines = reply.lines().filter_map(|line| line.strip_prefix("id="));
        let ids = lines.filter_map(|line| line.split(' ').next());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ask(0, &["CLIENT", "LIST"]), "1 2 3 5");
    assert_eq!(ask(1, &["CLIENT", "LIST", "TYPE", "normal"]), "1 2 3 5");
    assert_eq!(ask(0, &["CLIENT", "LIST", "ID", "5", "2", "1"]), "1 2 5");
    assert_eq!(ask(0, &["CLIENT", "LIST", "TYPE", "pubsub"]), "");
    let mut error = |words: &[&str]| stage.ask(clients[0], redis(words));
    assert_eq!(
        error(&["CLIENT", "LIST", "TYPE", "x"]),
        "-ERR Unknown client type 'x'\r\n"
    );
    assert_eq!(
        error(&["CLIENT", "LIST", "ID", "x"]),
        "-ERR Invalid client ID\r\n"
    );
    assert_eq!(error(&["CLIENT", "LIST", "x"]), "-ERR syntax error\r\n");
    assert!(error(&["INFO", "clients"]).contains("\r\nconnected_clients:4\r\n"));
}

#[test]
fn client_list_shows_what_clients_are_doing() {
    let mut stage = Stage::new(redis_pool(1));
    let [asks, waits, queues, aborts, subscribes] = [(); 5].map(|()| stage.client());
    let shown = |stage: &mut Stage, client: usize| {
        let id = (client + 1).to_string();
        let reply = stage.ask(asks, redis(&["CLIENT", "LIST", "ID", &id]));
        let field = |name: &str| {
            let mut fields = reply.split(' ');
            let found = fields.find_map(|it| it.strip_prefix(name));
            found.expect(name).to_owned()
        };
        [
            field("flags="),
            field("multi="),
            field("sub="),
            field("psub="),
        ]
        .join(" ")
    };
    stage.say(waits, redis(&["BLPOP", "q", "0"]));
    let leased = stage.link(0);
    stage.answer(leased, ":77\r\n");
    assert_eq!(shown(&mut stage, waits), "b -1 0 0");
    stage.answer(leased, "*-1\r\n");
    stage.hear(waits);
    assert_eq!(shown(&mut stage, waits), "N -1 0 0");

    stage.ask(queues, redis(&["MULTI"]));
    assert_eq!(shown(&mut stage, queues), "x 0 0 0");
    stage.ask(queues, redis(&["GET", "a"]) + &redis(&["GET", "b"]));
    assert_eq!(shown(&mut stage, queues), "x 2 0 0");
    stage.ask(queues, redis(&["DISCARD"]));
    assert_eq!(shown(&mut stage, queues), "N -1 0 0");
    stage.ask(aborts, redis(&["MULTI"]) + &redis(&["GET"]));
    assert_eq!(shown(&mut stage, aborts), "x 0 0 0");

    stage.say(subscribes, redis(&["SUBSCRIBE", "c"]));
    let link = *stage.links(0).last().expect("one for messages");
    stage.answer(link, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    assert_eq!(shown(&mut stage, subscribes), "P -1 1 0");
    assert_eq!(shown(&mut stage, asks), "N -1 0 0");
}

#[test]
fn a_list_of_very_many_clients_is_cut() {
    let mut stage = Stage::new(redis_pool(1));
    let first = stage.client();
    for _ in 0..MAX_LISTED_CLIENTS {
        stage.client();
    }
    let reply = stage.ask(first, redis(&["CLIENT", "LIST"]));
    let lines = reply.lines().filter(|line| line.starts_with("id="));
    assert_eq!(lines.count(), MAX_LISTED_CLIENTS);
    let last = (MAX_LISTED_CLIENTS + 1).to_string();
    let reply = stage.ask(first, redis(&["CLIENT", "LIST", "ID", &last]));
    assert!(reply.contains(&format!("id={last} addr=")), "{reply}");
}

#[test]
fn tracking_is_granted_as_far_as_nothing_is_tracked() {
    let mut alone = Alone::new();
    let off =
        "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n";
    assert_eq!(alone.ask("CLIENT TRACKINGINFO"), off);
    assert_eq!(alone.ask("CLIENT TRACKING OFF"), "+OK\r\n");
    for refused in [
        "ON",
        "ON BCAST",
        "ON OPTOUT",
        "ON OPTIN REDIRECT 1",
        "ON OPTIN PREFIX a",
    ] {
        let reply = alone.ask(&format!("CLIENT TRACKING {refused}"));
        assert!(
            reply.starts_with("-ERR unsupported command 'client tracking on': "),
            "{refused}"
        );
    }
    let early = alone.ask("CLIENT CACHING YES");
    assert!(
        early.starts_with("-ERR CLIENT CACHING can be called only"),
        "{early}"
    );
    assert_eq!(alone.ask("CLIENT TRACKING ON OPTIN"), "+OK\r\n");
    assert!(alone.ask("CLIENT INFO").contains(" flags=t "));
    assert_eq!(alone.ask("CLIENT GETREDIR"), ":0\r\n");
    assert!(
        alone
            .ask("CLIENT TRACKINGINFO")
            .contains("$2\r\non\r\n$5\r\noptin\r\n")
    );
    let refused = alone.ask("CLIENT CACHING YES");
    assert!(
        refused.starts_with("-ERR unsupported command 'client caching': "),
        "{refused}"
    );
    assert_eq!(alone.ask("RESET"), "+RESET\r\n");
    assert_eq!(alone.ask("CLIENT TRACKINGINFO"), off);
}

#[test]
fn client_settings_that_change_nothing_are_told_apart_from_those_that_would() {
    let mut alone = Alone::new();
    for fine in [
        "CAPA redirect",
        "NO-EVICT OFF",
        "NO-TOUCH off",
        "MAINT_NOTIFICATIONS OFF",
    ] {
        assert_eq!(alone.ask(&format!("CLIENT {fine}")), "+OK\r\n", "{fine}");
    }
    for refused in ["NO-EVICT ON", "NO-TOUCH ON"] {
        let reply = alone.ask(&format!("CLIENT {refused}"));
        assert!(
            reply.starts_with("-ERR unsupported command 'client "),
            "{reply}"
        );
    }
    assert_eq!(alone.ask("CLIENT NO-EVICT maybe"), "-ERR syntax error\r\n");
    assert_eq!(alone.ask("CLIENT UNBLOCK 1"), ":0\r\n");
    let kill = alone.ask("CLIENT KILL ID 1");
    assert!(
        kill.starts_with("-ERR unsupported command 'client kill': "),
        "{kill}"
    );
    assert_eq!(
        alone.ask("CLIENT SETINFO lib-foo x"),
        "-ERR Unrecognized option 'lib-foo'\r\n"
    );
}

#[test]
fn what_is_asked_of_a_server_about_itself_is_answered_by_the_proxy() {
    let mut alone = Alone::new();
    for (request, reply) in [
        ("TIME", "*2\r\n$10\r\n1700000001\r\n$1\r\n0\r\n"),
        ("LASTSAVE", ":1700000000\r\n"),
        ("ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"),
        ("ACL WHOAMI", "$7\r\ndefault\r\n"),
        ("ACL CAT nosuch", "-ERR Unknown category 'nosuch'\r\n"),
        ("LATENCY LATEST", "*0\r\n"),
        ("LATENCY HISTORY command", "*0\r\n"),
        ("LATENCY RESET", ":0\r\n"),
        (
            "LATENCY GRAPH x",
            "-ERR No samples available for event 'x'\r\n",
        ),
        ("MODULE LIST", "*0\r\n"),
        ("SLOWLOG GET", "*0\r\n"),
        ("SLOWLOG GET 10", "*0\r\n"),
        (
            "SLOWLOG GET x",
            "-ERR count should be greater than or equal to -1\r\n",
        ),
        ("SLOWLOG LEN", ":0\r\n"),
        ("SLOWLOG RESET", "+OK\r\n"),
        (
            "CONFIG GET databases",
            "*2\r\n$9\r\ndatabases\r\n$1\r\n1\r\n",
        ),
        ("CONFIG GET nosuch", "*0\r\n"),
        (
            "CONFIG GET max[a-c]* *bulk-len",
            "*4\r\n$10\r\nmaxclients\r\n$4\r\n1000\r\n$18\r\nproto-max-bulk-len\r\n$9\r\n536870912\r\n",
        ),
        (
            "CONFIG GET",
            "-ERR wrong number of arguments for 'config|get' command\r\n",
        ),
        (
            "OBJECT nosuch k",
            "-ERR unknown subcommand 'nosuch'. Try OBJECT HELP.\r\n",
        ),
    ] {
        assert_eq!(alone.ask(request), reply, "{request}");
    }
    let set = alone.ask("CONFIG SET timeout 1");
    let expected = "-ERR unsupported command 'config set': it is for who administers the servers";
    assert!(set.starts_with(expected), "{set}");
    assert!(
        alone
            .ask("MEMORY STATS")
            .contains("$15\r\ntotal.allocated\r\n:2048\r\n")
    );
    assert!(
        alone
            .ask("MEMORY PURGE")
            .starts_with("-ERR unsupported command 'memory purge': ")
    );
}

#[test]
fn every_container_has_help() {
    let mut alone = Alone::new();
    for container in [
        "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY", "MEMORY",
        "MODULE", "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO",
    ] {
        let reply = alone.ask(&format!("{container} help"));
        let start =
            format!("+{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        assert_eq!(reply.lines().nth(1), Some(start.as_str()));
        assert!(
            reply.contains("+HELP\r\n+    Print this help.\r\n"),
            "{reply}"
        );
    }
    let reply = alone.ask("XINFO HELP");
    let line = "+STREAM\r\n+    Answered by the server that has the key.\r\n";
    assert!(reply.contains(line), "{reply}");
    let line = "+Others are not served: the pool is not a Redis Cluster";
    assert!(alone.ask("CLUSTER HELP").contains(line));
    let reply = alone.ask("DEBUG HELP");
    let line = "+Others: Answered by the server, if the pool has admin_commands.";
    assert!(reply.contains(line), "{reply}");
}

#[test]
fn a_question_has_a_bounded_number_of_arguments() {
    let mut alone = Alone::new();
    for question in [
        ["COMMAND", "INFO"],
        ["CONFIG", "GET"],
        ["CLIENT", "LIST"],
        ["INFO", "server"],
    ] {
        let mut words = question.to_vec();
        words.resize(MAX_ASKED + 1, "get");
        let reply = alone.stage.ask(alone.client, redis(&words));
        assert_eq!(reply, "-ERR too many arguments: ask for less at a time\r\n");
        words.pop();
        let reply = alone.stage.ask(alone.client, redis(&words));
        assert!(!reply.starts_with("-ERR too many"), "{reply}");
    }
}

#[test]
fn command_tells_of_the_proxys_own_table() {
    let mut alone = Alone::new();
    let count = alone.ask("COMMAND COUNT");
    let count: usize = count[1..].trim_end().parse().expect("a number");
    assert!(count > 200, "{count}");
    for all in ["COMMAND", "COMMAND INFO"] {
        let reply = alone.ask(all);
        assert!(reply.starts_with(&format!("*{count}\r\n")), "{all}");
        assert!(reply.contains("$4\r\nmget\r\n"), "{all}");
    }
    let get = "*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n\
        *3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n\
        $12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n\
        $9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n\
        $7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n";
    assert_eq!(
        alone.ask("COMMAND INFO get nosuch"),
        format!("*2\r\n{get}*-1\r\n")
    );
    for name in ["eval", "sort_ro"] {
        let reply = alone.ask(&format!("COMMAND INFO {name}"));
        assert!(reply.contains("+movablekeys\r\n"), "{reply}");
    }
    let sub = alone.ask("COMMAND INFO object|freq");
    assert!(sub.starts_with("*1\r\n*10\r\n$11\r\nobject|freq\r\n"));
    let docs = alone.ask("COMMAND DOCS get nosuch monitor");
    assert!(docs.starts_with("*4\r\n$3\r\nget\r\n*6\r\n$7\r\nsummary\r\n"));
    assert!(
        docs.contains("Not served: servers are administered directly, not through the proxy\r\n")
    );
    for (wrong, expected) in [
        (
            "COMMAND COUNT x",
            "-ERR wrong number of arguments for 'command|count' command\r\n",
        ),
        ("COMMAND LIST x", "-ERR syntax error\r\n"),
        ("COMMAND LIST FILTERBY x y", "-ERR syntax error\r\n"),
        (
            "COMMAND GETKEYS",
            "-ERR wrong number of arguments for 'command|getkeys' command\r\n",
        ),
        (
            "COMMAND bogus",
            "-ERR unknown subcommand 'bogus'. Try COMMAND HELP.\r\n",
        ),
    ] {
        assert_eq!(alone.ask(wrong), expected, "{wrong}");
    }
}

#[test]
fn command_list_is_filtered() {
    let mut alone = Alone::new();
    let all = alone.ask("COMMAND LIST");
    assert!(all.contains("$4\r\nmget\r\n") && all.contains("$12\r\nxinfo|stream\r\n"));
    for (filter, expected) in [
        ("PATTERN mge*", "*1\r\n$4\r\nmget\r\n"),
        ("pattern none*", "*0\r\n"),
        ("MODULE json", "*0\r\n"),
        (
            "ACLCAT transaction",
            "*5\r\n$7\r\ndiscard\r\n$4\r\nexec\r\n$5\r\nmulti\r\n$7\r\nunwatch\r\n$5\r\nwatch\r\n",
        ),
        ("ACLCAT nosuch", "*0\r\n"),
    ] {
        let reply = alone.ask(&format!("COMMAND LIST FILTERBY {filter}"));
        assert_eq!(reply, expected, "{filter}");
    }
    let by_acl = alone.ask("ACL CAT transaction");
    assert_eq!(
        by_acl,
        alone.ask("COMMAND LIST FILTERBY ACLCAT transaction")
    );
}

#[test]
fn on_resp3_command_has_sets_and_maps() {
    let mut alone = Alone::new();
    alone.speak_resp3();
    let reply = alone.ask("COMMAND INFO xlen");
    let expected = "*1\r\n*10\r\n$4\r\nxlen\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n";
    assert!(reply.starts_with(expected), "{reply}");
    assert!(
        reply.contains("~1\r\n%3\r\n$5\r\nflags\r\n~1\r\n+RO\r\n"),
        "{reply}"
    );
    assert_eq!(alone.ask("COMMAND INFO nosuch"), "*1\r\n_\r\n");
    let keys = alone.ask("COMMAND GETKEYSANDFLAGS get k");
    assert_eq!(keys, "*1\r\n*2\r\n$1\r\nk\r\n~2\r\n+RO\r\n+access\r\n");
}

#[test]
fn command_getkeys_finds_the_keys() {
    let mut alone = Alone::new();
    for (command, keys) in [
        ("get a", "*1\r\n$1\r\na\r\n"),
        ("mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("eval script 2 a b c", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("eval script 0", "*0\r\n"),
        ("fcall f 0 a", "*0\r\n"),
        ("nosuch a", "-ERR Invalid command specified\r\n"),
        (
            "get a b",
            "-ERR Invalid number of arguments specified for command\r\n",
        ),
        ("ping", "-ERR The command has no key arguments\r\n"),
    ] {
        assert_eq!(
            alone.ask(&format!("COMMAND GETKEYS {command}")),
            keys,
            "{command}"
        );
    }
    for (command, keys) in [
        ("get k", "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+RO\r\n+access\r\n"),
        (
            "smove a b m",
            "*2\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+delete\r\n*2\r\n$1\r\nb\r\n*2\r\n+RW\r\n+insert\r\n",
        ),
        (
            "sort a store b",
            "*2\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n",
        ),
        ("eval script 0", "*0\r\n"),
    ] {
        let reply = alone.ask(&format!("COMMAND GETKEYSANDFLAGS {command}"));
        assert_eq!(reply, keys, "{command}");
    }
}
