//! Last words: one message to a peer that is then left, without a slow one holding up anybody.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Registry, Token};
use slab::Slab;

use super::stream::{ByteStream, Stream};

/// How long a peer may take to read its message and to close.
const PATIENCE: Duration = Duration::from_secs(5);

/// Peers that may be taking leave at a time; the one that has been at it longest makes room.
const MAX_LEAVING: usize = 64;

/// Reads per wake-up that discard what the peer still sends.
const DISCARDS: usize = 16;

/// Connections that are sent a message, told that it was all, and closed once they close too.
///
/// Closing at once would be shorter, but a socket that is closed with unread input is reset, and
/// the reset can overtake the message.
#[derive(Debug, Default)]
pub(crate) struct Farewells {
    leaving: Slab<Leaving>,
    /// In order of their deadlines. Some have left already, and another may have their place.
    deadlines: VecDeque<(Instant, usize)>,
}

#[derive(Debug)]
struct Leaving {
    stream: Stream,
    message: Arc<[u8]>,
    written: usize,
    deadline: Instant,
}

impl Farewells {
    /// Sends `message` on `stream` and leaves. Tokens from `first` upwards must be the caller's to give.
    pub(crate) fn send(
        &mut self,
        mut stream: Stream,
        message: Arc<[u8]>,
        registry: &Registry,
        first: usize,
        now: Instant,
    ) -> io::Result<()> {
        self.make_room();
        let entry = self.leaving.vacant_entry();
        let key = entry.key();
        stream.register(registry, Token(first + key))?;
        let deadline = now + PATIENCE;
        entry.insert(Leaving {
            stream,
            message,
            written: 0,
            deadline,
        });
        self.deadlines.push_back((deadline, key));
        self.handle_ready(key);
        Ok(())
    }

    /// The peer with `key` (token less `first`) is ready for something.
    pub(crate) fn handle_ready(&mut self, key: usize) {
        let Some(leaving) = self.leaving.get_mut(key) else {
            return;
        };
        // Both an error and the peer's end mean that nothing is left to wait for.
        if leaving.advance().unwrap_or(true) {
            self.leaving.remove(key);
        }
    }

    /// Drops those whose time is over.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(deadline, key)) = self.deadlines.front()
            && deadline <= now
        {
            self.deadlines.pop_front();
            self.drop_if_due(key, deadline);
        }
    }

    /// When [`Farewells::handle_timeout`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|&(deadline, _)| deadline)
    }

    fn make_room(&mut self) {
        while self.leaving.len() >= MAX_LEAVING || self.deadlines.len() >= 2 * MAX_LEAVING {
            let Some((deadline, key)) = self.deadlines.pop_front() else {
                return;
            };
            self.drop_if_due(key, deadline);
        }
    }

    fn drop_if_due(&mut self, key: usize, deadline: Instant) {
        if let Some(leaving) = self.leaving.get_mut(key)
            && leaving.deadline == deadline
        {
            // What has arrived since the last event is read, so that closing is no reset. It is
            // dropped either way.
            let _ = leaving.advance();
            self.leaving.remove(key);
        }
    }
}

impl Leaving {
    /// Writes and discards what can be now; `true` when the peer has closed too.
    fn advance(&mut self) -> io::Result<bool> {
        while self.written < self.message.len() {
            let rest = IoSlice::new(&self.message[self.written..]);
            match self.stream.write_vectored(&[rest]) {
                Ok(0) => return Ok(true),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.discard(),
                Err(error) => return Err(error),
            }
            if self.written == self.message.len() {
                self.stream.shut_write();
            }
        }
        self.discard()
    }

    /// Reads and forgets. A peer that sends without end keeps its socket until the deadline, and
    /// costs nothing meanwhile: past the bound its bytes stay where they are.
    fn discard(&mut self) -> io::Result<bool> {
        let mut nowhere = [0; 4096];
        for _ in 0..DISCARDS {
            match self.stream.read(&mut nowhere) {
                Ok(0) => return Ok(self.written == self.message.len()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use mio::Poll;

    use super::*;

    /// Closing with unread input would be a reset.
    #[test]
    fn what_arrived_before_the_deadline_is_read_before_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = Stream::Tcp(mio::net::TcpStream::from_std(stream));
        let (poll, now) = (Poll::new().unwrap(), Instant::now());
        let mut farewells = Farewells::default();
        let message = Arc::from(b"that is all".as_slice());
        farewells
            .send(stream, message, poll.registry(), 0, now)
            .unwrap();
        // Its event is never handled.
        peer.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(farewells.next_deadline(), Some(now + PATIENCE));
        farewells.handle_timeout(now + PATIENCE);
        assert!(farewells.leaving.is_empty());
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "that is all");
        let reset = peer.take_error().unwrap();
        assert!(reset.is_none(), "{reset:?}");
    }
}
