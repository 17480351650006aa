//! The bound on the connections to servers of the whole process.

use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::{get, redis};

fn three_connections() -> PoolSettings {
    PoolSettings {
        server_connections: 3,
        ..redis_pool(1)
    }
}

#[test]
fn further_connections_are_opened_as_far_as_there_may_be_any() {
    let mut stage = Stage::with_workers(three_connections(), 2, 7);
    stage.set_spare_connections(1);
    let clients: Vec<usize> = (0..6).map(|it| stage.client_of(it % 2)).collect();
    for client in &clients {
        stage.say(*client, get("k"));
    }
    assert_eq!(
        stage.links(0).len(),
        3,
        "the first of each worker and one more"
    );
    for link in stage.links(0) {
        let asked = stage.heard(link).matches("GET").count();
        stage.answer(link, "$1\r\nv\r\n".repeat(asked));
    }
    for client in &clients {
        assert_eq!(stage.hear(*client), "$1\r\nv\r\n");
    }
    stage.set_spare_connections(4);
    for client in &clients {
        stage.say(*client, get("k"));
    }
    assert_eq!(stage.links(0).len(), 6);
}

#[test]
fn what_is_too_many_is_closed_when_it_has_answered() {
    let mut stage = Stage::new(three_connections());
    let clients: Vec<usize> = (0..3).map(|_| stage.client()).collect();
    for client in &clients {
        stage.say(*client, get("k"));
    }
    let links = stage.links(0);
    assert_eq!(links.len(), 3);
    stage.set_spare_connections(0);
    assert_eq!(stage.links(0).len(), 3, "they have requests");
    for link in &links {
        stage.answer(*link, "$1\r\nv\r\n");
    }
    stage.wait(100);
    assert_eq!(stage.links(0), links[..1]);
    for client in &clients {
        assert_eq!(stage.hear(*client), "$1\r\nv\r\n");
        stage.say(*client, get("k"));
    }
    assert_eq!(stage.links(0), links[..1]);
    stage.answer(links[0], "$1\r\nw\r\n".repeat(3));
    for client in clients {
        assert_eq!(stage.hear(client), "$1\r\nw\r\n");
    }
}

#[test]
fn a_worker_that_serves_nobody_any_more_keeps_no_connection() {
    let mut stage = Stage::with_workers(redis_pool(1), 2, 7);
    let clients = [stage.client_of(0), stage.client_of(1)];
    for client in clients {
        stage.say(client, get("k"));
    }
    let links = stage.links(0);
    for (link, client) in links.iter().zip(clients) {
        stage.answer(*link, "$1\r\nv\r\n");
        assert_eq!(stage.hear(client), "$1\r\nv\r\n");
    }
    stage.deal(0, 1);
    assert_eq!(stage.links(0), links, "each has a client");
    stage.end(clients[1]);
    stage.keep_budget();
    assert_eq!(stage.links(0), links[..1]);
    assert!(stage.share.deals_to(0) && !stage.share.deals_to(1));
}

#[test]
fn a_worker_that_serves_nobody_connects_to_no_server_ahead() {
    let settings = |servers| PoolSettings {
        preconnect: true,
        ..redis_pool(servers)
    };
    let mut stage = Stage::with_workers(settings(1), 2, 7);
    stage.start();
    assert_eq!(stage.links(0).len(), 2);
    stage.deal(1, 1);
    assert_eq!(stage.links(0).len(), 1);
    stage.apply(settings(2));
    assert_eq!((stage.links(0).len(), stage.links(1).len()), (1, 1));
}

#[test]
fn a_client_gets_the_database_that_it_selects_though_no_connection_is_left() {
    let mut settings = redis_pool(1);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        databases: 4,
        ..RedisSettings::default()
    });
    let mut stage = Stage::new(settings);
    stage.set_spare_connections(0);
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(&["SELECT", "2"])), "+OK\r\n");
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.answer(link, "+OK\r\n");
    assert!(stage.heard(link).ends_with(&get("k")));
    stage.answer(link, "$1\r\nv\r\n");
    assert_eq!(stage.hear(client), "$1\r\nv\r\n");
    // It is the only one of its database, so it stays although it is one too many.
    stage.keep_budget();
    assert_eq!(stage.links(0), [link]);
}
