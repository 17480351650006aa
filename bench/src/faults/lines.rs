//! Finds lines and values in replies. Uses none of the proxy's code.

use std::ops::Range;

use memchr::memchr;

/// Longest reply line; a longer one is invalid.
const MAX_LINE: usize = 8 << 10;

/// Longest value; a longer one is invalid.
const MAX_VALUE: usize = 1 << 20;

/// These bytes are not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbled;

/// The line at `start`, without its end, and where the next begins; `None` until it is complete.
///
/// # Errors
///
/// When it is empty or too long, or does not end with CR LF.
pub fn line_at(input: &[u8], start: usize) -> Result<Option<(Range<usize>, usize)>, Garbled> {
    match memchr(b'\n', &input[start..]) {
        // A line has at least one byte, so that callers may read the first.
        Some(length) if length > 1 && input[start + length - 1] == b'\r' => {
            Ok(Some((start..start + length - 1, start + length + 1)))
        }
        None if input.len() - start < MAX_LINE => Ok(None),
        _ => Err(Garbled),
    }
}

/// The value of `digits` bytes at `start`, once it and its line end are there.
///
/// # Errors
///
/// When that is no length, or too large, or something else follows.
pub fn block_at(
    input: &[u8],
    digits: &[u8],
    start: usize,
) -> Result<Option<Range<usize>>, Garbled> {
    let length = number(digits)
        .filter(|&length| length <= MAX_VALUE)
        .ok_or(Garbled)?;
    let end = start + length;
    match input.get(end..end + 2) {
        Some(b"\r\n") => Ok(Some(start..end)),
        Some(_) => Err(Garbled),
        None => Ok(None),
    }
}

/// A number; `None` for a null's -1.
pub fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
