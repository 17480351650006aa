//! Clients as operators see them, and are rid of them.

use proxy::metrics::PoolMetric;
use proxy::{ClientInfo, ClientKind, Traffic};

use crate::stage::{Stage, memcached_pool, millis, redis_pool};
use crate::words::{get, redis};

#[test]
fn a_client_is_listed_with_what_it_is_and_does() {
    let mut stage = Stage::new(redis_pool(1));
    let [idle, busy, multi, waiting] = [(); 4].map(|()| stage.client());
    stage.ask(busy, redis(&["CLIENT", "SETNAME", "app"]));
    stage.ask(busy, redis(&["CLIENT", "SETINFO", "LIB-NAME", "lib"]));
    stage.say(busy, get("a") + &get("b"));
    stage.ask(multi, redis(&["MULTI"]));
    stage.say(waiting, redis(&["BLPOP", "q", "0"]));
    stage.wait(7);
    let listed = stage.listed(9);
    let of = |client: usize| {
        let address = format!("10.1.0.{client}:5000");
        let found = listed.iter().find(|it| *it.address == *address);
        found.expect("it is listed")
    };
    assert_eq!(listed.len(), 4);
    assert!(listed.is_sorted_by_key(|it| std::cmp::Reverse(it.held)));
    assert_eq!((of(idle).outstanding, of(idle).idle), (0, millis(7)));
    let about = &of(busy).about;
    assert_eq!(
        (of(busy).outstanding, &*about.name, &*about.library.0),
        (2, &b"app"[..], &b"lib"[..])
    );
    assert_eq!((about.last_command, about.number), ("get", 2));
    assert!(of(multi).does.transaction && !of(idle).does.transaction);
    assert!(of(waiting).does.waits && !of(busy).does.waits);
    assert_eq!(stage.listed(2).len(), 2);
}

#[test]
fn a_killed_client_is_closed_and_its_replies_are_nobodys() {
    let mut stage = Stage::new(memcached_pool(1));
    let (victim, other) = (stage.client(), stage.client());
    stage.say(victim, "get a\r\n");
    stage.say(other, "get b\r\n");
    assert_eq!(stage.kill("10.9.9.9:1"), 0);
    assert_eq!(stage.kill("10.1.0.0:5000"), 1);
    assert!(stage.is_closed(victim) && !stage.is_closed(other));
    assert_eq!(
        (
            stage.kill("10.1.0.0:5000"),
            stage.count(PoolMetric::ClientEof)
        ),
        (0, 1)
    );
    let link = stage.link(0);
    stage.answer(link, "VALUE a 0 1\r\n1\r\nEND\r\nEND\r\n");
    assert_eq!(stage.hear(other), "END\r\n");
}

#[test]
fn what_clients_send_and_get_is_counted_alone_and_by_name() {
    let mut stage = Stage::new(redis_pool(1));
    let clients = [(); 3].map(|()| stage.client());
    let named = redis(&["CLIENT", "SETNAME", "app"]);
    for client in &clients[..2] {
        assert_eq!(stage.ask(*client, &named), "+OK\r\n");
    }
    stage.say(clients[0], get("k").repeat(10));
    // A request counts when it is whole, and its bytes when they come.
    stage.say(clients[1], &get("k")[..7]);
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n".repeat(10));
    stage.hear(clients[0]);
    stage.wait(2_000);
    let of = |listed: &[ClientInfo], client: usize| {
        let address = format!("10.1.0.{client}:5000");
        let found = listed.iter().find(|it| *it.address == *address);
        found.expect("it is listed").clone()
    };
    let listed = stage.listed(9);
    let traffic = |requests: u64, bytes_in: usize, bytes_out: usize| Traffic {
        requests,
        bytes_in: bytes_in as u64,
        bytes_out: bytes_out as u64,
    };
    let (name, bytes) = (named.len(), get("k").len());
    let first = of(&listed, clients[0]);
    assert_eq!(first.traffic, traffic(11, name + 10 * bytes, 5 + 50));
    assert_eq!(first.age, millis(2_000));
    assert_eq!(of(&listed, clients[1]).traffic, traffic(1, name + 7, 5));
    assert_eq!(of(&listed, clients[2]).traffic, Traffic::default());

    let mut groups = stage.client_groups();
    groups.sort_by_key(|group| group.clients);
    let [nobody, app] = &groups[..] else {
        panic!("{groups:?}");
    };
    assert_eq!(nobody.kind, Some(ClientKind::default()));
    let kind = app.kind.as_ref().expect("it has a name");
    assert_eq!((&*kind.name, &*kind.library), (&b"app"[..], &b""[..]));
    assert_eq!(app.traffic, traffic(12, 2 * name + 10 * bytes + 7, 60));
    assert_eq!((app.clients, app.requests_per_second), (2, 6.0));
}

#[test]
fn clients_with_very_many_names_are_not_all_told_apart() {
    let mut stage = Stage::new(redis_pool(1));
    let many = 1_024 + 5;
    for number in 0..many {
        let client = stage.client();
        stage.ask(client, redis(&["CLIENT", "SETNAME", &number.to_string()]));
    }
    let groups = stage.client_groups();
    assert_eq!(groups.len(), 1_024 + 1);
    let others = groups.iter().find(|group| group.kind.is_none());
    assert_eq!(others.map(|group| group.clients), Some(5));
}
