//! `databases`: clients that SELECT.

use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::{HELLO_3, PING, bulk, get, redis, set};

const OK: &str = "+OK\r\n";

fn pool(servers: usize) -> PoolSettings {
    let mut settings = redis_pool(servers);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        databases: 16,
        ..RedisSettings::default()
    });
    settings
}

fn select(number: u32) -> String {
    redis(&["SELECT", &number.to_string()])
}

#[test]
fn each_database_has_connections_of_its_own_and_nothing_overtakes() {
    let mut stage = Stage::new(pool(1));
    let (client, other) = (stage.client(), stage.client());
    stage.say(
        client,
        set("k", "0") + &select(3) + &set("k", "3") + &select(0) + &get("k"),
    );
    let first = stage.link(0);
    assert_eq!(stage.heard(first), set("k", "0"));
    assert_eq!(stage.links(0).len(), 1, "it waits for the reply");
    stage.answer(first, OK);
    let third = stage.links(0)[1];
    assert_eq!(stage.heard(third), select(3), "before the rest");
    stage.say(other, select(3) + &get("k"));
    stage.answer(third, OK);
    assert_eq!(
        stage.heard(third),
        set("k", "3") + &get("k"),
        "it is shared"
    );
    stage.answer(third, OK.to_owned() + &bulk("3"));
    assert_eq!(stage.heard(first), get("k"));
    stage.answer(first, bulk("0"));
    assert_eq!(stage.hear(client), [OK, OK, OK, OK, &bulk("0")].concat());
    assert_eq!(stage.hear(other), OK.to_owned() + &bulk("3"));
    assert_eq!(stage.links_ever(0), 2);
}

#[test]
fn a_client_is_told_where_it_is_and_begins_at_0_again_after_reset() {
    let mut stage = Stage::new(pool(1));
    let client = stage.client();
    let about = redis(&["CLIENT", "INFO"]);
    assert!(stage.ask(client, &about).contains(" db=0 "));
    assert_eq!(stage.ask(client, select(15)), OK);
    assert!(stage.ask(client, &about).contains(" db=15 "));
    let answer = stage.ask(client, redis(&["CONFIG", "GET", "databases"]));
    assert!(answer.ends_with("$2\r\n16\r\n"), "{answer}");
    assert_eq!(stage.ask(client, redis(&["RESET"])), "+RESET\r\n");
    assert!(stage.ask(client, &about).contains(" db=0 "));
    assert_eq!(stage.links_ever(0), 0);
}

#[test]
fn a_database_beyond_them_is_refused_and_so_is_what_was_meant_for_it() {
    let mut stage = Stage::new(pool(1));
    let client = stage.client();
    let refused = "-ERR DB index is out of range: the pool has 16 databases\r\n";
    assert_eq!(stage.ask(client, select(16)), refused);
    let heard = stage.ask(client, set("k", "v"));
    assert!(
        heard.starts_with("-ERR not executed: the SELECT 16"),
        "{heard}"
    );
    assert_eq!(stage.ask(client, select(1)), OK);
    stage.say(client, set("k", "v"));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), select(1));
}

#[test]
fn a_server_without_the_database_gets_none_of_its_requests() {
    let mut stage = Stage::new(pool(1));
    let (client, other) = (stage.client(), stage.client());
    stage.say(client, select(9) + &set("k", "v") + PING);
    let link = stage.link(0);
    stage.heard(link);
    stage.answer(link, "-ERR DB index is out of range\r\n");
    let heard = stage.hear(client);
    assert!(
        heard.starts_with("+OK\r\n-ERR DB index is out of range"),
        "{heard}"
    );
    assert!(heard.ends_with("+PONG\r\n"), "{heard}");
    assert!(!stage.is_open(link));
    stage.say(other, get("k"));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), get("k"), "the first one is served");
    assert!(stage.is_live(0));
}

#[test]
fn everything_that_goes_to_every_server_is_about_the_clients_database() {
    let mut stage = Stage::new(pool(2));
    let client = stage.client();
    stage.say(client, select(2) + &redis(&["DBSIZE"]));
    for server in 0..2 {
        let link = stage.link(server);
        assert_eq!(stage.heard(link), select(2));
        stage.answer(link, OK);
        assert_eq!(stage.heard(link), redis(&["DBSIZE"]));
        stage.answer(link, ":21\r\n");
    }
    assert_eq!(stage.hear(client), "+OK\r\n:42\r\n");
}

#[test]
fn with_resp3_too_and_where_a_client_waits() {
    let mut stage = Stage::new(pool(1));
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]));
    let link = stage.link(0);
    stage.answer(link, HELLO_3);
    stage.hear(client);
    stage.say(client, select(1) + &get("k") + &redis(&["BLPOP", "l", "0"]));
    let second = *stage.links(0).last().expect("there is one");
    assert_eq!(stage.heard(second), redis(&["HELLO", "3"]) + &select(1));
    stage.answer(second, HELLO_3.to_owned() + OK);
    assert_eq!(stage.heard(second), get("k"));
    stage.answer(second, "_\r\n");
    let leased = *stage.links(0).last().expect("there is one");
    assert_ne!(leased, second);
    let steps = redis(&["HELLO", "3"]) + &select(1) + &redis(&["CLIENT", "ID"]);
    assert_eq!(stage.heard(leased), steps);
}

#[test]
fn within_a_transaction_there_is_one_and_its_keys_are_in_the_clients() {
    let mut stage = Stage::new(pool(1));
    let client = stage.client();
    assert_eq!(
        stage.ask(client, select(1) + &redis(&["MULTI"])),
        [OK, OK].concat()
    );
    let heard = stage.ask(client, select(2));
    assert!(
        heard.starts_with("-ERR unsupported command 'select'"),
        "{heard}"
    );
    stage.ask(client, redis(&["DISCARD"]));
    stage.say(
        client,
        redis(&["MULTI"]) + &set("k", "v") + &redis(&["EXEC"]),
    );
    let link = stage.link(0);
    assert_eq!(stage.heard(link), select(1));
}

#[test]
fn a_plan_with_other_settings_keeps_their_connections() {
    let mut stage = Stage::new(pool(1));
    let client = stage.client();
    stage.say(client, select(1) + &get("k"));
    let link = stage.link(0);
    stage.answer(link, OK);
    stage.answer(link, bulk("v"));
    stage.hear(client);
    let mut settings = pool(1);
    settings.error_detail = true;
    stage.apply(settings);
    assert!(stage.is_open(link));
    stage.heard(link);
    stage.say(client, get("k"));
    assert_eq!(stage.heard(link), get("k"));
}

#[test]
fn a_key_moves_between_the_databases_of_the_only_server() {
    let moves = redis(&["MOVE", "k", "1"]);
    let mut stage = Stage::new(pool(1));
    let client = stage.client();
    stage.say(client, select(2) + &moves);
    let link = stage.link(0);
    stage.answer(link, OK);
    assert!(stage.heard(link).ends_with(&moves));
    stage.answer(link, ":1\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n:1\r\n");
    let mut stage = Stage::new(pool(2));
    let client = stage.client();
    let heard = stage.ask(client, moves);
    assert!(
        heard.starts_with("-ERR unsupported command 'move'"),
        "{heard}"
    );
}
