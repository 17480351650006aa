//! Patterns as Redis has them: `*`, `?`, `[a-z]`, `[^a]` and `\\` before a byte that means itself.

/// Whether the whole of `text` is what the pattern describes; case does not matter. Takes time in proportion to the product
/// of both lengths at most.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    fits::<true>(pattern, text)
}

/// The same where case matters, as it does in the names of keys and channels.
pub fn matches_exactly(pattern: &[u8], text: &[u8]) -> bool {
    fits::<false>(pattern, text)
}

/// With `FOLD`, case does not matter.
fn fits<const FOLD: bool>(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: that `*` takes one byte more.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, seen));
            at += 1;
            continue;
        }
        match one::<FOLD>(&pattern[at..], text[seen]) {
            Some(len) => {
                at += len;
                seen += 1;
            }
            None => {
                let Some((after, taken)) = star else {
                    return false;
                };
                star = Some((after, taken + 1));
                (at, seen) = (after, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How long the pattern's first element is, if it describes this byte.
fn one<const FOLD: bool>(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => {
            let (len, found) = class::<FOLD>(rest, byte);
            found.then_some(1 + len)
        }
        [b'\\', escaped, ..] => is_same::<FOLD>(*escaped, byte).then_some(2),
        [plain, ..] => is_same::<FOLD>(*plain, byte).then_some(1),
    }
}

fn is_same<const FOLD: bool>(one: u8, other: u8) -> bool {
    folded::<FOLD>(one) == folded::<FOLD>(other)
}

fn folded<const FOLD: bool>(byte: u8) -> u8 {
    if FOLD {
        byte.to_ascii_lowercase()
    } else {
        byte
    }
}

/// How long a class behind its `[` is, and whether the byte is in it. One that does not end ends with the pattern.
fn class<const FOLD: bool>(pattern: &[u8], byte: u8) -> (usize, bool) {
    let byte = folded::<FOLD>(byte);
    let negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        let (len, low, high) = match &pattern[at..] {
            [] => return (at, found != negated),
            [b']', ..] => return (at + 1, found != negated),
            [b'\\', escaped, ..] => (2, *escaped, *escaped),
            [from, b'-', to, ..] => (3, *from.min(to), *from.max(to)),
            [single, ..] => (1, *single, *single),
        };
        found |= (folded::<FOLD>(low)..=folded::<FOLD>(high)).contains(&byte);
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_exactly};

    #[test]
    fn patterns_are_those_of_redis() {
        let rows = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "save", true),
            ("max*", "maxmemory", true),
            ("MAX*y", "maxmemory", true),
            ("max*y", "maxmemory-policy", true),
            ("max*z", "maxmemory-policy", false),
            ("*m*m*y", "maxmemory", true),
            ("s?ve", "save", true),
            ("s?ve", "sve", false),
            ("s[a-c]ve", "save", true),
            ("s[c-a]ve", "save", true),
            ("s[^a]ve", "save", false),
            ("s[^b]ve", "save", true),
            ("s[xa", "sa", true),
            ("s[\\]]", "s]", true),
            ("s\\*", "s*", true),
            ("s\\*", "save", false),
            ("a**", "a", true),
        ];
        for (pattern, text, expected) in rows {
            let found = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn case_matters_where_it_is_asked_for() {
        for (pattern, text, expected) in [
            ("cart:*", "cart:1", true),
            ("cart:*", "Cart:1", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "Bx", false),
            ("\\A", "a", false),
            ("[^A]", "a", true),
        ] {
            let found = matches_exactly(pattern.as_bytes(), text.as_bytes());
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let (pattern, text) = ("*a".repeat(2_000) + "b", "a".repeat(2_000));
        assert!(!matches(pattern.as_bytes(), text.as_bytes()));
    }
}
