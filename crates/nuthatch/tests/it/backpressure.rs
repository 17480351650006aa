//! What a greedy or silent client may cost: memory is bounded, and other clients are served.

use std::time::Duration;

use testkit::{Client, eventually};

use crate::need;
use crate::rig::{Rig, memcached_ask, resident, text, wait_for};

const MIB: u64 = 1 << 20;

/// How much memory a client that never reads may cost, and how soon it must be returned.
const GREEDY_MAY_COST: u64 = 64 * MIB;
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(10);

/// How much of it may remain: pages that the allocator keeps.
const MAY_STAY: u64 = 8 * MIB;

#[test]
fn a_redis_client_that_never_reads_is_held_back_and_disturbs_nobody() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let big = vec![b'x'; MIB as usize];
    let mut client = rig.client();
    client.command(&[b"SET", b"big", &big]);
    assert_eq!(text(&client.reply()), "+OK\r\n");
    let requests = "*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n".repeat(400);
    let exchange = |other: &mut Client| {
        assert_eq!(other.ask(&["SET", "small", "v"]), "+OK\r\n");
        assert_eq!(other.ask(&["GET", "small"]), "$1\r\nv\r\n");
    };
    never_reads(&rig, rig.client(), requests.as_bytes(), exchange);
    assert_eq!(rig.pool_stat("client_overflow"), 0, "held back, not closed");

    // A client whose replies were small so far gets no larger window.
    let mut greedy = rig.client();
    (0..2_000).for_each(|_| exchange(&mut greedy));
    never_reads(&rig, greedy, requests.as_bytes(), exchange);
    assert_eq!(rig.pool_stat("client_overflow"), 0, "nor is it closed");
}

#[test]
fn a_memcached_client_that_never_reads_is_held_back_and_disturbs_nobody() {
    let server = need!(testkit::memcached_with(&["-I", "2m"]), "memcached");
    let rig = Rig::before_memcached(vec![server], &[], &[]);
    let mut client = rig.client();
    client.send(format!("set big 0 0 {MIB}\r\n").as_bytes());
    client.send(&vec![b'x'; MIB as usize]);
    assert_eq!(memcached_ask(&mut client, "\r\n"), "STORED\r\n");
    let requests = "get big\r\n".repeat(400);
    never_reads(&rig, rig.client(), requests.as_bytes(), |other| {
        assert_eq!(
            memcached_ask(other, "set small 0 0 1\r\nv\r\n"),
            "STORED\r\n"
        );
        assert_eq!(memcached_ask(other, "get small\r\n"), "VALUE small 0 1\r\n");
        assert_eq!(text(&other.exactly(8)), "v\r\nEND\r\n");
    });
}

/// `greedy` sends requests for 400 MB and reads nothing, while another client runs `exchange`.
fn never_reads(rig: &Rig, mut greedy: Client, requests: &[u8], exchange: impl Fn(&mut Client)) {
    let mut other = rig.client();
    exchange(&mut other);
    let pid = rig.proxy.pid();
    let idle = resident(pid);

    let received = || rig.server_stat(0, "response_bytes") / MIB as i64;
    let before = received();
    greedy.send(requests);
    let mut most = idle;
    let mut exchanges_at_rest = 0;
    let mut last = before;
    // It is held back once megabytes have arrived and nothing has moved for a while.
    wait_for("the greedy client is held back or closed", || {
        exchange(&mut other);
        most = most.max(resident(pid));
        let now = received();
        let moves = now != last || now < before + 8;
        exchanges_at_rest = if moves { 0 } else { exchanges_at_rest + 1 };
        last = now;
        exchanges_at_rest == 40
    });
    assert!(
        most < idle + GREEDY_MAY_COST,
        "{} MiB above idle",
        (most - idle) / MIB
    );

    drop(greedy);
    let given_back = eventually(GIVEN_BACK_WITHIN, || {
        (resident(pid) < idle + MAY_STAY).then_some(())
    });
    let kept = resident(pid).saturating_sub(idle) / MIB;
    assert!(given_back.is_some(), "{kept} MiB above idle are kept");
    exchange(&mut other);
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let big = vec![b'x'; MIB as usize];
    let mut writer = rig.client();
    writer.command(&[b"SET", b"big", &big]);
    assert_eq!(text(&writer.reply()), "+OK\r\n");
    let mut client = rig.client();
    client.send("*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n".repeat(100).as_bytes());
    client.command(&[b"PING"]);
    wait_for("the proxy holds back", || {
        rig.server_stat(0, "responses") == 49 && rig.server_stat(0, "out_queue") == 0
    });
    assert_eq!(rig.server_stat(0, "requests"), 49, "no more than a window");
    for _ in 0..100 {
        let reply = client.reply();
        assert!(reply.len() > MIB as usize && reply.ends_with(b"xx\r\n"));
    }
    assert_eq!(text(&client.reply()), "+PONG\r\n");
}

/// A server sends as fast as the proxy reads, and its connection is shared, so replies to requests that were
/// admitted are held for their client, whatever their size.
#[test]
fn who_reads_more_slowly_than_its_server_costs_the_replies_that_were_admitted() {
    const ADMITTED: u64 = 48;
    const SIZE: u64 = 2 * MIB;
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let pid = rig.proxy.pid();
    let mut client = rig.client();
    client.command(&[b"SET", b"big", &vec![b'x'; SIZE as usize]]);
    assert_eq!(text(&client.reply()), "+OK\r\n");
    let mut slow = rig.client();
    let idle = resident(pid);
    let requests = 2 * ADMITTED;
    slow.send(
        "*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n"
            .repeat(requests as usize)
            .as_bytes(),
    );
    let responses = || rig.server_stat(0, "responses") as u64 - 1;
    wait_for("all that were admitted are answered", || {
        responses() == ADMITTED
    });
    let cost = resident(pid).saturating_sub(idle);
    // Less what the kernel holds between proxy and client.
    let (least, most) = (ADMITTED * SIZE - 12 * MIB, ADMITTED * SIZE * 5 / 4);
    assert!(
        (least..most).contains(&cost),
        "{} MiB, not {} to {}",
        cost / MIB,
        least / MIB,
        most / MIB
    );

    for _ in 0..requests {
        assert!(slow.reply().len() as u64 > SIZE);
    }
    assert_eq!(slow.ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn a_request_with_a_million_keys_leaves_nothing_behind() {
    const KEYS: usize = 1_000_000;
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["EXISTS", "a", "b"]), ":0\r\n");
    let idle = resident(rig.proxy.pid());
    let keys: String = (0..KEYS).map(|n| format!("$7\r\n{n:07}\r\n")).collect();
    let request = format!("*{}\r\n$6\r\nEXISTS\r\n{keys}", KEYS + 1);
    for _ in 0..2 {
        client.send(request.as_bytes());
        assert_eq!(text(&client.reply()), ":0\r\n");
    }
    let given_back = eventually(GIVEN_BACK_WITHIN, || {
        (resident(rig.proxy.pid()) < idle + MAY_STAY).then_some(())
    });
    let kept = resident(rig.proxy.pid()).saturating_sub(idle) / MIB;
    assert!(given_back.is_some(), "{kept} MiB above idle are kept");
}

/// What comes piece by piece does not keep a read buffer for each piece.
#[test]
fn an_upload_in_small_pieces_costs_its_size_too() {
    const SIZE: usize = 16 << 20;
    const PIECE: usize = 17_000;
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    let idle = resident(rig.proxy.pid());
    client.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${SIZE}\r\n").as_bytes());
    for _ in 0..SIZE / PIECE {
        client.send(&[b'x'; PIECE]);
        // So that each is read by itself; if some are not, they cost no more.
        std::thread::sleep(Duration::from_millis(1));
    }
    let cost = resident(rig.proxy.pid()).saturating_sub(idle);
    assert!(cost < SIZE as u64 * 3 / 2, "{} MiB", cost / MIB);
}

/// A request goes to its server when it is whole: the connection is shared, and must not wait for one client.
#[test]
fn an_upload_is_held_until_it_is_whole_and_costs_its_size() {
    const SIZE: u64 = 64 * MIB;
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let pid = rig.proxy.pid();
    let (mut uploading, mut other) = (rig.client(), rig.client());
    assert_eq!(other.ask(&["SET", "small", "v"]), "+OK\r\n");
    let idle = resident(pid);
    uploading.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${SIZE}\r\n").as_bytes());
    uploading.send(&vec![b'x'; SIZE as usize]);
    let cost = || resident(pid).saturating_sub(idle);
    wait_for("all but its line end is there", || cost() >= SIZE - MIB);
    assert_eq!(other.ask(&["GET", "small"]), "$1\r\nv\r\n");
    assert!(cost() < SIZE * 5 / 4, "{} MiB", cost() / MIB);
    assert_eq!(rig.server_stat(0, "requests"), 2, "nothing of it was sent");

    uploading.send(b"\r\n");
    assert_eq!(text(&uploading.line()), "+OK\r\n");
    let given_back = eventually(GIVEN_BACK_WITHIN, || {
        (resident(pid) < idle + MAY_STAY).then_some(())
    });
    let kept = resident(pid).saturating_sub(idle) / MIB;
    assert!(given_back.is_some(), "{kept} MiB above idle are kept");
}

#[test]
fn clients_that_announce_much_and_send_nothing_cost_little() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let pid = rig.proxy.pid();
    let mut other = rig.client();
    assert_eq!(other.ask(&["PING"]), "+PONG\r\n");
    let idle = resident(pid);
    let announce = |header: &str| {
        let mut client = rig.client();
        client.send(header.as_bytes());
        client
    };
    let clients: Vec<_> = (0..50)
        .flat_map(|_| {
            [
                announce("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nx"),
                announce("*1048576\r\n$3\r\nDEL\r\n"),
            ]
        })
        .collect();
    wait_for("all are there", || {
        rig.pool_stat("client_connections") == 101
    });
    for _ in 0..20 {
        assert_eq!(other.ask(&["PING"]), "+PONG\r\n");
    }
    let cost = resident(pid).saturating_sub(idle);
    assert!(
        cost < 8 * MIB,
        "{} KiB for {} clients",
        cost >> 10,
        clients.len()
    );
}

#[test]
fn who_has_not_given_the_password_takes_no_memory() {
    let server = need!(
        testkit::redis_with(&["--requirepass", "secret"]),
        "redis-server"
    );
    let rig = Rig::before_redis(vec![server], &["redis_auth: secret"], &[]);
    let idle = resident(rig.proxy.pid());
    let value = vec![b'x'; 4 << 20];
    for _ in 0..8 {
        let mut client = rig.client();
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n");
        // What comes after the refusal is read and dropped.
        client.send(&value);
        let refused = text(&client.rest());
        assert_eq!(
            refused,
            "-ERR Protocol error: unauthenticated bulk length\r\n"
        );
    }
    let cost = resident(rig.proxy.pid()).saturating_sub(idle);
    assert!(cost < 8 * MIB, "{} KiB", cost >> 10);
}

#[test]
fn redis_headers_beyond_the_limits_are_refused_when_read() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    for header in [
        "*2\r\n$3\r\nGET\r\n$536870913\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870913\r\n",
        "*1048577\r\n",
        "*4294967297\r\n",
        "*2\r\n$3\r\nGET\r\n$18446744073709551617\r\n",
    ] {
        let mut client = rig.client();
        client.send(header.as_bytes());
        let last_words = text(&client.rest());
        assert!(
            last_words.starts_with("-ERR "),
            "{header:?}: {last_words:?}"
        );
        assert!(last_words.ends_with("\r\n"), "{last_words:?}");
        assert_eq!(last_words.lines().count(), 1, "{last_words:?}");
    }
    assert_eq!(rig.client().ask(&["GET", "k"]), "$-1\r\n");
}

#[test]
fn memcached_values_beyond_max_value_are_refused_when_announced() {
    const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";
    let rig = need!(Rig::memcached(1, &["max_value: 1000"]), "memcached");
    let mut client = rig.client();
    client.send(b"set k 0 0 1000\r\n");
    client.send(&[b'x'; 1000]);
    assert_eq!(memcached_ask(&mut client, "\r\n"), "STORED\r\n");
    // As with memcached: what is too large is skipped, and the connection goes on. `noreply` means no reply.
    for (end, told) in [("", TOO_LARGE), (" noreply", "")] {
        let mut client = rig.client();
        client.send(format!("set k 0 0 300000{end}\r\n").as_bytes());
        client.send(&[b'x'; 300_000]);
        client.send(b"\r\nget none\r\n");
        let said = text(&client.until(b"END\r\n"));
        assert_eq!(said, format!("{told}END\r\n"));
    }
    // Where the next request begins is unknown: the connection ends, and `noreply` means no reply here, too.
    for request in ["set k 0 0 2147483646", "set k 0 0 1"] {
        let mut client = rig.client();
        client.send(format!("{request} noreply\r\nabcd\r\nversion\r\n").as_bytes());
        assert_eq!(text(&client.rest()), "", "{request}");
    }
    let line = "a request that wants no reply was refused or lost: SERVER_ERROR object too large";
    wait_for("it is logged", || rig.proxy.stderr().contains(line));

    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let mut client = rig.client();
    let announced = "set k 0 0 1073741825\r\n";
    assert_eq!(memcached_ask(&mut client, announced), TOO_LARGE);
    assert_eq!(memcached_ask(&mut rig.client(), "get k\r\n"), "END\r\n");
}
