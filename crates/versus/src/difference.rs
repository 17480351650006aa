//! A difference between two replies, with questions that excuses ask about it.

use crate::memcached;
use crate::protocol::Protocol;

/// Two replies that differ.
pub(crate) struct Difference<'a> {
    pub(crate) protocol: Protocol,
    /// Everything that the client sent.
    pub(crate) sent: &'a [u8],
    /// How many replies there were before.
    pub(crate) number: usize,
    /// The words of the request, if they could be determined.
    pub(crate) words: &'a [Vec<u8>],
    /// The direct reply; empty if the connection was closed instead.
    pub(crate) direct: &'a [u8],
    pub(crate) through: &'a [u8],
    /// The reply through the core before this one.
    pub(crate) before: &'a [u8],
}

impl Difference<'_> {
    /// The command, in lower case.
    pub(crate) fn name(&self) -> String {
        let name = self.words.first().map_or(&b""[..], Vec::as_slice);
        String::from_utf8_lossy(name).to_lowercase()
    }

    /// Whether the command begins with this byte.
    pub(crate) fn name_starts_with(&self, byte: u8) -> bool {
        let first = self.words.first().and_then(|name| name.first());
        first == Some(&byte)
    }

    /// Whether the reply through the core begins with `text`.
    pub(crate) fn we_say(&self, start: &str) -> bool {
        self.through.starts_with(start.as_bytes())
    }

    /// Whether the direct reply begins with `text`.
    pub(crate) fn they_say(&self, start: &str) -> bool {
        self.direct.starts_with(start.as_bytes())
    }

    /// Whether both replies begin with one of these texts.
    pub(crate) fn both_begin(&self, starts: &[&str]) -> bool {
        starts
            .iter()
            .any(|start| self.they_say(start) && self.we_say(start))
    }

    /// Whether both are errors.
    pub(crate) fn both_fail(&self) -> bool {
        self.they_fail() && self.errors().iter().any(|error| self.we_say(error))
    }

    /// Whether the direct reply is an error.
    pub(crate) fn they_fail(&self) -> bool {
        self.errors().iter().any(|error| self.they_say(error))
    }

    /// Whether the reply before was an error.
    pub(crate) fn we_failed_before(&self) -> bool {
        let begins = |error: &&str| self.before.starts_with(error.as_bytes());
        self.errors().iter().any(begins)
    }

    fn errors(&self) -> &'static [&'static str] {
        match self.protocol {
            Protocol::Redis => &["-"],
            Protocol::Memcached => memcached::ERRORS,
        }
    }

    /// Whether there is a CR without its LF.
    pub(crate) fn sent_lone_cr(&self) -> bool {
        self.sent
            .windows(2)
            .any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
    }
}
