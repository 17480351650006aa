//! The connection between the two processes: messages, each a line of JSON after its length, and sockets.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::message::Message;

/// Longest message, in bytes: the health of 100,000 ejected servers is shorter.
const LONGEST: u32 = 64 << 20;

/// How long a message may take to be written: the other process only reads at these moments.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Sockets that are sent together; Linux allows 253.
const TOGETHER: usize = 64;

/// Space for the descriptors of one batch.
const SPACE: usize = cmsg_space!(ScmRights(TOGETHER));

/// What carries a batch of sockets: they need at least a byte.
const CARRIER: [u8; 1] = [b's'];

/// One end of the connection.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

impl Channel {
    /// Uses a connected socket.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(WRITE_LIMIT))?;
        Ok(Self(stream))
    }

    /// Sends a message.
    pub(super) fn send(&mut self, message: &Message) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let length = u32::try_from(text.len()).ok().filter(|it| *it <= LONGEST);
        let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
        self.0.write_all(&length.to_be_bytes())?;
        self.0.write_all(&text)
    }

    /// The next message; one of a later version is skipped.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the other process has closed, `TimedOut` when it says nothing for so long (for ever if `None`).
    pub(super) fn receive(&mut self, time_limit: Option<Duration>) -> io::Result<Message> {
        let until = time_limit.map(|limit| Instant::now() + limit);
        loop {
            let mut length = [0; 4];
            self.read(&mut length, until)?;
            let length = u32::from_be_bytes(length);
            if length > LONGEST {
                return Err(ErrorKind::InvalidData.into());
            }
            let mut text = vec![0; length as usize];
            self.read(&mut text, until)?;
            match serde_json::from_slice(&text)? {
                Message::Unknown => {}
                message => return Ok(message),
            }
        }
    }

    fn read(&mut self, mut into: &mut [u8], until: Option<Instant>) -> io::Result<()> {
        while !into.is_empty() {
            if let Some(until) = until {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ErrorKind::TimedOut.into());
                }
                self.0.set_read_timeout(Some(left))?;
            } else {
                self.0.set_read_timeout(None)?;
            }
            match self.0.read(into) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => into = &mut into[count..],
                // It is looked at how much time is left.
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends sockets.
    pub(super) fn send_sockets(&mut self, sockets: &[OwnedFd]) -> io::Result<()> {
        for batch in sockets.chunks(TOGETHER) {
            let borrowed: Vec<_> = batch.iter().map(AsFd::as_fd).collect();
            let mut space = [MaybeUninit::uninit(); SPACE];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
                return Err(io::Error::other("there is no room for the sockets"));
            }
            let carrier = [IoSlice::new(&CARRIER)];
            sendmsg(&self.0, &carrier, &mut control, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    /// Receives so many sockets.
    pub(super) fn receive_sockets(&mut self, count: usize) -> io::Result<Vec<OwnedFd>> {
        self.0.set_read_timeout(Some(WRITE_LIMIT))?;
        let mut sockets = Vec::new();
        while sockets.len() < count {
            let before = sockets.len();
            let mut carrier = [0];
            let mut space = [MaybeUninit::uninit(); SPACE];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let into = &mut [IoSliceMut::new(&mut carrier)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            recvmsg(&self.0, into, &mut control, flags)?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    sockets.extend(received);
                }
            }
            if sockets.len() == before {
                let message =
                    "the sockets did not arrive; the limit of open descriptors may be too low";
                return Err(io::Error::other(message));
            }
        }
        Ok(sockets)
    }
}
