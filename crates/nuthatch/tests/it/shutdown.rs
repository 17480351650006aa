//! The end of the proxy, as seen by clients that are not ready for it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::need;
use crate::rig::{Rig, TIME_LIMIT, text, wait_for};

/// Their replies are several times what a socket takes that nobody reads.
const REQUESTS: usize = 400_000;

/// How long the client does not read: longer than clients may take to close that send nothing (2 s).
const PAUSE: Duration = Duration::from_secs(3);

const REQUEST: &[u8] = b"INCR counter\r\n";

/// Writes requests, at last one per millisecond, until the connection is closed.
fn send_on(mut stream: TcpStream) {
    let begun = stream.write_all(&REQUEST.repeat(REQUESTS));
    while begun.is_ok() && stream.write_all(REQUEST).is_ok() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_slow_reader_that_sends_on_gets_what_was_executed() {
    let rig = Rig::redis_with(1, &[], &["--shutdown-timeout", "60000"]);
    let mut rig = need!(rig, "redis-server");
    let mut stream = TcpStream::connect(("127.0.0.1", rig.port)).expect("the proxy listens");
    stream.set_read_timeout(Some(TIME_LIMIT)).expect("a socket");
    let sending = stream.try_clone().expect("a descriptor is free");
    let sender = thread::spawn(move || send_on(sending));
    let mut server = rig.servers[0].client();
    let mut executed = || {
        let reply = server.ask(&["INCRBY", "counter", "0"]);
        reply[1..].trim_end().parse::<usize>().expect("a number")
    };
    wait_for("half of the requests are executed", || {
        executed() >= REQUESTS / 2
    });
    rig.proxy.signal(Signal::TERM);
    thread::sleep(PAUSE);
    let mut replies = Vec::new();
    let end = stream.read_to_end(&mut replies);
    let count = executed();
    let expected: String = (1..=count).map(|number| format!(":{number}\r\n")).collect();
    let got = replies.iter().filter(|&&byte| byte == b'\n').count();
    assert!(end.is_ok(), "{end:?} after {got} of {count} replies");
    assert!(text(&replies) == expected, "{got} of {count} replies");
    // As soon as the client has closed the proxy has nothing to wait for.
    stream.shutdown(Shutdown::Both).expect("it is open");
    sender.join().expect("it ends when the connection does");
    drop(stream);
    assert_eq!(rig.proxy.wait_exit(TIME_LIMIT).code(), Some(0));
}
