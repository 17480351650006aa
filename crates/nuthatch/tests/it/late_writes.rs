//! Writes that time out at a server that hangs, and are executed when it goes on.

use std::sync::{Arc, Condvar, Mutex};

use crate::fake::{Fake, say};
use crate::need;
use crate::rig::{Rig, redis_front, wait_for};
use testkit::Client;

const TIMED_OUT: &str = "-ERR Connection timed out\r\n";

/// What is between a server and an old connection of which it reads nothing: it opens once.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().expect("nobody panics with it") = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let is_open = self.is_open.lock().expect("nobody panics with it");
        let wait = self.opened.wait_while(is_open, |is_open| !*is_open);
        drop(wait.expect("nobody panics with it"));
    }
}

/// The server answers on each connection in order, and may read the closed one last: closing it takes nothing back.
#[test]
fn with_close_a_write_that_timed_out_may_be_executed_after_a_later_one() {
    let (gate, value) = (Arc::new(Gate::default()), Arc::new(Mutex::new(0)));
    let (before, held) = (Arc::clone(&gate), Arc::clone(&value));
    let server = Fake::redis(move |command| {
        let number: u32 = command[2].parse().expect("the test sets numbers");
        if number == 1 {
            before.pass();
        }
        *held.lock().expect("nobody panics with it") = number;
        say("+OK\r\n")
    });
    let lines = ["timeout: 1000", "ask_version: false"];
    let (_proxy, port) = redis_front(&[server.endpoint()], &lines);
    let mut client = Client::to_port(port);
    let value = || *value.lock().expect("nobody panics with it");
    assert_eq!(client.ask(&["SET", "k", "1"]), TIMED_OUT);
    assert_eq!(client.ask(&["SET", "k", "2"]), "+OK\r\n");
    assert_eq!(value(), 2);
    let connections: Vec<_> = server.heard().into_iter().map(|(on, _)| on).collect();
    assert_eq!(connections, [0, 1], "the first one was closed");
    gate.open();
    wait_for("the first write takes effect", || value() == 1);
}

#[test]
fn with_answer_a_write_that_timed_out_is_executed_before_later_ones() {
    // The connection is given up after eight seconds of silence.
    let lines = ["timeout: 2000", "timeout_action: answer"];
    let mut rig = need!(Rig::redis(1, &lines), "redis-server");
    let (mut client, mut other) = (rig.client(), rig.client());
    assert_eq!(client.ask(&["SET", "k", "0"]), "+OK\r\n");
    rig.servers[0].stop();
    assert_eq!(client.ask(&["SET", "k", "1"]), TIMED_OUT);
    client.command(&[b"GETSET", b"k", b"2"]);
    wait_for("it is sent, and so is what was late", || {
        rig.server_stat(0, "in_queue") == 0 && rig.server_stat(0, "out_queue") == 2
    });
    rig.servers[0].cont();
    let old = String::from_utf8(client.reply()).expect("a number");
    assert_eq!(old, "$1\r\n1\r\n", "what was late came first");
    assert_eq!(other.ask(&["GET", "k"]), "$1\r\n2\r\n");
    assert_eq!(rig.server_stat(0, "server_total"), 1, "one connection");
    assert_eq!(rig.server_stat(0, "out_queue"), 0);
}
