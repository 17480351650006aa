//! Servers that answer, are silent, and send what has no end.

use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::*;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

/// A server that reads as many bytes as each step expects, then writes what the step says; it keeps the connection until
/// the other side closes it.
fn server(steps: Vec<(&'static str, Vec<u8>)>) -> (Address, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for (expected, answer) in steps {
            let mut heard = vec![0; expected.len()];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(String::from_utf8_lossy(&heard), expected);
            // Whoever has heard enough has left.
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
        let _ = stream.read(&mut [0]);
    });
    (Address::tcp("127.0.0.1", port), thread)
}

fn open(address: &Address, credentials: &Credentials, time: Duration) -> io::Result<Asker> {
    Asker::open(address, credentials, &Resolver::start().unwrap(), time)
}

fn with_password(user: Option<&str>) -> Credentials {
    Credentials {
        user: user.map(str::to_owned),
        password: Some(b"secret".to_vec()),
        security: None,
    }
}

const PING: &str = "*1\r\n$4\r\nPING\r\n";

#[test]
fn questions_are_answered_after_the_password() {
    let auth = "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$6\r\nsecret\r\n";
    let steps = vec![
        (auth, b"+OK\r\n".to_vec()),
        (PING, b"+PONG\r\n".to_vec()),
        (PING, b"-LOADING wait\r\n".to_vec()),
    ];
    let (address, thread) = server(steps);
    let mut asker = open(&address, &with_password(Some("ann")), LONG).unwrap();
    assert_eq!(asker.ask(&[b"PING"], LONG).unwrap().text(), Some("PONG"));
    let error = asker.ask(&[b"PING"], LONG).unwrap();
    assert_eq!(error, Reply::Error("LOADING wait".into()));
    drop(asker);
    thread.join().unwrap();
}

#[test]
fn a_password_that_is_refused_is_told() {
    let auth = "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n";
    let (address, thread) = server(vec![(auth, b"-WRONGPASS no\r\n".to_vec())]);
    let error = open(&address, &with_password(None), LONG).unwrap_err();
    assert_eq!(error.to_string(), "it refuses AUTH: WRONGPASS no");
    assert!(!format!("{:?}", with_password(None)).contains("secret"));
    thread.join().unwrap();
}

#[test]
fn silence_and_a_trickle_end_in_time() {
    let began = Instant::now();
    let (address, thread) = server(vec![(PING, Vec::new())]);
    let mut asker = open(&address, &Credentials::default(), LONG).unwrap();
    let error = asker.ask(&[b"PING"], SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(asker);
    thread.join().unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::tcp("127.0.0.1", listener.local_addr().unwrap().port());
    let trickle = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(b"*").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut asker = open(&address, &Credentials::default(), LONG).unwrap();
    let error = asker.ask(&[b"PING"], SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(asker);
    trickle.join().unwrap();
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_reply_without_an_end_is_given_up() {
    let mut endless = b"*400000\r\n".to_vec();
    endless.extend(
        b"$100\r\n"
            .iter()
            .chain([b'x'; 100].iter())
            .chain(b"\r\n")
            .cycle()
            .take(20 << 20),
    );
    let (address, thread) = server(vec![(PING, endless)]);
    let mut asker = open(&address, &Credentials::default(), LONG).unwrap();
    let error = asker.ask(&[b"PING"], LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    drop(asker);
    thread.join().unwrap();
}

#[test]
fn messages_are_waited_for() {
    let subscribe = "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n";
    let (address, thread) = server(vec![(subscribe, b"+subscribed\r\n+one\r\n".to_vec())]);
    let mut asker = open(&address, &Credentials::default(), LONG).unwrap();
    asker.ask(&[b"SUBSCRIBE", b"c"], LONG).unwrap();
    assert_eq!(asker.hear(LONG).unwrap().text(), Some("one"));
    let error = asker.hear(SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(asker);
    thread.join().unwrap();
}

#[test]
fn a_name_is_resolved_and_nobody_there_is_told() {
    let (address, thread) = server(vec![(PING, b"+PONG\r\n".to_vec())]);
    let Address::Tcp { port, .. } = address else {
        panic!("an address of TCP");
    };
    let named = Address::tcp("localhost", port);
    let mut asker = open(&named, &Credentials::default(), LONG).unwrap();
    assert_eq!(asker.ask(&[b"PING"], LONG).unwrap().text(), Some("PONG"));
    drop(asker);
    thread.join().unwrap();
    assert!(open(&named, &Credentials::default(), LONG).is_err());
    let path = Address::unix("/nowhere/s".as_ref());
    assert!(open(&path, &Credentials::default(), LONG).is_err());
}
