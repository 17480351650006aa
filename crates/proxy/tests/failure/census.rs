//! Clients as operators see them, and are rid of them.

use proxy::metrics::PoolMetric;

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
