//! Transactions, watched keys and requests that wait, in pools of a Redis Cluster whose slots move.

use proxy::settings::PoolSettings;

use crate::cluster::{ask, cluster, key, moved};
use crate::stage::Stage;
use crate::words::{bulk, get, redis, set};

const OK: &str = "+OK\r\n";
const ASKING: &str = "*1\r\n$6\r\nASKING\r\n";
/// What is asked of a server before the first transaction on a connection, and what it answers.
const TRIAL: &str = "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$7\r\nDISCARD\r\n";
const TRIED: &str = "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n";

/// A stage whose connections to both nodes are known to take transactions.
fn tried(settings: PoolSettings) -> (Stage, usize) {
    let mut stage = Stage::new(settings);
    let client = stage.client();
    for node in 0..2 {
        let key = key(2, node);
        stage.ask(client, redis(&["MULTI"]) + &get(&key) + &redis(&["EXEC"]));
        let link = stage.link(node);
        assert_eq!(stage.heard(link), TRIAL);
        stage.answer(link, TRIED);
        stage.answer(link, format!("{OK}+QUEUED\r\n*1\r\n$-1\r\n"));
        stage.heard(link);
        stage.hear(client);
    }
    (stage, client)
}

#[test]
fn a_transaction_is_sent_again_whole_when_it_was_aborted() {
    let (mut stage, client) = tried(cluster(2));
    let key = key(2, 0);
    let block = redis(&["MULTI"]) + &set(&key, "1") + &get(&key) + &redis(&["EXEC"]);
    stage.ask(client, &block);
    let (old, new) = (stage.link(0), stage.link(1));
    stage.answer(old, format!("{OK}{}{}", moved(&key, 1), moved(&key, 1)));
    assert_eq!(stage.heard(new), "");
    stage.answer(
        old,
        "-EXECABORT Transaction discarded because of previous errors.\r\n",
    );
    assert_eq!(stage.heard(new), block);
    stage.answer(
        new,
        format!("{OK}+QUEUED\r\n+QUEUED\r\n*2\r\n{OK}$1\r\n1\r\n"),
    );
    assert_eq!(stage.hear(client), format!("*2\r\n{OK}$1\r\n1\r\n"));
    assert!(stage.is_open(old));
}

#[test]
fn a_transaction_is_sent_with_asking_before_it() {
    let (mut stage, client) = tried(cluster(2));
    let key = key(2, 0);
    let block = redis(&["MULTI"]) + &set(&key, "1") + &redis(&["EXEC"]);
    stage.ask(client, &block);
    let (old, new) = (stage.link(0), stage.link(1));
    stage.answer(old, format!("{OK}{}-EXECABORT x\r\n", ask(&key, 1)));
    assert_eq!(stage.heard(new), format!("{ASKING}{block}"));
    stage.answer(new, format!("{OK}{OK}+QUEUED\r\n*1\r\n{OK}"));
    assert_eq!(stage.hear(client), format!("*1\r\n{OK}"));
    // The node can also say so at the end.
    stage.ask(client, &block);
    stage.answer(old, format!("{OK}+QUEUED\r\n-TRYAGAIN x\r\n"));
    stage.heard(old);
    stage.wait(64);
    assert_eq!(stage.heard(old), block);
    stage.answer(old, format!("{OK}+QUEUED\r\n*1\r\n{OK}"));
    assert_eq!(stage.hear(client), format!("*1\r\n{OK}"));
    assert!(stage.is_open(old));
}

#[test]
fn a_transaction_waits_until_its_new_node_is_known_to_take_some() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    let block = redis(&["MULTI"]) + &set(&key, "1") + &redis(&["EXEC"]);
    stage.ask(client, &block);
    let old = stage.link(0);
    stage.answer(old, TRIED);
    stage.answer(old, format!("{OK}{}-EXECABORT x\r\n", moved(&key, 1)));
    let new = stage.link(1);
    stage.wait(20);
    assert_eq!(stage.heard(new), TRIAL);
    stage.answer(new, TRIED);
    stage.wait(20);
    assert_eq!(stage.heard(new), block);
    stage.answer(new, format!("{OK}+QUEUED\r\n*1\r\n{OK}"));
    assert_eq!(stage.hear(client), format!("*1\r\n{OK}"));
}

#[test]
fn a_transaction_that_waits_for_its_trial_does_not_overtake_what_was_sent_elsewhere() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    let (first, second) = (set(&key, "1"), set(&key, "2"));
    let block = redis(&["MULTI"]) + &set(&key, "3") + &redis(&["EXEC"]);
    stage.say(client, first.clone() + &second + &block);
    let old = stage.link(0);
    assert_eq!(stage.heard(old), first.clone() + &second + TRIAL);
    stage.answer(old, moved(&key, 1) + &moved(&key, 1) + TRIED);
    let new = stage.link(1);
    assert_eq!(stage.heard(new), first);
    stage.answer(new, OK);
    assert_eq!(stage.heard(new), second);
    stage.answer(new, OK);
    stage.tick();
    assert_eq!(stage.heard(new), TRIAL);
    stage.answer(new, TRIED);
    assert_eq!(stage.heard(new), block);
    stage.answer(new, format!("{OK}+QUEUED\r\n*1\r\n{OK}"));
    let replies = format!("{OK}{OK}{OK}+QUEUED\r\n*1\r\n{OK}");
    assert_eq!(stage.hear(client), replies);
}

#[test]
fn a_transaction_that_is_sent_again_leaves_the_next_one_alone() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    let block = redis(&["MULTI"]) + &set(&key, "1") + &redis(&["EXEC"]);
    stage.ask(client, &block);
    let old = stage.link(0);
    stage.answer(old, TRIED);
    // The next one has begun when the first is answered.
    stage.say(client, redis(&["MULTI"]) + &set(&key, "2"));
    stage.heard(old);
    stage.answer(old, format!("{OK}{}-EXECABORT x\r\n", moved(&key, 1)));
    let new = stage.link(1);
    stage.wait(20);
    assert_eq!(stage.heard(new), TRIAL);
    stage.answer(new, TRIED);
    stage.wait(20);
    assert_eq!(stage.heard(new), block);
    stage.answer(new, format!("{OK}+QUEUED\r\n*1\r\n{OK}"));
    stage.say(client, redis(&["EXEC"]));
    let next = redis(&["MULTI"]) + &set(&key, "2") + &redis(&["EXEC"]);
    assert_eq!(stage.heard(new), next);
    stage.answer(new, format!("{OK}+QUEUED\r\n*1\r\n{OK}"));
    let both = format!("*1\r\n{OK}{OK}+QUEUED\r\n*1\r\n{OK}");
    assert_eq!(stage.hear(client), both);
}

#[test]
fn an_aborted_transaction_that_belongs_nowhere_else_is_the_clients() {
    let (mut stage, client) = tried(cluster(2));
    let key = key(2, 0);
    stage.ask(
        client,
        redis(&["MULTI"]) + &redis(&["SET", &key]) + &redis(&["EXEC"]),
    );
    let link = stage.link(0);
    let heard = stage.heard(link);
    if !heard.is_empty() {
        stage.answer(link, format!("{OK}-ERR wrong number\r\n-EXECABORT x\r\n"));
        assert_eq!(stage.hear(client), "-EXECABORT x\r\n");
    }
}

#[test]
fn watched_keys_that_move_count_as_changed() {
    let (mut stage, client) = tried(cluster(2));
    let key = key(2, 0);
    let watch = redis(&["WATCH", &key]);
    stage.ask(client, &watch);
    let shared = stage.links(0)[0];
    let leased = stage.links(0)[1];
    stage.answer(leased, ":7\r\n");
    stage.answer(leased, TRIED);
    stage.answer(leased, moved(&key, 1));
    assert_eq!(stage.hear(client), OK);
    stage.say(client, get(&key));
    let new = stage.links(1)[0];
    stage.answer(new, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
    let block = redis(&["MULTI"]) + &set(&key, "w") + &redis(&["EXEC"]);
    assert_eq!(stage.ask(client, &block), format!("{OK}+QUEUED\r\n*-1\r\n"));
    assert!(stage.is_open(shared));
    // The client does it once more, where the key is now.
    stage.say(client, &watch);
    let leased = *stage.links(1).last().unwrap();
    stage.answer(leased, ":7\r\n");
    stage.answer(leased, TRIED);
    stage.answer(leased, OK);
    assert_eq!(stage.hear(client), OK);
    stage.say(client, &block);
    stage.answer(leased, format!("{OK}+QUEUED\r\n*1\r\n{OK}"));
    assert_eq!(stage.hear(client), format!("{OK}+QUEUED\r\n*1\r\n{OK}"));
    // They move before the transaction.
    stage.say(client, &watch);
    let leased = *stage.links(1).last().unwrap();
    stage.answer(leased, OK);
    stage.say(client, &block);
    stage.answer(leased, format!("{OK}{}-EXECABORT x\r\n", moved(&key, 0)));
    assert_eq!(stage.hear(client), format!("{OK}{OK}+QUEUED\r\n*-1\r\n"));
}

#[test]
fn what_waits_for_others_waits_at_the_new_node() {
    let mut stage = Stage::new(cluster(2));
    let (client, key) = (stage.client(), key(2, 0));
    let request = redis(&["BLPOP", &key, "0"]);
    stage.say(client, &request);
    let old = stage.link(0);
    stage.answer(old, ":7\r\n");
    assert!(stage.heard(old).ends_with(&request));
    stage.wait(20_000);
    stage.answer(old, moved(&key, 1));
    let new = stage.link(1);
    stage.answer(new, ":9\r\n");
    assert!(stage.heard(new).ends_with(&request));
    stage.say(client, get(&key));
    stage.answer(new, format!("*2\r\n{}{}", bulk(&key), bulk("v")));
    assert_eq!(
        stage.hear(client),
        format!("*2\r\n{}{}", bulk(&key), bulk("v"))
    );
}
