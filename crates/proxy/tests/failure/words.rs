//! Messages of clients and servers, and lines of the log.

use proxy::{LogRecord, Rope};

/// A Redis request.
pub(crate) fn redis(args: &[&str]) -> String {
    let mut text = format!("*{}\r\n", args.len());
    for arg in args {
        text.push_str(&bulk(arg));
    }
    text
}

/// A Redis bulk string.
pub(crate) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

pub(crate) fn get(key: &str) -> String {
    redis(&["GET", key])
}

pub(crate) fn set(key: &str, value: &str) -> String {
    redis(&["SET", key, value])
}

/// A memcached block with one key.
pub(crate) fn value(key: &str, text: &str) -> String {
    format!("VALUE {key} 0 {}\r\n{text}\r\n", text.len())
}

pub(crate) const PING: &str = "*1\r\n$4\r\nPING\r\n";
pub(crate) const TIMED_OUT: &str = "-ERR Connection timed out\r\n";
pub(crate) const REFUSED: &str = "-ERR Connection refused\r\n";
pub(crate) const FULL: &str = "-ERR Resource temporarily unavailable\r\n";
/// The reply of a server that supports RESP3 to HELLO 3.
pub(crate) const HELLO_3: &str = "%1\r\n$5\r\nproto\r\n:3\r\n";

/// The error line for a key of `server` while that is ejected and its keys stay.
pub(crate) fn ejected(server: usize) -> String {
    format!(
        "-ERR Connection refused: server 's{server}' (10.0.0.{server}:7000:1): the server is ejected\r\n"
    )
}

/// The bytes of a rope.
pub(crate) fn flat(rope: &Rope) -> Vec<u8> {
    rope.slices().flatten().copied().collect()
}

pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("tests speak text")
}

/// A line of the log, without the names of its pool and client.
pub(crate) fn logged(record: &LogRecord) -> String {
    match record.more {
        0 => record.event.to_string(),
        more => format!("{}; and {more} more like it", record.event),
    }
}
