//! What the two processes tell each other, also across versions.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proxy::HealthRecord;
use proxy::settings::Address;
use serde_json::json;

use super::channel::Channel;
use super::message::{Message, Report};
use super::*;

/// How long a message of these tests may take.
const SOON: Option<Duration> = Some(Duration::from_secs(10));

/// A hand-over as the first version writes it, which every later one has to understand.
const FIRST_VERSION: &str = include_str!("tests/hand-over-1.json");

fn channels() -> (Channel, Channel) {
    let (one, other) = UnixStream::pair().unwrap();
    (Channel::new(one).unwrap(), Channel::new(other).unwrap())
}

/// The two ends, with what the old process says as it is written.
fn hand_over(written: &serde_json::Value, sockets: usize) -> (Channel, Channel) {
    let (mut old, new) = UnixStream::pair().unwrap();
    let text = written.to_string();
    let length = u32::try_from(text.len()).unwrap();
    old.write_all(&length.to_be_bytes()).unwrap();
    old.write_all(text.as_bytes()).unwrap();
    let mut channel = Channel::new(old).unwrap();
    let listeners = (0..sockets).map(|_| TcpListener::bind("127.0.0.1:0").unwrap().into());
    channel
        .send_sockets(&listeners.collect::<Vec<_>>())
        .unwrap();
    (channel, Channel::new(new).unwrap())
}

fn first_version() -> serde_json::Value {
    serde_json::from_str(FIRST_VERSION).unwrap()
}

fn records() -> Vec<HealthRecord> {
    vec![
        HealthRecord {
            name: "a".into(),
            address: Address::tcp("10.0.0.1", 6379),
            failures: 0,
            ejected_for: Some(Duration::from_millis(1500)),
            probes: 3,
            is_held: false,
        },
        HealthRecord {
            name: "b".into(),
            address: Address::unix("/run/b.sock".as_ref()),
            failures: 1,
            ejected_for: None,
            probes: 0,
            is_held: true,
        },
    ]
}

#[test]
fn the_form_of_the_first_version_is_kept_and_understood() {
    let mut now = HandOver::of_this_process(6);
    now.add_health("pool", &records());
    now.sockets = vec![super::message::SocketNote {
        purpose: "pool 'pool'".into(),
        address: "127.0.0.1:22121".into(),
        keeps_file: false,
    }];
    let mut written = serde_json::to_value(Message::HandOver(now)).unwrap();
    written["pid"] = json!(4711);
    written["program_version"] = json!("0.1.0");
    assert_eq!(written, first_version(), "{written:#}");

    let (_old, new) = hand_over(&first_version(), 1);
    let (predecessor, inherited) = Predecessor::receive(new).unwrap();
    let handed = predecessor.hand_over();
    assert_eq!(handed.health_of("pool"), records());
    assert_eq!(handed.health_of("other"), []);
    assert_eq!((handed.pid, handed.log_level), (4711, Some(6)));
    assert_eq!(inherited.left().count(), 1);
}

#[test]
fn a_later_version_that_adds_to_it_is_understood() {
    let mut later = first_version();
    later["version"] = json!(2);
    later["program_version"] = json!("0.2.0");
    later["sessions"] = json!([{ "id": 1 }]);
    later["pools"][0]["plan"] = json!(7);
    later["pools"][0]["servers"][0]["latency"] = json!([1, 2]);
    later["sockets"][0]["kind"] = json!("quic");
    let (_old, new) = hand_over(&later, 1);
    let (predecessor, _) = Predecessor::receive(new).unwrap();
    assert_eq!(predecessor.hand_over().health_of("pool"), records());
}

#[test]
fn an_earlier_version_that_knows_less_is_understood() {
    let least = json!({
        "message": "hand-over", "version": 1, "readable_by": 1, "program_version": "0.0.9", "pid": 7,
        "pools": [{ "name": "p", "servers": [{ "name": "s", "address": { "host": "h", "port": 1 } }] }],
    });
    let (_old, new) = hand_over(&least, 0);
    let (predecessor, inherited) = Predecessor::receive(new).unwrap();
    let handed = predecessor.hand_over();
    assert_eq!((handed.log_level, inherited.left().count()), (None, 0));
    assert_eq!(handed.health_of("p")[0].ejected_for, None);
}

#[test]
fn a_form_that_cannot_be_understood_is_refused_with_the_reason() {
    let mut later = first_version();
    (later["version"], later["readable_by"]) = (json!(9), json!(2));
    let (mut old, new) = hand_over(&later, 1);
    let failure = Predecessor::receive(new).unwrap_err();
    assert!(failure.line.contains("does not know"), "{}", failure.line);
    let Message::Failed { reason } = old.receive(SOON).unwrap() else {
        panic!("it was not told");
    };
    assert_eq!(reason, failure.line);
}

#[test]
fn messages_of_later_versions_are_skipped() {
    let (_, mut new) = {
        let (mut old, new) = UnixStream::pair().unwrap();
        for text in [
            r#"{"message":"sessions","count":3}"#,
            r#"{"message":"report","clients":5,"memory":1}"#,
        ] {
            let length = u32::try_from(text.len()).unwrap();
            old.write_all(&length.to_be_bytes()).unwrap();
            old.write_all(text.as_bytes()).unwrap();
        }
        (old, Channel::new(new).unwrap())
    };
    let expected = Message::Report(Report {
        clients: 5,
        server_connections: 0,
    });
    assert_eq!(new.receive(SOON).unwrap(), expected);
    let end = new.receive(SOON).unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn more_sockets_than_fit_into_one_message_arrive_in_order() {
    let (mut old, mut new) = channels();
    let listeners: Vec<TcpListener> = (0..150)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let address = |listener: &TcpListener| listener.local_addr().unwrap();
    let expected: Vec<_> = listeners.iter().map(address).collect();
    let sent: Vec<_> = listeners.into_iter().map(Into::into).collect();
    old.send_sockets(&sent).unwrap();
    old.send(&Message::Go).unwrap();
    let received = new.receive_sockets(150).unwrap();
    let received: Vec<TcpListener> = received.into_iter().map(Into::into).collect();
    assert_eq!(received.iter().map(address).collect::<Vec<_>>(), expected);
    assert_eq!(new.receive(SOON).unwrap(), Message::Go);
}

#[test]
fn whoever_says_nothing_is_not_waited_for_for_ever() {
    let (_old, mut new) = channels();
    let error = new.receive(Some(Duration::from_millis(20))).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
