//! Limits the expiry time of what a request writes.

use std::ops::Range;

use crate::{Verb, meta, number};

/// An exptime beyond this many seconds, 30 days, is a point in time (memcached `protocol.txt`).
pub const LONGEST_SPAN: u32 = 60 * 60 * 24 * 30;

impl Verb {
    /// What to replace `exptime`, as given in the request, with so that no item lives longer than `seconds`
    /// (at most [`LONGEST_SPAN`]); `None` if it can stay.
    ///
    /// 0 (never expires) and points in time become `seconds`, because the current time is not known here. A
    /// negative one (already expired) stays. append and prepend ignore theirs: the item keeps the one it has.
    /// The tokens of a meta command's flags `T` and `N` are such times, too. What is none is replaced: servers differ
    /// in what they read as a number.
    pub fn capped_exptime(self, exptime: &[u8], seconds: u32) -> Option<u32> {
        if matches!(self, Verb::Append | Verb::Prepend) {
            return None;
        }
        match number::signed(exptime) {
            Some(..0) => None,
            Some(given) if given != 0 && given <= seconds.into() => None,
            Some(_) | None => Some(seconds),
        }
    }
}

/// Edits of the line of a meta command, with which `text` begins, so that no item that it writes lives longer than
/// `seconds`: ranges and what replaces them. The tokens of `T` and `N` are limited, and what sets an expiry time in
/// any case gets a `T` if it has none. One that keeps the time of an item needs no edit.
pub fn capped_flags(
    verb: Verb,
    text: &[u8],
    seconds: u32,
    mut edit: impl FnMut(Range<usize>, String),
) {
    // A meta delete with `x` replaces the item.
    let (mut sets_time, mut has_time) = (verb == Verb::MetaSet, false);
    for flag in meta::flags(verb, text) {
        sets_time |= verb == Verb::MetaDelete && flag.letter == b'x';
        has_time |= flag.letter == b'T';
        let token = flag.token();
        if matches!(flag.letter, b'T' | b'N')
            && let Some(capped) = verb.capped_exptime(token.of(text), seconds)
        {
            edit(token.range(), capped.to_string());
        }
    }
    if sets_time && !has_time {
        let end = meta::line_end(text);
        edit(end..end, format!(" T{seconds}"));
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
    #[test]
    fn flags_are_capped_and_added_where_a_time_is_set() {
        let cases = [
            ("ms k 2\r\nT9\r\n", "ms k 2 T60\r\nT9\r\n"),
            ("ms k 2 T0 c\r\nxx\r\n", "ms k 2 T60 c\r\nxx\r\n"),
            ("ms k 2 c T30\r\nxx\r\n", "ms k 2 c T30\r\nxx\r\n"),
            ("ms k 2 T-1\r\nxx\r\n", "ms k 2 T-1\r\nxx\r\n"),
            ("ms k 2 T\r\nxx\r\n", "ms k 2 T60\r\nxx\r\n"),
            ("ms k 2 MA N99\nxx\r\n", "ms k 2 MA N60 T60\nxx\r\n"),
            ("mg T0 v\r\n", "mg T0 v\r\n"),
            ("mg k T0 N61 v\r\n", "mg k T60 N60 v\r\n"),
            ("ma k N0 J5\r\n", "ma k N60 J5\r\n"),
            ("ma k\r\n", "ma k\r\n"),
            ("md k I\r\n", "md k I\r\n"),
            ("md k I T100\r\n", "md k I T60\r\n"),
            ("md k I x\r\n", "md k I x T60\r\n"),
            ("me k T0\r\n", "me k T60\r\n"),
        ];
        for (text, expected) in cases {
            let verb = Verb::from_word(&text.as_bytes()[..2]).expect("a command");
            let mut edits = Vec::new();
            capped_flags(verb, text.as_bytes(), 60, |range, with| {
                edits.push((range, with))
            });
            let mut edited = text.to_owned();
            for (range, with) in edits.into_iter().rev() {
                edited.replace_range(range, &with);
            }
            assert_eq!(edited, expected);
        }
    }
}
