//! Commands that cannot be split and whose keys belong to several servers: for whom they go to the first key's server,
//! and for whom they are refused.

use std::sync::Arc;

use hashkit::HashTag;
use proxy::metrics::PoolMetric;
use proxy::settings::{CrossShard, PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::{HELLO_3, redis};

const REFUSED: &str = "-CROSSSLOT Keys in request don't hash to the same server: give them a common part, as {a}:1 and {a}:2 have, and set hash_tag: \"{}\" in the pool (keys with braces move then)\r\n";
/// Where the pool has `hash_tag: "{}"`.
const TAGGED: &str = "-CROSSSLOT Keys in request don't hash to the same server: give them a common part, as {a}:1 and {a}:2 have\r\n";
const PATTERNS: &str = "-CROSSSLOT BY and GET may name keys of other servers: their patterns need the key's hash tag \
    (see hash_tag) before the *\r\n";

fn pool(servers: usize, redis: RedisSettings) -> PoolSettings {
    let mut pool = redis_pool(servers);
    pool.protocol = ProtocolSettings::Redis(redis);
    pool
}

fn with_rule(servers: usize, cross_shard: CrossShard) -> PoolSettings {
    let settings = RedisSettings {
        cross_shard,
        ..RedisSettings::default()
    };
    pool(servers, settings)
}

/// A script with keys of both servers.
fn script(stage: &Stage) -> String {
    redis(&["EVAL", "return 1", "2", &stage.key(0), &stage.key(1)])
}

/// Whether such a script of the client is sent to the first key's server; otherwise it is refused.
fn goes_to_first_key(stage: &mut Stage, client: usize) -> bool {
    let script = script(stage);
    stage.say(client, &script);
    let reply = stage.hear(client);
    if !reply.is_empty() {
        assert_eq!(reply, REFUSED);
        return false;
    }
    let links = stage.links(0);
    let asked: Vec<usize> = links
        .into_iter()
        .filter(|link| stage.heard(*link) == script)
        .collect();
    assert_eq!(asked.len(), 1, "the first key's server is asked once");
    stage.answer(asked[0], ":1\r\n");
    assert_eq!(stage.hear(client), ":1\r\n");
    true
}

/// The `cross-shard` field of the client's CLIENT INFO.
fn shown(stage: &mut Stage, client: usize) -> String {
    let info = stage.ask(client, redis(&["CLIENT", "INFO"]));
    let field = info.split(" cross-shard=").nth(1).expect("the field");
    field.trim_end().to_owned()
}

#[test]
fn who_begins_like_a_client_of_twemproxy_is_served_like_one() {
    for begins in [
        [].as_slice(),
        &["PING"],
        &["AUTH x"],
        &["COMMAND"],
        &["CONFIG GET save"],
        &["GET"],
    ] {
        let mut stage = Stage::new(redis_pool(2));
        let client = stage.client();
        for line in begins {
            assert_ne!(stage.ask(client, format!("{line}\r\n")), "", "{line}");
        }
        assert!(goes_to_first_key(&mut stage, client), "{begins:?}");
        assert_eq!(stage.count(PoolMetric::CrossShard), 1);
        assert_eq!(stage.count(PoolMetric::CrossShardRefused), 0);
        // It stays so.
        assert_eq!(shown(&mut stage, client), "first_key");
        assert!(goes_to_first_key(&mut stage, client), "{begins:?}");
    }
}

#[test]
fn who_begins_as_current_libraries_do_gets_an_error() {
    for begins in [
        "HELLO",
        "HELLO 2",
        "HELLO 4",
        "HELLO x",
        "CLIENT SETINFO LIB-NAME x",
        "CLIENT",
        "CLIENT NOSUCH",
        "CLIENT KILL x",
        "CLIENT HELP",
        "SELECT 0",
        "SELECT",
        "INFO server",
        "COMMAND DOCS get",
        "COMMAND NOSUCH",
        "MULTI\r\nCLIENT ID\r\nDISCARD",
    ] {
        let mut stage = Stage::new(redis_pool(2));
        let (client, other) = (stage.client(), stage.client());
        assert_ne!(stage.ask(client, format!("{begins}\r\n")), "");
        assert!(!goes_to_first_key(&mut stage, client), "{begins}");
        assert_eq!(shown(&mut stage, client), "error");
        assert_eq!(stage.count(PoolMetric::CrossShardRefused), 1, "{begins}");
        assert_eq!(stage.count(PoolMetric::CrossShard), 0, "{begins}");
        assert!(goes_to_first_key(&mut stage, other), "{begins}");
    }
}

#[test]
fn a_client_of_resp3_gets_an_error() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]));
    for server in [0, 1] {
        let link = stage.link(server);
        stage.heard(link);
        stage.answer(link, HELLO_3);
    }
    assert!(stage.hear(client).starts_with('%'));
    assert!(!goes_to_first_key(&mut stage, client));
}

#[test]
fn any_command_with_a_key_settles_it_until_reset() {
    for (first, servers) in [
        ("GET a", 1),
        ("SET a 1", 1),
        ("OBJECT ENCODING a", 1),
        ("MGET a b c d e", 2),
        ("DEL a", 1),
        ("EVAL x 1 a", 1),
        ("SINTER a", 1),
        ("XREAD STREAMS a 0", 1),
        ("SORT a", 1),
    ] {
        let mut stage = Stage::new(redis_pool(2));
        let client = stage.client();
        stage.say(client, format!("{first}\r\n"));
        let links: Vec<usize> = (0..2).flat_map(|server| stage.links(server)).collect();
        assert_eq!(links.len(), servers, "{first}");
        for link in links {
            // An error answers a whole command, whatever its keys.
            stage.heard(link);
            stage.answer(link, "-ERR x\r\n");
        }
        assert_eq!(stage.hear(client), "-ERR x\r\n", "{first}");
        stage.ask(client, redis(&["CLIENT", "SETNAME", "late"]));
        assert_eq!(shown(&mut stage, client), "first_key", "{first}");
        assert!(goes_to_first_key(&mut stage, client), "{first}");

        assert_eq!(stage.ask(client, redis(&["RESET"])), "+RESET\r\n");
        assert_eq!(shown(&mut stage, client), "undecided", "{first}");
        // CLIENT INFO came before.
        assert!(!goes_to_first_key(&mut stage, client), "{first}");
        assert_eq!(stage.ask(client, redis(&["RESET"])), "+RESET\r\n");
        assert!(goes_to_first_key(&mut stage, client), "{first}");
    }
}

#[test]
fn a_refused_command_with_a_key_settles_nothing() {
    let long = "k".repeat(proxy::limits::MAX_KEY + 1);
    for refused in [
        redis(&["GET"]),
        redis(&["GET", &long]),
        redis(&["MGET", "a", &long]),
        redis(&["EVAL", "return 1", "x", "a"]),
        redis(&["BLPOP", "a", &long, "0"]),
        redis(&["MOVE", "a", "1"]),
    ] {
        let mut stage = Stage::new(redis_pool(2));
        let client = stage.client();
        assert!(stage.ask(client, &refused).starts_with("-ERR "));
        // CLIENT INFO still comes before the first command with a key.
        assert_eq!(shown(&mut stage, client), "undecided");
        assert!(!goes_to_first_key(&mut stage, client));
    }
    // With a password that is missing still.
    let auth = Some(Arc::from(&b"secret"[..]));
    let settings = RedisSettings {
        auth,
        ..RedisSettings::default()
    };
    for (early, is_served) in [("GET k", true), ("CLIENT ID", false)] {
        let mut stage = Stage::new(pool(2, settings.clone()));
        let client = stage.client();
        let denied = stage.ask(client, format!("{early}\r\n"));
        assert!(denied.starts_with("-NOAUTH "), "{denied}");
        assert_eq!(stage.ask(client, redis(&["AUTH", "secret"])), "+OK\r\n");
        let script = script(&stage);
        stage.say(client, script);
        let reply = stage.hear(client);
        assert_eq!(reply.is_empty(), is_served, "{early}: {reply}");
    }
}

#[test]
fn a_fixed_rule_holds_for_all() {
    for (rule, begins, is_served) in [
        (CrossShard::FirstKey, "PING", true),
        (CrossShard::FirstKey, "HELLO", true),
        (CrossShard::Error, "PING", false),
        (CrossShard::Error, "HELLO", false),
    ] {
        let mut stage = Stage::new(with_rule(2, rule));
        let client = stage.client();
        assert_ne!(stage.ask(client, format!("{begins}\r\n")), "");
        assert_eq!(goes_to_first_key(&mut stage, client), is_served);
        let expected = if is_served { "first_key" } else { "error" };
        assert_eq!(shown(&mut stage, client), expected);
    }
}

/// What becomes of a request in the pool: `None` if it is sent to the server of `key`.
fn refusal(stage: &mut Stage, request: &[&str]) -> Option<String> {
    let client = stage.client();
    let request = redis(request);
    stage.say(client, &request);
    let reply = stage.hear(client);
    if reply.is_empty() {
        let link = stage.link(0);
        assert_eq!(stage.heard(link), request);
        stage.answer(link, "*0\r\n");
        assert_eq!(stage.hear(client), "*0\r\n");
    }
    Some(reply).filter(|reply| !reply.is_empty())
}

#[test]
fn patterns_of_sort_are_keys_of_any_server() {
    let sorts: [&[&str]; 4] = [
        &["BY", "w_*"],
        &["GET", "o_*->name"],
        &["BY", "nosort", "GET", "#", "GET", "x*"],
        &["BY", "{t}_*"],
    ];
    for (rule, refuses) in [(CrossShard::FirstKey, false), (CrossShard::Error, true)] {
        let mut stage = Stage::new(with_rule(2, rule));
        let key = stage.key(0);
        for options in sorts {
            // nutcracker does not know SORT_RO, so nobody relies on what becomes of it there.
            for (name, is_refused) in [("SORT", refuses), ("SORT_RO", true)] {
                let request = [&[name, &key], options].concat();
                let expected = is_refused.then(|| PATTERNS.to_owned());
                assert_eq!(refusal(&mut stage, &request), expected, "{request:?}");
            }
        }
        let (told, refused) = if refuses { (0, 8) } else { (4, 4) };
        assert_eq!(stage.count(PoolMetric::CrossShard), told);
        assert_eq!(stage.count(PoolMetric::CrossShardRefused), refused);
    }
}

#[test]
fn patterns_that_name_no_other_key_or_in_a_pool_of_one_server_are_served() {
    let mut stage = Stage::new(with_rule(2, CrossShard::Error));
    let keys = stage.keys(0, 2);
    for name in ["SORT", "SORT_RO"] {
        for options in [
            [].as_slice(),
            &["BY", "nosort", "GET", "#"],
            &["GET", "fixed", "LIMIT", "0", "10", "ALPHA"],
        ] {
            let request = [&[name, &keys[0]], options].concat();
            assert_eq!(refusal(&mut stage, &request), None, "{request:?}");
        }
    }
    let store = ["SORT", &keys[0], "BY", "nosort", "STORE", &keys[1]];
    assert_eq!(refusal(&mut stage, &store), None);
    let other = stage.key(1);
    let elsewhere = ["SORT", &keys[0], "BY", "w_*", "STORE", &other];
    assert_eq!(refusal(&mut stage, &elsewhere).as_deref(), Some(REFUSED));

    let mut stage = Stage::new(with_rule(1, CrossShard::Error));
    for name in ["SORT", "SORT_RO"] {
        let request = [name, "k", "BY", "w_*", "GET", "o_*"];
        assert_eq!(refusal(&mut stage, &request), None, "{name}");
    }
}

#[test]
fn patterns_with_the_keys_hash_tag_are_served() {
    let mut settings = with_rule(2, CrossShard::Error);
    settings.placement.tag = Some(HashTag {
        open: b'{',
        close: b'}',
    });
    let mut stage = Stage::new(settings);
    let (here, there) = (stage.key(0), stage.key(1));
    let key = format!("list:{{{here}}}");
    for name in ["SORT", "SORT_RO"] {
        for (pattern, expected) in [
            (format!("w:{{{here}}}:*"), None),
            (format!("{{{here}}}*->field"), None),
            (format!("w:{{{there}}}:*"), Some(TAGGED)),
            (format!("w:*:{{{here}}}"), Some(PATTERNS)),
            (format!("w:{{{here}*}}"), Some(PATTERNS)),
            ("w:{}:*".to_owned(), Some(PATTERNS)),
            ("w:*".to_owned(), Some(PATTERNS)),
            ("*".to_owned(), Some(PATTERNS)),
        ] {
            for option in ["BY", "GET"] {
                let request = [name, &key, option, &pattern];
                let refusal = refusal(&mut stage, &request);
                assert_eq!(refusal.as_deref(), expected, "{request:?}");
            }
        }
    }
}

#[test]
fn msetex_is_split_with_its_options_unless_all_keys_depend_on_each_other() {
    const APART: &str = "-CROSSSLOT NX and XX ask about all keys at once, and these don't hash to the same server: \
        without them MSETEX is split\r\n";
    let mut stage = Stage::new(with_rule(2, CrossShard::Auto));
    let client = stage.client();
    let keys = [stage.key(0), stage.key(1)];
    let large = "v".repeat(100_000);
    for value in ["v", &large] {
        for (replies, joined) in [([":1", ":1"], ":1"), ([":1", ":0"], ":0")] {
            stage.say(
                client,
                redis(&["MSETEX", "2", &keys[0], value, &keys[1], "w", "EX", "9"]),
            );
            let parts = [(0, value), (1, "w")];
            for (server, value) in parts {
                let link = stage.link(server);
                let part = redis(&["msetex", "1", &keys[server], value, "EX", "9"]);
                assert_eq!(stage.heard(link), part);
                stage.answer(link, format!("{}\r\n", replies[server]));
            }
            assert_eq!(stage.hear(client), format!("{joined}\r\n"));
        }
    }
    for option in ["NX", "xx"] {
        let apart = [
            "MSETEX", "2", &keys[0], "v", &keys[1], "w", option, "EX", "9",
        ];
        assert_eq!(stage.ask(client, redis(&apart)), APART);
        let whole = redis(&["MSETEX", "2", &keys[1], "v", &keys[1], "w", option]);
        stage.say(client, &whole);
        let link = stage.link(1);
        assert_eq!(stage.heard(link), whole);
        stage.answer(link, ":0\r\n");
        assert_eq!(stage.hear(client), ":0\r\n");
    }
    // A value is no option, and what is no number of keys is told as by a server.
    stage.say(
        client,
        redis(&["MSETEX", "2", &keys[0], "NX", &keys[1], "xx"]),
    );
    for server in [0, 1] {
        let link = stage.link(server);
        assert!(
            stage
                .heard(link)
                .starts_with("*4\r\n$6\r\nmsetex\r\n$1\r\n1\r\n")
        );
        stage.answer(link, ":1\r\n");
    }
    assert_eq!(stage.hear(client), ":1\r\n");
    let wrong = stage.ask(
        client,
        redis(&["MSETEX", "3", &keys[0], "v", &keys[1], "w"]),
    );
    assert_eq!(wrong, "-ERR invalid numkeys value\r\n");
}
