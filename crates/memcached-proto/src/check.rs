//! What holds for the lines of all commands that are forwarded.

use memchr::memchr2;

use crate::{MAX_FORWARDED_LINE, MAX_KEY, Refusal, Verb, number};

/// Longest length of a data block, in digits: memcached 1.6.40 takes no more than 11 characters for a number, and does not
/// skip the data then.
const MAX_DIGITS: usize = 10;

pub(crate) fn key_length(verb: Verb, len: usize) -> Result<(), Refusal> {
    if len > MAX_KEY {
        return Err(Refusal::KeyTooLong { verb, len });
    }
    Ok(())
}

pub(crate) fn forwarded_length(verb: Verb, len: usize) -> Result<(), Refusal> {
    if len > MAX_FORWARDED_LINE {
        return Err(Refusal::LineTooLong { verb, len });
    }
    Ok(())
}

/// memcached ends the line at a NUL and keeps a carriage return as part of a key; nutcracker 0.5.0 refuses
/// the latter. Neither is forwarded.
pub(crate) fn control_bytes(verb: Verb, line: &[u8]) -> Result<(), Refusal> {
    match memchr2(b'\r', 0, line) {
        Some(_) => Err(Refusal::ControlByte(verb)),
        None => Ok(()),
    }
}

/// Whether this is the length of a data block that every server reads as that.
pub(crate) fn is_length(token: &[u8]) -> bool {
    number::is_digits(token) && token.len() <= MAX_DIGITS
}
