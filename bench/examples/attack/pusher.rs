//! A Redis server that sends push messages for ever once it was told to speak RESP3.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use testkit::Endpoint;

use crate::priority;

/// A push message, of which no client of a cache knows what to do.
const PUSH: &[u8] = b">1\r\n+a\r\n";

/// Push messages of one write.
const AT_ONCE: usize = 8_192;

/// The longest argument that is read: the proxy sends none that is longer here.
const LONGEST: u64 = 1 << 20;

/// The server. Its threads end with the connections to it, and with the process.
#[derive(Debug)]
pub(crate) struct Pusher {
    address: SocketAddr,
    pushed: Arc<AtomicU64>,
}

impl Pusher {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub(crate) fn start() -> Result<Self, String> {
        let told = |error| format!("the server that pushes: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        let pushed = Arc::new(AtomicU64::new(0));
        let in_thread = Arc::clone(&pushed);
        thread::spawn(move || {
            priority::lower();
            for stream in listener.incoming().flatten() {
                let pushed = Arc::clone(&in_thread);
                // It ends when the proxy closes the connection.
                thread::spawn(move || serve(&stream, &pushed));
            }
        });
        Ok(Self { address, pushed })
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp(self.address)
    }

    /// Bytes of push messages that were accepted.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed.load(Ordering::Relaxed)
    }
}

fn serve(stream: &TcpStream, pushed: &AtomicU64) -> std::io::Result<()> {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    loop {
        let name = read_request(&mut input)?;
        if !name.eq_ignore_ascii_case(b"HELLO") {
            output.write_all(b"+OK\r\n")?;
            continue;
        }
        output.write_all(b"%1\r\n$5\r\nproto\r\n:3\r\n")?;
        let messages = PUSH.repeat(AT_ONCE);
        loop {
            let count = output.write(&messages)?;
            pushed.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

/// Reads a request; its first argument.
fn read_request(input: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut name = None;
    for _ in 0..number(input)? {
        let length = number(input)?.min(LONGEST);
        let mut argument = Vec::new();
        input.take(length + 2).read_to_end(&mut argument)?;
        argument.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        name.get_or_insert(argument);
    }
    Ok(name.unwrap_or_default())
}

/// The number in a header line.
fn number(input: &mut impl BufRead) -> std::io::Result<u64> {
    let mut line = String::new();
    input.take(64).read_line(&mut line)?;
    let digits = line.trim_end().get(1..).unwrap_or_default();
    let bad = |_| std::io::Error::other(format!("{line:?} is no header"));
    digits.parse().map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn it_answers_until_hello_and_pushes_from_then_on() {
        let pusher = Pusher::start().unwrap();
        let mut client = wire::connect(pusher.address).unwrap();
        let get = wire::request(["GET", "k"].iter());
        wire::exchange(&mut client, &get, b"+OK\r\n").unwrap();
        assert_eq!(pusher.pushed(), 0);
        let hello = wire::request(["hello", "3"].iter());
        client.write_all(&hello).unwrap();
        let expected = [b"%1\r\n$5\r\nproto\r\n:3\r\n", PUSH, PUSH].concat();
        let mut start = vec![0; expected.len()];
        client.read_exact(&mut start).unwrap();
        assert_eq!(start, expected);
    }
}
