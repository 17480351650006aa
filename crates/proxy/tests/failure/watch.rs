//! WATCH: keys that a transaction depends on, watched on a connection of the client's own.

use proxy::Cause;
use proxy::metrics::PoolMetric;
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings, TransactionScope};

use crate::stage::{Stage, millis, redis_pool};
use crate::words::{PING, bulk, get, redis, set};

const QUEUED: &str = "+QUEUED\r\n";
const OK: &str = "+OK\r\n";
const NIL: &str = "*-1\r\n";
/// What is asked on a connection before the first keys are watched there, and what is answered.
const TRIAL: &str = "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$7\r\nDISCARD\r\n";
const TRIED: &str = "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n";

fn watch(keys: &[&str]) -> String {
    redis(&[&["WATCH"], keys].concat())
}

fn block(requests: &[String]) -> String {
    redis(&["MULTI"]) + &requests.concat() + &redis(&["EXEC"])
}

/// Answers what is asked on a leased connection before keys are watched there: its number, and whether it takes
/// transactions. The request behind that is `watched`.
fn greet(stage: &mut Stage, link: usize, watched: &[&str]) {
    assert_eq!(stage.heard(link), redis(&["CLIENT", "ID"]));
    stage.answer(link, ":77\r\n");
    assert_eq!(stage.heard(link), TRIAL.to_owned() + &watch(watched));
    stage.answer(link, TRIED);
}

/// A client that watches `k` at the only server, and the connection that it does so on.
fn watching() -> (Stage, usize, usize) {
    watching_in(redis_pool(1))
}

fn watching_in(pool: PoolSettings) -> (Stage, usize, usize) {
    let mut stage = Stage::new(pool);
    let client = stage.client();
    stage.say(client, watch(&["k"]));
    let link = stage.link(0);
    greet(&mut stage, link, &["k"]);
    stage.answer(link, OK);
    assert_eq!(stage.hear(client), OK);
    (stage, client, link)
}

/// The same, whose transaction of one SET was sent.
fn executing() -> (Stage, usize, usize) {
    let (mut stage, client, link) = watching();
    stage.say(client, block(&[set("k", "v")]));
    assert_eq!(stage.heard(link), block(&[set("k", "v")]));
    (stage, client, link)
}

#[test]
fn the_transaction_goes_where_its_keys_are_watched_and_the_connection_is_used_again() {
    let (mut stage, client, link) = watching();
    stage.say(client, get("k"));
    let shared = stage.links(0)[1];
    assert_eq!(stage.heard(shared), get("k"), "others share the others");
    stage.answer(shared, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
    stage.say(client, block(&[set("k", "w")]) + &get("k"));
    assert_eq!(stage.heard(link), block(&[set("k", "w")]));
    assert_eq!(stage.heard(shared), "", "it overtakes nothing");
    stage.answer(link, "+OK\r\n+QUEUED\r\n*-1\r\n");
    assert_eq!(stage.hear(client), [OK, QUEUED, NIL].concat());
    assert_eq!(stage.heard(shared), get("k"));
    stage.answer(shared, bulk("v"));
    stage.hear(client);

    let other = stage.client();
    stage.say(other, watch(&["a", "b"]));
    assert_eq!(stage.heard(link), watch(&["a", "b"]));
    stage.answer(link, OK);
    stage.say(other, block(&[set("a", "1"), get("b")]));
    assert_eq!(
        stage.heard(link),
        block(&[set("a", "1"), get("b")]),
        "tried once"
    );
    stage.answer(link, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$-1\r\n");
    assert!(stage.hear(other).ends_with("*2\r\n+OK\r\n$-1\r\n"));
    assert_eq!(stage.links_ever(0), 2);
}

#[test]
fn what_was_sent_before_is_answered_before() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let rest = get("k") + &block(&[set("k", "w")]);
    stage.say(client, set("k", "v") + &watch(&["k"]) + &rest);
    let shared = stage.link(0);
    assert_eq!(stage.heard(shared), set("k", "v"));
    stage.answer(shared, OK);
    let link = stage.links(0)[1];
    greet(&mut stage, link, &["k"]);
    assert_eq!(stage.heard(shared), "");
    stage.answer(link, OK);
    assert_eq!(stage.heard(shared), get("k"));
    assert_eq!(stage.heard(link), "");
    stage.answer(shared, bulk("v"));
    assert_eq!(stage.heard(link), block(&[set("k", "w")]));
}

#[test]
fn unwatch_and_discard_end_it_and_the_connection_is_used_again() {
    for end in ["UNWATCH", "DISCARD"] {
        let (mut stage, client, link) = watching();
        if end == "DISCARD" {
            stage.say(client, redis(&["MULTI"]) + &set("k", "v"));
            assert_eq!(stage.hear(client), [OK, QUEUED].concat());
        }
        stage.say(client, redis(&[end]) + &block(&[get("k")]));
        assert_eq!(stage.heard(link), redis(&["UNWATCH"]), "{end}");
        stage.answer(link, OK);
        assert_eq!(stage.hear(client), [OK, OK, QUEUED].concat());
        assert_eq!(stage.heard(link), "", "the next one depends on nothing");
        stage.say(client, PING);
        let other = stage.client();
        stage.say(other, watch(&["k"]));
        assert_eq!(stage.heard(link), watch(&["k"]));
    }
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(&["UNWATCH"])), OK);
    assert_eq!(stage.links_ever(0), 0);
}

#[test]
fn what_leaves_keys_watched_costs_the_connection() {
    for end in ["EXEC", "RESET"] {
        let (mut stage, client, link) = watching();
        let wrong = redis(&["MULTI"]) + &redis(&["GET"]) + &redis(&[end]);
        let heard = stage.ask(client, wrong);
        assert!(
            heard.ends_with("errors.\r\n") || heard.ends_with("+RESET\r\n"),
            "{heard}"
        );
        assert!(!stage.is_open(link), "{end}");
        assert_eq!(stage.ask(client, block(&[])), "+OK\r\n*0\r\n");
    }
    let (mut stage, client, link) = watching();
    stage.vanish(client);
    assert!(!stage.is_open(link));
}

#[test]
fn if_the_connection_is_lost_nothing_is_executed_elsewhere() {
    let (mut stage, client, link) = watching();
    stage.hang_up(link, Cause::Reset);
    let heard = stage.ask(client, block(&[set("k", "v")]) + PING);
    assert_eq!(heard, [OK, QUEUED, NIL, "+PONG\r\n"].concat());
    assert!(stage.links(0).is_empty());

    let (mut stage, client, link) = executing();
    stage.hang_up(link, Cause::Reset);
    let lost = "-ERR Connection reset by peer\r\n";
    assert_eq!(stage.hear(client), [OK, QUEUED, lost].concat());
}

#[test]
fn if_the_keys_are_elsewhere_by_now_nothing_is_executed() {
    let mut settings = redis_pool(3);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings);
    let (client, key) = (stage.client(), stage.key(0));
    stage.say(client, watch(&[&key]));
    let link = stage.link(0);
    greet(&mut stage, link, &[&key]);
    stage.answer(link, OK);
    assert_eq!(stage.hear(client), OK);
    stage.eject(0);
    let heard = stage.ask(client, block(&[set(&key, "v")]));
    assert!(heard.ends_with(NIL), "{heard}");
    let links = [0, 1, 2].map(|server| stage.links(server)).concat();
    let sent: String = links.into_iter().map(|link| stage.heard(link)).collect();
    assert!(!sent.contains("EXEC"), "{sent}");
}

#[test]
fn keys_of_several_servers_cannot_be_watched_and_the_transaction_is_not_executed() {
    let mut stage = Stage::new(redis_pool(3));
    let client = stage.client();
    let keys = [0, 1].map(|server| stage.key(server));
    let crossslot = "-CROSSSLOT Keys of a transaction don't hash to the same server";
    let aborted =
        "-EXECABORT Transaction discarded because of: the WATCH before it was refused\r\n";
    let heard = stage.ask(client, watch(&[&keys[0], &keys[1]]));
    assert!(heard.starts_with(crossslot), "{heard}");
    let heard = stage.ask(client, block(&[set(&keys[0], "v")]));
    assert_eq!(heard, [OK, QUEUED, aborted].concat());

    stage.say(client, watch(&[&keys[0]]));
    let link = stage.link(0);
    greet(&mut stage, link, &[&keys[0]]);
    stage.answer(link, OK);
    stage.hear(client);
    let heard = stage.ask(client, watch(&[&keys[1]]));
    assert!(heard.starts_with(crossslot), "{heard}");
    let heard = stage.ask(client, block(&[set(&keys[0], "v")]));
    assert_eq!(heard, [OK, QUEUED, aborted].concat());
    assert!(!stage.is_open(link));
    assert_eq!(stage.count(PoolMetric::CrossShardRefused), 2);
}

#[test]
fn a_transaction_has_its_keys_where_others_are_watched_even_where_it_is_split_otherwise() {
    let mut settings = redis_pool(3);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        transactions: TransactionScope::PerShard,
        ..RedisSettings::default()
    });
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let keys = [0, 1].map(|server| stage.key(server));
    stage.say(client, watch(&[&keys[0]]));
    let link = stage.link(0);
    greet(&mut stage, link, &[&keys[0]]);
    stage.answer(link, OK);
    stage.hear(client);
    let heard = stage.ask(client, block(&[set(&keys[1], "v")]));
    assert!(heard.starts_with("+OK\r\n-CROSSSLOT "), "{heard}");
    assert!(heard.contains("-EXECABORT "), "{heard}");
    assert!(!stage.heard(link).contains("EXEC"));
}

#[test]
fn a_transaction_of_nothing_tells_whether_the_keys_have_changed() {
    let (mut stage, client, link) = watching();
    stage.say(client, block(&[]));
    assert_eq!(stage.heard(link), block(&[]));
    stage.answer(link, "+OK\r\n*-1\r\n");
    assert_eq!(stage.hear(client), [OK, NIL].concat());
}

#[test]
fn a_server_that_refuses_transactions_is_known_before_anything_is_executed() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, watch(&["k"]) + &block(&[set("k", "v")]));
    let link = stage.link(0);
    stage.heard(link);
    stage.answer(link, ":77\r\n");
    stage.heard(link);
    let no = "-NOPERM no\r\n-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n";
    stage.answer(link, no.to_owned() + OK);
    let heard = stage.hear(client);
    assert!(
        heard.contains("-EXECABORT ") && heard.contains("NOPERM no"),
        "{heard}"
    );
    assert!(!stage.is_open(link));
}

#[test]
fn it_has_a_deadline_like_any_request() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(100));
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, watch(&["k"]));
    let link = stage.link(0);
    greet(&mut stage, link, &["k"]);
    stage.wait(100);
    assert_eq!(stage.hear(client), "-ERR Connection timed out\r\n");
    let heard = stage.ask(client, block(&[set("k", "v")]));
    assert!(heard.ends_with(NIL), "{heard}");
}

#[test]
fn what_is_watched_for_too_long_is_given_up() {
    for (setting, within) in [(None, 3_600_000), (Some(60_000), 59_999), (Some(200), 199)] {
        let (mut stage, client, link) = watching_in(PoolSettings {
            lease_idle_timeout: setting.map(millis),
            ..redis_pool(1)
        });
        stage.wait(within);
        assert!(stage.is_open(link), "{setting:?}");
        if setting.is_some() {
            stage.wait(1);
            assert!(!stage.is_open(link), "{setting:?}");
            let heard = stage.ask(client, block(&[set("k", "v")]));
            assert!(heard.ends_with(NIL), "{heard}");
        }
    }
}

#[test]
fn the_connection_of_a_client_that_leaves_is_closed_when_the_last_reply_has_come() {
    let (mut stage, client, link) = executing();
    stage.vanish(client);
    stage.answer(link, "+OK\r\n+QUEUED\r\n");
    assert!(stage.is_open(link), "the server may be at it still");
    stage.answer(link, "*1\r\n+OK\r\n");
    assert!(!stage.is_open(link));

    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, watch(&["k"]));
    let link = stage.link(0);
    greet(&mut stage, link, &["k"]);
    stage.vanish(client);
    assert!(stage.is_open(link));
    stage.answer(link, OK);
    assert!(!stage.is_open(link));
}

#[test]
fn it_is_bounded() {
    let (mut stage, client, link) = watching();
    let keys: Vec<String> = (0..1_024).map(|key| key.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let heard = stage.ask(client, watch(&keys));
    assert!(
        heard.starts_with("-ERR too many keys are watched"),
        "{heard}"
    );
    assert_eq!(stage.heard(link), "");
    let heard = stage.ask(client, block(&[set("k", "v")]));
    assert!(heard.contains("-EXECABORT "), "{heard}");
}

#[test]
fn a_plan_with_which_its_server_has_moved_ends_it_and_the_client_goes_on() {
    for end in [redis(&["DISCARD"]), redis(&["EXEC"])] {
        let (mut stage, client, link) = watching();
        assert_eq!(
            stage.ask(client, redis(&["MULTI"]) + &set("k", "v")),
            [OK, QUEUED].concat()
        );
        let mut moved = redis_pool(1);
        moved.servers[0].address = proxy::settings::Address::tcp("10.9.9.9", 7000);
        stage.publish(moved);
        // The plan is followed at the first request after it.
        let heard = stage.ask(client, end.clone() + PING);
        let reply = if end.contains("EXEC") { NIL } else { OK };
        assert_eq!(heard, reply.to_owned() + "+PONG\r\n");
        assert!(!stage.is_open(link));
    }
}
