//! The clients against a server that misbehaves in one way: every wrong reply is found.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use super::*;
use nuthatch_bench::faults::push_value;

/// Requests after which the run is over.
const ENOUGH: u64 = 2_000;

/// The request whose reply is changed.
const LIE_AT: u64 = 1_000;

/// Changes a reply, given the request; `None` closes the connection.
type Bend = fn(&[Vec<u8>], Vec<u8>) -> Option<Vec<u8>>;

/// Runs one client against a Redis server that applies `bend` to its reply to the first request like `wanted`
/// after [`LIE_AT`]. Returns the counts and the number of doubtful replies.
fn play(wanted: &'static str, bend: Bend) -> (Counts, u64) {
    let run_state = Arc::new(RunState::new(1));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let of_server = Arc::clone(&run_state);
    thread::spawn(move || {
        let mut store = HashMap::new();
        let mut served = 0;
        for stream in listener.incoming() {
            serve(
                &stream.unwrap(),
                &mut store,
                &mut served,
                &of_server,
                wanted,
                bend,
            );
        }
    });
    let counts = work(&Orders {
        run_state: &run_state,
        protocol: Protocol::Redis,
        pool: 0,
        withdraws: false,
        keys_move: true,
        address,
        clients: 1,
        seed: 1,
    });
    let counts = counts.unwrap();
    assert_eq!(counts.outcomes(), counts.requests);
    (counts, run_state.take_doubts(0).0)
}

fn serve(
    stream: &TcpStream,
    store: &mut HashMap<Vec<u8>, Vec<u8>>,
    served: &mut u64,
    run_state: &RunState,
    wanted: &str,
    bend: Bend,
) {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    while let Some(request) = read_request(&mut input) {
        let mut reply = answer(store, &request);
        *served += 1;
        if *served >= LIE_AT && *served < ENOUGH && request[0] == wanted.as_bytes() {
            *served = ENOUGH;
            match bend(&request, reply) {
                Some(bent) => reply = bent,
                None => return,
            }
            if reply.ends_with(b"...") {
                output.write_all(&reply).unwrap();
                return;
            }
        }
        if *served > 2 * ENOUGH {
            run_state.end();
        }
        if output.write_all(&reply).is_err() {
            return;
        }
    }
}

fn read_request(input: &mut impl BufRead) -> Option<Vec<Vec<u8>>> {
    let count = read_number(input)?;
    let read = |_| {
        let length = read_number(input)?;
        let mut argument = vec![0; length + 2];
        input.read_exact(&mut argument).ok()?;
        argument.truncate(length);
        Some(argument)
    };
    (0..count).map(read).collect()
}

fn read_number(input: &mut impl BufRead) -> Option<usize> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    line.get(1..)?.trim_end().parse().ok()
}

fn answer(store: &mut HashMap<Vec<u8>, Vec<u8>>, request: &[Vec<u8>]) -> Vec<u8> {
    match (request[0].as_slice(), &request[1..]) {
        (b"SET", [key, value]) => {
            store.insert(key.clone(), value.clone());
            b"+OK\r\n".to_vec()
        }
        (b"GET", [key]) => bulk(store.get(key)),
        (_, keys) => {
            let mut reply = format!("*{}\r\n", keys.len()).into_bytes();
            keys.iter()
                .for_each(|key| reply.extend(bulk(store.get(key))));
            reply
        }
    }
}

fn bulk(value: Option<&Vec<u8>>) -> Vec<u8> {
    let Some(value) = value else {
        return b"$-1\r\n".to_vec();
    };
    let mut reply = format!("${}\r\n", value.len()).into_bytes();
    reply.extend_from_slice(value);
    reply.extend_from_slice(b"\r\n");
    reply
}

#[test]
fn an_honest_server_is_found_honest() {
    let (counts, doubts) = play("none", |_, reply| Some(reply));
    assert!(counts.is_flawless(), "{counts}");
    assert_eq!((counts.right, doubts), (counts.requests, 0));
}

#[test]
fn a_reply_to_another_kind_of_request_is_misordered() {
    let (counts, _) = play("GET", |_, _| Some(b"+OK\r\n".to_vec()));
    assert_eq!((counts.misordered, counts.wrong), (1, 0), "{counts}");
    let (counts, _) = play("MGET", |_, _| Some(b"$-1\r\n".to_vec()));
    assert_eq!(counts.misordered, 1, "{counts}");
}

#[test]
fn another_keys_value_is_misordered() {
    let (counts, _) = play("GET", |request, _| {
        let other = u16::from(request[1].ends_with(b"000"));
        let owner = Owner { pool: 0, client: 0 };
        let mut value = Vec::new();
        push_value(&mut value, owner, other, 1);
        Some(bulk(Some(&value)))
    });
    assert_eq!(counts.misordered, 1, "{counts}");
}

#[test]
fn values_that_nobody_wrote_are_wrong() {
    let (counts, _) = play("GET", |_, _| Some(b"$3\r\nfoo\r\n".to_vec()));
    assert_eq!(counts.wrong, 1, "{counts}");
}

#[test]
fn a_reply_too_many_puts_everything_after_it_out_of_order() {
    let (counts, _) = play("SET", |_, reply| Some([reply.clone(), reply].concat()));
    assert!(!counts.is_flawless(), "{counts}");
}

#[test]
fn old_and_missing_values_are_doubtful_in_calm() {
    let (counts, doubts) = play("GET", |_, _| Some(b"$-1\r\n".to_vec()));
    assert_eq!((counts.is_flawless(), doubts), (true, 1), "{counts}");
}

#[test]
fn errors_are_counted_by_their_text() {
    let (counts, _) = play("SET", |_, _| Some(b"-ERR no\r\n".to_vec()));
    assert_eq!((counts.errors, counts.is_flawless()), (1, true), "{counts}");
}

#[test]
fn an_end_between_replies_leaves_requests_unanswered() {
    let (counts, _) = play("GET", |_, _| None);
    assert!(counts.unanswered > 0 && counts.broken_off == 0, "{counts}");
}

#[test]
fn an_end_within_a_reply_breaks_requests_off() {
    let (counts, _) = play("GET", |_, _| Some(b"$50\r\nsome...".to_vec()));
    assert!(counts.unanswered == 0 && counts.broken_off > 0, "{counts}");
}
