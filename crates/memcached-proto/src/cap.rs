//! Limits the expiry time of what a request writes.

use crate::{Verb, number};

/// An exptime beyond this many seconds, 30 days, is a point in time (memcached `protocol.txt`).
pub const LONGEST_SPAN: u32 = 60 * 60 * 24 * 30;

impl Verb {
    /// What to replace `exptime`, as given in the request, with so that no item lives longer than `seconds`
    /// (at most [`LONGEST_SPAN`]); `None` if it can stay.
    ///
    /// 0 (never expires) and points in time become `seconds`, because the current time is not known here. A
    /// negative one (already expired) stays. append and prepend ignore theirs: the item keeps the one it has.
    pub fn capped_exptime(self, exptime: &[u8], seconds: u32) -> Option<u32> {
        if matches!(self, Verb::Append | Verb::Prepend) {
            return None;
        }
        match number::signed(exptime) {
            Some(..0) => None,
            Some(given) if given != 0 && given <= seconds.into() => None,
            // Anything that is not a number was refused before.
            Some(_) | None => Some(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exptime_is_made_less_and_never_more() {
        let cases = [
            ("0", Some(60)),
            ("1", None),
            ("60", None),
            ("061", Some(60)),
            ("2592000", Some(60)),
            ("1999999999", Some(60)),
            ("9223372036854775807", Some(60)),
            ("-1", None),
            ("-0", Some(60)),
        ];
        for verb in [Verb::Set, Verb::Add, Verb::Replace, Verb::Cas] {
            for (given, expected) in cases {
                let got = verb.capped_exptime(given.as_bytes(), 60);
                assert_eq!(got, expected, "{verb:?} {given}");
            }
        }
        assert_eq!(Verb::Touch.capped_exptime(b"0", 60), Some(60));
        assert_eq!(Verb::Gat.capped_exptime(b"100", LONGEST_SPAN), None);
        assert_eq!(Verb::Append.capped_exptime(b"0", 60), None);
        assert_eq!(Verb::Prepend.capped_exptime(b"100", 60), None);
    }
}
