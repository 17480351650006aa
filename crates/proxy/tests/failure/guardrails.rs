//! What guardrails refuse is refused as a whole, is counted, and is said in the protocol's own words.

use proxy::metrics::PoolMetric;
use proxy::settings::{GuardrailSettings, PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, memcached_pool, redis_pool};
use crate::words::{get, redis, set, value};

fn rail(prefix: &str) -> GuardrailSettings {
    GuardrailSettings {
        prefix: Some(prefix.into()),
        ..GuardrailSettings::default()
    }
}

fn denying(prefix: Option<&str>, commands: &[&str]) -> GuardrailSettings {
    GuardrailSettings {
        prefix: prefix.map(Into::into),
        deny: commands.iter().map(|it| (*it).into()).collect(),
        ..GuardrailSettings::default()
    }
}

fn rate(prefix: Option<&str>, rate: u32) -> GuardrailSettings {
    GuardrailSettings {
        prefix: prefix.map(Into::into),
        max_rate: Some(rate),
        ..GuardrailSettings::default()
    }
}

fn with(pool: PoolSettings, guardrails: Vec<GuardrailSettings>) -> PoolSettings {
    PoolSettings { guardrails, ..pool }
}

fn client_of(pool: PoolSettings, guardrails: Vec<GuardrailSettings>) -> (Stage, usize) {
    let mut stage = Stage::new(with(pool, guardrails));
    let client = stage.client();
    (stage, client)
}

/// The counters: denied, too long, too many.
fn counts(stage: &Stage) -> [i64; 3] {
    use PoolMetric::{GuardDenied, GuardRate, GuardValue};
    [GuardDenied, GuardValue, GuardRate].map(|metric| stage.count(metric))
}

/// Asks for a key of the only server, which answers.
fn is_served(stage: &mut Stage, client: usize, request: &str, reply: &str) -> bool {
    stage.say(client, request);
    let heard = stage.heard(stage.link(0));
    if heard != request {
        return false;
    }
    stage.answer(stage.link(0), reply);
    stage.hear(client) == reply
}

#[test]
fn denied_commands_with_and_without_keys() {
    let rails = vec![
        denying(None, &["keys", "config", "client|kill"]),
        denying(Some("user:"), &["del", "get"]),
    ];
    let (mut stage, client) = client_of(redis_pool(2), rails);
    for (request, error) in [
        (vec!["KEYS", "*"], "'keys' is denied (guardrails)"),
        (
            vec!["config", "GET", "x"],
            "'config get' is denied (guardrails)",
        ),
        (
            vec!["CLIENT", "KILL", "x"],
            "'client kill' is denied (guardrails)",
        ),
        (
            vec!["GET", "user:1"],
            "'get' is denied for keys that begin with 'user:' (guardrails)",
        ),
        (
            vec!["DEL", "a", "b", "user:", "c"],
            "'del' is denied for keys that begin with 'user:' (guardrails)",
        ),
    ] {
        let heard = stage.ask(client, redis(&request));
        assert_eq!(heard, format!("-NOPERM {error}\r\n"), "{request:?}");
    }
    assert_eq!(counts(&stage), [5, 0, 0]);
    assert_eq!(stage.count(PoolMetric::ClientRequests), 5);
    for server in [0, 1] {
        assert_eq!(stage.links_ever(server), 0, "nothing was sent");
    }
    assert_eq!(
        stage.log,
        ["refused a request: 'keys' is denied (guardrails)"]
    );
    assert_eq!(stage.ask(client, redis(&["CLIENT", "ID"])), ":1\r\n");
    let key = stage.key(0);
    assert!(is_served(&mut stage, client, &get(&key), "$-1\r\n"));
}

#[test]
fn one_refused_key_refuses_all_of_a_split_request() {
    let rails = vec![GuardrailSettings {
        max_value: Some(3),
        deny: vec!["mget".into()],
        ..rail("user:")
    }];
    let (mut stage, client) = client_of(redis_pool(2), rails);
    let keys = [stage.key(0), stage.key(1), "user:1".to_owned()];
    let heard = stage.ask(client, redis(&["MGET", &keys[0], &keys[1], &keys[2]]));
    assert!(heard.starts_with("-NOPERM 'mget' is denied"), "{heard}");
    let request = ["MSET", &keys[0], "four", &keys[1], "1", &keys[2], "2"];
    let heard = stage.ask(client, redis(&request));
    let error = "-ERR 'mset' has a value of more than 3 bytes for keys that begin with 'user:' (guardrails)\r\n";
    assert_eq!(heard, error);
    assert_eq!(counts(&stage), [1, 1, 0]);
    assert_eq!(stage.links_ever(0) + stage.links_ever(1), 0);
    // Without a key of the prefix both are served.
    stage.say(client, redis(&["MSET", &keys[0], "four", &keys[1], "1"]));
    assert_eq!(stage.links_ever(0) + stage.links_ever(1), 2);
}

#[test]
fn the_name_and_the_keys_are_no_values() {
    let rails = vec![GuardrailSettings {
        max_value: Some(2),
        ..GuardrailSettings::default()
    }];
    let (mut stage, client) = client_of(redis_pool(1), rails);
    let request = set("a long key", "12");
    assert!(is_served(&mut stage, client, &request, "+OK\r\n"));
    let error = "-ERR 'set' has a value of more than 2 bytes (guardrails)\r\n";
    assert_eq!(stage.ask(client, set("a long key", "123")), error);
    // One that is collected outside its text is measured, too, and dropped.
    let large = "x".repeat(300_000);
    assert_eq!(stage.ask(client, set("k", &large)), error);
    assert!(is_served(&mut stage, client, &get("k"), "$-1\r\n"));
    assert_eq!(counts(&stage), [0, 2, 0]);
}

#[test]
fn within_multi_a_refusal_aborts_the_transaction() {
    let rails = vec![denying(Some("user:"), &["del"])];
    let (mut stage, client) = client_of(redis_pool(1), rails);
    let request = [
        redis(&["MULTI"]),
        set("a", "1"),
        redis(&["DEL", "user:1"]),
        set("b", "1"),
        redis(&["EXEC"]),
    ];
    let heard = stage.ask(client, request.concat());
    assert_eq!(
        heard,
        "+OK\r\n+QUEUED\r\n-NOPERM 'del' is denied for keys that begin with 'user:' (guardrails)\r\n+QUEUED\r\n\
         -EXECABORT Transaction discarded because of previous errors.\r\n"
    );
    assert_eq!(stage.links_ever(0), 0);
    assert!(is_served(&mut stage, client, &get("k"), "$-1\r\n"));
}

#[test]
fn what_follows_a_refused_multi_is_not_executed_by_itself() {
    let (mut stage, client) = client_of(redis_pool(1), vec![denying(None, &["multi"])]);
    let request = [redis(&["MULTI"]), set("a", "1"), redis(&["EXEC"])].concat();
    let heard = stage.ask(client, &request);
    assert_eq!(
        heard,
        "-NOPERM 'multi' is denied (guardrails)\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n"
    );
    assert_eq!(stage.ask(client, redis(&["MULTI"])).len(), 40);
    assert_eq!(stage.ask(client, redis(&["DISCARD"])), "+OK\r\n");
    assert_eq!(stage.links_ever(0), 0);
    assert!(is_served(&mut stage, client, &get("k"), "$-1\r\n"));
}

#[test]
fn what_follows_a_refused_watch_or_select_is_not_executed_without_it() {
    let rails = vec![denying(None, &["watch", "select"])];
    let (mut stage, client) = client_of(redis_pool(1), rails);
    let request = [
        redis(&["WATCH", "a"]),
        redis(&["MULTI"]),
        set("a", "1"),
        redis(&["EXEC"]),
    ];
    let heard = stage.ask(client, request.concat());
    assert!(
        heard.starts_with("-NOPERM 'watch' is denied (guardrails)\r\n+OK\r\n+QUEUED\r\n-EXECABORT"),
        "{heard}"
    );
    let heard = stage.ask(client, [redis(&["SELECT", "3"]), get("a")].concat());
    assert!(
        heard.starts_with("-NOPERM 'select' is denied (guardrails)\r\n-ERR not executed"),
        "{heard}"
    );
    assert_eq!(stage.ask(client, redis(&["RESET"])), "+RESET\r\n");
    assert!(is_served(&mut stage, client, &get("k"), "$-1\r\n"));
    assert_eq!(stage.links_ever(0), 1);
}

#[test]
fn a_client_without_the_password_is_told_that_and_uses_up_nothing() {
    let mut pool = redis_pool(1);
    pool.protocol = ProtocolSettings::Redis(RedisSettings {
        auth: Some(b"secret"[..].into()),
        ..RedisSettings::default()
    });
    let (mut stage, client) = client_of(pool, vec![denying(None, &["keys"]), rate(Some("k"), 1)]);
    for request in [redis(&["KEYS", "*"]), get("k"), get("k")] {
        let heard = stage.ask(client, request);
        assert_eq!(heard, "-NOAUTH Authentication required\r\n");
    }
    assert_eq!(counts(&stage), [0, 0, 0]);
    assert_eq!(stage.ask(client, redis(&["AUTH", "secret"])), "+OK\r\n");
    let heard = stage.ask(client, redis(&["KEYS", "*"]));
    assert_eq!(heard, "-NOPERM 'keys' is denied (guardrails)\r\n");
}

#[test]
fn replies_that_are_not_wanted_stay_away() {
    let (mut stage, client) = client_of(redis_pool(1), vec![denying(None, &["keys"])]);
    let keys = redis(&["KEYS", "*"]);
    let skip = redis(&["CLIENT", "REPLY", "SKIP"]);
    assert_eq!(stage.ask(client, [skip, keys.clone()].concat()), "");
    assert_eq!(stage.count(PoolMetric::Unheard), 1);
    let heard = stage.ask(client, keys);
    assert_eq!(heard, "-NOPERM 'keys' is denied (guardrails)\r\n");
    assert_eq!(counts(&stage), [2, 0, 0]);
}

#[test]
fn a_rate_is_that_of_all_workers_together() {
    let pool = with(redis_pool(1), vec![rate(None, 5), rate(Some("a"), 2)]);
    let mut stage = Stage::with_workers(pool, 2, 7);
    let clients = [stage.client_of(0), stage.client_of(1)];
    let ping = redis(&["PING"]);
    for client in clients {
        assert_eq!(stage.ask(client, &ping), "+PONG\r\n");
        stage.say(client, get("a"));
    }
    let error =
        "-ERR more than 2 requests per second for keys that begin with 'a' (guardrails)\r\n";
    let other = stage.client_of(0);
    assert_eq!(stage.ask(other, get("a")), error);
    assert_eq!(stage.ask(other, &ping), "+PONG\r\n");
    let all = "-ERR more than 5 requests per second (guardrails)\r\n";
    assert_eq!(stage.ask(other, &ping), all);
    assert_eq!(counts(&stage), [0, 0, 2]);
    // A fifth of a second is enough for one.
    stage.wait(200);
    assert_eq!(stage.ask(other, ping.repeat(2)), format!("+PONG\r\n{all}"));
    stage.wait(1_000);
    let heard = stage.ask(other, ping.repeat(7));
    assert_eq!(heard, "+PONG\r\n".repeat(5) + &all.repeat(2));
}

#[test]
fn a_request_that_has_to_wait_counts_once() {
    let (mut stage, client) = client_of(redis_pool(1), vec![rate(None, 2)]);
    // The second waits for the reply to the first, and is decided again then.
    let wait = redis(&["BLPOP", "k", "0"]);
    stage.say(client, [get("k"), wait.clone()].concat());
    let link = stage.link(0);
    assert_eq!(stage.heard(link), get("k"));
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
    assert_eq!(stage.links(0).len(), 2, "it is sent over one of its own");
    assert_eq!(counts(&stage), [0, 0, 0]);
    let other = stage.client();
    let heard = stage.ask(other, redis(&["PING"]));
    assert_eq!(
        heard,
        "-ERR more than 2 requests per second (guardrails)\r\n"
    );
}

#[test]
fn a_plan_changes_them_and_what_is_used_up_stays() {
    let pool = redis_pool(1);
    let (mut stage, client) = client_of(pool.clone(), Vec::new());
    let ping = redis(&["PING"]);
    assert_eq!(stage.ask(client, ping.repeat(3)), "+PONG\r\n".repeat(3));
    stage.publish(with(pool.clone(), vec![rate(None, 4)]));
    assert_eq!(stage.ask(client, ping.repeat(4)), "+PONG\r\n".repeat(4));
    let refused = "-ERR more than 4 requests per second (guardrails)\r\n";
    assert_eq!(stage.ask(client, &ping), refused);
    stage.publish(with(
        pool.clone(),
        vec![denying(Some("x"), &["get"]), rate(None, 2)],
    ));
    let refused = "-ERR more than 2 requests per second (guardrails)\r\n";
    assert_eq!(stage.ask(client, &ping), refused);
    stage.publish(pool);
    assert_eq!(stage.ask(client, ping.repeat(3)), "+PONG\r\n".repeat(3));
    assert!(is_served(&mut stage, client, &get("x"), "$-1\r\n"));
}

#[test]
fn memcached_is_answered_in_its_own_words() {
    let rails = vec![
        denying(None, &["flush_all", "stats"]),
        GuardrailSettings {
            max_value: Some(4),
            deny: vec!["delete".into(), "mg".into()],
            ..rail("user:")
        },
    ];
    let (mut stage, client) = client_of(memcached_pool(2), rails);
    let of_user = "for keys that begin with 'user:' (guardrails)\r\n";
    let too_long = |verb: &str| {
        format!(
            "SERVER_ERROR object too large for cache: '{verb}' has a value of more than 4 bytes {of_user}"
        )
    };
    for (request, expected) in [
        (
            "flush_all\r\n",
            "CLIENT_ERROR 'flush_all' is denied (guardrails)\r\n".to_owned(),
        ),
        (
            "stats items\r\n",
            "CLIENT_ERROR 'stats' is denied (guardrails)\r\n".to_owned(),
        ),
        (
            "delete user:1\r\n",
            format!("CLIENT_ERROR 'delete' is denied {of_user}"),
        ),
        ("set user:1 0 0 5\r\nvalue\r\n", too_long("set")),
        ("  cas user:1 0 0 5 9\r\nvalue\r\n", too_long("cas")),
        ("ms user:1 5 T0\r\nvalue\r\n", too_long("ms")),
        // "user:1" in base64.
        (
            "mg dXNlcjox b v\r\n",
            format!("CLIENT_ERROR 'mg' is denied {of_user}"),
        ),
        ("ms dXNlcjox 5 b q\r\nvalue\r\n", too_long("ms")),
        ("set user:1 0 0 5 noreply\r\nvalue\r\n", String::new()),
        ("mn\r\n", "MN\r\n".to_owned()),
    ] {
        assert_eq!(stage.ask(client, request), expected, "{request}");
    }
    assert_eq!(counts(&stage), [4, 5, 0]);
    assert_eq!(stage.count(PoolMetric::Unheard), 1);
    // A block that looks like requests is swallowed, however long it is.
    let block = "flush_all\r\n".repeat(30_000);
    let request = format!("set user:1 0 0 {}\r\n{block}\r\nmn\r\n", block.len());
    let heard = stage.ask(client, request);
    assert_eq!(heard, too_long("set") + "MN\r\n");
    assert_eq!(stage.links_ever(0) + stage.links_ever(1), 0);
}

#[test]
fn one_refused_key_refuses_all_of_a_retrieval() {
    let rails = vec![rate(Some("user:"), 1)];
    let (mut stage, client) = client_of(memcached_pool(1), rails);
    let request = "get a user:1 user:2\r\n";
    let reply = value("a", "1") + "END\r\n";
    stage.say(client, request);
    assert_eq!(stage.heard(stage.link(0)), "get a user:1 user:2 \r\n");
    stage.answer(stage.link(0), &reply);
    assert_eq!(stage.hear(client), reply);
    let heard = stage.ask(client, "get a b user:3\r\n");
    let error = "SERVER_ERROR more than 1 requests per second for keys that begin with 'user:' (guardrails)\r\n";
    assert_eq!(heard, error);
    assert_eq!(stage.heard(stage.link(0)), "");
    assert_eq!(counts(&stage), [0, 0, 1]);
}
