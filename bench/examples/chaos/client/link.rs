//! A connection to the proxy that neither blocks nor waits without limit.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_linger;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

const BUFFER_BYTES: usize = 64 << 10;

/// How a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order.
    Eof,
    Reset,
    /// With another error.
    Broken,
}

#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    /// What is to be sent.
    pub(super) out: Vec<u8>,
    sent: usize,
    /// What was received and is not complete.
    pub(super) input: Vec<u8>,
    has_news: bool,
    /// Most bytes that are sent at once.
    pub(super) most_at_once: usize,
    /// Whether the proxy takes no more.
    is_deaf: bool,
}

impl Link {
    pub(super) fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            out: Vec::new(),
            sent: 0,
            input: Vec::new(),
            has_news: false,
            most_at_once: usize::MAX,
            is_deaf: false,
        })
    }

    /// Whether something was received since the last call.
    pub(super) fn has_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Whether everything was sent.
    pub(super) fn is_flushed(&self) -> bool {
        self.sent == self.out.len()
    }

    /// Drops what was not sent yet, but for this part of it.
    pub(super) fn cut_output(&mut self, kept: usize) {
        self.out.truncate(self.sent + kept);
    }

    /// Bytes that were not sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Sends nothing more; replies can still be read.
    pub(super) fn half_close(&self) {
        // If the connection has ended, the next read says so.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Makes closing send a reset.
    pub(super) fn reset_at_close(&self) {
        // Otherwise it is closed in order, which is as abrupt if there are unread replies.
        let _ = set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// Waits for a moment and moves what can be moved. Returns how the connection has ended, if so.
    pub(super) fn exchange(&mut self, reads: bool, wait: Duration) -> Option<End> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, reads);
        flags.set(PollFlags::OUT, !self.is_flushed() && !self.is_deaf);
        if flags.is_empty() {
            // An end would be reported all the time.
            std::thread::sleep(wait);
            return None;
        }
        let mut fds = [PollFd::new(&self.stream, flags)];
        let wait = Timespec::try_from(wait).ok();
        if !matches!(poll(&mut fds, wait.as_ref()), Ok(1..)) {
            return None;
        }
        self.write();
        match reads {
            true => self.read(),
            false => None,
        }
    }

    /// Sends what it can.
    pub(super) fn write(&mut self) {
        while self.sent < self.out.len() && !self.is_deaf {
            let end = self
                .out
                .len()
                .min(self.sent.saturating_add(self.most_at_once));
            match self.stream.write(&self.out[self.sent..end]) {
                Ok(count) => {
                    self.sent += count;
                    if self.most_at_once < usize::MAX {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // What was sent before the connection ended can still be read.
                Err(_) => self.is_deaf = true,
            }
        }
        if self.is_flushed() {
            self.out.clear();
            self.sent = 0;
        }
    }

    fn read(&mut self) -> Option<End> {
        let mut buffer = [0; BUFFER_BYTES];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Some(End::Eof),
                Ok(count) => {
                    self.input.extend_from_slice(&buffer[..count]);
                    self.has_news = true;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => return None,
                    ErrorKind::ConnectionReset => return Some(End::Reset),
                    _ => return Some(End::Broken),
                },
            }
        }
    }
}
