//! The side of `nuthatch ctl`.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::message::{Answer, MAX_REQUEST, Request};

/// How long the proxy may take to answer: longer than anything that it does.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Longest answer, in bytes: the statistics of 100,000 servers are shorter.
const MAX_ANSWER: u64 = 256 << 20;

/// Asks the proxy behind the socket.
///
/// # Errors
///
/// When nothing listens there, or what does is no proxy.
pub(crate) fn ask(socket: &Path, request: &Request) -> io::Result<Answer> {
    ask_within(socket, request, TIME_LIMIT)
}

/// The same for an answer that may take so long, more or less.
pub(crate) fn ask_within(
    socket: &Path,
    request: &Request,
    time_limit: Duration,
) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(time_limit))?;
    stream.set_write_timeout(Some(time_limit))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    if line.len() as u64 > MAX_REQUEST {
        let message = format!("the request is longer than {MAX_REQUEST} bytes");
        return Err(io::Error::other(message));
    }
    stream.write_all(&line)?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream).take(MAX_ANSWER);
    reader.read_to_string(&mut answer)?;
    if answer.is_empty() {
        let message = "it closed the connection without an answer";
        return Err(io::Error::other(message));
    }
    Ok(serde_json::from_str(&answer)?)
}
