//! Connections that neither panic nor wait without limit.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a connection may take to be made, and a reply that is waited for to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How soon a write that is not accepted notices that its time is over.
const ATTENTION: Duration = Duration::from_millis(50);

/// How much of an error reply is read.
const LONGEST_ERROR: usize = 256;

/// A connection whose reads and writes wait for ten seconds at most.
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let told = |error| format!("connecting to {address}: {error}");
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(told)?;
    stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .map_err(told)?;
    Ok(stream)
}

/// Sends a request and reads its reply, which must be `expected`. After an error reply the connection can go on.
///
/// # Errors
///
/// When another reply came, or none.
pub(crate) fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    expected: &[u8],
) -> Result<(), String> {
    stream
        .write_all(request)
        .map_err(|error| format!("a request was not accepted: {error}"))?;
    let mut reply = vec![0; expected.len() + LONGEST_ERROR];
    let mut length = 0;
    while !is_whole(&reply[..length], expected) {
        match stream.read(&mut reply[length..]) {
            Ok(0) => return Err("the connection was closed".into()),
            Ok(count) => length += count,
            Err(error) => return Err(format!("no reply: {error}")),
        }
    }
    match reply[..length] == *expected {
        true => Ok(()),
        false => Err(format!(
            "the reply was {:?}",
            String::from_utf8_lossy(&reply[..length])
        )),
    }
}

/// Whether nothing more needs to be read: it is what is expected, or an error line, or something else.
fn is_whole(reply: &[u8], expected: &[u8]) -> bool {
    let is_error = reply
        .first()
        .is_some_and(|first| Some(first) != expected.first());
    match is_error {
        true => reply.ends_with(b"\r\n") || reply.len() >= LONGEST_ERROR,
        false => reply.len() >= expected.len() || !expected.starts_with(reply),
    }
}

/// Writes as many of `bytes` as are accepted before `until`; how many those are. An error of the connection
/// ends it, too.
pub(crate) fn write_until(stream: &mut TcpStream, bytes: &[u8], until: Instant) -> usize {
    if stream.set_write_timeout(Some(ATTENTION)).is_err() {
        return 0;
    }
    let mut sent = 0;
    while sent < bytes.len() && Instant::now() < until {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if is_patient(error.kind()) => {}
            Err(_) => break,
        }
    }
    sent
}

/// A Redis request.
pub(crate) fn request<A: AsRef<[u8]>>(arguments: impl ExactSizeIterator<Item = A>) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn is_patient(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_is_not_read_stops_writing_when_its_time_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = connect(listener.local_addr().unwrap()).unwrap();
        let bytes = vec![0; 64 << 20];
        let until = Instant::now() + Duration::from_millis(100);
        let sent = write_until(&mut stream, &bytes, until);
        assert!(sent > 0 && sent < bytes.len(), "{sent}");
        assert!(until.elapsed() < PATIENCE / 2);
    }

    #[test]
    fn an_error_reply_is_read_to_its_end() {
        let expected = b"$1\r\nv\r\n";
        for reply in [
            &expected[..],
            b"$1\r\nw",
            b"-ERR no\r\n",
            b"$1\r\nv\r\n+OK\r\n",
        ] {
            assert!(is_whole(reply, expected), "{reply:?}");
        }
        for part in [&b""[..], b"$1\r\nv", b"-ERR no"] {
            assert!(!is_whole(part, expected), "{part:?}");
        }
    }

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        assert_eq!(
            request(["GET", ""].iter()),
            b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
        );
    }
}
