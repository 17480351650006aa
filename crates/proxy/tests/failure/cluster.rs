//! Pools of a Redis Cluster: what a node sends elsewhere is sent there, and no client hears of it.

use std::sync::Arc;

use hashkit::{SLOTS, slot_of};
use proxy::metrics::PoolMetric;
use proxy::settings::PoolSettings;
use proxy::{Cause, SlotMap};

use crate::stage::{ConnectResult, Stage, millis, redis_pool};
use crate::words::{bulk, get, redis, set};

const OK: &str = "+OK\r\n";
const ASKING: &str = "*1\r\n$6\r\nASKING\r\n";

/// A pool of so many nodes, of which each has an equal part of the slots.
pub(crate) fn cluster(nodes: usize) -> PoolSettings {
    let mut map = SlotMap::default();
    for slot in 0..SLOTS {
        map.set(slot as u16, slot * nodes / SLOTS);
    }
    PoolSettings {
        slots: Some(Arc::new(map)),
        ..redis_pool(nodes)
    }
}

/// A map in which one node has all slots.
fn all_at(node: usize) -> Arc<SlotMap> {
    let mut map = SlotMap::default();
    (0..SLOTS).for_each(|slot| map.set(slot as u16, node));
    Arc::new(map)
}

/// A key of a node, by [`cluster`].
pub(crate) fn key(nodes: usize, node: usize) -> String {
    let mut keys = (0..).map(|number| format!("key{number}"));
    let is_there = |key: &String| usize::from(slot_of(key.as_bytes())) * nodes / SLOTS == node;
    keys.find(is_there).expect("there are many keys")
}

pub(crate) fn moved(key: &str, node: usize) -> String {
    format!("-MOVED {} 10.0.0.{node}:7000\r\n", slot_of(key.as_bytes()))
}

pub(crate) fn ask(key: &str, node: usize) -> String {
    format!("-ASK {} 10.0.0.{node}:7000\r\n", slot_of(key.as_bytes()))
}

#[test]
fn keys_go_to_the_node_that_has_their_slot() {
    let mut stage = Stage::new(cluster(3));
    let client = stage.client();
    for node in 0..3 {
        stage.say(client, get(&key(3, node)));
        let link = stage.link(node);
        assert_eq!(stage.heard(link), get(&key(3, node)));
        stage.answer(link, bulk("v"));
        assert_eq!(stage.hear(client), bulk("v"));
    }
    assert_eq!(stage.count(PoolMetric::Redirects), 0);
}

#[test]
fn a_request_whose_slot_has_moved_is_sent_there_and_later_ones_at_once() {
    let mut stage = Stage::new(cluster(3));
    let (client, other, key) = (stage.client(), stage.client(), key(3, 0));
    stage.say(client, set(&key, "1"));
    let old = stage.link(0);
    stage.answer(old, moved(&key, 2));
    assert_eq!(stage.hear(client), "");
    let new = stage.link(2);
    assert_eq!(stage.heard(new), set(&key, "1"));
    stage.answer(new, OK);
    assert_eq!(stage.hear(client), OK);
    stage.heard(old);
    stage.say(other, get(&key));
    assert_eq!((stage.heard(old), stage.heard(new)), ("".into(), get(&key)));
    stage.answer(new, bulk("1"));
    assert_eq!(stage.hear(other), bulk("1"));
    assert_eq!(stage.count(PoolMetric::Redirects), 1);
    assert_eq!(stage.maps_asked, [Some("10.0.0.0:7000".into())]);
}

#[test]
fn an_answer_in_pieces_is_not_passed_on_either() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    stage.say(client, get(&key));
    let old = stage.link(0);
    let line = moved(&key, 1);
    for byte in line.bytes() {
        assert_eq!(stage.hear(client), "");
        stage.answer(old, [byte]);
    }
    let new = stage.link(1);
    stage.answer(new, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
    // Another error is passed on whole.
    stage.say(client, get(&key));
    for piece in ["-WRONG", "TYPE Oper", "ation\r", "\n"] {
        stage.answer(new, piece);
    }
    assert_eq!(stage.hear(client), "-WRONGTYPE Operation\r\n");
}

#[test]
fn the_order_of_a_clients_requests_holds_when_their_slot_moves() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    stage.say(client, set(&key, "1") + &set(&key, "2") + &get(&key));
    let old = stage.link(0);
    stage.answer(old, moved(&key, 1));
    let new = stage.link(1);
    // Nothing overtakes, neither what is at the old node nor what comes now.
    stage.say(client, set(&key, "3"));
    assert_eq!(stage.heard(new), set(&key, "1"));
    stage.answer(old, moved(&key, 1) + &moved(&key, 1));
    assert_eq!(stage.heard(new), "");
    stage.answer(new, OK);
    assert_eq!(stage.heard(new), set(&key, "2"));
    stage.answer(new, OK);
    assert_eq!(stage.heard(new), get(&key));
    stage.answer(new, bulk("2"));
    assert_eq!(stage.heard(new), set(&key, "3"));
    stage.answer(new, OK);
    assert_eq!(stage.hear(client), format!("{OK}{OK}{}{OK}", bulk("2")));
}

#[test]
fn a_client_with_requests_at_the_old_node_waits_when_another_one_hears_of_the_move() {
    let mut stage = Stage::new(cluster(2));
    let (first, second, key) = (stage.client(), stage.client(), key(2, 0));
    stage.say(first, set(&key, "1"));
    stage.say(second, set(&key, "2"));
    let old = stage.link(0);
    stage.answer(old, moved(&key, 1));
    let new = stage.link(1);
    assert_eq!(stage.heard(new), set(&key, "1"));
    stage.say(second, set(&key, "3"));
    assert_eq!(stage.heard(new), "");
    stage.answer(old, OK);
    assert_eq!(stage.heard(new), set(&key, "3"));
}

#[test]
fn one_that_is_asked_for_goes_there_once_and_the_map_stays() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    for _ in 0..2 {
        stage.say(client, get(&key));
        let old = stage.link(0);
        assert_eq!(stage.heard(old), get(&key));
        stage.answer(old, ask(&key, 1));
        let new = stage.link(1);
        assert_eq!(stage.heard(new), format!("{ASKING}{}", get(&key)));
        stage.answer(new, format!("{OK}{}", bulk("v")));
        assert_eq!(stage.hear(client), bulk("v"));
    }
}

#[test]
fn what_the_cluster_cannot_serve_waits_and_so_does_what_follows() {
    for line in [
        "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
    ] {
        let mut stage = Stage::new(cluster(2));
        let (client, key) = (stage.client(), key(2, 0));
        let request = redis(&["mget", &key, &key]);
        stage.say(client, &request);
        let link = stage.link(0);
        stage.heard(link);
        for _ in 0..5 {
            stage.answer(link, line);
            stage.say(client, "");
            assert_eq!(
                (stage.heard(link), stage.hear(client)),
                ("".into(), "".into())
            );
            stage.wait(64);
            assert_eq!(stage.heard(link), request, "{line}");
        }
        stage.say(client, set(&key, "later"));
        stage.answer(link, "*2\r\n$-1\r\n$-1\r\n");
        assert_eq!(stage.hear(client), "*2\r\n$-1\r\n$-1\r\n");
        assert_eq!(stage.heard(link), set(&key, "later"));
    }
}

#[test]
fn a_cluster_that_stays_down_is_told_of_in_the_end() {
    let line = "-CLUSTERDOWN The cluster is down\r\n";
    for (timeout, within) in [(None, 10_000), (Some(millis(300)), 300)] {
        let mut settings = cluster(2);
        settings.timeout = timeout;
        let mut stage = Stage::new(settings);
        let (client, key) = (stage.client(), key(2, 0));
        stage.say(client, get(&key));
        let link = stage.link(0);
        stage.heard(link);
        let begin = stage.now();
        stage.answer(link, line);
        let mut reply = String::new();
        while reply.is_empty() {
            stage.wait(1);
            if !stage.heard(link).is_empty() {
                stage.answer(link, line);
            }
            reply = stage.hear(client);
            assert!(stage.now() - begin < (within + 100) * 1_000);
        }
        assert_eq!(reply, line);
        assert!(stage.now() - begin >= within * 1_000);
    }
}

#[test]
fn nodes_that_send_a_request_in_circles_are_stopped() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    stage.say(client, get(&key));
    let mut hops = 0;
    let mut at = 0;
    let reply = loop {
        let link = stage.link(at);
        at = 1 - at;
        stage.answer(link, moved(&key, at));
        stage.wait(100);
        let reply = stage.hear(client);
        hops += 1;
        if !reply.is_empty() {
            break reply;
        }
    };
    assert_eq!(hops, 17);
    assert!(
        reply.starts_with("-ERR ") && !reply.contains("MOVED"),
        "{reply}"
    );
    let told = "a request that node 's0' sent elsewhere, or let wait, failed: the nodes of the cluster send the request from one to another";
    assert!(stage.log.iter().any(|line| line == told), "{:?}", stage.log);
}

#[test]
fn a_node_that_no_plan_has_is_awaited() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    stage.say(client, get(&key));
    let old = stage.link(0);
    assert_eq!(stage.heard(old), get(&key));
    // The owner is asked again and again, which may be another one by then.
    for _ in 0..30 {
        stage.answer(old, moved(&key, 2));
        assert_eq!((stage.hear(client), stage.heard(old)), Default::default());
        stage.wait(64);
        assert_eq!(stage.heard(old), get(&key));
    }
    assert!(!stage.maps_asked.is_empty());
    stage.answer(old, moved(&key, 2));
    let mut with_it = cluster(3);
    with_it.slots = Some(all_at(2));
    stage.apply(with_it);
    stage.wait(1);
    let new = stage.link(2);
    assert_eq!(stage.heard(new), get(&key));
    stage.answer(new, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
}

#[test]
fn one_that_the_plan_has_no_more_is_not_waited_for() {
    let mut stage = Stage::new(cluster(3));
    let (client, key) = (stage.client(), key(3, 0));
    let (first, second) = (set(&key, "1"), set(&key, "2"));
    stage.say(client, first.clone() + &second);
    let old = stage.link(0);
    stage.answer(old, moved(&key, 2) + &moved(&key, 2));
    let gone = stage.link(2);
    assert_eq!(stage.heard(gone), first);
    // It is replaced, and the second request was to follow the first there.
    let mut without = cluster(2);
    without.slots = Some(all_at(1));
    stage.apply(without);
    stage.answer(gone, OK);
    let new = stage.link(1);
    assert_eq!(stage.heard(new), second);
    stage.answer(new, OK);
    assert_eq!(stage.hear(client), format!("{OK}{OK}"));
}

#[test]
fn an_empty_host_is_that_of_the_node_that_answers_and_none_is_asked_for() {
    let mut settings = cluster(2);
    settings.servers[1].address = proxy::settings::Address::tcp("10.0.0.0", 7_001);
    let mut stage = Stage::new(settings);
    let (client, key) = (stage.client(), key(2, 0));
    stage.say(client, get(&key));
    let old = stage.link(0);
    stage.answer(old, format!("-MOVED {} :7001\r\n", slot_of(key.as_bytes())));
    let new = stage.link(1);
    assert_eq!(stage.heard(new), get(&key));
    // It does not know who has the slot: that is asked again, where the map says.
    stage.answer(
        new,
        format!("-MOVED {} ?:7000\r\n", slot_of(key.as_bytes())),
    );
    stage.wait(64);
    assert_eq!(stage.heard(new), get(&key));
    stage.answer(new, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
}

#[test]
fn one_that_names_no_slot_is_followed_and_the_map_stays() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    for _ in 0..2 {
        stage.say(client, get(&key));
        let old = stage.link(0);
        assert_eq!(stage.heard(old), get(&key));
        stage.answer(old, "-MOVED -1 10.0.0.1:7000\r\n");
        let new = stage.link(1);
        assert_eq!(stage.heard(new), get(&key));
        stage.answer(new, "$-1\r\n");
        assert_eq!(stage.hear(client), "$-1\r\n");
    }
}

#[test]
fn fragments_are_sent_for_each_slot_and_each_is_sent_where_it_belongs() {
    let mut stage = Stage::new(cluster(2));
    let client = stage.client();
    let (a, b) = (key(2, 0), key(2, 1));
    let (same, tagged) = (format!("{{{a}}}x"), format!("{{{a}}}y"));
    // A second slot of the same node.
    let c = (0..).map(|number| format!("c{number}"));
    let mut c = c.filter(|it| slot_of(it.as_bytes()) != slot_of(a.as_bytes()));
    let c = c.find(|it| slot_of(it.as_bytes()) < 8_192).unwrap();
    stage.say(client, redis(&["mget", &same, &b, &c, &tagged]));
    let (first, second) = (stage.link(0), stage.link(1));
    assert_eq!(
        stage.heard(first),
        redis(&["mget", &same, &tagged]) + &redis(&["mget", &c])
    );
    assert_eq!(stage.heard(second), redis(&["mget", &b]));
    stage.answer(first, moved(&a, 1) + "*1\r\n$1\r\nc\r\n");
    assert_eq!(stage.heard(second), redis(&["mget", &same, &tagged]));
    stage.answer(second, "*1\r\n$1\r\nb\r\n*2\r\n$1\r\nx\r\n$1\r\ny\r\n");
    let joined = "*4\r\n$1\r\nx\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\ny\r\n";
    assert_eq!(stage.hear(client), joined);
}

#[test]
fn keys_of_several_slots_of_one_node_are_refused_where_they_cannot_be_split() {
    let mut stage = Stage::new(cluster(1));
    let client = stage.client();
    let reply = stage.ask(client, redis(&["SUNION", "a", "b"]));
    assert!(
        reply.starts_with("-") && !reply.contains("MOVED"),
        "{reply}"
    );
    assert!(stage.links(0).is_empty());
    stage.say(client, redis(&["SUNION", "{a}1", "{a}2"]));
    let link = stage.link(0);
    stage.answer(link, "*0\r\n");
    assert_eq!(stage.hear(client), "*0\r\n");
}

#[test]
fn a_later_request_that_was_executed_makes_an_earlier_one_that_waits_fail() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    stage.say(client, set(&key, "1") + &set(&key, "2"));
    let link = stage.link(0);
    stage.answer(link, "-CLUSTERDOWN x\r\n");
    stage.answer(link, OK);
    let reply = stage.hear(client);
    assert!(reply.starts_with("-ERR a later request"), "{reply}");
    assert!(reply.ends_with(OK));
    stage.wait(100);
    assert_eq!(stage.heard(link), set(&key, "1") + &set(&key, "2"));
}

#[test]
fn one_that_is_on_its_way_is_not_sent_once_more_behind_a_later_one() {
    let mut stage = Stage::new(cluster(3));
    let (client, key) = (stage.client(), key(3, 0));
    stage.say(client, get(&key) + &set(&key, "2"));
    let (link, moves) = (stage.link(0), [moved(&key, 1), moved(&key, 0)]);
    stage.answer(link, &moves[0]);
    let other = stage.link(1);
    assert_eq!(stage.heard(other), get(&key));
    // The slot is back meanwhile.
    stage.answer(link, OK);
    stage.answer(other, &moves[1]);
    let reply = stage.hear(client);
    assert!(reply.starts_with("-ERR a later request"), "{reply}");
    assert!(reply.ends_with(OK));
}

#[test]
fn one_is_not_sent_to_the_same_node_again_behind_a_later_one() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    let (first, second) = (set(&key, "1"), set(&key, "2"));
    stage.say(client, first.clone() + &second);
    let link = stage.link(0);
    assert_eq!(stage.heard(link), first.clone() + &second);
    // A node that no plan has: the owner is to be asked again, which has not answered the second request.
    stage.answer(link, moved(&key, 9));
    stage.wait(500);
    assert_eq!(stage.heard(link), "");
    stage.answer(link, moved(&key, 9));
    stage.wait(500);
    assert_eq!(stage.heard(link), first);
    stage.answer(link, OK);
    assert_eq!(stage.heard(link), second);
    stage.answer(link, OK);
    assert_eq!(stage.hear(client), format!("{OK}{OK}"));
}

#[test]
fn requests_for_other_keys_of_a_slot_that_moves_are_not_overtaken() {
    let mut stage = Stage::new(cluster(3));
    let (client, key) = (stage.client(), key(3, 0));
    let other = format!("{{{key}}}");
    let (first, second) = (set(&key, "1"), set(&key, "2"));
    stage.say(client, first.clone() + &second + &get(&other));
    let old = stage.link(0);
    stage.answer(old, ask(&key, 1) + &ask(&key, 1) + &bulk("v"));
    let new = stage.link(1);
    for request in [first, second] {
        assert_eq!(stage.heard(new), format!("{ASKING}{request}"));
        stage.answer(new, format!("{OK}{OK}"));
    }
    assert_eq!(stage.hear(client), format!("{OK}{OK}{}", bulk("v")));
}

#[test]
fn nothing_overtakes_a_request_for_several_keys_of_a_slot() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    let union = redis(&["SUNION", &key, &format!("{{{key}}}")]);
    stage.say(client, get(&key) + &union + &set(&key, "2"));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), get(&key) + &union);
    stage.answer(link, "$-1\r\n-TRYAGAIN x\r\n");
    stage.wait(64);
    assert_eq!(stage.heard(link), union);
    stage.answer(link, "*0\r\n");
    assert_eq!(stage.heard(link), set(&key, "2"));
    stage.answer(link, OK);
    assert_eq!(stage.hear(client), format!("$-1\r\n*0\r\n{OK}"));
}

#[test]
fn a_lost_node_is_an_error_and_a_reason_to_ask_for_the_map() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    stage.say(client, set(&key, "1") + &set(&key, "2"));
    let old = stage.link(0);
    stage.answer(old, moved(&key, 1));
    stage.answer(old, moved(&key, 1));
    let new = stage.link(1);
    stage.wait(10);
    stage.set_connect_result(1, ConnectResult::Refusing);
    stage.hang_up(new, Cause::Reset);
    stage.wait(10);
    let reply = stage.hear(client);
    assert_eq!(reply.matches("-ERR ").count(), 2, "{reply}");
    assert_eq!(stage.maps_asked.last(), Some(&None));
}

#[test]
fn clients_that_leave_and_those_without_replies_leave_nothing_behind() {
    let mut stage = Stage::new(cluster(2));
    let key = key(2, 0);
    let leaver = stage.client();
    stage.say(leaver, set(&key, "1") + &set(&key, "2"));
    let old = stage.link(0);
    stage.answer(old, "-CLUSTERDOWN x\r\n-CLUSTERDOWN x\r\n");
    stage.vanish(leaver);
    stage.heard(old);
    stage.wait(2_000);
    assert_eq!(stage.heard(old), "");
    let silent = stage.client();
    stage.say(silent, redis(&["CLIENT", "REPLY", "OFF"]) + &set(&key, "3"));
    stage.answer(old, moved(&key, 1));
    let new = stage.link(1);
    assert_eq!(stage.heard(new), set(&key, "3"));
    stage.answer(new, OK);
    stage.say(silent, redis(&["CLIENT", "REPLY", "ON"]));
    assert_eq!(stage.hear(silent), OK);
    assert!(stage.shut_down());
}

#[test]
fn a_script_is_loaded_where_it_is_sent() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    let load = redis(&["SCRIPT", "LOAD", "return 1"]);
    stage.say(client, &load);
    let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    for node in 0..2 {
        let link = stage.link(node);
        stage.answer(link, bulk(sha));
        stage.heard(link);
    }
    stage.hear(client);
    let call = redis(&["EVALSHA", sha, "1", &key]);
    stage.say(client, &call);
    let old = stage.link(0);
    let heard = stage.heard(old);
    if heard != call {
        stage.answer(old, bulk(sha));
    }
    stage.answer(old, moved(&key, 1));
    let new = stage.link(1);
    let heard = stage.heard(new);
    assert!(heard.ends_with(&call), "{heard}");
    if heard != call {
        stage.answer(new, bulk(sha));
    }
    stage.answer(new, ":1\r\n");
    assert_eq!(stage.hear(client), ":1\r\n");
}

#[test]
fn a_slot_that_nobody_is_known_to_have_is_asked_for_anywhere() {
    let settings = PoolSettings {
        slots: Some(Arc::default()),
        ..redis_pool(2)
    };
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a"));
    let (at, slot) = (usize::from(slot_of(b"a")) % 2, slot_of(b"a"));
    let link = stage.link(at);
    stage.answer(link, "-CLUSTERDOWN Hash slot not served\r\n");
    stage.heard(link);
    stage.wait(64);
    assert_eq!(stage.heard(link), get("a"));
    let other = 1 - at;
    stage.answer(link, format!("-MOVED {slot} 10.0.0.{other}:7000\r\n"));
    let link = stage.link(other);
    stage.answer(link, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
}

#[test]
fn several_connections_keep_the_order_too() {
    let mut settings = cluster(2);
    settings.server_connections = 3;
    let mut stage = Stage::new(settings);
    let (busy, client, key) = (stage.client(), stage.client(), key(2, 0));
    stage.say(busy, get(&key));
    stage.say(client, set(&key, "1") + &set(&key, "2"));
    let old = stage.links(0)[1];
    assert_eq!(stage.heard(old), set(&key, "1") + &set(&key, "2"));
    stage.answer(old, moved(&key, 1) + &moved(&key, 1));
    let new = stage.link(1);
    assert_eq!(stage.heard(new), set(&key, "1"));
    stage.answer(new, OK);
    assert_eq!(stage.heard(new), set(&key, "2"));
    stage.answer(new, OK);
    assert_eq!(stage.hear(client), format!("{OK}{OK}"));
    stage.say(client, get(&key));
    let heard: String = stage
        .links(1)
        .into_iter()
        .map(|link| stage.heard(link))
        .collect();
    assert_eq!(heard, get(&key));
}

#[test]
fn patterns_are_subscribed_to_at_one_node() {
    let mut stage = Stage::new(cluster(3));
    let client = stage.client();
    stage.say(client, redis(&["PSUBSCRIBE", "news.*"]));
    let links = (0..3).map(|node| stage.links(node).len());
    assert_eq!(links.sum::<usize>(), 1);
}
