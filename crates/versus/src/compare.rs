//! Whether the replies are the same, and where they first differ if not.

use std::collections::BTreeSet;

use crate::excuses::{self, Then};
use crate::script::short;
use crate::{Protocol, memcached, redis};

/// Two answers that differ.
pub(crate) struct Difference<'a> {
    pub(crate) protocol: Protocol,
    /// All that the client sent.
    pub(crate) sent: &'a [u8],
    /// The words of the request, where they can be told.
    pub(crate) words: &'a [Vec<u8>],
    /// The reply to it; nothing when the connection was closed instead.
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

    /// How the reply through the core begins.
    pub(crate) fn we_say(&self, start: &str) -> bool {
        self.through.starts_with(start.as_bytes())
    }

    /// How the server's own reply begins.
    pub(crate) fn they_say(&self, start: &str) -> bool {
        self.direct.starts_with(start.as_bytes())
    }

    /// Whether both replies begin in one of these ways.
    pub(crate) fn both_begin(&self, starts: &[&str]) -> bool {
        starts
            .iter()
            .any(|start| self.they_say(start) && self.we_say(start))
    }

    /// Whether both are errors.
    pub(crate) fn both_fail(&self) -> bool {
        self.they_fail() && self.errors().iter().any(|error| self.we_say(error))
    }

    /// Whether the server's own reply is an error.
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

    /// Whether somewhere a CR stands without its LF.
    pub(crate) fn sent_lone_cr(&self) -> bool {
        self.sent
            .windows(2)
            .any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
    }
}

/// Compares all that was said, reply by reply; returns the excuses that were needed.
///
/// # Errors
/// The first difference that nothing excuses.
pub(crate) fn compare(
    protocol: Protocol,
    sent: &[u8],
    direct: &[u8],
    through: &[u8],
) -> Result<BTreeSet<&'static str>, String> {
    let mut used = BTreeSet::new();
    let requests = match protocol {
        Protocol::Redis => redis::requests(sent),
        Protocol::Memcached => memcached::requests(sent),
    };
    let (mut direct, mut through) = (direct, through);
    let (mut number, mut before) = (0, &b""[..]);
    while direct != through {
        let (ours, after) = cut(protocol, through)
            .map_err(|rest| format!("through the core comes no reply: {rest}"))?;
        // What is no reply is compared, too: servers say such things to odd requests.
        let (theirs, beyond) = cut(protocol, direct).unwrap_or((direct, b""));
        if theirs != ours {
            let difference = Difference {
                protocol,
                sent,
                words: requests.get(number).map_or(&[][..], Vec::as_slice),
                direct: theirs,
                through: ours,
                before,
            };
            let excuse = excuses::find(&difference).ok_or_else(|| describe(number, &difference))?;
            used.insert(excuse.id);
            match excuse.then {
                Then::Apart => return whole(protocol, after).map(|()| used),
                Then::OneMore => {
                    direct = beyond;
                    continue;
                }
                Then::Alike => {}
            }
        }
        (direct, through, before) = (beyond, after, ours);
        number += 1;
    }
    Ok(used)
}

/// Splits off the first reply: nothing at the end.
fn cut(protocol: Protocol, bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    if bytes.is_empty() {
        return Ok((b"", b""));
    }
    let len = match protocol {
        Protocol::Redis => redis::reply_len(bytes),
        Protocol::Memcached => memcached::reply_len(bytes),
    };
    len.map(|len| bytes.split_at(len))
        .ok_or_else(|| short(bytes))
}

/// Whatever a client was told, it consists of whole replies.
fn whole(protocol: Protocol, mut bytes: &[u8]) -> Result<(), String> {
    while !bytes.is_empty() {
        (_, bytes) = cut(protocol, bytes).map_err(|rest| format!("no whole reply: {rest}"))?;
    }
    Ok(())
}

fn describe(number: usize, difference: &Difference<'_>) -> String {
    let words = difference.words.iter().map(|word| short(word));
    format!(
        "reply {number} differs (to {:?}, perhaps), after {}\n  direct:  {}\n  through: {}",
        words.collect::<Vec<_>>(),
        short(difference.before),
        short(difference.direct),
        short(difference.through)
    )
}
