//! Transactions: held until EXEC, sent as one block over a connection that others use, too.

use proxy::Cause;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{
    EjectPolicy, PoolSettings, ProtocolSettings, RedisSettings, TimeoutAction, TransactionLimits,
};

use crate::stage::{ConnectResult, Stage, millis, redis_pool};
use crate::words::{HELLO_3, PING, REFUSED, TIMED_OUT, bulk, get, redis, set};

const QUEUED: &str = "+QUEUED\r\n";
const OK: &str = "+OK\r\n";
/// What is asked of a server before the first transaction on a connection, and what it answers.
const TRIAL: &str = "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$7\r\nDISCARD\r\n";
const TRIED: &str = "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n";

fn multi() -> String {
    redis(&["MULTI"])
}

fn exec() -> String {
    redis(&["EXEC"])
}

/// The requests as one transaction, as a client sends it and its server gets it.
fn block(requests: &[String]) -> String {
    multi() + &requests.concat() + &exec()
}

/// A stage whose connection to server 0 has been found to take transactions, a client, and that connection.
fn stage_of(settings: PoolSettings) -> (Stage, usize, usize) {
    let mut stage = Stage::new(settings);
    let (client, key) = (stage.client(), stage.key(0));
    stage.say(client, block(&[get(&key)]));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), TRIAL);
    stage.answer(link, TRIED);
    assert_eq!(stage.heard(link), block(&[get(&key)]));
    stage.answer(link, "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    (stage, client, link)
}

fn stage() -> (Stage, usize, usize) {
    stage_of(redis_pool(1))
}

#[test]
fn it_is_held_until_exec_and_sent_in_one_piece_between_the_requests_of_others() {
    let (mut stage, client, link) = stage();
    let other = stage.client();
    assert_eq!(stage.ask(client, multi()), OK);
    assert_eq!(stage.ask(client, set("k", "v")), QUEUED);
    stage.say(other, get("a"));
    assert_eq!(stage.ask(client, redis(&["incr", "k"])), QUEUED);
    assert_eq!(stage.heard(link), get("a"), "nothing of it before EXEC");
    stage.say(client, exec());
    stage.say(other, get("b"));
    let sent = block(&[set("k", "v"), redis(&["incr", "k"])]);
    assert_eq!(stage.heard(link), sent + &get("b"));
    stage.answer(link, bulk("1") + "+OK\r\n+QUEUED\r\n+QUE");
    assert_eq!(stage.hear(client), "", "these are not its reply");
    stage.answer(link, "UED\r\n*2\r\n+OK\r\n-ERR not an in");
    assert_eq!(
        stage.hear(client),
        "*2\r\n+OK\r\n-ERR not an in",
        "as it comes"
    );
    stage.answer(link, "teger\r\n$1\r\n2\r\n");
    assert_eq!(stage.hear(client), "teger\r\n");
    assert_eq!(stage.hear(other), bulk("1") + &bulk("2"));
    assert_eq!(stage.count(PoolMetric::Transactions), 2);
    let requests = stage.count_at(0, ServerMetric::Requests);
    assert_eq!(requests, stage.count_at(0, ServerMetric::Responses));
    assert_eq!(stage.ask(client, exec()), "-ERR EXEC without MULTI\r\n");
}

#[test]
fn however_the_bytes_are_cut_the_result_is_the_same() {
    let asked = get("a") + &block(&[set("k", "v"), PING.into()]) + &get("b") + &block(&[]) + PING;
    let sent = get("a") + &block(&[set("k", "v"), PING.into()]) + &get("b");
    let replies = bulk("A") + "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n" + &bulk("B");
    let wanted = bulk("A")
        + "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n"
        + &bulk("B")
        + "+OK\r\n*0\r\n+PONG\r\n";
    for at in 0..=asked.len() {
        let (mut stage, client, link) = stage();
        stage.say(client, &asked[..at]);
        stage.say(client, &asked[at..]);
        assert_eq!(stage.heard(link), sent, "cut at {at}");
        stage.answer(link, &replies);
        assert_eq!(stage.hear(client), wanted, "cut at {at}");
    }
    for at in 0..=replies.len() {
        let (mut stage, client, link) = stage();
        stage.say(client, &asked);
        let (head, tail) = replies.split_at(at);
        stage.answer(link, head);
        let first = stage.hear(client);
        stage.answer(link, tail);
        assert_eq!(first + &stage.hear(client), wanted, "replies cut at {at}");
    }
}

#[test]
fn each_connection_is_tried_once_and_later_requests_of_the_client_wait() {
    let mut stage = Stage::new(redis_pool(1));
    let (client, other) = (stage.client(), stage.client());
    stage.say(client, block(&[get("k")]) + &get("after"));
    let link = stage.link(0);
    stage.say(other, get("other"));
    assert_eq!(stage.heard(link), TRIAL.to_owned() + &get("other"));
    stage.answer(link, TRIED);
    assert_eq!(stage.heard(link), block(&[get("k")]) + &get("after"));
    stage.answer(
        link,
        bulk("o") + "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n" + &bulk("a"),
    );
    assert_eq!(stage.hear(other), bulk("o"));
    let wanted = "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n".to_owned() + &bulk("a");
    assert_eq!(stage.hear(client), wanted);
    stage.say(other, block(&[get("k")]));
    assert_eq!(stage.heard(link), block(&[get("k")]));
    stage.answer(link, "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    stage.hear(other);
    stage.hang_up(link, Cause::Closed);
    stage.say(client, block(&[get("k")]));
    let fresh = stage.link(0);
    assert_eq!(stage.heard(fresh), TRIAL, "another connection");
}

#[test]
fn a_server_that_refuses_transactions_gets_nothing_of_them() {
    let denied = "-NOPERM this user has no permissions to run the 'multi' command\r\n";
    let without = "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n";
    for (replies, said) in [
        (denied.to_owned() + without, "NOPERM this user"),
        (
            "+OK\r\n-ERR unknown command 'EXEC'\r\n+OK\r\n".into(),
            "ERR unknown command 'EXEC'",
        ),
    ] {
        let mut stage = Stage::new(redis_pool(1));
        let (client, other) = (stage.client(), stage.client());
        stage.say(client, block(&[set("k", "v")]) + PING);
        let link = stage.link(0);
        assert_eq!(stage.heard(link), TRIAL);
        stage.say(other, get("k"));
        assert_eq!(stage.heard(link), get("k"));
        stage.answer(link, replies + &bulk("v"));
        assert_eq!(stage.hear(other), bulk("v"));
        let heard = stage.hear(client);
        let line = heard.strip_prefix("+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: its server answers MULTI and EXEC with '");
        let line = line.and_then(|line| line.strip_suffix("'\r\n+PONG\r\n"));
        assert!(line.is_some_and(|line| line.starts_with(said)), "{heard}");
        assert_eq!(stage.heard(link), "");
        let heard = stage.ask(other, block(&[set("k", "v")]));
        assert!(heard.contains("-EXECABORT "), "known: {heard}");
        assert_eq!(stage.heard(link), "");
        stage.wait(30_000);
        stage.say(other, block(&[set("k", "v")]));
        assert_eq!(stage.heard(link), TRIAL, "it may have been allowed since");
    }
}

#[test]
fn a_transaction_that_nothing_ends_costs_its_connection() {
    let mut stage = Stage::new(redis_pool(1));
    let (client, other) = (stage.client(), stage.client());
    stage.say(client, block(&[set("k", "v")]));
    let link = stage.link(0);
    stage.say(other, get("k"));
    let unknown = "-ERR unknown command\r\n";
    stage.answer(link, OK.to_owned() + unknown + unknown + "+QUEUED\r\n");
    assert!(!stage.is_open(link));
    let heard = stage.hear(other);
    assert!(heard.starts_with("-ERR "), "never QUEUED: {heard}");
    assert!(stage.hear(client).contains("-EXECABORT "));
}

#[test]
fn the_loss_of_a_trial_fails_its_transaction_alone() {
    for action in [TimeoutAction::Close, TimeoutAction::Answer] {
        let mut settings = redis_pool(1);
        settings.timeout = Some(millis(100));
        settings.failure.timeout_action = action;
        let mut stage = Stage::new(settings);
        let client = stage.client();
        stage.say(client, block(&[set("k", "v")]) + PING);
        let link = stage.link(0);
        stage.wait(100);
        let failed = format!("+OK\r\n+QUEUED\r\n{TIMED_OUT}+PONG\r\n");
        assert_eq!(stage.hear(client), failed);
        assert_eq!(stage.heard(link), TRIAL);
        if action == TimeoutAction::Answer {
            stage.answer(link, TRIED);
            stage.say(client, block(&[get("k")]));
            assert_eq!(stage.heard(link), block(&[get("k")]), "it is known by now");
        }
    }
    let mut stage = Stage::new(redis_pool(1));
    stage.set_connect_result(0, ConnectResult::Refusing);
    let client = stage.client();
    let heard = stage.ask(client, block(&[set("k", "v")]));
    assert_eq!(heard, format!("+OK\r\n+QUEUED\r\n{REFUSED}"));
}

#[test]
fn an_error_while_it_is_queued_aborts_it_and_nothing_is_sent() {
    let (mut stage, client, link) = stage();
    for wrong in [
        redis(&["GET"]),
        redis(&["NOSUCH", "k"]),
        redis(&["SELECT", "0"]),
        redis(&["SELECT", "1"]),
        redis(&["AUTH", "x"]),
        redis(&["HELLO", "3"]),
        redis(&["CLIENT", "REPLY", "OFF"]),
        redis(&["CLIENT", "ID"]),
        redis(&["SUBSCRIBE", "c"]),
        redis(&["MONITOR"]),
        redis(&["ASKING"]),
        redis(&["READONLY"]),
        redis(&["SCRIPT", "LOAD", "return 1"]),
        redis(&["SCRIPT", "NOSUCH"]),
        redis(&["SET", "k", "1", "2", "3"]),
    ] {
        assert_eq!(stage.ask(client, multi()), OK);
        assert_eq!(stage.ask(client, set("k", "v")), QUEUED);
        let error = stage.ask(client, &wrong);
        assert!(error.starts_with("-ERR "), "{wrong}: {error}");
        assert_eq!(stage.ask(client, set("k", "v")), QUEUED);
        let aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
        assert_eq!(stage.ask(client, exec()), aborted, "{wrong}");
    }
    assert_eq!(stage.heard(link), "");
    stage.say(client, block(&[get("k")]));
    assert_eq!(stage.heard(link), block(&[get("k")]), "it is over");
}

#[test]
fn what_a_server_executes_at_once_is_so_here() {
    let (mut stage, client, link) = stage();
    stage.ask(client, multi());
    let nested = "-ERR MULTI calls can not be nested\r\n";
    assert_eq!(stage.ask(client, multi()), nested);
    let watch = "-ERR WATCH inside MULTI is not allowed\r\n";
    assert_eq!(stage.ask(client, redis(&["WATCH", "k"])), watch);
    for request in [PING, &redis(&["ECHO", "x"]), &redis(&["UNWATCH"])] {
        assert_eq!(stage.ask(client, request), QUEUED);
    }
    stage.say(client, exec());
    let sent = block(&[PING.into(), redis(&["ECHO", "x"]), redis(&["UNWATCH"])]);
    assert_eq!(stage.heard(link), sent, "these errors abort nothing");
    stage.answer(
        link,
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+PONG\r\n$1\r\nx\r\n+OK\r\n",
    );
    assert_eq!(stage.hear(client), "*3\r\n+PONG\r\n$1\r\nx\r\n+OK\r\n");
    for (end, reply) in [("DISCARD", OK), ("RESET", "+RESET\r\n")] {
        stage.ask(client, multi() + &set("k", "v"));
        assert_eq!(stage.ask(client, redis(&[end])), reply);
        assert_eq!(stage.ask(client, exec()), "-ERR EXEC without MULTI\r\n");
    }
    stage.ask(client, multi() + &set("k", "v"));
    let wrong = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n";
    assert_eq!(stage.ask(client, redis(&["EXEC", "x"])), wrong);
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
    stage.ask(client, multi() + &set("k", "v"));
    assert_eq!(stage.ask(client, redis(&["QUIT"])), OK);
    assert!(stage.is_closed(client));
    assert_eq!(stage.heard(link), "");
}

#[test]
fn its_keys_belong_to_one_server() {
    let (mut stage, client, link) = stage_of(redis_pool(3));
    let (here, there) = (stage.keys(0, 2), stage.key(1));
    let crossslot = "-CROSSSLOT Keys of a transaction don't hash to the same server: give them a common part, as {a}:1 and {a}:2 have, and set hash_tag: \"{}\" in the pool (keys with braces move then)\r\n";
    let aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    for other in [
        set(&there, "v"),
        redis(&["MSET", &here[0], "v", &there, "v"]),
        redis(&["DEL", &there, &here[0]]),
        redis(&["RENAME", &here[0], &there]),
    ] {
        let heard = stage.ask(client, block(&[set(&here[0], "v"), other]));
        assert_eq!(heard, [OK, QUEUED, crossslot, aborted].concat());
    }
    let patterns = redis(&["SORT", &here[0], "BY", "w_*"]);
    let heard = stage.ask(client, block(&[patterns]));
    assert!(heard.starts_with("+OK\r\n-CROSSSLOT BY and GET"), "{heard}");
    let all = [
        redis(&["MSET", &here[0], "v", &here[1], "v"]),
        redis(&["MGET", &here[1], &here[0]]),
        redis(&["DEL", &here[1], &here[0]]),
    ];
    stage.say(client, block(&all));
    assert_eq!(stage.heard(link), block(&all));
    assert_eq!(stage.links_ever(1) + stage.links_ever(2), 0);
    assert_eq!(stage.count(PoolMetric::CrossShardRefused), 5);
}

#[test]
fn it_is_bounded_in_number_and_bytes() {
    check_bounds(TransactionLimits::default());
    check_bounds(TransactionLimits {
        commands: 3,
        bytes: 2_000,
    });
}

fn check_bounds(limits: TransactionLimits) {
    let TransactionLimits { commands, bytes } = limits;
    let too_large = format!(
        "-ERR transaction is too large: the proxy holds at most {commands} commands (transaction_commands) and {bytes} bytes (transaction_bytes) until EXEC\r\n"
    );
    let aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    let mut pool = redis_pool(1);
    pool.protocol = ProtocolSettings::Redis(RedisSettings {
        transaction_limits: limits,
        ..RedisSettings::default()
    });
    let (mut stage, client, link) = stage_of(pool);
    let many = vec![get("k"); commands];
    stage.say(client, block(&many));
    stage.tick();
    assert_eq!(stage.heard(link).len(), block(&many).len());
    let replies = OK.to_owned() + &QUEUED.repeat(many.len()) + "*0\r\n";
    stage.answer(link, &replies);
    assert_eq!(stage.hear(client), replies);
    let one_more = multi() + &many.concat() + &get("k") + &exec() + PING;
    stage.say(client, one_more);
    stage.tick();
    let heard = stage.hear(client);
    let end = too_large.clone() + aborted + "+PONG\r\n";
    assert!(heard.ends_with(&(QUEUED.to_owned() + &end)));

    let half = "x".repeat(bytes / 2);
    stage.say(
        client,
        multi() + &set("k", &half) + &set("k", &half) + &exec(),
    );
    let refused = [OK, QUEUED, &too_large, aborted].concat();
    assert_eq!(stage.hear(client), refused);
    assert_eq!(stage.heard(link), "");
    assert!(stage.held() < 1 << 20, "nothing of it is kept");
}

#[test]
fn a_client_that_leaves_leaves_nothing_half_done() {
    let (mut stage, client, link) = stage();
    let other = stage.client();
    stage.say(client, multi() + &set("k", "v"));
    stage.vanish(client);
    stage.say(other, get("a"));
    assert_eq!(stage.heard(link), get("a"), "nothing was sent");
    stage.answer(link, bulk("a"));

    let gone = stage.client();
    stage.say(gone, block(&[set("k", "v")]));
    stage.vanish(gone);
    stage.say(other, get("b"));
    assert_eq!(stage.heard(link), block(&[set("k", "v")]) + &get("b"));
    stage.answer(
        link,
        "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n".to_owned() + &bulk("b"),
    );
    assert_eq!(stage.hear(other), bulk("a") + &bulk("b"));

    // It may leave while the server is asked.
    let mut stage = Stage::new(redis_pool(1));
    let (gone, other) = (stage.client(), stage.client());
    stage.say(gone, block(&[set("k", "v")]));
    let link = stage.link(0);
    stage.vanish(gone);
    stage.say(other, get("a"));
    stage.answer(link, TRIED.to_owned() + &bulk("a"));
    assert_eq!(stage.heard(link), TRIAL.to_owned() + &get("a"));
    assert_eq!(stage.hear(other), bulk("a"));
}

#[test]
fn one_that_has_said_everything_and_waits_for_nothing_is_executed_all_the_same() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(
        client,
        redis(&["CLIENT", "REPLY", "OFF"]) + &block(&[set("k", "v")]),
    );
    let link = stage.link(0);
    stage.end(client);
    assert!(!stage.is_closed(client));
    stage.answer(link, TRIED);
    assert_eq!(
        stage.heard(link),
        TRIAL.to_owned() + &block(&[set("k", "v")])
    );
    stage.answer(link, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    assert!(stage.is_closed(client));
    assert_eq!(stage.hear(client), "");
}

#[test]
fn without_replies_what_fails_is_counted() {
    let (mut stage, client, link) = stage();
    let off = redis(&["CLIENT", "REPLY", "OFF"]);
    stage.say(client, off + &block(&[set("k", "v")]));
    assert_eq!(stage.heard(link), block(&[set("k", "v")]));
    stage.answer(link, "+OK\r\n-OOM no\r\n-EXECABORT no\r\n");
    assert_eq!(stage.count(PoolMetric::Unheard), 1);
    stage.say(client, block(&[set("k", "v")]));
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.count(PoolMetric::Unheard), 2);
    stage.say(client, redis(&["CLIENT", "REPLY", "ON"]) + PING);
    assert_eq!(stage.hear(client), "+OK\r\n+PONG\r\n");
}

#[test]
fn what_only_the_server_knows_arrives_with_exec() {
    let (mut stage, client, link) = stage();
    let other = stage.client();
    stage.say(client, block(&[set("k", "v")]));
    stage.say(other, get("k"));
    let aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    stage.answer(link, OK.to_owned() + oom + aborted + &bulk("v"));
    assert_eq!(stage.hear(client), [OK, QUEUED, aborted].concat());
    assert_eq!(stage.hear(other), bulk("v"));
    assert!(stage.is_open(link));
}

#[test]
fn after_an_exec_that_is_refused_nobody_else_is_sent_there() {
    let (mut stage, client, link) = stage();
    let other = stage.client();
    stage.say(client, block(&[set("k", "v")]));
    stage.say(other, get("k"));
    let denied = "-NOPERM no\r\n";
    stage.answer(link, OK.to_owned() + QUEUED + denied + QUEUED);
    assert_eq!(stage.hear(client), [OK, QUEUED, denied].concat());
    assert!(!stage.is_open(link));
    let heard = stage.hear(other);
    assert!(heard.starts_with("-ERR "), "{heard}");
}

#[test]
fn something_else_than_queued_costs_the_connection() {
    let (mut stage, client, link) = stage();
    let other = stage.client();
    stage.say(client, block(&[get("k")]));
    stage.say(other, get("k"));
    stage.answer(link, OK.to_owned() + &bulk("the value of k") + "*0\r\n");
    assert!(!stage.is_open(link));
    for client in [client, other] {
        let heard = stage.hear(client);
        assert!(!heard.contains("value"), "{heard}");
        assert!(heard.contains("-ERR "), "{heard}");
    }
}

#[test]
fn a_lost_connection_fails_it_once_and_it_is_not_sent_again() {
    let mut settings = redis_pool(1);
    settings.failure.retry_reads = true;
    let sent = block(&[get("k"), get("k")]);
    for (replies, heard) in [
        ("", "-ERR Connection reset by peer\r\n"),
        (
            "+OK\r\n+QUEUED\r\n+QUE",
            "-ERR Connection reset by peer\r\n",
        ),
        (
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2",
            "-ERR Connection reset by peer\r\n",
        ),
    ] {
        let (mut stage, client, link) = stage_of(settings.clone());
        stage.say(client, sent.clone() + PING);
        stage.answer(link, replies);
        stage.hang_up(link, Cause::Reset);
        assert_eq!(
            stage.hear(client),
            [OK, QUEUED, QUEUED, heard, "+PONG\r\n"].concat()
        );
        assert!(stage.links(0).is_empty(), "not once more");
    }
    let (mut stage, client, link) = stage_of(settings);
    stage.say(client, sent);
    stage.answer(link, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n");
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.hear(client), "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n");
    assert!(stage.is_closed(client), "part of the reply has gone out");
}

#[test]
fn it_has_one_deadline_and_its_late_replies_are_dropped() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(100));
    settings.failure.timeout_action = TimeoutAction::Answer;
    for received in ["", "+OK\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n"] {
        let (mut stage, client, link) = stage_of(settings.clone());
        stage.say(client, block(&[get("k"), get("k")]));
        stage.answer(link, received);
        stage.wait(100);
        assert_eq!(stage.hear(client), [OK, QUEUED, QUEUED, TIMED_OUT].concat());
        let other = stage.client();
        stage.say(other, get("k"));
        let all = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n$-1\r\n";
        stage.answer(link, all[received.len()..].to_owned() + &bulk("v"));
        assert_eq!(stage.hear(client), "");
        assert_eq!(stage.hear(other), bulk("v"), "after {received:?}");
    }
}

#[test]
fn with_miss_it_is_an_error_and_nothing_of_it_is_done() {
    let mut settings = redis_pool(2);
    settings.failure.eject = EjectPolicy::Miss;
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings);
    let (client, key) = (stage.client(), stage.key(0));
    stage.eject(0);
    let heard = stage.ask(client, block(&[get(&key)]));
    assert!(
        heard.starts_with("+OK\r\n+QUEUED\r\n-ERR Connection refused"),
        "{heard}"
    );
}

#[test]
fn it_follows_its_keys_unless_they_are_apart_now() {
    let mut settings = redis_pool(3);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings.clone());
    let client = stage.client();
    let keys = stage.keys(0, 40);
    let requests: Vec<_> = keys.iter().map(|key| get(key)).collect();
    stage.say(client, multi() + &requests.concat());
    assert_eq!(stage.hear(client), OK.to_owned() + &QUEUED.repeat(40));
    stage.eject(0);
    let apart = "-EXECABORT Transaction discarded because its keys belong to several servers since one was ejected or came back\r\n";
    assert_eq!(stage.ask(client, exec()), apart);

    let mut stage = Stage::new(settings);
    let (client, key) = (stage.client(), stage.key(0));
    stage.say(client, multi() + &get(&key));
    stage.eject(0);
    stage.say(client, exec());
    let links = [stage.links(1), stage.links(2)].concat();
    let heard: Vec<_> = links.iter().map(|link| stage.heard(*link)).collect();
    assert_eq!(heard, [TRIAL], "to the server that has the key now");
}

#[test]
fn a_failover_pool_gets_no_transactions() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::with_failover(settings, Some(redis_pool(2)), 1, 7);
    let (client, key) = (stage.client(), stage.key(0));
    stage.eject(0);
    let heard = stage.ask(client, block(&[get(&key)]));
    let elsewhere = "-EXECABORT Transaction discarded because its keys are served by the failover pool now, which gets no transactions\r\n";
    assert_eq!(heard, [OK, QUEUED, elsewhere].concat());
}

#[test]
fn a_client_of_resp3_has_connections_of_its_own_for_them() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]) + &block(&[get("k")]));
    let link = stage.link(0);
    stage.heard(link);
    stage.answer(link, HELLO_3);
    stage.hear(client);
    let link = *stage.links(0).last().expect("there is one");
    assert_eq!(stage.heard(link), TRIAL);
    stage.answer(link, TRIED);
    stage.heard(link);
    stage.answer(link, "+OK\r\n+QUEUED\r\n>1\r\n+x\r\n*1\r\n_\r\n");
    assert!(stage.hear(client).ends_with("*1\r\n_\r\n"));
}

#[test]
fn a_plan_with_another_server_is_followed_and_nothing_overtakes() {
    let (mut stage, client, link) = stage_of(redis_pool(1));
    let mut moved = redis_pool(1);
    moved.servers[0].address = proxy::settings::Address::tcp("10.9.9.9", 7000);
    stage.say(client, get("k") + &multi() + &set("k", "v"));
    stage.apply(moved);
    stage.say(client, exec());
    assert_eq!(stage.heard(link), get("k"));
    assert_eq!(stage.links(0).len(), 1, "it waits for the earlier request");
    stage.answer(link, bulk("v"));
    let fresh = *stage.links(0).last().expect("there is one");
    assert_ne!(fresh, link);
    assert_eq!(stage.heard(fresh), TRIAL);
}
