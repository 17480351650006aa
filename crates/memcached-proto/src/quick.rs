//! Words and numbers of the usual form, read in one go. What is not found here is not wrong: the caller
//! then looks at it at leisure.

use crate::MAX_KEY;

/// The length of the word at the beginning of `text`, which is as long as a key may be, and behind which a
/// space or a control byte stands. Keys are too short for a vector search to pay.
#[inline]
pub(crate) fn word(text: &[u8]) -> Option<usize> {
    let (eights, rest) = text[..text.len().min(MAX_KEY + 1)].as_chunks::<8>();
    let mut len = 0;
    for eight in eights {
        let low = up_to_space(u64::from_le_bytes(*eight));
        if low != 0 {
            len += low.trailing_zeros() as usize / 8;
            return (len > 0).then_some(len);
        }
        len += 8;
    }
    len += rest.iter().position(|byte| *byte <= b' ')?;
    (len > 0).then_some(len)
}

/// The length of the word at the beginning of `text`: up to the next space, or all of it.
#[inline]
pub(crate) fn until_space(text: &[u8]) -> usize {
    let (eights, rest) = text.as_chunks::<8>();
    let mut len = 0;
    for eight in eights {
        let spaces = up_to_zero(u64::from_le_bytes(*eight) ^ SPACES);
        if spaces != 0 {
            return len + spaces.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let more = rest.iter().position(|byte| *byte == b' ');
    len + more.unwrap_or(rest.len())
}

/// One to nine digits from `at` on, and where they end: at a byte that is none.
#[inline(always)]
pub(crate) fn number(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for (len, byte) in text.get(at..)?.iter().take(10).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (len > 0).then_some((value, at + len));
        }
        value = value * 10 + u64::from(digit);
    }
    None
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
const SPACES: u64 = u64::from_le_bytes([b' '; 8]);

/// Marks bytes of a little-endian word that are not above a space. The lowest mark is right; those above it
/// may be marks too many.
#[inline]
fn up_to_space(eight: u64) -> u64 {
    eight.wrapping_sub(SPACES + ONES) & !eight & HIGHS
}

/// The same of bytes that are zero.
#[inline]
fn up_to_zero(eight: u64) -> u64 {
    eight.wrapping_sub(ONES) & !eight & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_nine_digits_at_most_and_an_end() {
        assert_eq!(number(b"x0 ", 1), Some((0, 2)));
        assert_eq!(number(b"123456789\r", 0), Some((123_456_789, 9)));
        for none in ["", " ", "-1 ", "12", "1234567890 ", "123456789"] {
            assert_eq!(number(none.as_bytes(), 0), None, "{none}");
        }
        assert_eq!(number(b"1", 2), None);
    }

    #[test]
    fn a_word_is_no_longer_than_a_key() {
        let text = |len| [vec![b'k'; len], b" ".to_vec()].concat();
        assert_eq!(word(&text(0)), None);
        assert_eq!(word(&text(MAX_KEY)), Some(MAX_KEY));
        assert_eq!(word(&text(MAX_KEY + 1)), None);
    }

    proptest! {
        #[test]
        fn words_end_where_a_byte_by_byte_search_says(
            text in proptest::collection::vec(
                prop_oneof![Just(b' '), Just(0x21), Just(0x1f), Just(0xa0), any::<u8>()], 0..40,
            ),
        ) {
            let low = text.iter().position(|byte| *byte <= b' ').filter(|len| *len > 0);
            prop_assert_eq!(word(&text), low);
            let space = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
            prop_assert_eq!(until_space(&text), space);
        }
    }
}
