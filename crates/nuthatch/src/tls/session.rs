//! One TLS connection over a non-blocking socket: what is encrypted and decrypted, and in what order.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use rustls::Connection;

/// Bytes read from the socket at a time: a whole record (16 KiB and its frame), so that a full one takes one system call.
const READ_SIZE: usize = (16 << 10) + 256;

/// Maximum bytes of records that the socket has not taken. More is not encrypted before these are sent.
const MAX_UNSENT: usize = 64 << 10;

/// Decrypted bytes that wait to be read, from which on no more is decrypted. rustls refuses to take more than that.
const MAX_PLAIN: usize = 16 << 10;

/// The first byte of a record of a handshake, and of an alert. No request and no reply of Redis or memcached begins so.
const HANDSHAKE_RECORD: u8 = 0x16;
const ALERT_RECORD: u8 = 0x15;

/// The socket below.
pub(crate) trait Raw {
    /// Reads once; 0 is the end.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes once.
    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends the write side.
    fn shut(&self);
}

/// What the socket's edges and reads have told.
#[derive(Debug, Default)]
struct Below {
    /// Nothing is there before the next edge.
    is_drained: bool,
    /// The peer's end was read.
    has_ended: bool,
    /// The peer's end was reported, so that it may follow what is read.
    end_reported: bool,
}

/// A TLS connection, of a client that was accepted or to a server.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    below: Below,
    /// Records that were read and are to be decrypted. Empty nearly always.
    held: Vec<u8>,
    peer: Peer,
    /// Whether anything was read.
    has_begun: bool,
    /// Why the connection is broken.
    failure: Option<io::Error>,
    /// The write side is to end when everything is sent.
    end_follows: bool,
}

/// The other side.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    /// A client. One that does not speak TLS is sent this, as it would not understand an alert.
    Client(&'static [u8]),
    /// A server.
    Server,
}

/// What came of a step of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It goes on at a later edge, or has failed.
    Unfinished,
    /// It has just been completed.
    Completed,
    /// It was over before.
    Over,
}

impl Session {
    /// A connection that begins with a handshake.
    pub(crate) fn new(connection: impl Into<Connection>, peer: Peer) -> Self {
        let mut connection = connection.into();
        connection.set_buffer_limit(Some(MAX_UNSENT));
        Self {
            connection,
            below: Below::default(),
            held: Vec::new(),
            peer,
            has_begun: false,
            failure: None,
            end_follows: false,
        }
    }

    /// The socket was reported as readable, or as ended.
    pub(crate) fn note_readable(&mut self, is_end: bool) {
        self.below.is_drained = false;
        self.below.end_reported |= is_end;
    }

    /// Whether nothing but the handshake can be read or written yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether this is a client that has not said a word.
    pub(crate) fn is_untouched(&self) -> bool {
        matches!(self.peer, Peer::Client(_)) && !self.has_begun
    }

    /// Why the connection is broken, if it is. It is told once.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Whether the connection is broken, which the next call tells.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Goes on with the handshake, and sends what is unsent.
    pub(crate) fn advance(&mut self, raw: &impl Raw) -> Step {
        let was_handshaking = self.is_handshaking();
        let result = match was_handshaking {
            true => self.shake_hands(raw),
            false => self.flush(raw),
        };
        if let Err(error) = result {
            self.failure = Some(error);
            return Step::Unfinished;
        }
        match (was_handshaking, self.is_handshaking()) {
            (_, true) => Step::Unfinished,
            (true, false) => Step::Completed,
            (false, false) => Step::Over,
        }
    }

    fn shake_hands(&mut self, raw: &impl Raw) -> io::Result<()> {
        let mut buffer = [0; READ_SIZE];
        while self.is_handshaking() {
            self.flush(raw)?;
            if !self.decrypt_held(raw)? && !self.receive(raw, &mut buffer)? {
                return match (self.below.has_ended, self.has_begun) {
                    (false, _) => Ok(()),
                    (true, false) if matches!(self.peer, Peer::Client(_)) => {
                        Err(ErrorKind::UnexpectedEof.into())
                    }
                    (true, _) => Err(ErrorKind::ConnectionReset.into()),
                };
            }
        }
        self.flush(raw)
    }

    /// Reads decrypted bytes into `buffer`. Returns how many, 0 at the end, and whether nothing is left before the next
    /// readable edge.
    pub(crate) fn read(&mut self, raw: &impl Raw, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        if self.is_handshaking() {
            return Err(self.failure.take().unwrap_or(ErrorKind::WouldBlock.into()));
        }
        loop {
            match self.connection.reader().read(buffer) {
                Ok(count) => return Ok((count, self.is_drained(buffer.len() - count))),
                // Many peers close without a word. That a reply is cut off is seen by its own framing.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok((0, true)),
                Err(_) => {}
            }
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            let more = self.decrypt_held(raw);
            let more = more.and_then(|more| Ok(more || self.receive(raw, buffer)?));
            match more {
                Ok(true) => {}
                Ok(false) => return Err(ErrorKind::WouldBlock.into()),
                // What was decrypted before is read first.
                Err(error) => self.failure = Some(error),
            }
        }
    }

    /// Whether nothing is left when a read has left so much of its buffer free.
    fn is_drained(&self, free: usize) -> bool {
        free > 0 && self.below.is_drained && self.held.is_empty() && self.failure.is_none()
    }

    /// Reads from the socket and decrypts; `buffer` is scratch space. Returns whether anything came, the end included.
    fn receive(&mut self, raw: &impl Raw, buffer: &mut [u8]) -> io::Result<bool> {
        if self.below.is_drained || self.below.has_ended {
            return Ok(false);
        }
        let most = buffer.len().min(READ_SIZE);
        let count = loop {
            match raw.receive(&mut buffer[..most]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.below.is_drained = true;
                    return Ok(false);
                }
                received => break received?,
            }
        };
        self.below.is_drained = count < most && !self.below.end_reported;
        if count == 0 {
            self.below.has_ended = true;
            // This is how the connection is told.
            return self.connection.read_tls(&mut io::empty()).map(|_| true);
        }
        self.check_beginning(raw, buffer[0])?;
        let taken = self.decrypt(raw, &buffer[..count])?;
        self.held.extend_from_slice(&buffer[taken..count]);
        Ok(true)
    }

    /// The peer may not speak TLS at all.
    fn check_beginning(&mut self, raw: &impl Raw, first: u8) -> io::Result<()> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if !is_first || [HANDSHAKE_RECORD, ALERT_RECORD].contains(&first) {
            return Ok(());
        }
        let text = match self.peer {
            Peer::Client(refusal) => {
                // It is the first that is sent, so there is room for it.
                let _ = raw.send(&[IoSlice::new(refusal)]);
                "the client does not speak TLS"
            }
            Peer::Server => "the server does not speak TLS",
        };
        Err(io::Error::new(ErrorKind::InvalidData, text))
    }

    /// Goes on with what is held; returns whether anything was.
    fn decrypt_held(&mut self, raw: &impl Raw) -> io::Result<bool> {
        if self.held.is_empty() {
            return Ok(false);
        }
        let held = std::mem::take(&mut self.held);
        let taken = self.decrypt(raw, &held)?;
        self.held.extend_from_slice(&held[taken..]);
        Ok(taken > 0)
    }

    /// Decrypts `records`, or as many of them as there is room for; returns how many bytes were taken.
    fn decrypt(&mut self, raw: &impl Raw, records: &[u8]) -> io::Result<usize> {
        let mut rest = records;
        while !rest.is_empty() {
            if self.connection.read_tls(&mut rest)? == 0 {
                // The peer has ended TLS: what follows is not part of it.
                return Ok(records.len());
            }
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // The peer is told why, if it can be.
                    let _ = self.flush(raw);
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            };
            if state.plaintext_bytes_to_read() >= MAX_PLAIN {
                break;
            }
        }
        // It may have answered by itself, such as to a change of keys.
        self.flush(raw)?;
        Ok(records.len() - rest.len())
    }

    /// Encrypts the beginning of `slices`, and sends as much as the socket takes. Returns how many bytes were encrypted.
    pub(crate) fn write(&mut self, raw: &impl Raw, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        if self.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.flush(raw)?;
        if self.has_unsent() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = self.connection.writer().write_vectored(slices)?;
        self.flush(raw)?;
        Ok(count)
    }

    /// Whether there are records that the socket has not taken.
    pub(crate) fn has_unsent(&self) -> bool {
        self.connection.wants_write()
    }

    /// Sends records as long as the socket takes them.
    fn flush(&mut self, raw: &impl Raw) -> io::Result<()> {
        while self.has_unsent() {
            match self.connection.write_tls(&mut Records(raw)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.end_follows) {
            raw.shut();
        }
        Ok(())
    }

    /// Tells the peer that nothing more comes, after everything that is unsent.
    pub(crate) fn shut_write(&mut self, raw: &impl Raw) {
        self.connection.send_close_notify();
        self.end_follows = true;
        if let Err(error) = self.flush(raw) {
            self.failure = Some(error);
        }
    }
}

/// The socket, as what records are written to.
struct Records<'r, R>(&'r R);

impl<R: Raw> Write for Records<'_, R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
