//! Straight to the server.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a server may be silent, on either way.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a server says nothing when it has said all.
const QUIET: Duration = Duration::from_millis(30);

/// Sends everything, ends, and returns what comes until the server ends, too. A server may forget replies
/// when its client ends in the middle of a request: `patiently` ends only when no more comes.
pub(crate) fn send(socket: &Path, bytes: &[u8], patiently: bool) -> Result<Vec<u8>, String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| format!("connect: {error}"))?;
    // The server may close before it has read all, and has said why.
    let _ = stream.write_all(bytes);
    let mut replies = Vec::new();
    if patiently {
        wait(&stream, QUIET)?;
        let _ = stream.read_to_end(&mut replies);
    }
    let _ = stream.shutdown(Shutdown::Write);
    wait(&stream, PATIENCE)?;
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
