//! A server whose reply is given by the request's key, in hexadecimal.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// What a key asks the server to do.
enum Order {
    Say(Vec<u8>),
    SayAndClose(Vec<u8>),
}

/// A key that makes the server answer `reply`.
pub(crate) fn say(reply: &[u8]) -> String {
    format!("say{}.", hex(reply))
}

/// A key that makes the server answer `reply`, which may be empty, and close.
pub(crate) fn say_and_close(reply: &[u8]) -> String {
    format!("end{}.", hex(reply))
}

/// Starts a server on a free port; it lives as long as the process. It answers each whole request, of either
/// protocol, according to the first key in it.
pub(crate) fn start() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || serve(client));
        }
    });
    port
}

fn serve(mut client: TcpStream) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
        while let Some(end) = request(&bytes) {
            let order = order(&bytes[..end]);
            bytes.drain(..end);
            let (reply, close) = match order {
                Order::Say(reply) => (reply, false),
                Order::SayAndClose(reply) => (reply, true),
            };
            if client.write_all(&reply).is_err() || close {
                return;
            }
        }
    }
}

/// The length of the first request: a line, or an array of bulk strings (none of which contains a line end).
fn request(bytes: &[u8]) -> Option<usize> {
    let mut ends = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair == b"\r\n")
        .map(|(at, _)| at + 2);
    let first = ends.next()?;
    if !bytes.starts_with(b"*") {
        return Some(first);
    }
    let words: usize = std::str::from_utf8(&bytes[1..first - 2])
        .ok()?
        .parse()
        .ok()?;
    ends.nth(2 * words - 1)
}

/// What the first key of a request asks for; a normal reply if there is none, and nothing for a data block,
/// which consists of the letter x.
fn order(request: &[u8]) -> Order {
    if request.starts_with(b"x") {
        return Order::Say(Vec::new());
    }
    let text = String::from_utf8_lossy(request);
    let word = text.split_whitespace().find(|word| word.ends_with('.'));
    // The part before it is a hash tag.
    let order = word.map(|word| {
        word.trim_end_matches('.')
            .rsplit('}')
            .next()
            .unwrap_or_default()
    });
    match order.map(|order| order.split_at(3)) {
        Some(("say", reply)) => Order::Say(unhex(reply)),
        Some(("end", reply)) => Order::SayAndClose(unhex(reply)),
        _ if request.starts_with(b"*") => Order::Say(b"+OK\r\n".to_vec()),
        _ => Order::Say(b"END\r\n".to_vec()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("written by hex()");
    (0..text.len()).step_by(2).map(byte).collect()
}
