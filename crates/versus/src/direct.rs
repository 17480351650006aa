//! The direct connection to the server.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a server may be silent, on either way.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Silence after which a server has sent everything.
const QUIET: Duration = Duration::from_millis(30);

/// Sends everything, closes the write side, and returns what arrives until the server closes too. A server
/// may drop replies when its client closes in the middle of a request: with `after_silence`, the write side is
/// closed only when nothing more arrives.
pub(crate) fn send(socket: &Path, bytes: &[u8], after_silence: bool) -> Result<Vec<u8>, String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| format!("connect: {error}"))?;
    // The server may close before it has read everything, after it has said why.
    let _ = stream.write_all(bytes);
    let mut replies = Vec::new();
    if after_silence {
        wait(&stream, QUIET)?;
        let _ = stream.read_to_end(&mut replies);
    }
    let _ = stream.shutdown(Shutdown::Write);
    wait(&stream, TIME_LIMIT)?;
    match stream.read_to_end(&mut replies) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(format!(
            "the server itself is silent ({error}) after {}",
            replies.escape_ascii()
        )),
        _ => Ok(replies),
    }
}

fn wait(stream: &UnixStream, time: Duration) -> Result<(), String> {
    let set = stream.set_read_timeout(Some(time));
    set.map_err(|error| error.to_string())
}
