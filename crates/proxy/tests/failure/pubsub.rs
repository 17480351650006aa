//! Publish and subscribe.

use proxy::metrics::PoolMetric;
use proxy::settings::PoolSettings;

use crate::stage::{Stage, redis_pool};
use crate::words::{HELLO_3, PING, bulk, get, redis};

/// Messages are requests to the server that the channel's name belongs to, hash tags included.
#[test]
fn messages_go_to_the_server_of_their_channel() {
    for command in ["PUBLISH", "SPUBLISH"] {
        let mut stage = Stage::new(redis_pool(3));
        let client = stage.client();
        for server in 0..3 {
            let channel = stage.key(server);
            let request = redis(&[command, &channel, "hello"]);
            assert_eq!(stage.ask(client, &request), "");
            let link = stage.link(server);
            assert_eq!(stage.heard(link), request);
            stage.answer(link, ":7\r\n");
            assert_eq!(stage.hear(client), ":7\r\n");
        }
        let long = "c".repeat((64 << 10) + 1);
        let name = command.to_lowercase();
        let refused = format!("-ERR key of '{name}' is longer than 65536 bytes\r\n");
        assert_eq!(
            stage.ask(client, redis(&[command, &long, "hello"])),
            refused
        );
    }
}

#[test]
fn the_channels_of_all_servers_are_listed() {
    for question in [
        redis(&["PUBSUB", "CHANNELS"]),
        redis(&["PUBSUB", "SHARDCHANNELS", "a*"]),
    ] {
        let mut stage = Stage::new(redis_pool(2));
        let client = stage.client();
        assert_eq!(stage.ask(client, &question), "");
        for (server, channel) in [(0, "a"), (1, "b")] {
            let link = stage.link(server);
            assert_eq!(stage.heard(link), question);
            stage.answer(link, format!("*1\r\n{}", bulk(channel)));
        }
        assert_eq!(stage.hear(client), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    }
}

const HELLO: &str = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n";

/// What tells a client or the proxy that a subscription has begun or ended.
pub(crate) fn confirmed(word: &str, name: &str, number: usize) -> String {
    format!("*3\r\n{}{}:{number}\r\n", bulk(word), bulk(name))
}

pub(crate) fn message(channel: &str, text: &str) -> String {
    format!("*3\r\n$7\r\nmessage\r\n{}{}", bulk(channel), bulk(text))
}

/// The same for a client that speaks RESP3.
fn pushed(frame: &str) -> String {
    frame.replacen('*', ">", 1)
}

/// A client of a pool that is subscribed to a channel of its first server, and the link that the messages come on.
pub(crate) fn subscriber(settings: PoolSettings) -> (Stage, usize, usize, String) {
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let channel = stage.key(0);
    let link = subscribe(&mut stage, client, &channel);
    (stage, client, link, channel)
}

/// A client subscribes to its first channel, which is the first that its server has.
pub(crate) fn subscribe(stage: &mut Stage, client: usize, channel: &str) -> usize {
    let request = redis(&["SUBSCRIBE", channel]);
    assert_eq!(stage.ask(client, &request), "", "not before the server");
    let link = stage.link(0);
    assert_eq!(stage.heard(link), request);
    let reply = confirmed("subscribe", channel, 1);
    stage.answer(link, &reply);
    assert_eq!(stage.hear(client), reply);
    link
}

#[test]
fn a_subscription_is_confirmed_when_the_server_has_confirmed_it() {
    let (mut stage, client, link, channel) = subscriber(redis_pool(3));
    stage.answer(link, message(&channel, "one"));
    assert_eq!(stage.hear(client), message(&channel, "one"));
    // What the worker has already is confirmed at once, and not asked for again.
    let other = stage.client();
    let request = redis(&["SUBSCRIBE", &channel, &channel]);
    let reply = confirmed("subscribe", &channel, 1);
    assert_eq!(stage.ask(other, request), reply.repeat(2));
    assert_eq!(stage.heard(link), "");
    stage.answer(link, message(&channel, "two"));
    for client in [client, other] {
        assert_eq!(stage.hear(client), message(&channel, "two"));
    }
    assert_eq!(stage.count(PoolMetric::Subscriptions), 2);
    assert_eq!(stage.count(PoolMetric::Messages), 3);
}

#[test]
fn a_request_for_channels_of_several_servers_is_answered_as_a_whole() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let names = [stage.key(0), stage.key(1)];
    let request = redis(&["SUBSCRIBE", &names[1], &names[0]]);
    assert_eq!(stage.ask(client, request + PING), "");
    let links = [0, 1].map(|server| stage.link(server));
    for (link, name) in links.into_iter().zip(&names) {
        assert_eq!(stage.heard(link), redis(&["SUBSCRIBE", name]));
    }
    stage.answer(links[1], confirmed("subscribe", &names[1], 1));
    stage.answer(links[1], message(&names[1], "too early"));
    assert_eq!(stage.hear(client), "");
    stage.answer(links[0], confirmed("subscribe", &names[0], 1));
    let expected = [
        confirmed("subscribe", &names[1], 1),
        confirmed("subscribe", &names[0], 2),
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n".into(),
    ];
    assert_eq!(stage.hear(client), expected.concat());
}

#[test]
fn a_refusal_of_the_server_is_passed_on_and_nothing_is_subscribed_to() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let names = [stage.key(0), stage.key(1)];
    assert_eq!(
        stage.ask(client, redis(&["SUBSCRIBE", &names[0], &names[1]])),
        ""
    );
    let links = [0, 1].map(|server| stage.link(server));
    stage.answer(links[0], confirmed("subscribe", &names[0], 1));
    let denied = "-NOPERM No permissions to access a channel\r\n";
    links.iter().for_each(|link| drop(stage.heard(*link)));
    stage.answer(links[1], denied);
    assert_eq!(stage.hear(client), denied);
    assert_eq!(stage.heard(links[0]), redis(&["UNSUBSCRIBE", &names[0]]));
    assert_eq!(stage.count(PoolMetric::Subscriptions), 0);
    // It may do anything, and may try again.
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
    stage.answer(links[0], confirmed("unsubscribe", &names[0], 0));
    stage.say(client, redis(&["SUBSCRIBE", &names[1]]));
    assert_eq!(stage.heard(links[1]), redis(&["SUBSCRIBE", &names[1]]));
    stage.answer(links[1], confirmed("subscribe", &names[1], 1));
    assert_eq!(stage.hear(client), confirmed("subscribe", &names[1], 1));
}

#[test]
fn the_last_to_leave_ends_the_subscription_and_later_the_connection() {
    for leaves in ["unsubscribes", "resets", "vanishes", "quits"] {
        let (mut stage, client, link, channel) = subscriber(redis_pool(1));
        match leaves {
            "unsubscribes" => {
                let reply = stage.ask(client, redis(&["UNSUBSCRIBE"]));
                assert_eq!(reply, confirmed("unsubscribe", &channel, 0));
                let reply = stage.ask(client, redis(&["UNSUBSCRIBE"]));
                assert_eq!(reply, "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
            }
            "resets" => assert_eq!(stage.ask(client, redis(&["RESET"])), "+RESET\r\n"),
            "quits" => assert_eq!(stage.ask(client, redis(&["QUIT"])), "+OK\r\n"),
            _ => stage.vanish(client),
        }
        assert_eq!(
            stage.heard(link),
            redis(&["UNSUBSCRIBE", &channel]),
            "{leaves}"
        );
        stage.answer(link, confirmed("unsubscribe", &channel, 0));
        stage.wait(9_900);
        assert!(stage.is_open(link), "{leaves}");
        stage.wait(200);
        assert!(!stage.is_open(link), "{leaves}");
        if leaves != "quits" {
            assert_eq!(stage.next_due(), None, "{leaves}");
        }
        assert_eq!(stage.count(PoolMetric::Subscriptions), 0);
        assert_eq!(stage.count(PoolMetric::SubscriptionGaps), 0);
    }
}

/// With RESP2 a message cannot be told from a reply.
#[test]
fn a_subscriber_that_speaks_resp2_may_send_few_commands() {
    let (mut stage, client, link, channel) = subscriber(redis_pool(1));
    for (words, name) in [
        (&["GET", "k"][..], "get"),
        (&["PUBSUB", "NUMPAT"], "pubsub|numpat"),
        (&["HELLO", "3"], "hello"),
        (&["MULTI"], "multi"),
    ] {
        let refused = format!(
            "-ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"
        );
        assert_eq!(stage.ask(client, redis(words)), refused);
    }
    let pong = "*2\r\n$4\r\npong\r\n$2\r\nhi\r\n";
    assert_eq!(stage.ask(client, redis(&["PING", "hi"])), pong);
    let reply = stage.ask(client, redis(&["UNSUBSCRIBE", "x", &channel]));
    let expected = confirmed("unsubscribe", "x", 1) + &confirmed("unsubscribe", &channel, 0);
    assert_eq!(reply, expected);
    assert_eq!(stage.heard(link), redis(&["UNSUBSCRIBE", &channel]));
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
}

#[test]
fn kinds_have_confirmations_counts_and_messages_of_their_own() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let rows = [
        ("SUBSCRIBE", "c", 1),
        ("PSUBSCRIBE", "c*", 2),
        ("SSUBSCRIBE", "c", 1),
    ];
    for (command, name, number) in rows {
        assert_eq!(stage.ask(client, redis(&[command, name])), "");
        let link = stage.link(0);
        assert_eq!(stage.heard(link), redis(&[command, name]));
        let reply = confirmed(&command.to_lowercase(), name, number);
        stage.answer(link, &reply);
        assert_eq!(stage.hear(client), reply);
    }
    let link = stage.link(0);
    let messages = [
        message("c", "m"),
        format!(
            "*4\r\n$8\r\npmessage\r\n{}{}{}",
            bulk("c*"),
            bulk("c"),
            bulk("m")
        ),
        format!("*3\r\n$8\r\nsmessage\r\n{}{}", bulk("c"), bulk("m")),
        message("d", "nobody's"),
    ];
    stage.answer(link, messages.concat());
    assert_eq!(stage.hear(client), messages[..3].concat());
    let asking = stage.client();
    for (words, expected) in [
        (
            &["PUBSUB", "NUMSUB", "c", "d"][..],
            "*4\r\n$1\r\nc\r\n:1\r\n$1\r\nd\r\n:0\r\n",
        ),
        (&["PUBSUB", "SHARDNUMSUB", "c"], "*2\r\n$1\r\nc\r\n:1\r\n"),
        (&["PUBSUB", "NUMSUB"], "*0\r\n"),
        (&["PUBSUB", "NUMPAT"], ":1\r\n"),
    ] {
        assert_eq!(stage.ask(asking, redis(words)), expected, "{words:?}");
    }
    let list = stage.ask(asking, redis(&["CLIENT", "LIST", "TYPE", "pubsub"]));
    assert!(
        list.contains(" flags=P db=0 sub=1 psub=1 ssub=1 "),
        "{list}"
    );
    assert_eq!(list.matches("id=").count(), 1);
    let info = stage.ask(asking, redis(&["INFO", "stats"]));
    assert!(info.contains("pubsub_channels:1\r\npubsub_patterns:1\r\npubsubshard_channels:1\r\n"));
    let many = vec!["c"; 16_386];
    let reply = stage.ask(asking, redis(&[&["PUBSUB", "NUMSUB"][..], &many].concat()));
    assert!(reply.starts_with("-ERR too many subscriptions"), "{reply}");
}

#[test]
fn patterns_and_notifications_of_keys_are_at_every_server() {
    for (command, name) in [
        ("PSUBSCRIBE", "a*"),
        ("SUBSCRIBE", "__keyspace@0__:k"),
        ("SUBSCRIBE", "__keyevent@0__:del"),
    ] {
        let mut stage = Stage::new(redis_pool(3));
        let client = stage.client();
        let request = redis(&[command, name]);
        let reply = confirmed(&command.to_lowercase(), name, 1);
        stage.say(client, &request);
        for server in 0..3 {
            assert_eq!(stage.hear(client), "");
            let link = stage.link(server);
            assert_eq!(stage.heard(link), request);
            stage.answer(link, &reply);
        }
        assert_eq!(stage.hear(client), reply);
        if command == "SUBSCRIBE" {
            for server in 0..3 {
                let link = stage.link(server);
                stage.answer(link, message(name, "m"));
                assert_eq!(stage.hear(client), message(name, "m"));
            }
        }
    }
}

/// A client that speaks RESP3, for which the server has been asked whether it does, and its links for requests and for
/// messages.
fn modern() -> (Stage, usize, usize, usize) {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, HELLO);
    let requests = stage.link(0);
    stage.answer(requests, HELLO_3);
    stage.hear(client);
    stage.heard(requests);
    stage.say(client, redis(&["SUBSCRIBE", "c"]));
    let messages = *stage.links(0).last().expect("a second link");
    assert_ne!(messages, requests);
    stage.answer(messages, confirmed("subscribe", "c", 1));
    let reply = pushed(&confirmed("subscribe", "c", 1));
    assert_eq!(stage.hear(client), reply);
    (stage, client, requests, messages)
}

#[test]
fn with_resp3_a_message_is_a_push_between_two_replies() {
    let (mut stage, client, requests, messages) = modern();
    stage.say(client, get("a") + &get("b") + &get("c"));
    let hello = |text| message("c", text);
    // Nothing has come of the first reply.
    stage.answer(messages, hello("1"));
    assert_eq!(stage.hear(client), pushed(&hello("1")));
    // It has begun, and ends; the next begins at once.
    stage.answer(requests, "$6\r\nabc");
    assert_eq!(stage.hear(client), "$6\r\nabc");
    stage.answer(messages, hello("2") + &hello("3"));
    assert_eq!(stage.hear(client), "");
    stage.answer(requests, "def\r\n$4\r\nw");
    let between = pushed(&hello("2")) + &pushed(&hello("3"));
    assert_eq!(stage.hear(client), format!("def\r\n{between}$4\r\nw"));
    stage.answer(requests, "ord\r\n");
    stage.answer(messages, hello("4"));
    assert_eq!(
        stage.hear(client),
        format!("ord\r\n{}", pushed(&hello("4")))
    );
    stage.answer(requests, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
    // Back to RESP2, where it is restricted.
    assert!(
        stage
            .ask(client, redis(&["HELLO", "2"]))
            .starts_with("*14\r\n")
    );
    assert!(
        stage
            .ask(client, get("a"))
            .starts_with("-ERR Can't execute 'get'")
    );
}

#[test]
fn a_message_in_pieces_arrives_whole() {
    let (mut stage, client, requests, messages) = modern();
    let text = message("c", "in pieces") + &message("c", "next");
    for at in 0..text.len() {
        stage.answer(messages, &text[at..=at]);
    }
    stage.say(client, get("a"));
    stage.answer(requests, "$-1\r\n");
    let expected = pushed(&message("c", "in pieces")) + &pushed(&message("c", "next"));
    assert_eq!(stage.hear(client), expected + "$-1\r\n");
}

/// Confirmations and messages are sent to whoever has turned replies off, as by Redis.
#[test]
fn messages_are_no_replies_that_can_be_turned_off() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(
        client,
        redis(&["CLIENT", "REPLY", "OFF"]) + &redis(&["SUBSCRIBE", "c"]),
    );
    let link = stage.link(0);
    stage.answer(link, confirmed("subscribe", "c", 1) + &message("c", "m"));
    stage.say(client, PING);
    let expected = confirmed("subscribe", "c", 1) + &message("c", "m");
    assert_eq!(stage.hear(client), expected);
    // An error is a reply.
    stage.say(client, redis(&["SUBSCRIBE", "d"]));
    stage.answer(link, "-NOPERM no\r\n");
    assert_eq!(stage.hear(client), "");
    assert_eq!(stage.count(PoolMetric::Unheard), 1);
}

/// A message is about one server, as a key is.
#[test]
fn a_message_may_be_part_of_a_transaction_and_a_subscription_may_not() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let (here, there) = (stage.key(0), stage.key(1));
    let words = [
        redis(&["MULTI"]),
        redis(&["SET", &here, "v"]),
        redis(&["PUBLISH", &here, "m"]),
    ];
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";
    assert_eq!(stage.ask(client, words.concat()), queued);
    stage.say(client, redis(&["EXEC"]));
    let link = stage.link(0);
    stage.answer(link, "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n");
    let block = words.concat() + &redis(&["EXEC"]);
    assert!(stage.heard(link).ends_with(&block));
    stage.answer(link, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:3\r\n");
    assert_eq!(stage.hear(client), "*2\r\n+OK\r\n:3\r\n");
    // A channel of another server is as a key there.
    stage.ask(client, words[..2].concat());
    let reply = stage.ask(client, redis(&["PUBLISH", &there, "m"]));
    assert!(reply.starts_with("-CROSSSLOT "), "{reply}");
    let reply = stage.ask(client, redis(&["SUBSCRIBE", &here]));
    assert!(
        reply.starts_with("-ERR unsupported command 'subscribe'"),
        "{reply}"
    );
    let reply = stage.ask(client, redis(&["EXEC"]));
    assert!(reply.starts_with("-EXECABORT "), "{reply}");
}

#[test]
fn reset_ends_subscriptions_and_a_transaction_at_once() {
    let (mut stage, client, _, messages) = modern();
    stage.ask(client, redis(&["MULTI"]) + &get("a"));
    assert_eq!(stage.ask(client, redis(&["RESET"])), "+RESET\r\n");
    assert_eq!(stage.heard(messages).matches("UNSUBSCRIBE").count(), 1);
    assert_eq!(
        stage.ask(client, redis(&["EXEC"])),
        "-ERR EXEC without MULTI\r\n"
    );
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
}
