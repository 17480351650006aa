//! memcached's meta commands through the proxy, compared with memcached itself.

use testkit::Client;

use crate::need;
use crate::rig::{Rig, memcached_ask, text};

/// What a client gets for requests, up to the reply to `mn`.
fn told(client: &mut Client, requests: &str) -> String {
    client.send(format!("{requests}mn\r\n").as_bytes());
    text(&client.until(b"MN\r\n"))
}

/// Requests whose replies are the same wherever their keys are.
const ALIKE: &[&str] = &[
    // Nothing, then something.
    "mg a\r\nmg a v\r\nmg a k O123 v\r\nmg a q\r\nmg a v q O1\r\n",
    "ms a 2\r\nhi\r\nms b 2 q\r\nho\r\nms a 2 k O9 F7 T0\r\nhi\r\n",
    "mg a\r\nmg a v\r\nmg a s v f t k O5 q\r\nmg b h u\r\nmg b u v\r\nmg b u h\r\n",
    // The modes of a meta set.
    "ms a 1 ME\r\nx\r\nms a 1 ME q\r\nx\r\nms c 1 ME q\r\nx\r\nms none 1 MR\r\nx\r\n",
    "ms a 1 MA\r\n!\r\nms a 1 MP q\r\n_\r\nmg a v\r\nms a 3 MS\r\nend\r\nms a 1 MX\r\nx\r\nmg a v\r\n",
    // cas: nobody has such a number.
    "ms a 1 C18446744073709551615 q\r\nx\r\nms none 1 C5 q\r\nx\r\nmd a C18446744073709551615 q\r\n",
    // Numbers.
    "ms n 2 q\r\n10\r\nma n\r\nma n q\r\nma n v\r\nma n v q\r\nma n MD D3 v\r\nma n M- v\r\nma n J5 v O1 k\r\n",
    "ma m q\r\nma m N0 J77 v\r\nma m v t\r\nma a v\r\nma n MX\r\n",
    // Stale items, and who is to renew them.
    "md b I T30\r\nmg b v\r\nmg b v\r\nms b 3 q\r\nnew\r\nmg b v\r\nmd b I q\r\nmg b v q\r\nms b 1 I C1 q\r\nx\r\n",
    "mg w N30 v\r\nmg w N30 v\r\nmg w v\r\nms w 1 T0 q\r\nx\r\nmg w v t\r\nmg w T90 v\r\nmg w R100 T0\r\nmg w R30\r\n",
    // Keys in base64.
    "ms Zm9v 3 b q\r\nbar\r\nmg Zm9v b v k O1\r\nmg foo v\r\nma Zm9v b N0\r\nmd Zm9v b k q\r\nmg Zm9v b k\r\nmg foo v\r\n",
    "ms 4pyT 1 b k O1 q\r\nx\r\nmg 4pyT b k v\r\nmg Zm9 b\r\nms Zm9 3 b q\r\nmn!\r\n",
    // Deletion.
    "md c\r\nmd c\r\nmd c q\r\nms c 1\r\nx\r\nmd c q\r\nmg c q\r\nmd c q O7 k\r\n",
    // What a proxy may be told.
    "mg a v Pone/two Lthree\r\nms a 1 P L q\r\ny\r\nmg a v\r\n",
    // Errors, quiet or not.
    "mg a X q\r\nms a 1 X q\r\nx\r\nmd a ? q\r\nma a ? q\r\nmg a T q\r\nmg a Tx\r\nmg a v v\r\nms a 1 c c\r\nx\r\n",
    "mg a O123456789012345678901234567890123 v\r\nms a 1 O123456789012345678901234567890123\r\nx\r\n",
    "ms a 0 q\r\n\r\nmg a v\r\nmn\r\nmn x\r\nme none\r\nmg  a   v \r\nmg a v\nms a 1 q\nz\r\nmg a v\r\n",
    "set a 5 0 1\r\nx\r\nmg a v f\r\nms a 2 F9\r\nyy\r\nget a\r\nmd a q\r\nget a\r\ndelete a\r\n",
];

#[test]
fn requests_get_what_memcached_itself_answers() {
    for servers in [1, 3] {
        let rig = need!(Rig::memcached(servers, &[]), "memcached");
        let other = need!(Rig::memcached(1, &[]), "memcached");
        let (mut client, mut direct) = (rig.client(), other.servers[0].client());
        for requests in ALIKE {
            let (ours, theirs) = (told(&mut client, requests), told(&mut direct, requests));
            assert_eq!(ours, theirs, "{servers} servers: {requests}");
        }
    }
}

#[test]
fn errors_of_the_proxy_begin_with_memcacheds_own_words() {
    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let (mut client, mut direct) = (rig.client(), rig.servers[0].client());
    let long = "k".repeat(251);
    for request in [
        format!("mg {long} v\r\n"),
        "mg Zm9 b\r\n".into(),
        "ma Zm9 b\r\n".into(),
        "me Zm9 b\r\n".into(),
        "mg k v q v\r\n".into(),
        "ma k v q v\r\n".into(),
        "ms k x\r\n".into(),
        "ms k\r\n".into(),
        "me\r\n".into(),
    ] {
        let theirs = memcached_ask(&mut direct, &request);
        let ours = memcached_ask(&mut client, &request);
        assert!(ours.starts_with(theirs.trim_end()), "{request}: {ours}");
    }
}

/// memcached forgets that a key was in base64 when it makes an item anew, and repeats it as it is.
#[test]
fn a_key_that_would_be_a_reply_of_its_own_is_not_used_where_a_server_repeats_it() {
    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let (mut client, mut direct) = (rig.client(), rig.servers[0].client());
    // "x", and behind a line end the reply to a meta get.
    let key = "eA0KVkEgNg0Kc3RvbGVu";
    let read = format!("mg {key} b k\r\nmg none v\r\n");
    for (name, request) in [
        ("mg", format!("mg {key} b N30 q\r\n")),
        ("ma", format!("ma {key} b q\r\n")),
        ("ms", format!("ms {key} 1 b MA\r\n0\r\n")),
    ] {
        let stored = format!("ms {key} 1 b q\r\n9\r\n");
        let plain = format!("HD k{key} b\r\nEN\r\nMN\r\n");
        let refused = format!(
            "CLIENT_ERROR line end in the key: after '{name}' the server would repeat it as it is\r\n"
        );
        let told_here = told(&mut client, &format!("{stored}{request}{read}"));
        assert_eq!(told_here, refused + &plain);
        if name == "mg" {
            told(&mut direct, &format!("md {key} b\r\n"));
        }
        let forged = told(&mut direct, &format!("{request}{read}"));
        let is_needed = forged.contains("HD kx\r\nVA 6\r\nstolen");
        assert!(is_needed, "not needed: {forged}");
    }
}

#[test]
fn quiet_requests_to_all_servers_are_in_step_with_the_no_op() {
    let rig = need!(Rig::memcached(3, &[]), "memcached");
    let mut client = rig.client();
    let mut stored = String::new();
    let (mut asked, mut expected) = (String::new(), String::new());
    for number in 0..600 {
        let value = "x".repeat(number * 7);
        if number % 3 == 0 {
            stored += &format!("ms key{number} {} q\r\n{value}\r\n", value.len());
            expected += &format!("VA {} kkey{number}\r\n{value}\r\n", value.len());
        }
        asked += &format!("mg key{number} v k q\r\n");
        if number % 50 == 7 {
            asked += "mn\r\n";
            expected += "MN\r\n";
        }
    }
    assert_eq!(told(&mut client, &stored), "MN\r\n");
    client.send(asked.as_bytes());
    assert_eq!(text(&client.exactly(expected.len())), expected);
    assert_eq!(told(&mut client, "mg none q\r\n"), "MN\r\n");
}

#[test]
fn large_values_are_stored_and_fetched_and_too_large_ones_cost_nobody_a_reply() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let (mut client, mut neighbour) = (rig.client(), rig.client());
    let large = "y".repeat(900_000);
    let stored = told(
        &mut client,
        &format!(
            "ms big {} q T0\r\n{large}\r\nms big 1 MA\r\n!\r\n",
            large.len()
        ),
    );
    assert_eq!(stored, "HD\r\nMN\r\n");
    let found = told(&mut client, "mg big v q\r\n");
    assert!(found == format!("VA {}\r\n{large}!\r\nMN\r\n", large.len() + 1));
    let too_large = "z".repeat(2 << 20);
    let request = format!("ms big {} q\r\n{too_large}\r\n", too_large.len());
    let refused = "SERVER_ERROR object too large for cache\r\nMN\r\n";
    assert_eq!(told(&mut client, &request), refused);
    assert_eq!(told(&mut neighbour, "mg none\r\n"), "EN\r\nMN\r\n");
}

#[test]
fn the_debug_command_shows_an_item_of_its_server() {
    let rig = need!(Rig::memcached(3, &[]), "memcached");
    let mut client = rig.client();
    for key in rig.keys() {
        let shown = memcached_ask(&mut client, &format!("me {key}\r\n"));
        assert!(shown.starts_with(&format!("ME {key} exp=-1 ")), "{shown}");
    }
    assert_eq!(memcached_ask(&mut client, "me none\r\n"), "EN\r\n");
    told(&mut client, "ms Zm9v 1 b q\r\nx\r\n");
    let shown = memcached_ask(&mut client, "me Zm9v b\r\n");
    assert!(shown.starts_with("ME Zm9v exp=-1 "), "{shown}");
}
