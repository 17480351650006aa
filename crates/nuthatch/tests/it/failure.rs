//! Servers of Redis pools that die, hang and return.

use testkit::{Client, Endpoint, free_port};

use crate::fake::{Answer, Fake, say};
use crate::need;
use crate::rig::{Rig, redis_front, text, wait_for};

const REFUSED: &str = "-ERR Connection refused\r\n";
const TIMED_OUT: &str = "-ERR Connection timed out\r\n";
const RESET: &str = "-ERR Connection reset by peer\r\n";
const VALUE: &str = "$1\r\nv\r\n";
const ABSENT: &str = "$-1\r\n";

/// Kills a server and waits until the proxy has noticed, so that the next connection is refused.
pub(crate) fn kill_noticed(rig: &mut Rig, server: usize) {
    rig.servers[server].kill();
    wait_for("the proxy notices that a server is gone", || {
        rig.server_stat(server, "server_connections") == 0
    });
}

#[test]
fn a_killed_server_fails_its_own_keys_only_and_is_used_again_when_it_is_back() {
    let mut rig = need!(Rig::redis(3, &[]), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    kill_noticed(&mut rig, 1);
    for _ in 0..3 {
        assert_eq!(client.ask(&["GET", &keys[0]]), VALUE);
        assert_eq!(client.ask(&["GET", &keys[1]]), REFUSED);
        assert_eq!(client.ask(&["GET", &keys[2]]), VALUE);
    }
    rig.servers[1].restart();
    assert_eq!(client.ask(&["GET", &keys[1]]), ABSENT);
    assert_eq!(client.ask(&["SET", &keys[1], "again"]), "+OK\r\n");
    assert_eq!(rig.pool_stat("forward_error"), 3);
}

#[test]
fn requests_in_flight_at_a_dying_server_fail_in_their_places() {
    let mut rig = need!(Rig::redis(2, &[]), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    rig.servers[1].stop();
    for key in [0, 1, 0, 1] {
        client.command(&[b"GET", keys[key].as_bytes()]);
    }
    wait_for("both requests are written to the frozen server", || {
        rig.server_stat(1, "out_queue") == 2
    });
    // Its kernel has unread bytes, so the connection is reset.
    rig.servers[1].kill();
    let replies: Vec<_> = (0..4).map(|_| text(&client.reply())).collect();
    assert_eq!(replies, [VALUE, RESET, VALUE, RESET]);
    assert_eq!(client.ask(&["GET", &keys[0]]), VALUE);
    assert_eq!(rig.server_stat(1, "server_err"), 1);
}

#[test]
fn a_server_that_closes_in_order_gives_the_error_unknown() {
    let fake = Fake::redis(|command| match command[1].as_str() {
        "bye" => Answer::Last(Vec::new()),
        _ => say("+fine\r\n"),
    });
    let (_proxy, port) = redis_front(&[fake.endpoint()], &[]);
    let mut client = Client::to_port(port);
    assert_eq!(client.ask(&["GET", "bye"]), "-ERR unknown\r\n");
    assert_eq!(client.ask(&["GET", "other"]), "+fine\r\n");
}

#[test]
fn a_reply_that_breaks_off_is_never_followed_by_an_error_line() {
    let fake = Fake::redis(|command| match command[1].as_str() {
        "half" => Answer::Last(b"$10\r\nhalf".to_vec()),
        _ => say("+fine\r\n"),
    });
    let (_proxy, port) = redis_front(&[fake.endpoint()], &[]);
    let mut client = Client::to_port(port);
    client.command(&[b"GET", b"half"]);
    let rest = client.rest();
    assert!(
        rest == b"$10\r\nhalf" || rest == b"-ERR unknown\r\n",
        "{:?}",
        text(&rest)
    );
    assert_eq!(Client::to_port(port).ask(&["GET", "x"]), "+fine\r\n");
}

#[test]
fn a_frozen_server_times_out_and_others_go_on() {
    let mut rig = need!(Rig::redis(2, &["timeout: 300"]), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    rig.servers[1].stop();
    client.command(&[b"GET", keys[1].as_bytes()]);
    assert_eq!(rig.client().ask(&["GET", &keys[0]]), VALUE);
    assert_eq!(text(&client.reply()), TIMED_OUT);
    assert_eq!(client.ask(&["MGET", &keys[0], &keys[1]]), TIMED_OUT);
    assert_eq!(client.ask(&["GET", &keys[0]]), VALUE);
    rig.servers[1].cont();
    assert_eq!(client.ask(&["GET", &keys[1]]), VALUE);
    assert!(rig.server_stat(1, "server_timedout") >= 2);
}

#[test]
fn without_a_timeout_a_frozen_server_is_waited_for_in_order() {
    let mut rig = need!(Rig::redis(2, &[]), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    rig.servers[1].stop();
    client.command(&[b"GET", keys[1].as_bytes()]);
    client.command(&[b"STRLEN", keys[0].as_bytes()]);
    wait_for("the other server has answered", || {
        rig.server_stat(0, "out_queue") == 0 && rig.server_stat(1, "out_queue") == 1
    });
    assert!(client.is_silent(std::time::Duration::from_millis(50)));
    rig.servers[1].cont();
    assert_eq!(text(&client.reply()), VALUE);
    assert_eq!(text(&client.reply()), ":1\r\n");
}

#[test]
fn servers_that_cannot_be_reached_give_the_error_of_the_system() {
    let nobody = Endpoint::loopback(free_port());
    let no_socket = Endpoint::Unix("/nonexistent/redis.sock".into());
    for (server, error) in [
        (nobody, REFUSED),
        (no_socket, "-ERR No such file or directory\r\n"),
    ] {
        let (_proxy, port) = redis_front(&[&server], &[]);
        let mut client = Client::to_port(port);
        assert_eq!(client.ask(&["GET", "k"]), error);
        assert_eq!(client.ask(&["MGET", "k", "l"]), error);
        assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    }
}

#[test]
fn a_server_whose_name_cannot_be_resolved_is_down() {
    let port = free_port();
    let conf = format!(
        "pool:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers:\n    - no-such-host.invalid:6379:1\n"
    );
    let _proxy = crate::rig::nuthatch(&[], &conf);
    let mut client = Client::to_port(port);
    client.set_time_limit(std::time::Duration::from_secs(60));
    assert_eq!(client.ask(&["GET", "k"]), "-ERR Host is down\r\n");
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn one_dead_server_fails_a_split_request_with_one_line_and_nobody_is_disconnected() {
    let mut rig = need!(Rig::redis(3, &[]), "redis-server");
    let keys = rig.keys();
    let (a, b, c) = (keys[0].as_str(), keys[1].as_str(), keys[2].as_str());
    let mut client = rig.client();
    kill_noticed(&mut rig, 1);
    client.command(&[b"MGET", a.as_bytes(), b.as_bytes(), c.as_bytes()]);
    client.command(&[b"GET", a.as_bytes()]);
    assert_eq!(text(&client.reply()), REFUSED);
    assert_eq!(text(&client.reply()), VALUE);
    assert_eq!(client.ask(&["MSET", a, "1", b, "2", c, "3"]), REFUSED);
    assert_eq!(client.ask(&["MGET", a, c]), "*2\r\n$1\r\n1\r\n$1\r\n3\r\n");
    assert_eq!(client.ask(&["DEL", a, b, c]), REFUSED);
    assert_eq!(client.ask(&["MGET", a, c]), "*2\r\n$-1\r\n$-1\r\n");
}

#[test]
fn error_detail_appends_the_server_and_the_cause() {
    let mut rig = need!(Rig::redis(2, &["error_detail: true"]), "redis-server");
    let keys = rig.keys();
    kill_noticed(&mut rig, 1);
    let reply = rig.client().ask(&["GET", &keys[1]]);
    assert!(reply.starts_with("-ERR Connection refused: "), "{reply}");
    assert!(reply.contains("s1") && reply.ends_with("\r\n"), "{reply}");
}

#[test]
fn preconnect_opens_connections_before_the_first_request() {
    let rig = need!(Rig::redis(2, &["preconnect: true"]), "redis-server");
    wait_for("both servers are connected", || {
        (0..2).all(|server| rig.server_stat(server, "server_connections") == 1)
    });
    assert_eq!(rig.server_stat(0, "requests"), 0);
}
