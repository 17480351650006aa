//! `transactions: per_shard`: a transaction is split by server, and EXEC is answered as if it were one.

use proxy::Cause;
use proxy::metrics::PoolMetric;
use proxy::settings::{
    PoolSettings, ProtocolSettings, RedisSettings, TimeoutAction, TransactionScope,
};

use crate::stage::{ConnectResult, Stage, millis, redis_pool};
use crate::words::{PING, REFUSED, bulk, get, redis, set};

const TRIED: &str = "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n";

fn pool(servers: usize) -> PoolSettings {
    let mut settings = redis_pool(servers);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        transactions: TransactionScope::PerShard,
        ..RedisSettings::default()
    });
    settings
}

fn block(requests: &[String]) -> String {
    redis(&["MULTI"]) + &requests.concat() + &redis(&["EXEC"])
}

/// What a client hears before the reply to EXEC.
fn queued(count: usize) -> String {
    "+OK\r\n".to_owned() + &"+QUEUED\r\n".repeat(count)
}

/// A stage of three servers whose connections take transactions, a client, the connections, and two keys of each server.
fn stage_of(settings: PoolSettings) -> (Stage, usize, [usize; 3], [Vec<String>; 3]) {
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let keys = [0, 1, 2].map(|server| stage.keys(server, 2));
    for (server, keys) in keys.iter().enumerate() {
        stage.say(client, block(&[get(&keys[0])]));
        let link = stage.link(server);
        stage.answer(link, TRIED);
        stage.heard(link);
        stage.answer(link, "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    }
    stage.hear(client);
    let links = [0, 1, 2].map(|server| stage.link(server));
    (stage, client, links, keys)
}

fn stage() -> (Stage, usize, [usize; 3], [Vec<String>; 3]) {
    stage_of(pool(3))
}

#[test]
fn each_server_gets_its_part_and_the_reply_is_in_the_order_of_the_commands() {
    let (mut stage, client, links, keys) = stage();
    let [a, b, _] = &keys;
    let all = [
        set(&a[0], "v"),
        get(&b[0]),
        redis(&["INCR", &a[1]]),
        redis(&["LRANGE", &b[1], "0", "-1"]),
        PING.to_owned(),
    ];
    stage.say(client, block(&all) + &get(&a[0]));
    let first = block(&[all[0].clone(), all[2].clone(), PING.into()]);
    assert_eq!(stage.heard(links[0]), first + &get(&a[0]));
    assert_eq!(
        stage.heard(links[1]),
        block(&[all[1].clone(), all[3].clone()])
    );
    assert_eq!(stage.heard(links[2]), "");
    let nested = "*2\r\n$1\r\nx\r\n*1\r\n:7\r\n";
    let one = queued(2) + "*2\r\n" + &bulk("b") + nested;
    let (head, tail) = one.split_at(one.len() - 3);
    stage.answer(links[1], head);
    stage.answer(
        links[0],
        queued(3) + "*3\r\n+OK\r\n-ERR not an integer\r\n+PONG\r\n",
    );
    stage.answer(links[0], bulk("v"));
    assert_eq!(stage.hear(client), queued(5), "it waits for all");
    stage.answer(links[1], tail);
    let joined = "*5\r\n+OK\r\n".to_owned() + &bulk("b") + "-ERR not an integer\r\n" + nested;
    assert_eq!(stage.hear(client), joined + "+PONG\r\n" + &bulk("v"));
    assert_eq!(stage.count(PoolMetric::TransactionsInPart), 0);
}

#[test]
fn commands_that_can_be_split_are_split_and_joined_within_it() {
    let (mut stage, client, links, keys) = stage();
    let [a, b, c] = &keys;
    let large = "x".repeat(100_000);
    let all = [
        redis(&["MSET", &a[0], "1", &b[0], &large, &a[1], "3"]),
        redis(&["MGET", &b[0], &a[0], &c[0], &a[1]]),
        redis(&["DEL", &c[0], &b[0]]),
        redis(&["DEL", &a[0]]),
    ];
    stage.say(client, block(&all));
    let parts = [
        vec![
            redis(&["mset", &a[0], "1", &a[1], "3"]),
            redis(&["mget", &a[0], &a[1]]),
            all[3].clone(),
        ],
        vec![
            redis(&["mset", &b[0], &large]),
            redis(&["mget", &b[0]]),
            redis(&["del", &b[0]]),
        ],
        vec![redis(&["mget", &c[0]]), redis(&["del", &c[0]])],
    ];
    for (link, part) in links.iter().zip(&parts) {
        assert_eq!(stage.heard(*link), block(part));
    }
    let of_a = queued(3) + "*3\r\n+OK\r\n*2\r\n" + &bulk("1") + &bulk("3") + ":1\r\n";
    let of_b = queued(3) + "*3\r\n+OK\r\n*1\r\n" + &bulk("2") + ":1\r\n";
    let of_c = queued(2) + "*2\r\n*1\r\n$-1\r\n:1\r\n";
    stage.answer(links[0], of_a);
    stage.answer(links[2], of_c);
    stage.answer(links[1], of_b);
    let joined = queued(4)
        + "*4\r\n+OK\r\n*4\r\n"
        + &bulk("2")
        + &bulk("1")
        + "$-1\r\n"
        + &bulk("3")
        + ":2\r\n:1\r\n";
    assert_eq!(stage.hear(client), joined);
}

#[test]
fn an_error_in_a_fragment_is_the_answer_of_its_command_alone() {
    let (mut stage, client, links, keys) = stage();
    let [a, b, _] = &keys;
    let all = [
        redis(&["DEL", &a[0], &b[0]]),
        get(&a[0]),
        get(&b[0]),
        redis(&["MGET", &b[0], &a[0]]),
    ];
    stage.say(client, block(&all));
    let denied = "-NOPERM no\r\n";
    let array = "*1\r\n$1\r\nm\r\n";
    stage.answer(links[0], queued(3) + "*3\r\n" + denied + &bulk("a") + array);
    stage.answer(links[1], queued(3) + "*3\r\n:1\r\n" + &bulk("b") + denied);
    let joined = queued(4) + "*4\r\n" + denied + &bulk("a") + &bulk("b") + denied;
    assert_eq!(stage.hear(client), joined);
}

#[test]
fn the_part_of_a_server_that_aborts_or_is_lost_is_errors_and_the_rest_is_told() {
    let aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    let (mut stage, client, links, keys) = stage();
    let [a, b, _] = &keys;
    let all = [
        get(&a[0]),
        get(&b[0]),
        redis(&["DEL", &a[0], &b[0]]),
        get(&b[1]),
    ];
    let transaction = block(&all);
    stage.say(client, &transaction);
    stage.answer(links[0], queued(2) + "*2\r\n" + &bulk("a") + ":1\r\n");
    stage.answer(
        links[1],
        "+OK\r\n-OOM no\r\n+QUEUED\r\n+QUEUED\r\n".to_owned() + aborted,
    );
    let joined = queued(4) + "*4\r\n" + &bulk("a") + &aborted.repeat(3);
    assert_eq!(stage.hear(client), joined);
    assert_eq!(stage.count(PoolMetric::TransactionsInPart), 1);
    let told = "1 of 2 servers have not executed their part of a transaction; see transactions";
    assert_eq!(stage.log, [told]);

    stage.say(client, &transaction);
    stage.answer(links[0], queued(2) + "*2\r\n" + &bulk("a") + ":1\r\n");
    stage.hang_up(links[1], Cause::Reset);
    let lost = "-ERR Connection reset by peer\r\n";
    let joined = queued(4) + "*4\r\n" + &bulk("a") + &lost.repeat(3);
    assert_eq!(stage.hear(client), joined);
    assert_eq!(stage.count(PoolMetric::TransactionsInPart), 2);
}

#[test]
fn nothing_is_sent_unless_all_of_it_can_be() {
    let mut settings = pool(3);
    settings.auto_eject_hosts = true;
    settings.failure.eject = proxy::settings::EjectPolicy::Error;
    let (mut stage, client, links, keys) = stage_of(settings);
    stage.eject(1);
    stage.say(
        client,
        block(&[set(&keys[0][0], "v"), set(&keys[1][0], "v")]),
    );
    let heard = stage.hear(client);
    let start = queued(2) + "-ERR Connection refused";
    assert!(heard.starts_with(&start), "{heard}");
    assert_eq!(stage.heard(links[0]), "");

    // One that takes no transactions is asked first.
    let mut stage = Stage::new(pool(3));
    let client = stage.client();
    let keys = [0, 1].map(|server| stage.key(server));
    stage.say(client, block(&[set(&keys[0], "v"), set(&keys[1], "v")]));
    let first = stage.link(0);
    assert!(stage.heard(first).ends_with(&redis(&["DISCARD"])));
    stage.answer(first, TRIED);
    assert_eq!(stage.heard(first), "");
    let second = stage.link(1);
    let no = "-NOPERM no\r\n-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n";
    stage.answer(second, no);
    let heard = stage.hear(client);
    assert!(heard.contains("-EXECABORT "), "{heard}");
    assert_eq!(stage.heard(first), "");

    let mut stage = Stage::new(pool(3));
    stage.set_connect_result(1, ConnectResult::Refusing);
    let client = stage.client();
    stage.say(client, block(&[set(&keys[0], "v"), set(&keys[1], "v")]));
    let first = stage.link(0);
    stage.answer(first, TRIED);
    assert_eq!(stage.hear(client), queued(2) + REFUSED);
    assert!(!stage.heard(first).contains("SET"), "nothing of it");
}

#[test]
fn a_command_that_cannot_be_split_needs_one_server() {
    let (mut stage, client, links, keys) = stage();
    let [a, b, _] = &keys;
    stage.say(
        client,
        block(&[set(&a[0], "v"), redis(&["RENAME", &a[0], &b[0]])]),
    );
    let heard = stage.hear(client);
    let start = "+OK\r\n+QUEUED\r\n-CROSSSLOT ";
    assert!(
        heard.starts_with(start) && heard.contains("-EXECABORT"),
        "{heard}"
    );
    assert_eq!(stage.heard(links[0]) + &stage.heard(links[1]), "");
}

#[test]
fn a_wrong_number_of_replies_is_told_as_an_error() {
    let (mut stage, client, links, keys) = stage();
    stage.say(client, block(&[get(&keys[0][0]), get(&keys[1][0])]) + PING);
    stage.answer(links[0], queued(1) + "*2\r\n$-1\r\n$-1\r\n");
    stage.answer(links[1], queued(1) + "*1\r\n$-1\r\n");
    let invalid = "-ERR Invalid argument\r\n+PONG\r\n";
    assert_eq!(stage.hear(client), queued(2) + invalid);
}

#[test]
fn its_parts_are_late_together_and_late_replies_are_dropped() {
    let mut settings = pool(3);
    settings.timeout = Some(millis(100));
    settings.failure.timeout_action = TimeoutAction::Answer;
    let (mut stage, client, links, keys) = stage_of(settings);
    stage.say(client, block(&[get(&keys[0][0]), get(&keys[1][0])]));
    stage.answer(links[0], queued(1) + "*1\r\n" + &bulk("a"));
    stage.wait(100);
    let late = "-ERR Connection timed out\r\n";
    assert_eq!(stage.hear(client), queued(2) + "*2\r\n" + &bulk("a") + late);
    stage.say(client, get(&keys[1][0]));
    stage.answer(links[1], queued(1) + "*1\r\n$-1\r\n" + &bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
}
