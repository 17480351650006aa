//! A server that refuses a step of the handshake: no requests are sent on that connection, and the next
//! attempt follows after a pause.

use proxy::Cause;
use proxy::metrics::PoolMetric;
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, memcached_pool, redis_pool};
use crate::words::{HELLO_3, PING, get, redis, set};

const BUSY: &str = "-BUSY Redis is busy running a script.\r\n";

/// A pool of one server that is ejected after two failures.
fn pool(db: u32, password: bool) -> PoolSettings {
    let mut settings = redis_pool(1);
    settings.servers[0].db = db;
    settings.auto_eject_hosts = true;
    settings.server_failure_limit = 2;
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        auth: password.then(|| b"sesame"[..].into()),
        ..RedisSettings::default()
    });
    settings
}

fn select(db: &str) -> String {
    redis(&["SELECT", db])
}

/// A client that has sent the pool's password.
fn client_with_password(stage: &mut Stage) -> usize {
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(&["AUTH", "sesame"])), "+OK\r\n");
    client
}

#[test]
fn nothing_is_written_to_database_0_when_select_is_refused() {
    let mut stage = Stage::new(pool(3, false));
    let client = stage.client();
    stage.say(client, set("k", "1") + &get("k"));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), select("3"));
    stage.answer(link, BUSY);
    assert_eq!(stage.hear(client), [BUSY, BUSY].concat());
    assert!(!stage.is_open(link) && stage.heard(link).is_empty());
    let reason = "the server refused SELECT: BUSY Redis is busy running a script.";
    assert_eq!(
        stage.log,
        [format!(
            "connection to server 's0' closed, 2 requests lost: {reason}"
        )]
    );
}

#[test]
fn a_refused_server_is_tried_again_after_a_pause_that_grows() {
    let mut settings = pool(3, false);
    settings.auto_eject_hosts = false;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    for (attempt, pause) in [100, 200, 400, 800, 1_600, 2_000, 2_000].iter().enumerate() {
        stage.say(client, get("k"));
        let link = stage.link(0);
        stage.answer(link, BUSY);
        assert_eq!(stage.hear(client), BUSY);
        stage.wait(pause - 1);
        assert_eq!(stage.ask(client, get("k")), BUSY, "at once");
        assert_eq!(stage.links_ever(0), attempt + 1);
        stage.wait(1 + pause / 4);
    }
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.answer(link, "+OK\r\n");
    assert_eq!(stage.heard(link), select("3") + &get("k"));
    stage.answer(link, "$1\r\nv\r\n");
    assert_eq!(stage.hear(client), "$1\r\nv\r\n");
}

#[test]
fn a_server_that_cannot_serve_is_ejected_and_one_that_refuses_the_password_is_not() {
    for (reply, told, counts) in [
        (
            "-LOADING Redis is loading",
            "-LOADING the server cannot serve at present",
            true,
        ),
        (
            "-MASTERDOWN Link is down, 'sesame'",
            "-MASTERDOWN the server cannot serve at present",
            true,
        ),
        (
            "-ERR unknown command 'AUTH', with args: 'sesame', max number of clients",
            "-ERR max number of clients reached",
            true,
        ),
        (
            "-ERR max number of clients reached",
            "-ERR max number of clients reached",
            true,
        ),
        (
            "-WRONGPASS invalid pair 'sesame'",
            "-WRONGPASS the server refused the password of the pool",
            false,
        ),
        (
            "-NOPERM this user has no permissions",
            "-NOPERM the server refused the password of the pool",
            false,
        ),
        (
            "-sesame is wrong",
            "-ERR the server refused the password of the pool",
            false,
        ),
        (
            "!17\r\nERR sesame? never",
            "-ERR the server refused the password of the pool",
            false,
        ),
    ] {
        let mut stage = Stage::new(pool(0, true));
        let client = client_with_password(&mut stage);
        for _ in 0..2 {
            assert!(stage.is_live(0), "{reply}");
            stage.say(client, get("k"));
            let link = stage.link(0);
            stage.answer(link, format!("{reply}\r\n"));
            assert_eq!(stage.hear(client), format!("{told}\r\n"));
            stage.wait(300);
        }
        assert_eq!(stage.is_live(0), !counts, "{reply}");
        let quoted = stage.log.iter().any(|line| line.contains("sesame"));
        assert!(!quoted, "{:?}", stage.log);
    }
}

#[test]
fn a_server_without_the_password_or_the_database_is_used_all_the_same() {
    for (reply, logged) in [
        ("-ERR DB index is out of range", true),
        ("-ERR invalid DB index", true),
        ("-ERR SELECT is not allowed in cluster mode", true),
        ("+OK", false),
    ] {
        let mut stage = Stage::new(pool(3, false));
        let client = stage.client();
        stage.say(client, get("k"));
        let link = stage.link(0);
        stage.answer(link, format!("{reply}\r\n"));
        assert_eq!(stage.heard(link), select("3") + &get("k"), "{reply}");
        assert_eq!(!stage.log.is_empty(), logged, "{:?}", stage.log);
    }
    for (reply, logged) in [
        ("-ERR Client sent AUTH, but no password is set", false),
        (
            "-ERR AUTH <password> called without any password configured for the default user.",
            false,
        ),
        (
            "-ERR unknown command 'AUTH', with args beginning with: 'sesame'",
            true,
        ),
    ] {
        let mut stage = Stage::new(pool(0, true));
        let client = client_with_password(&mut stage);
        stage.say(client, get("k"));
        let link = stage.link(0);
        stage.answer(link, format!("{reply}\r\n"));
        assert_eq!(stage.heard(link), redis(&["AUTH", "sesame"]) + &get("k"));
        let expected: &[&str] = match logged {
            true => &["AUTH failed on s0: unknown command"],
            false => &[],
        };
        assert_eq!(stage.log, expected);
    }
}

#[test]
fn the_password_is_in_no_line_whatever_a_server_says_and_in_detail() {
    for (reply, log) in [
        (
            "-ERR unknown command 'AUTH', with args beginning with: 'sesame'",
            "AUTH failed on s0",
        ),
        ("-sesame", "the server refused AUTH: ERR the server refused"),
        (
            "-BUSY 'sesame'",
            "the server refused AUTH: BUSY the server cannot",
        ),
        (
            "-WRONGPASS sesame\u{1b}",
            "the server refused AUTH: WRONGPASS the server refused",
        ),
        ("?sesame", "Invalid argument"),
    ] {
        for greeting in [get("k"), HELLO_3.to_owned() + &get("k")] {
            let mut settings = pool(3, true);
            settings.error_detail = true;
            let mut stage = Stage::new(settings);
            let client = client_with_password(&mut stage);
            stage.say(client, greeting);
            let link = stage.link(0);
            stage.answer(link, format!("{reply}\r\n"));
            stage.wait(10_000);
            let heard = stage.hear(client);
            assert!(!heard.contains("sesame"), "{reply}: {heard}");
            let logged = |what: &str| stage.log.iter().any(|line| line.contains(what));
            assert!(!logged("sesame") && logged(log), "{reply}: {:?}", stage.log);
        }
    }
}

#[test]
fn a_blob_error_is_told_in_one_line() {
    let mut stage = Stage::new(pool(3, false));
    let client = stage.client();
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.answer(link, "!14\r\nERR not\r\ntoday\r\n");
    assert_eq!(stage.hear(client), "-ERR not  today\r\n");
}

#[test]
fn too_many_clients_is_told_before_anything_was_asked() {
    const FULL: &str = "-ERR max number of clients reached\r\n";
    for db in [0, 3] {
        let mut stage = Stage::new(pool(db, false));
        stage.next_links_take(0);
        let client = stage.client();
        stage.say(client, get("k"));
        let link = stage.link(0);
        stage.answer(link, FULL);
        assert_eq!(stage.hear(client), FULL);
        assert!(!stage.is_open(link));
        assert_eq!(stage.ask(client, get("k")), FULL, "no other one is tried");
        assert_eq!(stage.links_ever(0), 1);
    }
    let mut stage = Stage::new(memcached_pool(1));
    stage.next_links_take(0);
    let client = stage.client();
    stage.say(client, "get k\r\n");
    let link = stage.link(0);
    stage.answer(link, "ERROR Too many open connections\r\n");
    assert_eq!(stage.hear(client), "ERROR Too many open connections\r\n");
    // Later on, the same reply answers no request and is a protocol violation.
    let mut stage = Stage::new(pool(0, false));
    let client = stage.client();
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    stage.answer(link, FULL);
    assert!(!stage.is_open(link));
    assert!(
        stage.log[0].ends_with("Invalid argument"),
        "{:?}",
        stage.log
    );
}

#[test]
fn hello_3_is_told_what_the_servers_said_and_not_that_they_lack_it() {
    let hello = redis(&["HELLO", "3"]);
    for reply in [
        "-LOADING Redis is loading\r\n",
        "-NOPERM no permission to run 'hello'\r\n",
    ] {
        let mut settings = pool(0, false);
        settings.auto_eject_hosts = false;
        let mut stage = Stage::new(settings);
        let client = stage.client();
        stage.say(client, &hello);
        let link = stage.link(0);
        assert_eq!(stage.heard(link), hello);
        stage.answer(link, reply);
        assert_eq!(stage.hear(client), reply);
        assert_eq!(stage.ask(client, &hello), reply, "without asking again");
        assert_eq!(stage.links_ever(0), 1);
        // The other protocol version is not affected.
        stage.say(client, get("k"));
        let plain = stage.link(0);
        assert_eq!(stage.heard(plain), get("k"));
        stage.answer(plain, "$-1\r\n");
        assert_eq!(stage.hear(client), "$-1\r\n");
        stage.wait(125);
        stage.say(client, &hello);
        let again = stage.links(0)[1];
        stage.answer(again, HELLO_3);
        assert!(stage.hear(client).starts_with("%7\r\n"));
    }
}

#[test]
fn a_lost_read_waits_for_no_server_that_refuses_it() {
    let mut settings = pool(3, false);
    settings.failure.retry_reads = true;
    settings.auto_eject_hosts = false;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    for _ in 0..20 {
        stage.wait(3_000);
        stage.say(client, get("k"));
        let link = stage.link(0);
        stage.answer(link, BUSY);
        assert_eq!(stage.hear(client), BUSY);
        assert!(stage.links(0).is_empty());
    }
}

#[test]
fn an_ejected_server_whose_probe_is_refused_stays_ejected_while_it_cannot_serve() {
    let mut settings = pool(3, true);
    settings.server_failure_limit = 1;
    let mut stage = Stage::new(settings);
    let client = client_with_password(&mut stage);
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.hang_up(link, Cause::Reset);
    assert!(!stage.is_live(0));
    stage.wait(30_000);
    let probe = stage.link(0);
    assert_eq!(
        stage.heard(probe),
        redis(&["AUTH", "sesame"]) + &select("3") + PING
    );
    stage.answer(probe, ["+OK\r\n", BUSY].concat());
    assert!(!stage.is_live(0) && !stage.is_open(probe));
    stage.wait(2_000);
    let probe = stage.link(0);
    // A server that refuses a password is reachable.
    stage.answer(probe, "-WRONGPASS no\r\n-NOAUTH no\r\n-NOAUTH no\r\n");
    assert!(stage.is_live(0) && !stage.is_open(probe));
}

#[test]
fn a_request_that_waits_for_others_waits_whole_however_large_it_is() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    // A long argument that comes in pieces would be refused; many options are not.
    let options = ["SETNAME", "name"].repeat(8_000);
    let hello = redis(&[&["HELLO", "3"], &options[..]].concat());
    stage.say(client, get("k"));
    for piece in hello.as_bytes().chunks(50_000) {
        stage.say(client, piece);
    }
    stage.say(client, PING);
    let link = stage.link(0);
    stage.answer(link, "$1\r\nv\r\n");
    let newer = stage.links(0)[1];
    stage.answer(newer, HELLO_3);
    let heard = stage.hear(client);
    assert!(heard.starts_with("$1\r\nv\r\n%7\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n+PONG\r\n"), "{heard}");
}

#[test]
fn a_request_that_waits_for_others_is_counted_once() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("k") + &redis(&["HELLO", "3"]));
    assert_eq!(stage.count(PoolMetric::ClientRequests), 1);
    let link = stage.link(0);
    stage.answer(link, "$1\r\nv\r\n");
    let newer = stage.links(0)[1];
    stage.answer(newer, HELLO_3);
    assert!(stage.ask(client, PING).ends_with("\r\n+PONG\r\n"));
    assert_eq!(stage.count(PoolMetric::ClientRequests), 3);
}

#[test]
fn a_server_without_resp3_is_not_asked_again_for_each_client() {
    const NO: &str = "-NOPROTO unsupported protocol version\r\n";
    let hello = redis(&["HELLO", "3"]);
    let mut stage = Stage::new(redis_pool(2));
    let ask = |stage: &mut Stage, asked: usize| {
        let client = stage.client();
        stage.say(client, &hello);
        if asked > 0 {
            let link = stage.link(0);
            assert_eq!(stage.heard(link), hello);
            stage.answer(link, "-ERR unknown command 'HELLO'\r\n");
            let link = stage.link(1);
            stage.answer(link, HELLO_3);
        }
        assert_eq!(stage.hear(client), NO);
    };
    ask(&mut stage, 1);
    for _ in 0..100 {
        ask(&mut stage, 0);
    }
    let links = stage.links_ever(0) + stage.links_ever(1);
    assert_eq!(links, 2, "each was asked once");
    assert_eq!(stage.log.len(), 2, "{:?}", stage.log);
    stage.wait(30_000);
    // It may be another one now.
    let client = stage.client();
    stage.say(client, &hello);
    let link = stage.link(0);
    stage.answer(link, HELLO_3);
    assert!(stage.hear(client).starts_with("%7\r\n"));
}
