//! Requests that wait for other clients, and what ends a wait.

use proxy::Cause;
use proxy::metrics::{PoolMetric, ServerMetric};

use crate::stage::{ConnectResult, Stage, millis, redis_pool};
use crate::words::{PING, bulk, get, redis, set};

/// What the proxy asks first on a leased connection.
pub(crate) const CLIENT_ID: &str = "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n";

/// The error of a wait that ends because its key is served elsewhere.
const UNBLOCKED: &str = "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";

fn blpop(keys: &[&str]) -> String {
    redis(&[&["BLPOP"], keys, &["0"]].concat())
}

fn popped(key: &str, element: &str) -> String {
    format!("*2\r\n{}{}", bulk(key), bulk(element))
}

fn unblock(number: u64) -> String {
    redis(&["CLIENT", "UNBLOCK", &number.to_string(), "TIMEOUT"])
}

/// A client waits for `key`: returns its leased link, whose number at the server is 77.
fn wait_for(stage: &mut Stage, client: usize, server: usize, key: &str) -> usize {
    let before = stage.links_ever(server);
    stage.say(client, blpop(&[key]));
    let link = *stage.links(server).last().expect("a link was opened");
    assert_eq!(stage.links_ever(server), before + 1);
    assert_eq!(stage.heard(link), CLIENT_ID);
    stage.answer(link, ":77\r\n");
    assert_eq!(stage.heard(link), blpop(&[key]));
    link
}

#[test]
fn a_wait_has_a_connection_of_its_own_that_the_next_one_uses_again() {
    let mut stage = Stage::new(redis_pool(1));
    let (waits, other) = (stage.client(), stage.client());
    let leased = wait_for(&mut stage, waits, 0, "q");
    assert_eq!(stage.ask(other, get("k")), "");
    let shared = stage.links(0)[1];
    assert_eq!(stage.heard(shared), get("k"));
    stage.answer(shared, bulk("v"));
    assert_eq!(stage.hear(other), bulk("v"));

    stage.wait(600_000);
    stage.answer(leased, popped("q", "x"));
    assert_eq!(stage.hear(waits), popped("q", "x"));
    stage.say(other, blpop(&["p"]));
    assert_eq!(stage.heard(leased), blpop(&["p"]));
    stage.answer(leased, "*-1\r\n");
    assert_eq!(stage.hear(other), "*-1\r\n");
    assert_eq!(stage.links_ever(0), 2);
    assert_eq!(stage.count_at(0, ServerMetric::ServerConnections), 2);

    // Nobody needs it for a minute.
    stage.wait(59_999);
    assert!(stage.is_open(leased));
    stage.wait(1);
    assert!(!stage.is_open(leased) && stage.is_open(shared));
}

#[test]
fn a_wait_begins_when_everything_before_it_is_answered_and_nothing_behind_it_is_sent() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let all = format!("{}{}{PING}{}", set("k", "v"), blpop(&["q"]), get("k"));
    assert_eq!(stage.ask(client, all), "");
    let shared = stage.link(0);
    assert_eq!(stage.heard(shared), set("k", "v"));
    stage.answer(shared, "+OK\r\n");
    let leased = stage.links(0)[1];
    assert_eq!(stage.heard(leased), CLIENT_ID);
    stage.answer(leased, ":1\r\n");
    assert_eq!(stage.heard(leased), blpop(&["q"]));
    assert_eq!(stage.hear(client), "+OK\r\n");
    assert_eq!(stage.heard(shared), "");
    // Cut anywhere.
    stage.answer(leased, "*2\r\n$1\r\nq\r");
    stage.answer(leased, "\n$1\r\nx\r\n");
    assert_eq!(stage.hear(client), format!("{}+PONG\r\n", popped("q", "x")));
    assert_eq!(stage.heard(shared), get("k"));
}

#[test]
fn keys_of_several_servers_are_not_waited_for() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let (one, two) = (stage.key(0), stage.key(1));
    let reply = stage.ask(client, blpop(&[&one, &two]));
    let crossslot = "-CROSSSLOT Keys in request don't hash to the same server: ";
    assert!(reply.starts_with(crossslot), "{reply}");
    assert_eq!((stage.links_ever(0), stage.links_ever(1)), (0, 0));
    assert_eq!(stage.count(PoolMetric::CrossShardRefused), 1);
    let both = stage.keys(1, 2);
    stage.say(client, blpop(&[&both[0], &both[1]]));
    assert_eq!(stage.links_ever(1), 1);
}

#[test]
fn no_time_out_ends_a_wait_but_one_ends_the_way_to_it() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(100));
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    stage.wait(100_000);
    stage.answer(leased, popped("q", "x"));
    assert_eq!(stage.hear(client), popped("q", "x"));

    let (one, other) = (stage.client(), stage.client());
    stage.say(one, blpop(&["q"]));
    stage.set_connect_result(0, ConnectResult::Silent);
    stage.say(other, blpop(&["q"]));
    stage.wait(99);
    assert_eq!(stage.hear(other), "");
    stage.wait(1);
    assert_eq!(stage.hear(other), "-ERR Connection timed out\r\n");
    assert_eq!(stage.hear(one), "");
}

#[test]
fn more_waits_than_there_may_be_get_an_error_at_once() {
    let mut settings = redis_pool(1);
    settings.leased_connections = 2;
    let mut stage = Stage::new(settings);
    let clients = [stage.client(), stage.client(), stage.client()];
    let first = wait_for(&mut stage, clients[0], 0, "q");
    wait_for(&mut stage, clients[1], 0, "q");
    let too_many = "-ERR as many clients wait at the server as leased_connections allows\r\n";
    assert_eq!(stage.ask(clients[2], blpop(&["q"])), too_many);
    stage.answer(first, popped("q", "x"));
    stage.say(clients[2], blpop(&["q"]));
    assert_eq!(stage.heard(first), blpop(&["q"]));
    assert_eq!(stage.links_ever(0), 2);
}

#[test]
fn a_client_that_leaves_has_its_wait_cancelled_and_the_connection_is_used_again() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    stage.vanish(client);
    let shared = stage.links(0)[1];
    assert_eq!(stage.heard(shared), unblock(77));
    let next = stage.client();
    // The answer has overtaken the reply: until both are there the connection is nobody's.
    stage.answer(shared, ":1\r\n");
    stage.answer(leased, "*-1\r\n");
    stage.say(next, blpop(&["p"]));
    assert_eq!(stage.heard(leased), blpop(&["p"]));
    assert_eq!(stage.count(PoolMetric::ElementsLost), 0);
    assert_eq!(stage.log, [""; 0]);
}

#[test]
fn what_a_server_gives_to_a_client_that_has_left_is_reported() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    stage.vanish(client);
    let shared = stage.links(0)[1];
    stage.heard(shared);
    stage.answer(leased, popped("q", "x"));
    assert_eq!(stage.count(PoolMetric::ElementsLost), 1);
    let lost = "an element of 'q' of server 's0' is lost: the client that waited for it has left";
    assert_eq!(stage.log, [lost]);

    // What is to end that wait must not end the next one: the connection is used when that is answered.
    let next = stage.client();
    stage.say(next, blpop(&["p"]));
    assert_eq!((stage.heard(leased).as_str(), stage.links_ever(0)), ("", 3));
    stage.answer(shared, ":0\r\n");
    let other = stage.client();
    stage.say(other, blpop(&["o"]));
    assert_eq!(stage.heard(leased), blpop(&["o"]));
}

#[test]
fn a_client_that_leaves_within_its_reply_loses_the_element_and_that_is_reported() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    let reply = popped("q", &"x".repeat(100));
    stage.answer(leased, &reply[..90]);
    assert_eq!(stage.hear(client), reply[..90]);
    stage.vanish(client);
    stage.answer(leased, &reply[90..]);
    let lost = "an element of 'q' of server 's0' is lost: the client that waited for it has left";
    assert_eq!(stage.log, [lost]);
    // Nothing was to be ended any more.
    assert_eq!(stage.links_ever(0), 1);
    let next = stage.client();
    stage.say(next, blpop(&["p"]));
    assert_eq!(stage.heard(leased), blpop(&["p"]));
}

#[test]
fn a_moved_element_is_reported_by_the_key_that_it_was_taken_from() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(
        client,
        redis(&["BLMOVE", "from\n", "to", "LEFT", "RIGHT", "0"]),
    );
    let leased = stage.link(0);
    stage.answer(leased, ":5\r\n");
    stage.vanish(client);
    stage.answer(leased, bulk("x"));
    let lost =
        "an element of 'from\\n' of server 's0' is lost: the client that waited for it has left";
    assert_eq!(stage.log, [lost]);
}

#[test]
fn a_server_that_was_told_too_early_is_told_again() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    stage.vanish(client);
    let shared = stage.links(0)[1];
    assert_eq!(stage.heard(shared), unblock(77));
    stage.answer(shared, ":0\r\n");
    stage.wait(9);
    assert_eq!(stage.heard(shared), "");
    stage.wait(1);
    assert_eq!(stage.heard(shared), unblock(77));
    stage.answer(shared, ":1\r\n");
    stage.answer(leased, "*-1\r\n");
    assert!(stage.is_open(leased));
}

#[test]
fn a_wait_that_cannot_be_cancelled_ends_with_its_connection() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    stage.vanish(client);
    stage.wait(999);
    assert!(stage.is_open(leased));
    stage.wait(1);
    assert!(!stage.is_open(leased));
    let lost =
        "an element of 'q' of server 's0' may be lost: the client that waited for it has left";
    assert!(stage.log.iter().any(|line| line == lost), "{:?}", stage.log);
    assert_eq!(stage.count(PoolMetric::ElementsLost), 1);

    // A server that does not tell its number of the connection.
    let client = stage.client();
    stage.say(client, blpop(&["q"]));
    let leased = *stage.links(0).last().unwrap();
    stage.answer(
        leased,
        "-NOPERM no permissions to run the 'client' command\r\n",
    );
    assert!(stage.heard(leased).ends_with(&blpop(&["q"])));
    stage.vanish(client);
    assert!(!stage.is_open(leased));
}

#[test]
fn a_client_that_leaves_before_its_request_was_sent_has_waited_for_nothing() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, blpop(&["q"]));
    let leased = stage.link(0);
    stage.vanish(client);
    stage.answer(leased, ":9\r\n");
    assert_eq!(stage.heard(leased), CLIENT_ID);
    let next = stage.client();
    stage.say(next, blpop(&["p"]));
    assert_eq!(stage.heard(leased), blpop(&["p"]));
    assert_eq!(
        (
            stage.links_ever(0),
            stage.count_at(0, ServerMetric::InQueue)
        ),
        (1, 0)
    );
}

#[test]
fn a_client_that_has_ended_its_side_gets_what_there_is_and_waits_for_nothing() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    stage.end(client);
    stage.wait(10);
    let shared = stage.links(0)[1];
    assert_eq!(stage.heard(shared), unblock(77));
    stage.answer(shared, ":1\r\n");
    stage.answer(leased, "*-1\r\n");
    assert_eq!(stage.hear(client), "*-1\r\n");
    assert!(stage.is_closed(client));

    // The end comes with the request: what there is at once is its reply, but it may not arrive.
    let client = stage.client();
    stage.say(client, format!("{}{}", set("k", "v"), blpop(&["q"])));
    stage.end(client);
    stage.answer(shared, "+OK\r\n");
    assert_eq!(stage.heard(leased), blpop(&["q"]));
    stage.answer(leased, popped("q", "x"));
    assert_eq!(stage.hear(client), format!("+OK\r\n{}", popped("q", "x")));
    let lost =
        "an element of 'q' of server 's0' may be lost: the client that waited for it has left";
    assert_eq!(stage.log, [lost]);
    assert!(stage.is_closed(client));
}

#[test]
fn a_lost_connection_is_an_error_for_its_client_only() {
    let mut settings = redis_pool(1);
    settings.failure.retry_reads = true;
    let mut stage = Stage::new(settings);
    let clients = [stage.client(), stage.client()];
    let first = wait_for(&mut stage, clients[0], 0, "q");
    wait_for(&mut stage, clients[1], 0, "q");
    stage.hang_up(first, Cause::Reset);
    assert_eq!(stage.hear(clients[0]), "-ERR Connection reset by peer\r\n");
    assert_eq!(stage.hear(clients[1]), "");
    // It is not sent once more, and its client goes on.
    assert_eq!(stage.links_ever(0), 2);
    assert_eq!(stage.ask(clients[0], PING), "+PONG\r\n");
}

#[test]
fn a_client_whose_reply_breaks_off_is_closed() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    stage.answer(leased, "*2\r\n$1\r\nq\r\n$5\r\nva");
    assert_eq!(stage.hear(client), "*2\r\n$1\r\nq\r\n$5\r\nva");
    stage.hang_up(leased, Cause::Closed);
    assert!(stage.is_closed(client));
}

#[test]
fn waits_end_when_another_worker_ejects_their_server() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::with_workers(settings, 2, 7);
    let (waits, stays) = (stage.client_of(1), stage.client_of(1));
    let (here, there) = (stage.key(0), stage.key(1));
    let leased = wait_for(&mut stage, waits, 0, &here);
    wait_for(&mut stage, stays, 1, &there);
    stage.set_connect_result(0, ConnectResult::Refusing);
    let victim = stage.client_of(0);
    stage.ask(victim, get(&here));
    assert!(!stage.is_live(0));
    assert_eq!(stage.hear(waits), "");
    stage.wait(1_000);
    assert_eq!(stage.hear(waits), UNBLOCKED);
    assert_eq!(stage.hear(stays), "");
    // The server cannot be told, so that its connection is closed.
    assert!(!stage.is_open(leased));
    assert_eq!(stage.count(PoolMetric::ElementsLost), 1);
}

#[test]
fn a_wait_at_the_server_that_stood_in_ends_when_the_keys_own_is_back() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    settings.failure.probe = false;
    settings.server_retry_timeout = millis(2_000);
    let mut stage = Stage::new(settings);
    let key = stage.key(0);
    stage.eject(0);
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 1, &key);
    stage.set_connect_result(0, ConnectResult::Open);
    stage.wait(2_000);
    assert!(stage.is_live(0));
    assert_eq!(stage.hear(client), UNBLOCKED);
    let shared = stage.links(1)[1];
    assert_eq!(stage.heard(shared), unblock(77));
    // What came before the server was told is reported; its connection is of use still.
    stage.answer(leased, popped(&key, "x"));
    assert_eq!(stage.count(PoolMetric::ElementsLost), 1);
    stage.answer(shared, ":0\r\n");
    assert!(stage.is_open(leased));
}

#[test]
fn a_wait_ends_when_a_plan_gives_its_key_to_another_server() {
    let mut stage = Stage::new(redis_pool(3));
    let goes = stage.key(2);
    let (client, other) = (stage.client(), stage.client());
    let leased = wait_for(&mut stage, client, 2, &goes);
    let stays = (0..).map(|number| format!("stays{number}"));
    let mut stays = stays.filter(|key| !stage.keys(2, 200).contains(key));
    let _ = (&mut stays, other);
    stage.apply(redis_pool(2));
    assert_eq!(stage.hear(client), UNBLOCKED);
    assert!(stage.is_open(leased), "its server is told first");
    stage.wait(1_000);
    assert!(!stage.is_open(leased));
}

#[test]
fn no_wait_is_answered_as_a_miss_or_sent_to_a_failover_pool() {
    let mut settings = redis_pool(1);
    settings.auto_eject_hosts = true;
    settings.failure.eject = proxy::settings::EjectPolicy::Miss;
    let mut stage = Stage::new(settings);
    stage.eject(0);
    let client = stage.client();
    let xread = redis(&["XREAD", "BLOCK", "0", "STREAMS", "key0", "$"]);
    let refused = crate::words::ejected(0);
    assert_eq!(stage.ask(client, &xread), refused);
    assert_eq!(stage.ask(client, blpop(&["key0"])), refused);

    let mut settings = redis_pool(1);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::with_failover(settings, Some(redis_pool(1)), 1, 7);
    stage.eject(0);
    let client = stage.client();
    let links = stage.links_ever(1);
    assert_eq!(
        stage.ask(client, blpop(&["key0"])),
        "-ERR the key's server is ejected, and commands that wait are not sent to the failover pool\r\n"
    );
    assert_eq!(stage.links_ever(1), links);
}

#[test]
fn a_stream_is_waited_for_only_with_the_option_and_goes_as_it_is() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let read = redis(&["XREAD", "COUNT", "1", "STREAMS", "s", "$"]);
    stage.say(client, &read);
    let shared = stage.link(0);
    assert_eq!(stage.heard(shared), read);
    stage.answer(shared, "*-1\r\n");
    let wait = redis(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]);
    stage.say(client, &wait);
    let leased = stage.links(0)[1];
    stage.answer(leased, ":3\r\n");
    assert!(stage.heard(leased).ends_with(&wait));
    stage.vanish(client);
    // Reading takes nothing.
    stage.answer(leased, "*1\r\n*2\r\n$1\r\ns\r\n*0\r\n");
    assert_eq!(stage.count(PoolMetric::ElementsLost), 0);
}

#[test]
fn a_wait_without_a_wanted_reply_holds_up_its_client_all_the_same() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let all = format!(
        "{}{}{}",
        redis(&["CLIENT", "REPLY", "OFF"]),
        blpop(&["q"]),
        set("k", "v")
    );
    stage.say(client, all);
    let leased = stage.link(0);
    stage.answer(leased, ":3\r\n");
    assert_eq!(stage.links_ever(0), 1);
    stage.answer(leased, popped("q", "x"));
    let shared = stage.links(0)[1];
    assert_eq!(stage.heard(shared), set("k", "v"));
    stage.answer(shared, "+OK\r\n");
    assert_eq!(stage.hear(client), "");
}

#[test]
fn a_client_ends_the_wait_of_another_by_its_number() {
    let mut stage = Stage::new(redis_pool(1));
    let (waits, asks) = (stage.client(), stage.client());
    let number = stage.ask(waits, redis(&["CLIENT", "ID"]));
    let number = number.trim_start_matches(':').trim_end().to_owned();
    let ask = |how: &str| redis(&["CLIENT", "UNBLOCK", &number, how]);
    assert_eq!(stage.ask(asks, ask("TIMEOUT")), ":0\r\n");
    stage.say(waits, blpop(&["q"]));
    let leased = stage.link(0);
    // It does not wait at the server yet.
    assert_eq!(stage.ask(asks, ask("TIMEOUT")), ":0\r\n");
    stage.answer(leased, ":77\r\n");
    assert_eq!(stage.ask(asks, ask("error")), "");
    let shared = stage.links(0)[1];
    assert_eq!(
        stage.heard(shared),
        redis(&["CLIENT", "UNBLOCK", "77", "ERROR"])
    );
    stage.answer(leased, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    assert_eq!(
        stage.hear(waits),
        "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    );
    stage.answer(shared, ":1\r\n");
    assert_eq!(stage.hear(asks), ":1\r\n");
    let unknown = redis(&["CLIENT", "UNBLOCK", "4711"]);
    assert_eq!(stage.ask(asks, unknown), ":0\r\n");
    let odd = redis(&["CLIENT", "UNBLOCK", "x"]);
    assert_eq!(
        stage.ask(asks, odd),
        "-ERR value is not an integer or out of range\r\n"
    );
}

#[test]
fn a_connection_whose_wait_may_still_be_ended_is_not_used_again() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(100));
    let mut stage = Stage::new(settings);
    let (waits, asks) = (stage.client(), stage.client());
    let leased = wait_for(&mut stage, waits, 0, "q");
    stage.say(asks, redis(&["CLIENT", "UNBLOCK", "1"]));
    let shared = stage.links(0)[1];
    stage.heard(shared);
    stage.answer(leased, popped("q", "x"));
    stage.hear(waits);
    // Whether it will be executed, and when, is not known any more.
    stage.wait(100);
    assert_eq!(stage.hear(asks), "-ERR Connection timed out\r\n");
    assert!(!stage.is_open(leased));
}

#[test]
fn a_shutdown_ends_waits_and_waits_for_none() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let leased = wait_for(&mut stage, client, 0, "q");
    assert!(!stage.shut_down());
    assert_eq!(stage.hear(client), UNBLOCKED);
    assert!(stage.is_closed(client));
    // The server is still told.
    let shared = stage.links(0)[1];
    assert_eq!(stage.heard(shared), unblock(77));
    assert!(!stage.shut_down());
    stage.answer(shared, ":1\r\n");
    stage.answer(leased, "*-1\r\n");
    assert!(stage.shut_down());
}

#[test]
fn a_wait_in_resp3_has_a_connection_of_that_version() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]));
    let shared = stage.link(0);
    stage.answer(shared, crate::words::HELLO_3);
    stage.hear(client);
    stage.say(client, blpop(&["q"]));
    let leased = stage.links(0)[1];
    assert_eq!(
        stage.heard(leased),
        format!("{}{CLIENT_ID}", redis(&["HELLO", "3"]))
    );
    stage.answer(leased, format!("{}:4\r\n", crate::words::HELLO_3));
    assert_eq!(stage.heard(leased), blpop(&["q"]));
    stage.answer(leased, "_\r\n");
    assert_eq!(stage.hear(client), "_\r\n");
}
