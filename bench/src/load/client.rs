//! One connection of the load generator.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::pattern::Keyspace;
use super::protocol::Protocol;
use super::replies::{Reader, Step, Verdict};
use super::traffic::{Request, Traffic};

/// A connected client with its requests.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    /// Requests that wait for replies, the oldest first.
    pending: VecDeque<Request>,
    reader: Reader,
    out: Vec<u8>,
    sent: usize,
    /// The start of an incomplete reply.
    tail: Vec<u8>,
    /// Length that the incomplete reply must reach before it is parsed again.
    needs: usize,
    /// The connection has ended or its replies cannot be parsed.
    is_dead: bool,
    /// Something arrived that was not a reply, or that nobody had asked for.
    is_garbled: bool,
}

impl Client {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            pending: VecDeque::new(),
            reader: Reader::default(),
            out: Vec::new(),
            sent: 0,
            tail: Vec::new(),
            needs: 0,
            is_dead: false,
            is_garbled: false,
        }
    }

    /// Requests that wait for replies.
    pub(super) fn outstanding(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead
    }

    pub(super) fn is_garbled(&self) -> bool {
        self.is_garbled
    }

    /// Adds the next request to the output.
    pub(super) fn ask(&mut self, traffic: &mut Traffic, since: u64) {
        let request = traffic.push_next(&mut self.out, since);
        self.pending.push_back(request);
    }

    /// Sends as much as the socket takes.
    pub(super) fn flush(&mut self) {
        while self.sent < self.out.len() && !self.is_dead {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.is_dead = true,
            }
        }
        self.out.clear();
        self.sent = 0;
    }

    /// Reads and checks everything that has arrived. `buffer` is shared by all clients; `note` is called for
    /// each answered request. `has_ended` says that the end of the stream is known to follow the data, so
    /// that a short read is not the last one.
    pub(super) fn read(
        &mut self,
        has_ended: bool,
        protocol: Protocol,
        keys: &Keyspace,
        buffer: &mut [u8],
        note: &mut impl FnMut(Request, Verdict),
    ) {
        while !self.is_dead {
            match self.stream.read(buffer) {
                Ok(0) => self.is_dead = true,
                Ok(count) => {
                    self.take(protocol, keys, &buffer[..count], note);
                    if count < buffer.len() && !has_ended {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.is_dead = true,
            }
        }
    }

    fn take(
        &mut self,
        protocol: Protocol,
        keys: &Keyspace,
        fresh: &[u8],
        note: &mut impl FnMut(Request, Verdict),
    ) {
        if self.tail.is_empty() {
            let taken = self.judge(protocol, keys, fresh, note);
            self.tail.extend_from_slice(&fresh[taken..]);
            return;
        }
        self.tail.extend_from_slice(fresh);
        if self.tail.len() >= self.needs {
            let mut tail = std::mem::take(&mut self.tail);
            let taken = self.judge(protocol, keys, &tail, note);
            tail.drain(..taken);
            if !tail.is_empty() {
                self.tail = tail;
            }
        }
    }

    /// Checks the replies in `input`; returns the length of those that are done.
    fn judge(
        &mut self,
        protocol: Protocol,
        keys: &Keyspace,
        input: &[u8],
        note: &mut impl FnMut(Request, Verdict),
    ) -> usize {
        let mut taken = 0;
        while taken < input.len() {
            let rest = &input[taken..];
            match self.reader.step(protocol, keys, rest, &self.pending) {
                Step::Took(count) => taken += count,
                Step::Ends(count, verdict) => {
                    taken += count;
                    if let Some(request) = self.pending.pop_front() {
                        note(request, verdict);
                    }
                }
                Step::Needs(count) => {
                    self.needs = count;
                    return taken;
                }
                Step::Garbage => {
                    // What follows cannot be parsed.
                    self.is_garbled = true;
                    self.is_dead = true;
                    return input.len();
                }
            }
        }
        taken
    }
}
