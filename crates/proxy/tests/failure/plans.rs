//! Plans that replace each other while clients have requests under way.

use std::sync::Arc;

use hashkit::Distribution;
use proxy::settings::{Address, PoolSettings, ProtocolSettings, ServerSettings, TimeoutAction};
use proxy::{Cause, Memory, PlanError, PoolShare};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{HELLO_3, REFUSED, TIMED_OUT, bulk, get, redis, set, value};

const OK: &str = "+OK\r\n";

/// A further server.
fn server(index: usize) -> ServerSettings {
    redis_pool(index + 1).servers.remove(index)
}

/// The pool with one server at another address.
pub(crate) fn moved(mut settings: PoolSettings, server: usize) -> PoolSettings {
    settings.servers[server].address = Address::tcp("10.0.9.9", 7_000);
    settings
}

#[test]
fn a_new_server_takes_its_keys_and_the_others_notice_nothing() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let keys = [stage.key(0), stage.key(1)];
    for (server, key) in keys.iter().enumerate() {
        stage.say(client, set(key, "v"));
        let link = stage.link(server);
        stage.answer(link, OK);
        stage.hear(client);
    }
    let links = [stage.link(0), stage.link(1)];
    stage.say(client, get(&keys[0]));
    stage.publish(redis_pool(3));
    let theirs = stage.key(2);
    stage.say(client, get(&theirs));
    let third = stage.link(2);
    assert_eq!(stage.heard(third), get(&theirs));
    stage.answer(third, "$1\r\nb\r\n");
    assert_eq!(stage.hear(client), "", "the earlier one comes first");
    stage.answer(links[0], "$1\r\na\r\n");
    assert_eq!(stage.hear(client), "$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!([stage.link(0), stage.link(1)], links);
}

#[test]
fn a_server_that_leaves_answers_what_it_has_and_is_asked_nothing_more() {
    let mut stage = Stage::new(redis_pool(2));
    let (client, other) = (stage.client(), stage.client());
    let key = stage.key(1);
    stage.say(client, get(&key));
    let link = stage.link(1);
    stage.heard(link);
    stage.publish(redis_pool(1));
    stage.say(other, get(&key));
    let first = stage.link(0);
    assert_eq!(
        stage.heard(first),
        get(&key),
        "all keys are the first's now"
    );
    assert_eq!(stage.heard(link), "");
    stage.wait(1_000);
    assert!(stage.is_open(link), "it owes a reply");
    stage.answer(link, "$1\r\nv\r\n");
    assert_eq!(stage.hear(client), "$1\r\nv\r\n");
    stage.wait(100);
    assert!(!stage.is_open(link));
    assert!(stage.log.is_empty(), "{:?}", stage.log);
}

#[test]
fn a_session_waits_at_a_server_that_moves_and_others_do_not() {
    let mut stage = Stage::new(redis_pool(1));
    let (client, other) = (stage.client(), stage.client());
    stage.say(client, set("k", "1"));
    let old = stage.link(0);
    stage.publish(moved(redis_pool(1), 0));
    stage.say(client, set("k", "2") + &get("k"));
    assert_eq!(stage.links(0), [old], "the first may not be overtaken");
    stage.say(other, get("j"));
    let new = stage.links(0)[1];
    assert_eq!(stage.heard(new), get("j"));
    stage.answer(old, OK);
    assert_eq!(stage.heard(new), set("k", "2") + &get("k"));
    assert_eq!(stage.heard(old), set("k", "1"));
    stage.answer(new, "$1\r\nj\r\n+OK\r\n$1\r\n2\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n+OK\r\n$1\r\n2\r\n");
    assert_eq!(stage.hear(other), "$1\r\nj\r\n");
    stage.wait(100);
    assert_eq!(stage.links(0), [new]);
    // Nothing holds the session any more.
    stage.say(client, get("a") + &get("b"));
    assert_eq!(stage.heard(new), get("a") + &get("b"));
}

#[test]
fn a_session_waits_at_a_server_whose_name_leads_elsewhere() {
    let mut stage = Stage::new(redis_pool(2));
    let (client, other) = (stage.client(), stage.client());
    let keys = [stage.key(0), stage.key(1)];
    stage.say(client, set(&keys[1], "1"));
    let old = stage.link(1);
    let server = Arc::clone(&stage.share.plan().servers[1].share);
    stage.share.move_server(&server);
    stage.say(client, get(&keys[1]));
    assert_eq!(stage.links(1), [old], "the first may not be overtaken");
    stage.say(other, get(&keys[1]) + &get(&keys[0]));
    let new = stage.links(1)[1];
    assert_eq!(stage.heard(new), get(&keys[1]));
    stage.answer(old, OK);
    assert_eq!(stage.heard(old), set(&keys[1], "1"));
    assert_eq!(stage.heard(new), get(&keys[1]));
    stage.wait(100);
    assert_eq!((stage.links(0).len(), stage.links(1)), (1, vec![new]));
}

#[test]
fn a_session_waits_with_a_large_request_too() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("k"));
    let old = stage.link(0);
    let large = set("k", &"v".repeat(300_000));
    let (some, rest) = large.split_at(100_000);
    stage.say(client, some);
    stage.publish(moved(redis_pool(1), 0));
    stage.say(client, rest);
    assert_eq!(stage.links(0), [old]);
    stage.answer(old, "$-1\r\n");
    let new = stage.links(0)[1];
    assert_eq!(stage.heard(new), large);
    stage.answer(new, OK);
    assert_eq!(stage.hear(client), "$-1\r\n+OK\r\n");
}

#[test]
fn what_wants_no_reply_is_not_overtaken_either() {
    let mut stage = Stage::new(memcached_pool(1));
    let client = stage.client();
    stage.say(client, "set k 0 0 1 noreply\r\n1\r\n");
    let old = stage.link(0);
    stage.publish(moved(memcached_pool(1), 0));
    stage.say(client, "set k 0 0 1\r\n2\r\n");
    assert_eq!(stage.links(0), [old]);
    stage.answer(old, "STORED\r\n");
    let new = stage.links(0)[1];
    assert_eq!(stage.heard(new), "set k 0 0 1\r\n2\r\n");
    stage.answer(new, "STORED\r\n");
    assert_eq!(stage.hear(client), "STORED\r\n");
}

#[test]
fn a_server_that_hangs_after_it_has_left_is_given_up_in_the_end() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let key = stage.key(1);
    stage.say(client, get(&key));
    stage.apply(redis_pool(1));
    stage.say(client, get(&key));
    stage.wait(59_900);
    assert_eq!(stage.hear(client), "");
    stage.wait(200);
    let first = stage.link(0);
    assert_eq!(stage.heard(first), get(&key));
    stage.answer(first, "$1\r\nv\r\n");
    let lost = "-ERR Software caused connection abort\r\n";
    assert_eq!(stage.hear(client), format!("{lost}$1\r\nv\r\n"));
    assert_eq!(stage.links(1), []);
}

#[test]
fn a_session_that_gave_up_on_a_moved_server_goes_on_where_that_is_now() {
    let mut settings = redis_pool(1);
    settings.server_connections = 2;
    settings.timeout = Some(millis(100));
    settings.failure.timeout_action = TimeoutAction::Answer;
    let mut stage = Stage::new(settings.clone());
    let client = stage.client();
    stage.say(client, get("k"));
    let old = stage.link(0);
    stage.heard(old);
    stage.wait(150);
    assert_eq!(stage.hear(client), TIMED_OUT);
    stage.apply(moved(settings, 0));
    stage.say(client, get("k"));
    assert_eq!(stage.heard(old), "");
    let new = stage.links(0)[1];
    assert_eq!(stage.heard(new), get("k"));
    stage.answer(old, "$1\r\na\r\n");
    stage.answer(new, "$1\r\nb\r\n");
    assert_eq!(stage.hear(client), "$1\r\nb\r\n");
}

#[test]
fn a_server_that_has_moved_is_asked_anew_what_it_speaks() {
    let mut stage = Stage::new(redis_pool(1));
    let hello = redis(&["HELLO", "3"]);
    let (client, other) = (stage.client(), stage.client());
    stage.say(client, &hello);
    let old = stage.link(0);
    stage.answer(old, HELLO_3);
    assert!(stage.hear(client).starts_with("%7\r\n"));
    stage.apply(moved(redis_pool(1), 0));
    stage.say(other, &hello);
    let new = stage.link(0);
    assert_eq!(stage.heard(new), hello);
    assert_eq!(stage.hear(other), "");
    // Who waits for a server that leaves waits for those that are left.
    let mut settings = redis_pool(2);
    settings.servers.remove(0);
    stage.apply(settings);
    let last = stage.link(1);
    stage.answer(last, HELLO_3);
    assert!(stage.hear(other).starts_with("%7\r\n"));
}

#[test]
fn settings_hold_for_what_is_under_way() {
    let mut settings = redis_pool(1);
    let mut stage = Stage::new(settings.clone());
    let (client, idle) = (stage.client(), stage.client());
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.wait(1_000);
    settings.timeout = Some(millis(1_500));
    settings.failure.client_idle_timeout = Some(millis(3_000));
    stage.apply(settings);
    stage.wait(600);
    assert_eq!(stage.hear(client), TIMED_OUT);
    assert!(!stage.is_open(link));
    stage.wait(3_000);
    assert!(stage.is_closed(idle));
}

#[test]
fn a_client_keeps_to_its_connection_when_further_ones_are_allowed() {
    let with = |connections| PoolSettings {
        server_connections: connections,
        ..redis_pool(1)
    };
    let mut stage = Stage::new(with(1));
    let (client, other) = (stage.client(), stage.client());
    stage.say(client, set("k", "1"));
    let first = stage.link(0);
    stage.publish(with(3));
    stage.say(other, get("j"));
    let second = stage.links(0)[1];
    assert_eq!(stage.heard(second), get("j"), "the first was busy");
    stage.answer(second, "$-1\r\n");
    stage.say(client, set("k", "2"));
    assert_eq!(stage.heard(first), set("k", "1") + &set("k", "2"));
    // And back: the last ones are closed when they have answered.
    stage.say(other, get("i"));
    assert_eq!(stage.heard(second), get("i"));
    stage.publish(with(1));
    stage.say(other, get("h"));
    assert_eq!(stage.heard(first), "", "it waits for the one before it");
    stage.answer(second, "$-1\r\n");
    assert_eq!(stage.heard(first), get("h"));
    stage.wait(100);
    assert_eq!(stage.links(0), [first]);
    stage.answer(first, "+OK\r\n+OK\r\n$1\r\nh\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n+OK\r\n");
}

#[test]
fn every_worker_routes_by_the_plan_in_force() {
    let mut stage = Stage::with_workers(redis_pool(1), 3, 7);
    let clients = [0, 1, 2].map(|worker| stage.client_of(worker));
    stage.publish(redis_pool(2));
    let key = stage.key(1);
    for client in clients {
        stage.say(client, get(&key));
    }
    assert_eq!(stage.links(1).len(), 3);
    assert_eq!(stage.links_ever(0), 0);
    stage.publish(redis_pool(1));
    for client in clients {
        stage.say(client, get(&key));
    }
    assert_eq!(stage.links_ever(0), 0, "each waits for its first");
    for link in stage.links(1) {
        stage.answer(link, "$-1\r\n");
    }
    assert_eq!(stage.links(0).len(), 3);
}

#[test]
fn a_split_request_is_joined_although_a_server_of_it_has_gone() {
    let mut settings = redis_pool(2);
    settings.error_detail = true;
    for is_lost in [false, true] {
        let mut stage = Stage::new(settings.clone());
        let client = stage.client();
        let keys = [stage.key(0), stage.key(1)];
        let mget = redis(&["MGET", &keys[0], &keys[1]]);
        stage.say(client, &mget);
        let links = [stage.link(0), stage.link(1)];
        let mut one = settings.clone();
        one.servers.pop();
        stage.apply(one);
        match is_lost {
            true => stage.hang_up(links[1], Cause::Reset),
            false => stage.answer(links[1], "*1\r\n$1\r\nb\r\n"),
        }
        stage.wait(1_000);
        assert!(!stage.is_open(links[1]));
        stage.answer(links[0], "*1\r\n$1\r\na\r\n");
        let heard = stage.hear(client);
        match is_lost {
            false => assert_eq!(heard, format!("*2\r\n{}{}", bulk("a"), bulk("b"))),
            true => assert!(heard.contains("server 's1'"), "{heard}"),
        }
        stage.wait(1_000);
        stage.say(client, &mget);
        assert_eq!(stage.heard(links[0]).matches("mget").count(), 2);
    }
}

#[test]
fn another_password_takes_another_connection() {
    let with = |password: &str| {
        let mut settings = redis_pool(1);
        let ProtocolSettings::Redis(redis) = &mut settings.protocol else {
            unreachable!("a Redis pool");
        };
        redis.auth = Some(password.as_bytes().into());
        settings.preconnect = true;
        settings
    };
    let mut stage = Stage::new(with("old"));
    stage.start();
    let first = stage.link(0);
    assert_eq!(stage.heard(first), redis(&["AUTH", "old"]));
    stage.apply(with("new"));
    let second = stage.link(0);
    assert_eq!(stage.heard(second), redis(&["AUTH", "new"]));
    assert!(first != second && !stage.is_open(first));
    stage.apply(with("new"));
    assert_eq!(stage.link(0), second, "nothing has changed");
}

#[test]
fn a_read_that_is_sent_again_goes_where_the_new_plan_says() {
    let mut settings = redis_pool(2);
    settings.failure.retry_reads = true;
    let mut stage = Stage::new(settings.clone());
    let client = stage.client();
    let key = stage.key(1);
    for _ in 0..20 {
        stage.say(client, get(&key));
        let link = stage.link(1);
        stage.answer(link, "$-1\r\n");
        stage.hear(client);
    }
    stage.say(client, get(&key));
    let link = stage.link(1);
    settings.servers.pop();
    stage.publish(settings);
    stage.hang_up(link, Cause::Reset);
    let first = stage.link(0);
    assert_eq!(stage.heard(first), get(&key));
    stage.answer(first, "$1\r\nv\r\n");
    assert_eq!(stage.hear(client), "$1\r\nv\r\n");
}

#[test]
fn the_failover_pool_has_plans_of_its_own() {
    let mut settings = memcached_pool(1);
    settings.auto_eject_hosts = true;
    let mut other = memcached_pool(1);
    other.name = "gutter".into();
    other.servers[0].name = "g0".into();
    let mut stage = Stage::with_failover(settings.clone(), Some(other.clone()), 1, 7);
    stage.eject(0);
    let client = stage.client();
    stage.say(client, "get k\r\n");
    let link = stage.link(1);
    stage.answer(link, value("k", "1") + "END\r\n");
    stage.hear(client);
    stage.publish_failover(moved(other, 0));
    stage.say(client, "get k\r\n");
    let new = stage.link(1);
    assert!(new != link && !stage.is_open(link));
    assert_eq!(stage.heard(new), "get k\r\n");
    stage.answer(new, value("k", "2") + "END\r\n");
    assert_eq!(stage.hear(client), value("k", "2") + "END\r\n");
}

#[test]
fn servers_that_come_and_go_leave_nothing_behind() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    for round in 0..50 {
        let mut settings = redis_pool(1);
        let mut guest = server(1);
        guest.name = format!("guest{round}");
        settings.servers.push(guest);
        stage.publish(settings);
        let guest = round + 1;
        let key = stage.key(guest);
        stage.say(client, get(&key));
        let link = stage.link(guest);
        stage.answer(link, "$-1\r\n");
        assert_eq!(stage.hear(client), "$-1\r\n");
        stage.apply(redis_pool(1));
        stage.wait(100);
        assert!(!stage.is_open(link));
    }
    assert_eq!(stage.next_due(), None, "nobody is waited for");
}

#[test]
fn a_plan_is_of_its_pool_and_its_protocol() {
    let share = PoolShare::new(redis_pool(1), None, &Memory::new(0).into(), 1);
    let refused = |settings| share.publish(settings, None).map(|_| ()).unwrap_err();
    assert_eq!(refused(memcached_pool(1)), PlanError::OtherProtocol);
    let mut other = redis_pool(1);
    other.name = "other".into();
    assert_eq!(refused(other), PlanError::OtherPool);
    assert_eq!(share.plan().number, 1);
}

#[test]
fn a_server_that_stays_keeps_its_endpoint_and_a_moved_one_gets_the_next() {
    let mut settings = redis_pool(2);
    settings.placement.distribution = Distribution::Ketama;
    let share = PoolShare::new(settings.clone(), None, &Memory::new(0).into(), 1);
    settings.servers[0].weight = 5;
    let plan = share.publish(moved(settings, 1), None).unwrap();
    let numbers: Vec<_> = plan.servers.iter().map(|it| it.endpoint.number).collect();
    assert_eq!((plan.number, numbers), (2, vec![1, 2]));
}

/// A client that leaves nine MiB unread, and with that must read.
fn slow_reader(stage: &mut Stage) -> usize {
    let client = stage.client();
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.answer(link, bulk(&"v".repeat(9 << 20)));
    client
}

#[test]
fn slow_readers_are_judged_by_the_plan_in_force() {
    let with = |min_rate, seconds: u64| {
        let mut settings = redis_pool(1);
        settings.clients.min_rate = min_rate;
        settings.clients.stall_timeout = Some(millis(seconds * 1_000));
        settings
    };
    let mut stage = Stage::new(with(1_000, 60));
    let client = slow_reader(&mut stage);
    stage.apply(with(0, 60));
    stage.wait(600_000);
    assert!(!stage.is_closed(client), "nobody is judged any more");
    stage.apply(with(1_000, 60));
    stage.wait(59_000);
    assert!(!stage.is_closed(client));
    stage.wait(2_000);
    assert!(stage.is_closed(client));
    let hasty = slow_reader(&mut stage);
    stage.apply(with(1_000, 2));
    let other = slow_reader(&mut stage);
    stage.wait(2_100);
    assert!(stage.is_closed(hasty) && stage.is_closed(other));
}

#[test]
fn a_shorter_time_for_clients_holds_at_once() {
    let with = |seconds: u64| {
        let mut settings = redis_pool(1);
        settings.failure.client_idle_timeout = Some(millis(seconds * 1_000));
        settings
    };
    let mut stage = Stage::new(with(3_600));
    let client = stage.client();
    stage.apply(with(4));
    stage.wait(5_100);
    assert!(stage.is_closed(client));
}

#[test]
fn a_read_from_before_retries_were_turned_off_is_not_sent_behind_a_later_write() {
    let with = |retry_reads| {
        let mut settings = redis_pool(1);
        settings.failure.retry_reads = retry_reads;
        settings
    };
    for is_back in [false, true] {
        let mut stage = Stage::new(with(true));
        let client = stage.client();
        for _ in 0..20 {
            stage.say(client, get("k"));
            let link = stage.link(0);
            stage.answer(link, "$-1\r\n");
            stage.hear(client);
        }
        stage.say(client, get("k"));
        let link = stage.link(0);
        stage.publish(with(false));
        stage.say(client, set("k", "later"));
        if is_back {
            stage.apply(with(true));
        }
        stage.hang_up(link, Cause::Reset);
        assert_eq!(stage.links(0), [], "the write may have been done");
        let reset = "-ERR Connection reset by peer\r\n";
        assert_eq!(stage.hear(client), reset.repeat(2));
    }
}

#[test]
fn a_failure_where_a_server_was_keeps_nobody_waiting_for_it() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::with_workers(settings.clone(), 2, 7);
    let (ahead, behind) = (stage.client_of(0), stage.client_of(1));
    let key = stage.key(1);
    stage.say(behind, get(&key));
    let old = stage.link(1);
    settings.auto_eject_hosts = false;
    stage.publish(moved(settings, 1));
    stage.say(ahead, get(&key));
    let new = stage.links(1)[1];
    // The worker behind ejects the server where it was.
    stage.hang_up(old, Cause::Reset);
    stage.say(ahead, get(&key));
    assert_eq!(stage.heard(new), get(&key).repeat(2));
    assert_eq!(stage.next_due(), None);
}

#[test]
fn a_probe_that_is_answered_late_hides_no_server_of_the_plan_in_force() {
    let with = |servers| {
        let mut settings = redis_pool(servers);
        settings.auto_eject_hosts = true;
        settings.server_retry_timeout = millis(100);
        settings
    };
    let mut stage = Stage::with_workers(with(2), 2, 7);
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Silent);
    stage.wait(150);
    let probe = stage.link(1);
    stage.publish(with(3));
    let key = stage.key(2);
    stage.set_connect_result(2, ConnectResult::Refusing);
    let client = stage.client_of(1);
    assert_eq!(stage.ask(client, get(&key)), REFUSED);
    assert!(!stage.is_live(2));
    stage.let_in(probe);
    stage.answer(probe, "+PONG\r\n");
    assert!(stage.is_live(1) && !stage.is_live(2));
    stage.wait(500);
    assert_eq!(stage.links_ever(2), 2, "it is probed, too");
}

#[test]
fn a_server_that_only_takes_reads_has_the_servers_looked_for() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, set("k", "1") + &set("k", "2") + &get("k"));
    let link = stage.link(0);
    let error = "-READONLY You can't write against a read only replica.\r\n";
    stage.answer(link, format!("{error}{error}$1\r\nv\r\n"));
    assert_eq!(stage.hear(client), format!("{error}{error}$1\r\nv\r\n"));
    assert_eq!(stage.looks, 1, "once for what was read together");
    stage.say(client, set("k", "1"));
    stage.answer(link, error);
    assert_eq!((stage.hear(client), stage.looks), (error.to_owned(), 2));
}
