//! Compares the replies and finds the first difference.

use std::collections::BTreeSet;

use crate::difference::Difference;
use crate::excuses::{self, Then};
use crate::protocol::Protocol;
use crate::script::short;
use crate::{memcached, redis};

/// How much of a word is shown, in bytes: all that is sent is shown besides.
const WORD_SHOWN: usize = 64;

/// Compares all replies, one by one; returns the excuses that were needed.
///
/// # Errors
/// The first difference without an excuse.
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
        // Invalid replies are compared too: servers send such bytes in response to unusual requests.
        let (theirs, beyond) = cut(protocol, direct).unwrap_or((direct, b""));
        if theirs != ours {
            let difference = Difference {
                protocol,
                sent,
                number,
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

/// Splits off the first reply; empty at the end.
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

/// Checks that the output for a client consists of whole replies.
fn whole(protocol: Protocol, mut bytes: &[u8]) -> Result<(), String> {
    while !bytes.is_empty() {
        (_, bytes) = cut(protocol, bytes).map_err(|rest| format!("no whole reply: {rest}"))?;
    }
    Ok(())
}

fn describe(number: usize, difference: &Difference<'_>) -> String {
    let words = difference.words.iter().map(|word| {
        let shown = &word[..word.len().min(WORD_SHOWN)];
        shown.escape_ascii().to_string()
    });
    format!(
        "reply {number} differs (to [{}], perhaps), after {}\n  direct:  {}\n  through: {}",
        words.collect::<Vec<_>>().join(", "),
        short(difference.before),
        short(difference.direct),
        short(difference.through)
    )
}
