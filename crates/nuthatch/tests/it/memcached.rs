//! memcached pools: every command, failures, and cases in which replies could get shifted.

use crate::failure::kill_noticed;
use crate::need;
use crate::rig::{Rig, memcached_ask, text, wait_for};

#[test]
fn every_storage_command_reaches_its_server() {
    let rig = need!(Rig::memcached(3, &[]), "memcached");
    let mut client = rig.client();
    for (request, reply) in [
        ("set k 5 0 1\r\nb\r\n", "STORED\r\n"),
        ("add k 5 0 1\r\nb\r\n", "NOT_STORED\r\n"),
        ("replace k 7 0 1\r\nb\r\n", "STORED\r\n"),
        ("append k 0 0 1\r\nc\r\n", "STORED\r\n"),
        ("prepend k 0 0 1\r\na\r\n", "STORED\r\n"),
        ("touch k 100\r\n", "TOUCHED\r\n"),
        ("touch none 100\r\n", "NOT_FOUND\r\n"),
        ("set n 0 0 1\r\n7\r\n", "STORED\r\n"),
        ("incr n 5\r\n", "12\r\n"),
        ("decr n 2\r\n", "10\r\n"),
        (
            "incr k 1\r\n",
            "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        ("delete n\r\n", "DELETED\r\n"),
        ("delete n\r\n", "NOT_FOUND\r\n"),
        ("set e 0 -1 1\r\nx\r\n", "STORED\r\n"),
        ("get e\r\n", "END\r\n"),
        ("verbosity 0\r\n", "OK\r\n"),
    ] {
        assert_eq!(memcached_ask(&mut client, request), reply, "{request:?}");
    }
    client.send(b"get k\r\n");
    assert_eq!(
        text(&client.until(b"END\r\n")),
        "VALUE k 7 3\r\nabc\r\nEND\r\n"
    );
    assert!(memcached_ask(&mut client, "version\r\n").starts_with("VERSION "));
    client.send(b"quit\r\n");
    assert_eq!(client.rest(), b"");
}

#[test]
fn cas_gat_and_gats_work_over_servers() {
    let rig = need!(Rig::memcached(3, &[]), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    client.send(format!("gets {}\r\n", keys[0]).as_bytes());
    let reply = text(&client.until(b"END\r\n"));
    let header = reply.lines().next().expect("a value");
    let cas = header.rsplit(' ').next().expect("a number").to_owned();
    let swap = |cas: &str| format!("cas {} 0 0 1 {cas}\r\nw\r\n", keys[0]);
    assert_eq!(memcached_ask(&mut client, &swap(&cas)), "STORED\r\n");
    assert_eq!(memcached_ask(&mut client, &swap(&cas)), "EXISTS\r\n");

    let all = keys.join(" ");
    client.send(format!("gat 100 {all} none\r\n").as_bytes());
    let reply = text(&client.until(b"END\r\n"));
    assert_eq!(reply.matches("VALUE ").count(), 3, "{reply}");
    client.send(format!("gats 100 {all}\r\n").as_bytes());
    let reply = text(&client.until(b"END\r\n"));
    assert!(
        reply
            .lines()
            .filter(|line| line.starts_with("VALUE "))
            .all(|line| line.split(' ').count() == 5)
    );
    client.send(b"gat 100 none\r\n");
    assert_eq!(client.line(), b"END\r\n");
}

#[test]
fn values_come_in_the_order_they_were_asked_for() {
    let rig = need!(Rig::memcached(3, &[]), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    let order = [2, 0, 1, 1, 2];
    let asked: Vec<_> = order.iter().map(|index| keys[*index].as_str()).collect();
    client.send(format!("get {}\r\n", asked.join(" ")).as_bytes());
    let expected: String = asked
        .iter()
        .map(|key| format!("VALUE {key} 0 1\r\nv\r\n"))
        .chain(["END\r\n".to_owned()])
        .collect();
    assert_eq!(text(&client.exactly(expected.len())), expected);
}

#[test]
fn noreply_is_silent_even_when_the_server_complains() {
    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let mut client = rig.client();
    let mut neighbour = rig.client();
    client.send(b"set text 0 0 1 noreply\r\nx\r\n");
    // Too large for the server: it answers with an error in spite of noreply.
    let large = 2 << 20;
    client.send(format!("set large 0 0 {large} noreply\r\n").as_bytes());
    client.send(&vec![b'x'; large]);
    client.send(b"\r\nincr text 1 noreply\r\ndelete none noreply\r\nget text\r\n");
    assert_eq!(
        text(&client.until(b"END\r\n")),
        "VALUE text 0 1\r\nx\r\nEND\r\n"
    );
    for _ in 0..3 {
        assert_eq!(memcached_ask(&mut neighbour, "get none\r\n"), "END\r\n");
        assert_eq!(
            memcached_ask(&mut neighbour, "delete none\r\n"),
            "NOT_FOUND\r\n"
        );
    }
    assert_eq!(memcached_ask(&mut client, "get none\r\n"), "END\r\n");
}

#[test]
fn a_value_too_large_for_its_server_costs_nobody_a_reply() {
    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let mut client = rig.client();
    let mut neighbour = rig.client();
    let large = 2 << 20;
    client.send(format!("set large 0 0 {large}\r\n").as_bytes());
    client.send(&vec![b'x'; large]);
    client.send(b"\r\n");
    assert_eq!(
        text(&client.line()),
        "SERVER_ERROR object too large for cache\r\n"
    );
    assert_eq!(memcached_ask(&mut client, "get none\r\n"), "END\r\n");
    assert_eq!(memcached_ask(&mut neighbour, "get none\r\n"), "END\r\n");
}

#[test]
fn flush_all_needs_a_setting_and_then_empties_every_server() {
    let rig = need!(Rig::memcached(3, &[]), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    let refused = memcached_ask(&mut client, "flush_all\r\n");
    assert!(
        refused.starts_with("CLIENT_ERROR ") && refused.contains("allow_flush"),
        "{refused}"
    );
    client.send(format!("flush_all noreply\r\nget {}\r\n", keys[0]).as_bytes());
    assert!(text(&client.until(b"END\r\n")).starts_with("VALUE "));

    let rig = need!(Rig::memcached(3, &["allow_flush: true"]), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    // In the far future, in vain (memcached takes the point in time that it is given), and now.
    assert_eq!(memcached_ask(&mut client, "flush_all 86400\r\n"), "OK\r\n");
    let found = memcached_ask(&mut client, &format!("get {}\r\n", keys[0]));
    assert!(found.starts_with("VALUE "), "{found}");
    client.until(b"END\r\n");
    assert_eq!(
        memcached_ask(&mut client, "flush_all x\r\n"),
        "CLIENT_ERROR invalid exptime argument for 'flush_all'\r\n"
    );
    assert_eq!(memcached_ask(&mut client, "flush_all\r\n"), "OK\r\n");
    assert_eq!(
        memcached_ask(&mut client, &format!("get {}\r\n", keys.join(" "))),
        "END\r\n"
    );
}

#[test]
fn one_dead_server_is_a_miss_in_a_multi_get_and_nobody_is_disconnected() {
    let mut rig = need!(Rig::memcached(3, &[]), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    kill_noticed(&mut rig, 1);
    let get_all = format!("get {}\r\n", keys.join(" "));
    client.send(get_all.as_bytes());
    let found = [&keys[0], &keys[2]].map(|key| format!("VALUE {key} 0 1\r\nv\r\n"));
    let expected = found.concat() + "END\r\n";
    assert_eq!(text(&client.until(b"END\r\n")), expected);

    let single = memcached_ask(&mut client, &format!("get {}\r\n", keys[1]));
    assert_eq!(single, "SERVER_ERROR Connection refused\r\n");
    let twice = format!("get {0} {0}\r\n", keys[1]);
    assert_eq!(
        memcached_ask(&mut client, &twice),
        "SERVER_ERROR Connection refused\r\n"
    );
    for server in [0, 2] {
        kill_noticed(&mut rig, server);
    }
    assert_eq!(
        memcached_ask(&mut client, &get_all),
        "SERVER_ERROR Connection refused\r\n"
    );
    rig.servers[1].restart();
    assert_eq!(memcached_ask(&mut client, &get_all), "END\r\n");
}

#[test]
fn a_frozen_server_times_out_and_others_go_on() {
    let mut rig = need!(Rig::memcached(2, &["timeout: 300"]), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    rig.servers[1].stop();
    let timed_out = "SERVER_ERROR Connection timed out\r\n";
    assert_eq!(
        memcached_ask(&mut client, &format!("get {}\r\n", keys[1])),
        timed_out
    );
    client.send(format!("get {} {}\r\n", keys[1], keys[0]).as_bytes());
    let found = format!("VALUE {} 0 1\r\nv\r\nEND\r\n", keys[0]);
    assert_eq!(text(&client.until(b"END\r\n")), found);
    rig.servers[1].cont();
    client.send(format!("get {}\r\n", keys[1]).as_bytes());
    assert_eq!(
        text(&client.until(b"END\r\n")),
        format!("VALUE {} 0 1\r\nv\r\nEND\r\n", keys[1])
    );
}

#[test]
fn a_delayed_flush_reaches_every_server_when_it_is_due() {
    let rig = need!(Rig::memcached(3, &["allow_flush: true"]), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    let get = format!("get {}\r\n", keys.join(" "));
    assert_eq!(memcached_ask(&mut client, "flush_all 2\r\n"), "OK\r\n");
    client.send(get.as_bytes());
    let found = text(&client.until(b"END\r\n"));
    assert_eq!(found.matches("VALUE ").count(), 3, "{found}");
    wait_for("the delay is over", || {
        client.send(get.as_bytes());
        client.until(b"END\r\n") == b"END\r\n"
    });
}

#[test]
fn error_lines_begin_with_memcacheds_own_words() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let mut client = rig.client();
    let mut direct = rig.servers[0].client();
    let long = format!("get a {}\r\n", "a".repeat(251));
    for request in [
        "boguscommand slkdsldkfjsd\r\n",
        long.as_str(),
        "delete k 10\r\n",
        "set k 0 0 -1\r\n",
        "incr k x\r\n",
        "touch k x\r\n",
        "gat x k\r\n",
        "flush_all x\r\n",
        "set k\r\n",
        "get\r\n",
        // The last: the proxy closes.
        "set k 0 0 4294967295\r\n",
    ] {
        let theirs = memcached_ask(&mut direct, request);
        let ours = memcached_ask(&mut client, request);
        assert!(ours.starts_with(theirs.trim_end()), "{request}: {ours}");
    }
    assert_eq!(client.rest(), b"");
}

#[test]
fn commands_for_one_server_are_refused_with_a_reason() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let mut client = rig.client();
    for command in [
        "cache_memlimit 64",
        "lru mode flat",
        "slabs automove 0",
        "watch",
    ] {
        let reply = memcached_ask(&mut client, &format!("{command}\r\n"));
        let word = command.split(' ').next().expect("a word");
        let begins = format!("ERROR unsupported command '{word}': ");
        assert!(
            reply.starts_with(&begins) && reply.contains("one server"),
            "{reply}"
        );
    }
    client.send(b"cache_memlimit 64 noreply\r\n");
    assert_eq!(memcached_ask(&mut client, "get none\r\n"), "END\r\n");
}

#[test]
fn a_client_of_the_binary_protocol_is_told_so_in_its_own_terms() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let mut client = rig.client();
    // Version, which clients ask for when they connect, and then a get.
    let request = |opcode: u8| [&[0x80, opcode][..], &[0; 10], b"opaq", &[0; 8]].concat();
    client.send(&[request(0x0b), request(0x00)].concat());
    let reply = client.rest();
    let (header, body) = reply.split_at(24);
    assert_eq!(header[..8], [0x81, 0x0b, 0, 0, 0, 0, 0, 0x81]);
    assert_eq!(header[8..12], (body.len() as u32).to_be_bytes());
    assert_eq!(&header[12..16], b"opaq");
    let told = "the binary protocol is not supported: use the text protocol";
    assert_eq!(text(body), told);
    wait_for("it is logged", || rig.proxy.stderr().contains(told));
}
