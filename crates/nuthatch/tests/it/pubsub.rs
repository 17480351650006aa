//! Publish and subscribe through the proxy, with real servers.

use std::collections::BTreeSet;
use std::time::Duration;

use testkit::{Client, Tool};

use crate::need;
use crate::rig::{Rig, text, wait_for};

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// What a subscriber gets: the words, and a number at the end if it is a confirmation.
fn frame(version: &str, words: &[&str], number: Option<usize>) -> String {
    let start = if version == "3" { '>' } else { '*' };
    let count = words.len() + usize::from(number.is_some());
    let mut all = format!("{start}{count}\r\n");
    words.iter().for_each(|word| all.push_str(&bulk(word)));
    number
        .iter()
        .for_each(|number| all.push_str(&format!(":{number}\r\n")));
    all
}

fn hear(client: &mut Client) -> String {
    text(&client.reply())
}

/// A subscriber to these channels.
fn subscriber(rig: &Rig, version: &str, channels: &[String]) -> Client {
    let mut client = rig.client();
    client.ask(&["HELLO", version]);
    for (at, channel) in channels.iter().enumerate() {
        let reply = client.ask(&["SUBSCRIBE", channel]);
        assert_eq!(reply, frame(version, &["subscribe", channel], Some(at + 1)));
    }
    client
}

#[test]
fn messages_arrive_whether_they_are_published_through_the_proxy_or_at_the_server() {
    for servers in [1, 3] {
        let rig = need!(Rig::redis(servers, &[]), "redis-server");
        let channels = rig.keys();
        let mut publisher = rig.client();
        for version in ["2", "3"] {
            let mut client = subscriber(&rig, version, &channels);
            for (server, channel) in rig.servers.iter().zip(&channels) {
                let through = publisher.ask(&["PUBLISH", channel, "through"]);
                assert_eq!(through, ":1\r\n", "the server's number");
                let mut direct = server.client();
                assert_eq!(direct.ask(&["PUBLISH", channel, "direct"]), ":1\r\n");
                for message in ["through", "direct"] {
                    let expected = frame(version, &["message", channel, message], None);
                    assert_eq!(hear(&mut client), expected);
                }
            }
            client.ask(&["PSUBSCRIBE", "*"]);
            let mut direct = rig.servers[servers - 1].client();
            direct.ask(&["PUBLISH", "anywhere", "m"]);
            let words = ["pmessage", "*", "anywhere", "m"];
            assert_eq!(hear(&mut client), frame(version, &words, None));
        }
        wait_for("nobody is subscribed any more", || {
            rig.pool_stat("subscriptions") == 0
        });
        assert_eq!(rig.pool_stat("subscription_gaps"), 0);
    }
}

#[test]
fn what_a_client_is_told_is_what_a_server_tells() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let other = need!(testkit::redis(), "redis-server");
    let lines = [
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE a",
        "SUNSUBSCRIBE",
        "SUBSCRIBE a",
        "SUBSCRIBE a",
        "PSUBSCRIBE b*",
        "SSUBSCRIBE s",
        "UNSUBSCRIBE x",
        "GET k",
        "PUBSUB NUMPAT",
        "PING",
        "PING hello",
        "PING a b",
        "NOSUCH",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "SUNSUBSCRIBE",
        "PUNSUBSCRIBE b*",
        "GET k",
        "PUBSUB NUMSUB a",
        "PUBSUB NUMSUB",
        "PUBSUB NUMPAT",
        "PUBSUB SHARDNUMSUB s",
        "PUBSUB CHANNELS x y",
        "PUBSUB NUMPAT x",
        "SUBSCRIBE a",
        "RESET",
        "GET k",
        "PUBSUB CHANNELS",
    ];
    for version in ["2", "3"] {
        let (mut client, mut direct) = (rig.client(), other.client());
        client.ask(&["HELLO", version]);
        direct.ask(&["HELLO", version]);
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let (ours, theirs) = (client.ask(&words), direct.ask(&words));
            match line {
                // Redis tells what it was given, too; the proxy says the same of a wrong number as of any command.
                "NOSUCH" | "PUBSUB CHANNELS x y" => assert!(ours.starts_with("-ERR "), "{line}"),
                _ => assert_eq!(ours, theirs, "RESP{version}: {line}"),
            }
        }
        assert!(client.is_silent(Duration::from_millis(50)), "in step");
    }
}

#[test]
fn keyspace_notifications_of_all_servers_arrive() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let keys = rig.keys();
    for server in &rig.servers {
        let set = ["CONFIG", "SET", "notify-keyspace-events", "KEA"];
        assert_eq!(server.client().ask(&set), "+OK\r\n");
    }
    let events = "__keyevent@0__:set".to_owned();
    let mut client = subscriber(&rig, "3", std::slice::from_ref(&events));
    client.ask(&["PSUBSCRIBE", "__keyspace@0__:*"]);
    let mut other = rig.client();
    let (mut heard, mut expected) = (BTreeSet::new(), BTreeSet::new());
    for key in &keys {
        assert_eq!(other.ask(&["SET", key, "v"]), "+OK\r\n");
        expected.insert(frame("3", &["message", &events, key], None));
        let space = format!("__keyspace@0__:{key}");
        let words = ["pmessage", "__keyspace@0__:*", &space, "set"];
        expected.insert(frame("3", &words, None));
    }
    heard.extend((0..6).map(|_| hear(&mut client)));
    assert_eq!(heard, expected);
}

#[test]
fn messages_resume_when_a_killed_server_is_back() {
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 500",
        "timeout: 1000",
        "eject_policy: error",
    ];
    let mut rig = need!(Rig::redis(2, &lines), "redis-server");
    let channels = rig.keys();
    let mut client = subscriber(&rig, "2", &channels);
    rig.servers[0].kill();
    wait_for("it is counted", || rig.pool_stat("subscription_gaps") == 1);
    wait_for("it is logged", || {
        let log = rig.proxy.stderr();
        log.contains("messages of 1 channels of server 's0' may have been missed")
    });
    // The other goes on.
    let mut publisher = rig.client();
    assert_eq!(publisher.ask(&["PUBLISH", &channels[1], "m"]), ":1\r\n");
    assert_eq!(
        hear(&mut client),
        frame("2", &["message", &channels[1], "m"], None)
    );
    let mut late = rig.client();
    wait_for("a new subscriber is told", || {
        late.ask(&["SUBSCRIBE", &channels[0]])
            .starts_with("-ERR Connection refused")
    });
    rig.servers[0].restart();
    wait_for("it is subscribed to again", || {
        rig.servers[0]
            .client()
            .ask(&["PUBLISH", &channels[0], "again"])
            == ":1\r\n"
    });
    assert_eq!(
        hear(&mut client),
        frame("2", &["message", &channels[0], "again"], None)
    );
    assert_eq!(client.ask(&["PING"]), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

#[test]
fn a_server_s_users_may_be_refused_a_channel() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut direct = rig.servers[0].client();
    let rule = ["ACL", "SETUSER", "default", "resetchannels", "&open:*"];
    assert_eq!(direct.ask(&rule), "+OK\r\n");
    let mut client = rig.client();
    let reply = client.ask(&["SUBSCRIBE", "secret"]);
    assert_eq!(reply, direct.ask(&["SUBSCRIBE", "secret"]));
    assert!(reply.starts_with("-NOPERM"), "{reply}");
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    let reply = client.ask(&["SUBSCRIBE", "open:a"]);
    assert_eq!(reply, frame("2", &["subscribe", "open:a"], Some(1)));
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_and_the_others_get_everything() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let channel = ["c".to_owned()];
    let slow = subscriber(&rig, "2", &channel);
    let mut quick = subscriber(&rig, "3", &channel);
    let message = "m".repeat(1 << 20);
    let mut publisher = rig.client();
    for _ in 0..48 {
        assert_eq!(publisher.ask(&["PUBLISH", "c", &message]), ":1\r\n");
        assert_eq!(
            hear(&mut quick),
            frame("3", &["message", "c", &message], None)
        );
    }
    wait_for("it is closed", || rig.pool_stat("subscribers_closed") == 1);
    wait_for("it is logged", || {
        rig.proxy.stderr().contains("it is subscribed to channels")
    });
    assert_eq!(rig.pool_stat("subscriptions"), 1);
    drop(slow);
}

/// The tool waits for messages after SUBSCRIBE, until it is ended.
#[test]
fn redis_cli_subscribes() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let cli = need!(Tool::find("redis-cli"), "redis-cli");
    let mut command = cli.command();
    let port = rig.port.to_string();
    command.args(["-p", &port, "--csv", "subscribe", "a", "b"]);
    let mut running = testkit::Process::spawn(command);
    let mut publisher = rig.client();
    let heard = |running: &testkit::Process, line: &str| running.stdout().contains(line);
    for channel in ["a", "b"] {
        wait_for("it is subscribed", || {
            publisher.ask(&["PUBLISH", channel, "hello"]) == ":1\r\n"
        });
        let line = format!("\"message\",\"{channel}\",\"hello\"");
        wait_for("it is heard", || heard(&running, &line));
    }
    running.kill();
}
