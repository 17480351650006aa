//! Finds the known name that a misspelt one was probably meant to be.

/// Longest name that is compared: no known name is as long, and the cost is quadratic.
const COMPARED_MAX: usize = 256;

/// The name among `known` that is nearest to `name`, if any is near: one that differs only in case and
/// separators, else the one with the smallest edit distance.
pub(crate) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let known: Vec<&str> = known.into_iter().collect();
    same_but_for_form(name, &known).or_else(|| {
        let near = within_reach(name, &known);
        near.min_by_key(|(edits, _)| *edits).map(|(_, near)| near)
    })
}

/// Like [`nearest`], for names such as hashes where a wrong guess would move every key: `None` when several
/// names are within reach.
pub(crate) fn only_near<'n>(
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let known: Vec<&str> = known.into_iter().collect();
    same_but_for_form(name, &known).or_else(|| {
        let mut near = within_reach(name, &known).map(|(_, near)| near);
        near.next().filter(|_| near.next().is_none())
    })
}

fn same_but_for_form<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let folded = fold(name);
    let mut same = known.iter().filter(|candidate| fold(candidate) == folded);
    same.next().copied().filter(|_| !folded.is_empty())
}

/// In lower case and without separators.
fn fold(name: &str) -> String {
    let kept = |char: &char| !matches!(char, '_' | '-' | '.') && !char.is_whitespace();
    let kept = name.chars().filter(kept);
    kept.flat_map(char::to_lowercase).collect()
}

/// The known names within a small edit distance of `name`, with the distance: at most one edit, plus one for
/// every four characters.
fn within_reach<'n>(name: &str, known: &[&'n str]) -> impl Iterator<Item = (usize, &'n str)> {
    let compared = if name.len() <= COMPARED_MAX {
        known
    } else {
        &[]
    };
    let edits = |candidate: &&'n str| (strsim::damerau_levenshtein(name, candidate), *candidate);
    let near =
        |(edits, candidate): &(usize, &str)| *edits <= 1 + candidate.len().min(name.len()) / 4;
    compared.iter().map(edits).filter(near)
}

#[cfg(test)]
mod tests {
    use hashkit::{Distribution, HashKind};

    use super::*;

    fn hashes() -> Vec<&'static str> {
        HashKind::ALL.iter().map(|kind| kind.name()).collect()
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["timeout", "server_retry_timeout", "hash"];
        assert_eq!(nearest("timeuot", known), Some("timeout"));
        assert_eq!(
            nearest("server_retry_timout", known),
            Some("server_retry_timeout")
        );
        assert_eq!(nearest("weight", known), None);
        assert_eq!(nearest(&"hash".repeat(100), known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn case_and_separators_come_before_edits() {
        // `fnv1_64` takes one edit, too.
        for name in ["fnv1a64", "FNV1A-64", "fnv1_a64", "Fnv.1a 64", "fnv-1a-64"] {
            assert_eq!(only_near(name, hashes()), Some("fnv1a_64"), "{name}");
            assert_eq!(nearest(name, hashes()), Some("fnv1a_64"), "{name}");
        }
        for (name, meant) in [
            ("crc-32a", "crc32a"),
            ("CRC32", "crc32"),
            ("OneAtATime", "one_at_a_time"),
            ("FNV1_32", "fnv1_32"),
        ] {
            assert_eq!(only_near(name, hashes()), Some(meant), "{name}");
        }
        let settings = ["server_connections", "client_connections"];
        assert_eq!(
            nearest("Server-Connections", settings),
            Some("server_connections")
        );
        assert_eq!(nearest("_", ["--"]), None, "nothing is left to compare");
    }

    #[test]
    fn where_edits_leave_a_choice_none_is_made() {
        for name in ["crc32b", "fnv1b_64", "fnva_64", "fnv1a_23"] {
            assert_eq!(only_near(name, hashes()), None, "{name}");
        }
        assert_eq!(only_near("murmr", hashes()), Some("murmur"));
        let distributions = Distribution::ALL.iter().map(|kind| kind.name());
        assert_eq!(only_near("ketma", distributions), Some("ketama"));
    }

    /// A typo in a hash's name is never answered with another hash, unless it is that one without its
    /// separator.
    #[test]
    fn one_edit_of_a_hash_never_suggests_another() {
        let letters = || ('a'..='z').chain('0'..='9');
        let mut suggested = 0;
        for meant in hashes() {
            for at in 0..=meant.len() {
                let (head, tail) = meant.split_at(at);
                let rest = tail.get(1..).unwrap_or_default();
                let inserted = letters().map(|letter| format!("{head}{letter}{tail}"));
                let replaced = letters().map(|letter| format!("{head}{letter}{rest}"));
                for name in inserted.chain(replaced).chain([format!("{head}{rest}")]) {
                    if hashes().contains(&name.as_str()) {
                        continue;
                    }
                    let suggestion = only_near(&name, hashes());
                    let right = |it: &str| it == meant || fold(it) == fold(&name);
                    assert!(suggestion.is_none_or(right), "{name}: {suggestion:?}");
                    suggested += usize::from(suggestion.is_some());
                }
            }
        }
        assert!(suggested > 1000, "only {suggested}");
    }
}
