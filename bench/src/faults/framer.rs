//! Finds the ends of a server's replies, so that a relay can insert garbage exactly between two of them.
//!
//! It only supports correct servers, and the replies to the commands that are sent here.

use memchr::memchr;

use super::lines::number;
use crate::load::Protocol;

/// Follows a stream of replies.
#[derive(Debug)]
pub(super) struct Framer {
    protocol: Protocol,
    /// The start of an incomplete line.
    line: Vec<u8>,
    /// Bytes left of a value, including its line end.
    value: usize,
    /// Values left of a Redis array.
    children: usize,
    /// Whether a memcached reply has begun.
    is_open: bool,
}

impl Framer {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            line: Vec::new(),
            value: 0,
            children: 0,
            is_open: false,
        }
    }

    /// Whether everything it was given so far are whole replies.
    pub(super) fn is_between(&self) -> bool {
        self.line.is_empty() && self.value == 0 && self.children == 0 && !self.is_open
    }

    /// Follows all of `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[self.step(rest)..];
        }
    }

    /// Follows `bytes` up to the first end of a reply and returns the length up to there; all of them if no
    /// reply ends there.
    pub(super) fn feed_to_end(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_between() {
            taken += self.step(&bytes[taken..]);
        }
        taken
    }

    /// Consumes a value or a line, or the available part of it.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.value > 0 {
            let taken = self.value.min(bytes.len());
            self.value -= taken;
            return taken;
        }
        let end = memchr(b'\n', bytes).map(|at| at + 1);
        let taken = end.unwrap_or(bytes.len());
        self.line.extend_from_slice(&bytes[..taken]);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            match self.protocol {
                Protocol::Redis => self.redis_line(line.trim_ascii_end()),
                Protocol::Memcached => self.memcached_line(line.trim_ascii_end()),
            }
        }
        taken
    }

    fn redis_line(&mut self, line: &[u8]) {
        self.children = self.children.saturating_sub(1);
        match line.split_first() {
            Some((b'*', digits)) => self.children += number(digits).unwrap_or(0),
            Some((b'%', digits)) => self.children += 2 * number(digits).unwrap_or(0),
            Some((b'$', digits)) => self.value = number(digits).map_or(0, |length| length + 2),
            _ => {}
        }
    }

    fn memcached_line(&mut self, line: &[u8]) {
        self.is_open = line.starts_with(b"VALUE ");
        if self.is_open {
            let digits = line.split(|&byte| byte == b' ').nth(3);
            self.value = digits.and_then(number).map_or(0, |length| length + 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(protocol: Protocol, replies: &[&str]) {
        let stream = replies.concat();
        let mut expected = Vec::new();
        let mut at = 0;
        for reply in replies {
            at += reply.len();
            expected.push(at);
        }
        // Byte by byte.
        let mut framer = Framer::new(protocol);
        let mut found = Vec::new();
        for (at, byte) in stream.bytes().enumerate() {
            framer.feed(&[byte]);
            if framer.is_between() {
                found.push(at + 1);
            }
        }
        assert_eq!(found, expected);
        // From every cut to the next end.
        for cut in 1..stream.len() {
            let mut framer = Framer::new(protocol);
            framer.feed(&stream.as_bytes()[..cut]);
            let end = cut + framer.feed_to_end(&stream.as_bytes()[cut..]);
            assert_eq!(Some(&end), expected.iter().find(|&&end| end >= cut));
        }
    }

    #[test]
    fn replies_end_where_they_end() {
        ends(
            Protocol::Redis,
            &[
                "+OK\r\n",
                "$-1\r\n",
                "$6\r\n+OK\r\n\n\r\n",
                "*3\r\n$1\r\na\r\n$-1\r\n$0\r\n\r\n",
                ":1\r\n",
                "%1\r\n$1\r\na\r\n*0\r\n",
                "-ERR x\r\n",
            ],
        );
        ends(
            Protocol::Memcached,
            &[
                "STORED\r\n",
                "END\r\n",
                "VALUE k 0 5\r\nEND\r\n\r\nVALUE l 0 0\r\n\r\nEND\r\n",
                "SERVER_ERROR x\r\n",
            ],
        );
    }
}
