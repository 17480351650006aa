//! What receives the messages of channels on a subscriber connection: whole frames, however they are cut.

use std::ops::Range;

use crate::flow::buffer::{Chunk, Rope};
use crate::limits::{KEEP_OUTPUT, SUBSCRIBER_UNREAD};
use crate::protocol::grammar::{BadReply, Grammar, Scan};

/// The requests for subscriptions that are to be written, and the frame that is being received.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    output: Rope,
    /// What has come of a frame that is not whole.
    partial: Vec<u8>,
    /// How many bytes of it were dropped, as it is longer than any client may get.
    dropped: usize,
}

/// A whole frame.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Where its bytes are, or their beginning if it is not whole.
    pub(crate) chunk: Chunk,
    pub(crate) range: Range<usize>,
    /// Whether all of it is there.
    pub(crate) is_whole: bool,
}

impl Listener {
    /// What is to be written.
    pub(crate) fn output(&self) -> &Rope {
        &self.output
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        // What an idle connection keeps is held for nobody.
        let output = match self.output.is_empty() {
            true => 0,
            false => self.output.footprint(),
        };
        output + self.partial.capacity()
    }

    /// Appends a request.
    pub(crate) fn ask(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.output.extend_with(write);
    }

    /// Notes that `count` bytes of the output were written.
    pub(crate) fn written(&mut self, count: usize) {
        self.output.consume_keeping(count, KEEP_OUTPUT);
    }

    /// Takes what `range` of `chunk`, which is not empty, begins with: the next frame or a part of it. Returns how many
    /// bytes that is, and the frame if it is whole now.
    ///
    /// # Errors
    ///
    /// When it is no frame.
    pub(crate) fn take<P: Grammar>(
        &mut self,
        scanner: &mut P::Scanner,
        chunk: &Chunk,
        range: Range<usize>,
    ) -> Result<(usize, Option<Frame>), BadReply> {
        let is_fresh = P::is_between_replies(scanner);
        let data = &chunk[range.clone()];
        let Scan::Complete { len, .. } = P::scan(scanner, data, None)? else {
            self.keep(data);
            return Ok((data.len(), None));
        };
        if is_fresh {
            let frame = Frame {
                chunk: chunk.clone(),
                range: range.start..range.start + len,
                is_whole: true,
            };
            return Ok((len, Some(frame)));
        }
        self.keep(&data[..len]);
        let is_whole = std::mem::take(&mut self.dropped) == 0;
        let chunk = Chunk::from(std::mem::take(&mut self.partial));
        let range = 0..chunk.len();
        let frame = Frame {
            chunk,
            range,
            is_whole,
        };
        Ok((len, Some(frame)))
    }

    fn keep(&mut self, data: &[u8]) {
        let room = SUBSCRIBER_UNREAD.saturating_sub(self.partial.len());
        let kept = data.len().min(room);
        self.partial.extend_from_slice(&data[..kept]);
        self.dropped += data.len() - kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::redis::Redis;
    use redis_proto::response::ReplyScanner;

    /// The frames in `bytes`, which come in pieces of this length.
    fn frames(bytes: &[u8], piece: usize) -> Vec<(usize, bool)> {
        let (mut listener, mut scanner) = (Listener::default(), ReplyScanner::default());
        let mut found = Vec::new();
        for part in bytes.chunks(piece) {
            let chunk: Chunk = part.into();
            let mut pos = 0;
            while pos < chunk.len() {
                let range = pos..chunk.len();
                let taken = listener.take::<Redis>(&mut scanner, &chunk, range);
                let (len, frame) = taken.expect("frames");
                pos += len;
                found.extend(frame.map(|frame| (frame.range.len(), frame.is_whole)));
            }
        }
        assert!(listener.partial.is_empty());
        found
    }

    #[test]
    fn frames_are_whole_however_they_are_cut() {
        let one = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
        let bytes = [&one[..], b"+PONG\r\n", one].concat();
        for piece in 1..bytes.len() {
            let expected = [(one.len(), true), (7, true), (one.len(), true)];
            assert_eq!(frames(&bytes, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn of_a_message_that_nobody_may_get_only_the_beginning_is_kept() {
        let body = vec![b'x'; SUBSCRIBER_UNREAD];
        let head = format!("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n${}\r\n", body.len());
        let bytes = [head.as_bytes(), &body, b"\r\n+PONG\r\n"].concat();
        let expected = [(SUBSCRIBER_UNREAD, false), (7, true)];
        assert_eq!(frames(&bytes, 1 << 20), expected);
    }
}
