//! Lingering close: sends a peer one last message and closes the connection once the peer has closed its side.
//! It never blocks, so a slow peer delays nobody.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Registry, Token};
use slab::Slab;

use super::stream::{ByteStream, Readiness, Received, Stream};

/// How long a peer may take to read its message and to close.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Connections that may linger at a time; beyond that the oldest one is closed at once. They take descriptors of the
/// reserve (`descriptors.rs`), of which servers must always find one.
const MAX_LINGERING: usize = 8;

/// Reads per edge that discard what the peer still sends.
const DISCARDS: usize = 16;

/// Connections that were sent a last message and the end of the stream, and wait for the peer to close.
///
/// They are not closed at once because closing a socket with unread input sends a reset, and the reset can
/// destroy the message before the peer reads it.
#[derive(Debug, Default)]
pub(crate) struct LingeringCloses {
    connections: Slab<Lingering>,
    /// Deadline and key, the earliest first. An entry may be stale: its connection is closed, and the key may
    /// belong to another one.
    deadlines: VecDeque<(Instant, usize)>,
}

#[derive(Debug)]
struct Lingering {
    stream: Stream,
    message: Arc<[u8]>,
    written: usize,
    deadline: Instant,
}

impl LingeringCloses {
    /// Sends `message` on `stream`, then closes it. The streams are registered with the tokens from `first`
    /// upwards, which nothing else may use.
    pub(crate) fn send_and_close(
        &mut self,
        mut stream: Stream,
        message: Arc<[u8]>,
        registry: &Registry,
        first: usize,
        now: Instant,
    ) -> io::Result<()> {
        self.make_room();
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        stream.register(registry, Token(first + key))?;
        let deadline = now + TIME_LIMIT;
        entry.insert(Lingering {
            stream,
            message,
            written: 0,
            deadline,
        });
        self.deadlines.push_back((deadline, key));
        self.advance(key);
        Ok(())
    }

    /// The poll has reported `ready` for the connection with `key` (its token minus `first`).
    pub(crate) fn handle_ready(&mut self, key: usize, ready: Readiness) {
        if let Some(lingering) = self.connections.get_mut(key) {
            lingering.stream.handle_edge(ready);
            self.advance(key);
        }
    }

    fn advance(&mut self, key: usize) {
        let Some(lingering) = self.connections.get_mut(key) else {
            return;
        };
        // After an error or the peer's end there is nothing left to wait for.
        if lingering.advance().unwrap_or(true) {
            self.connections.remove(key);
        }
    }

    /// Closes those whose deadline has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(deadline, key)) = self.deadlines.front()
            && deadline <= now
        {
            self.deadlines.pop_front();
            self.drop_if_due(key, deadline);
        }
    }

    /// When [`LingeringCloses::handle_timeout`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|&(deadline, _)| deadline)
    }

    fn make_room(&mut self) {
        while self.connections.len() >= MAX_LINGERING || self.deadlines.len() >= 2 * MAX_LINGERING {
            let Some((deadline, key)) = self.deadlines.pop_front() else {
                return;
            };
            self.drop_if_due(key, deadline);
        }
    }

    fn drop_if_due(&mut self, key: usize, deadline: Instant) {
        if let Some(lingering) = self.connections.get_mut(key)
            && lingering.deadline == deadline
        {
            // Reads what has arrived since the last event, so that closing does not send a reset. The
            // result does not matter: the connection is closed either way.
            let _ = lingering.advance();
            self.connections.remove(key);
        }
    }
}

impl Lingering {
    /// Writes and discards as much as possible now; `true` once the peer has closed its side.
    fn advance(&mut self) -> io::Result<bool> {
        while self.written < self.message.len() {
            let rest = IoSlice::new(&self.message[self.written..]);
            match self.stream.write_vectored(&[rest]) {
                Ok(0) => return Ok(true),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if self.written == self.message.len() {
                self.stream.shut_write();
            }
        }
        self.discard()
    }

    /// Reads and discards, up to a bound per edge: a peer that sends without end costs nothing more until the
    /// deadline.
    fn discard(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        for _ in 0..DISCARDS {
            match self.stream.read(&mut buffer) {
                Ok(Received::End) => return Ok(self.is_sent()),
                Ok(Received::Bytes { drained: true, .. }) => return Ok(false),
                Ok(Received::Bytes { .. }) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn is_sent(&self) -> bool {
        self.written == self.message.len() && !self.stream.has_unsent()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use mio::Poll;

    use super::*;

    /// Closing with unread input would send a reset.
    #[test]
    fn what_arrived_before_the_deadline_is_read_before_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = Stream::from(mio::net::TcpStream::from_std(stream));
        let (poll, now) = (Poll::new().unwrap(), Instant::now());
        let mut closes = LingeringCloses::default();
        let message = Arc::from(b"that is all".as_slice());
        closes
            .send_and_close(stream, message, poll.registry(), 0, now)
            .unwrap();
        // Its event is never handled.
        peer.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(closes.next_deadline(), Some(now + TIME_LIMIT));
        closes.handle_timeout(now + TIME_LIMIT);
        assert!(closes.connections.is_empty());
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "that is all");
        let reset = peer.take_error().unwrap();
        assert!(reset.is_none(), "{reset:?}");
    }
}
