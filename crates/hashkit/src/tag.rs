//! The hash tag: the part of a key that decides where the key lives.

/// The two delimiters of a pool's `hash_tag` setting.
///
/// Keys with equal tagged parts live on the same server: with `{}`, for example, `user:{42}:name` and
/// `user:{42}:mail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashTag {
    /// The byte before the tag.
    pub open: u8,
    /// The byte after the tag; may be the same as `open`.
    pub close: u8,
}

impl HashTag {
    /// The tagged part of `key`, or all of `key` if it has none.
    ///
    /// As in nutcracker 0.5.0, only the first `open` counts, and only the first `close` after it. An empty
    /// tag counts as none, even if another tag follows: `{}{a}` is hashed whole.
    pub fn apply<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        match self.find(key) {
            Some(tag) if !tag.is_empty() => tag,
            _ => key,
        }
    }

    /// The bytes between the delimiters, possibly none.
    fn find<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let rest = &key[position(key, self.open)? + 1..];
        Some(&rest[..position(rest, self.close)?])
    }
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|&byte| byte == wanted)
}

#[cfg(test)]
mod tests {
    use super::HashTag;
    use proptest::prelude::*;

    const BRACES: HashTag = HashTag {
        open: b'{',
        close: b'}',
    };
    const DOLLARS: HashTag = HashTag {
        open: b'$',
        close: b'$',
    };

    #[track_caller]
    fn check(tag: HashTag, key: &str, expected: &str) {
        let applied = tag.apply(key.as_bytes());
        assert_eq!(applied, expected.as_bytes(), "key {key:?}");
    }

    #[test]
    fn a_tag_is_cut_out_wherever_it_stands() {
        check(BRACES, "{a}", "a");
        check(BRACES, "user:{42}:name", "42");
        check(BRACES, "{tag}rest", "tag");
        check(BRACES, "rest{tag}", "tag");
        check(DOLLARS, "a$b$c$d$", "b");
    }

    #[test]
    fn the_first_open_and_the_first_close_after_it_count() {
        check(BRACES, "{a}{b}", "a");
        check(BRACES, "{a{b}c}", "a{b");
        check(BRACES, "}{a}", "a");
        check(BRACES, "x}y{z}", "z");
    }

    #[test]
    fn without_a_whole_tag_the_key_stays_whole() {
        for key in [
            "", "plain", "{", "}", "{open", "close}", "}a{", "{}", "{}{a}",
        ] {
            check(BRACES, key, key);
        }
        for key in ["$", "$$", "$a", "$$a$"] {
            check(DOLLARS, key, key);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn surroundings_never_matter(
            before in "[a-z}]{0,6}", tag in "[a-z{]{1,6}", after in "[a-z{}]{0,6}",
        ) {
            let key = format!("{before}{{{tag}}}{after}");
            prop_assert_eq!(BRACES.apply(key.as_bytes()), tag.as_bytes());
        }

        #[test]
        fn the_result_is_a_part_of_the_key_and_empty_only_with_it(
            key in "[a{}$]{0,12}", open in "[{}$a]", close in "[{}$a]",
        ) {
            let tag = HashTag { open: open.as_bytes()[0], close: close.as_bytes()[0] };
            let applied = tag.apply(key.as_bytes());
            prop_assert_eq!(applied.is_empty(), key.is_empty());
            let applied = std::str::from_utf8(applied).unwrap();
            prop_assert!(key.contains(applied));
        }
    }
}
