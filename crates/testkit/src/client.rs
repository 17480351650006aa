//! A blocking client that reads raw bytes; it shares no code with the proxy.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::Endpoint;

/// How long a client waits for bytes before the test fails.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// One connection to a server or a proxy.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Bytes read from the socket that no caller has asked for yet.
    ahead: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When the connection is refused.
    pub fn connect(endpoint: &Endpoint) -> Client {
        Client::try_connect(endpoint)
            .unwrap_or_else(|error| panic!("cannot connect to {endpoint}: {error}"))
    }

    /// Connects, or returns the error.
    pub fn try_connect(endpoint: &Endpoint) -> std::io::Result<Client> {
        let stream = match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, TIME_LIMIT)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Endpoint::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        };
        let client = Client {
            stream,
            ahead: Vec::new(),
        };
        client.set_time_limit(TIME_LIMIT);
        Ok(client)
    }

    /// Connects to a TCP port of 127.0.0.1.
    pub fn to_port(port: u16) -> Client {
        Client::connect(&Endpoint::loopback(port))
    }

    /// The address of this end.
    ///
    /// # Panics
    ///
    /// On a unix socket.
    pub fn local_address(&self) -> String {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().expect("it is open").to_string(),
            Stream::Unix(_) => panic!("a client of a unix socket has no address"),
        }
    }

    /// Sets how long reads and writes wait (10 s by default).
    pub fn set_time_limit(&self, time_limit: Duration) {
        let set = match &self.stream {
            Stream::Tcp(s) => s
                .set_read_timeout(Some(time_limit))
                .and_then(|()| s.set_write_timeout(Some(time_limit))),
            Stream::Unix(s) => s
                .set_read_timeout(Some(time_limit))
                .and_then(|()| s.set_write_timeout(Some(time_limit))),
        };
        set.expect("time_limit is not zero");
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: &[u8]) {
        let sent = match &mut self.stream {
            Stream::Tcp(s) => s.write_all(bytes),
            Stream::Unix(s) => s.write_all(bytes),
        };
        sent.expect("the connection takes the bytes");
    }

    /// Sends one Redis command as an array of bulk strings.
    pub fn command(&mut self, arguments: &[&[u8]]) {
        let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            out.extend_from_slice(argument);
            out.extend_from_slice(b"\r\n");
        }
        self.send(&out);
    }

    /// Closes the write side (FIN); the client can still read.
    pub fn shut_write(&self) {
        let how = std::net::Shutdown::Write;
        let shut = match &self.stream {
            Stream::Tcp(s) => s.shutdown(how),
            Stream::Unix(s) => s.shutdown(how),
        };
        shut.expect("the connection is open");
    }

    /// Reads exactly `count` bytes.
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            self.fill_or_panic();
        }
        self.ahead.drain(..count).collect()
    }

    /// Reads up to and including the next line feed.
    pub fn line(&mut self) -> Vec<u8> {
        self.until(b"\n")
    }

    /// Reads up to and including the first `end`.
    pub fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|w| w == end) {
                return self.exactly(at + end.len());
            }
            self.fill_or_panic();
        }
    }

    /// Reads one whole Redis reply (RESP2 or RESP3) and returns its raw bytes.
    pub fn reply(&mut self) -> Vec<u8> {
        let mut raw = Vec::new();
        let mut to_come = 1_u64;
        while to_come > 0 {
            let line = self.line();
            to_come = to_come - 1 + children(&line);
            if let Some(length) = body_length(&line) {
                raw.extend_from_slice(&line);
                raw.extend_from_slice(&self.exactly(length + 2));
            } else {
                raw.extend_from_slice(&line);
            }
        }
        raw
    }

    /// Sends a Redis command and reads its reply, as text.
    pub fn ask(&mut self, arguments: &[&str]) -> String {
        let arguments: Vec<&[u8]> = arguments.iter().map(|a| a.as_bytes()).collect();
        self.command(&arguments);
        String::from_utf8_lossy(&self.reply()).into_owned()
    }

    /// Reads until the peer closes and returns what arrived; a reset counts as a close.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.ahead)
    }

    /// Whether nothing arrives for `quiet`.
    pub fn is_silent(&mut self, quiet: Duration) -> bool {
        if !self.ahead.is_empty() {
            return false;
        }
        self.set_time_limit(quiet);
        let mut byte = [0];
        let silent = match self.read(&mut byte) {
            Err(error) => would_wait(&error),
            Ok(count) => {
                self.ahead.extend_from_slice(&byte[..count]);
                false
            }
        };
        self.set_time_limit(TIME_LIMIT);
        silent
    }

    fn fill_or_panic(&mut self) {
        let ahead = self.ahead.len();
        assert!(
            self.fill(),
            "the peer closed; unread so far: {:?}",
            String::from_utf8_lossy(&self.ahead[..ahead.min(1000)])
        );
    }

    /// Reads what is available; false at the end of the stream.
    fn fill(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        match self.read(&mut buffer) {
            Ok(count) => {
                self.ahead.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!(
                "no answer ({error}); unread so far: {:?}",
                String::from_utf8_lossy(&self.ahead[..self.ahead.len().min(1000)])
            ),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.stream {
            Stream::Tcp(s) => s.read(buffer),
            Stream::Unix(s) => s.read(buffer),
        }
    }
}

fn would_wait(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Number of values that follow this header line of a Redis reply.
fn children(line: &[u8]) -> u64 {
    match line[0] {
        b'*' | b'~' | b'>' => number(line),
        b'%' => number(line) * 2,
        // An attribute's pairs, and then the reply that it describes.
        b'|' => number(line) * 2 + 1,
        _ => 0,
    }
}

/// Length of the body that follows this header line, without its CRLF.
fn body_length(line: &[u8]) -> Option<usize> {
    let is_bulk = matches!(line[0], b'$' | b'=' | b'!') && line[1] != b'-';
    is_bulk.then(|| usize::try_from(number(line)).expect("a test's replies fit in memory"))
}

/// The number in a header line; a null (`-1`) has no children.
fn number(line: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(&line[1..]);
    match text.trim_end() {
        "-1" => 0,
        text => text
            .parse()
            .unwrap_or_else(|_| panic!("a strange reply: {:?}", String::from_utf8_lossy(line))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A client whose peer sends `bytes` and closes.
    fn fed(bytes: &'static [u8]) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(bytes).unwrap());
        Client::connect(&Endpoint::Tcp(address))
    }

    #[test]
    fn reads_whole_replies_of_both_versions() {
        let replies: &[&'static [u8]] = &[
            b"+OK\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"$6\r\na\r\nb\r\n\r\n",
            b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
            b"%1\r\n+a\r\n_\r\n",
            b"|1\r\n+a\r\n:1\r\n#t\r\n",
        ];
        for &reply in replies {
            let both: &'static [u8] = Vec::leak([reply, b"+next\r\n"].concat());
            let mut client = fed(both);
            assert_eq!(client.reply(), reply);
            assert_eq!(client.rest(), b"+next\r\n");
        }
    }

    #[test]
    fn silence_is_noticed_and_so_is_noise() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::connect(&Endpoint::Tcp(listener.local_addr().unwrap()));
        let (mut peer, _) = listener.accept().unwrap();
        assert!(client.is_silent(Duration::from_millis(20)));
        peer.write_all(b"x\n").unwrap();
        assert!(!client.is_silent(Duration::from_secs(5)));
        assert_eq!(client.line(), b"x\n");
    }
}
