//! Announced lengths cost no memory until the data arrives.

use crate::stage::{Stage, memcached_pool, redis_pool};
use crate::words::get;

/// Memory that may be held besides what was sent.
const AHEAD: usize = 64 << 10;

#[test]
fn what_a_client_announces_is_not_allocated_before_it_comes() {
    let redis = [
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nv",
        "*1048576\r\n$3\r\nDEL\r\n$1\r\nk\r\n",
        "*1000000\r\n$4\r\nMGET\r\n$1\r\na\r\n$536870912\r\nb",
        "*2\r\n$536870912\r\nGET",
    ];
    for announced in redis {
        let mut stage = Stage::new(redis_pool(2));
        announce(&mut stage, announced);
    }
    let memcached = [
        "set k 0 0 1073741823\r\nv",
        "cas k 0 0 1073741823 1 noreply\r\nv",
    ];
    for announced in memcached {
        let mut stage = Stage::new(memcached_pool(2));
        announce(&mut stage, announced);
    }
}

/// The same whether it arrives at once or in small pieces; afterwards nothing of it is held.
fn announce(stage: &mut Stage, announced: &str) {
    let (client, slow) = (stage.client(), stage.client());
    stage.say(client, announced);
    for byte in announced.bytes() {
        stage.say(slow, [byte]);
    }
    let held = stage.held();
    assert!(
        held <= AHEAD + 2 * announced.len(),
        "{held} bytes are held for {announced:?}"
    );
    stage.vanish(client);
    stage.vanish(slow);
    assert_eq!(stage.held(), 0, "after {announced:?}");
}

#[test]
fn what_a_server_announces_is_not_allocated_before_it_comes() {
    let redis = [
        "$536870912\r\nv",
        "*1048576\r\n$1\r\na\r\n",
        "*1\r\n$536870912\r\nv",
        "=1073741824\r\ntxt:",
    ];
    for announced in redis {
        let (one, two) = (get("a"), "*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n");
        for asked in [one.as_str(), two] {
            let mut stage = Stage::new(redis_pool(1));
            promise(&mut stage, asked, announced);
        }
    }
    let mut stage = Stage::new(memcached_pool(1));
    promise(&mut stage, "get a\r\n", "VALUE a 0 1073741823\r\nv");
    let mut stage = Stage::new(memcached_pool(1));
    promise(&mut stage, "get a b\r\n", "VALUE a 0 1073741823\r\nv");
}

fn promise(stage: &mut Stage, asked: &str, announced: &str) {
    let client = stage.client();
    stage.say(client, asked);
    let link = stage.link(0);
    stage.answer(link, announced);
    let held = stage.held();
    assert!(
        held <= AHEAD + announced.len(),
        "{held} bytes are held for {announced:?}"
    );
}
