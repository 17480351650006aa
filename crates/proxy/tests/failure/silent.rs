//! A silent server with many unanswered requests gets no more: further requests fail at once.

use proxy::settings::PoolSettings;

use crate::stage::{ConnectResult, Stage, redis_pool};
use crate::words::{FULL, bulk, get};

/// Requests that fit into a client's first window.
const EACH: usize = 32;

fn pool() -> PoolSettings {
    redis_pool(2)
}

/// This many requests for a server, from as many clients as needed.
fn fill(stage: &mut Stage, server: usize, count: usize) -> Vec<usize> {
    let request = get(&stage.key(server));
    let clients: Vec<usize> = (0..count.div_ceil(EACH)).map(|_| stage.client()).collect();
    for (at, client) in clients.iter().enumerate() {
        let some = EACH.min(count - at * EACH);
        stage.say(*client, request.repeat(some));
    }
    clients
}

#[test]
fn past_1024_unanswered_a_silent_server_gets_no_more() {
    let mut stage = Stage::new(pool());
    fill(&mut stage, 0, 1_024);
    let link = stage.link(0);
    stage.wait(999);
    let (client, key) = (stage.client(), stage.key(0));
    assert_eq!(stage.ask(client, get(&key)), "", "it may just be slow");
    stage.wait(1);
    stage.heard(link);
    assert_eq!(stage.ask(client, get(&key)), "", "that one is in the way");
    let other = stage.client();
    assert_eq!(stage.ask(other, get(&key)), FULL);
    assert_eq!(stage.heard(link), "");
    assert!(stage.is_open(link) && !stage.is_closed(other));
}

#[test]
fn its_next_word_opens_it_again() {
    let mut stage = Stage::new(pool());
    let clients = fill(&mut stage, 0, 1_100);
    let link = stage.link(0);
    stage.wait(1_000);
    let (client, key) = (stage.client(), stage.key(0));
    assert_eq!(stage.ask(client, get(&key)), FULL);
    stage.heard(link);
    stage.answer(link, "$1\r\n");
    stage.say(client, get(&key));
    assert_eq!(stage.heard(link), get(&key), "although 1,100 are open");
    stage.answer(link, "v\r\n");
    assert_eq!(stage.hear(clients[0]), bulk("v"));
    stage.wait(1_000);
    let late = stage.client();
    assert_eq!(stage.ask(late, get(&key)), FULL, "silent again");
}

#[test]
fn fewer_wait_however_long_it_takes() {
    let mut stage = Stage::new(pool());
    fill(&mut stage, 0, 1_023);
    stage.wait(600_000);
    let (first, second, key) = (stage.client(), stage.client(), stage.key(0));
    assert_eq!(stage.ask(first, get(&key)), "");
    assert_eq!(stage.ask(second, get(&key)), FULL);
}

#[test]
fn a_server_that_answers_now_and_then_is_not_silent() {
    let mut stage = Stage::new(pool());
    fill(&mut stage, 0, 2_000);
    let link = stage.link(0);
    for _ in 0..5 {
        stage.wait(999);
        stage.answer(link, "$-1\r\n");
        let (client, key) = (stage.client(), stage.key(0));
        stage.heard(link);
        stage.say(client, get(&key));
        assert_eq!(stage.heard(link), get(&key));
    }
}

#[test]
fn one_that_cannot_be_reached_is_silent_too_and_others_do_not_care() {
    let mut stage = Stage::new(pool());
    stage.set_connect_result(0, ConnectResult::Silent);
    fill(&mut stage, 0, 1_024);
    stage.wait(1_000);
    let client = stage.client();
    assert_eq!(stage.ask(client, get(&stage.key(0))), FULL);
    stage.say(client, get(&stage.key(1)));
    let well = stage.link(1);
    stage.answer(well, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
}

#[test]
fn a_calm_before_is_no_silence() {
    let mut stage = Stage::new(pool());
    let (client, key) = (stage.client(), stage.key(0));
    stage.say(client, get(&key));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    stage.wait(3_600_000);
    fill(&mut stage, 0, 1_024);
    stage.heard(link);
    stage.say(client, get(&key));
    assert_eq!(stage.heard(link), get(&key), "it was asked just now");
}
