//! Where passwords stand in a configuration file, so that no message shows them.
//!
//! They are looked for in the text, not in the parsed tree: a file that cannot be parsed must not show its passwords
//! either, nor one whose setting is misspelt. Too much is hidden rather than too little.

use std::collections::{HashMap, HashSet};

use super::nearest::nearest;

/// What is shown in the place of a password, whatever its length.
pub(super) const MASK: &str = "********";

/// The settings that hold a password.
const SETTINGS: [&str; 2] = ["redis_auth", "admin_token"];

/// Parts of names that are given to passwords, by other programs too.
const WORDS: [&str; 6] = ["auth", "passw", "passphrase", "pwd", "secret", "token"];

/// For each line that has a password, counted from 1, the characters before it.
pub(super) fn hidden<'t>(lines: impl Iterator<Item = &'t str> + Clone) -> HashMap<usize, usize> {
    let mut hidden = HashMap::new();
    let mut aliases = HashSet::new();
    hide(lines.clone(), &mut hidden, |line| {
        let found = after_name(line)?;
        let value = &line[found.at..];
        aliases.extend(value.split('*').skip(1).map(word));
        Some(found)
    });
    // An alias stands for what is written elsewhere, under any name.
    if aliases.iter().any(|name| !name.is_empty()) {
        hide(lines, &mut hidden, |line| after_anchor(line, &aliases));
    }
    hidden
}

/// The beginning of a password in a line, in bytes, and whether lines below may belong to it.
struct Found {
    at: usize,
    goes_on: bool,
}

/// Hides what `find` finds in each line, and the lines below it that are indented further.
fn hide<'t>(
    lines: impl Iterator<Item = &'t str>,
    hidden: &mut HashMap<usize, usize>,
    mut find: impl FnMut(&'t str) -> Option<Found>,
) {
    let mut below = None;
    for (index, line) in lines.enumerate() {
        let indent = line.len() - line.trim_start().len();
        let is_blank = indent == line.len();
        // With a tab it is no valid YAML, but the password is there.
        let is_deeper = |than: usize| indent > than || line[..indent].contains('\t');
        let is_value = |of: usize| is_deeper(of) || line[indent..].starts_with(": ");
        let mut note = |at: usize| {
            let before = line[..at].chars().count();
            let known = hidden.entry(index + 1).or_insert(before);
            *known = before.min(*known);
        };
        match below {
            Some(_) if is_blank => {}
            Some(of) if is_value(of) => note(indent),
            _ => {
                below = None;
                if let Some(found) = find(line) {
                    below = found.goes_on.then_some(indent);
                    if found.at < line.len() {
                        note(found.at);
                    }
                }
            }
        }
    }
}

/// What follows the first name of a password in a line. The colon may be missing, by mistake.
fn after_name(line: &str) -> Option<Found> {
    let mut begin = 0;
    while begin < line.len() {
        let word = word(&line[begin..]);
        let end = begin + word.len();
        let before = line[..begin].chars().next_back();
        let is_apart = before.is_none_or(|it| it.is_whitespace() || "\"'{[,?#&".contains(it));
        let rest = &line[end..];
        let ends = rest.is_empty() || rest.starts_with([' ', '\t', '"', '\'', ':', '=']);
        if is_apart && ends && (is_setting(word) || is_named_so(word)) {
            let rest = rest.trim_start_matches(['"', '\'']).trim_start();
            let rest = rest.trim_start_matches([':', '=']).trim_start();
            // A pool may be called `auth`: what is below it is not hidden.
            let goes_on = line.starts_with([' ', '\t']) || is_setting(word);
            return Some(Found {
                at: line.len() - rest.len(),
                goes_on,
            });
        }
        begin = end + line[end..].chars().next().map_or(0, char::len_utf8);
    }
    None
}

/// What follows an anchor (`&name`) that has one of these names.
fn after_anchor(line: &str, names: &HashSet<&str>) -> Option<Found> {
    let (at, _) = line.match_indices('&').find(|(at, _)| {
        let name = word(&line[at + 1..]);
        !name.is_empty() && names.contains(name)
    })?;
    Some(Found { at, goes_on: true })
}

/// The letters, digits and joining characters at the beginning of a text.
fn word(text: &str) -> &str {
    let is_part = |it: char| it.is_alphanumeric() || "_-.".contains(it);
    let end = text.find(|it: char| !is_part(it));
    &text[..end.unwrap_or(text.len())]
}

/// Whether this is one of [`SETTINGS`], or was probably meant to be.
fn is_setting(name: &str) -> bool {
    nearest(name, SETTINGS).is_some()
}

fn is_named_so(name: &str) -> bool {
    let name = name.to_lowercase();
    // Rules of users may have passwords among them.
    WORDS.iter().any(|word| name.contains(word)) || name.ends_with("pass") || name == "acl"
}

/// `text` without the passwords of URLs in it (`redis://user:password@host`).
pub(super) fn without_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked += "://";
        let end = part.find(char::is_whitespace).unwrap_or(part.len());
        let end = end.min(part.find('`').unwrap_or(part.len()));
        match part[..end].rfind('@') {
            Some(at) => {
                masked += MASK;
                masked += &part[at..];
            }
            None => masked += part,
        }
    }
    masked
}

/// The characters of a line that are the user and password of a URL: where they begin, and how many they are.
pub(super) fn userinfo(line: &[char]) -> Option<(usize, usize)> {
    let text: String = line.iter().collect();
    let begin = text.find("://")? + "://".len();
    let rest = &text[begin..];
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let at = rest[..end].rfind('@')?;
    let count = |text: &str| text.chars().count();
    Some((count(&text[..begin]), count(&rest[..at])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text` with what is hidden replaced.
    fn shown(text: &str) -> String {
        let hidden = hidden(text.lines());
        let line = |(index, line): (usize, &str)| match hidden.get(&(index + 1)) {
            Some(before) => line.chars().take(*before).chain(MASK.chars()).collect(),
            None => line.to_owned(),
        };
        let lines: Vec<String> = text.lines().enumerate().map(line).collect();
        lines.join("\n")
    }

    #[test]
    fn passwords_are_hidden_however_they_are_written() {
        for text in [
            "p:\n  redis_auth: SECRET\n  hash: md5\n",
            "p:\n  redis_auth: 'it''s SECRET' # SECRET\n",
            "p:\n  \"redis_auth\" : \"SECRET\n    SECRET\"\n",
            "p:\n  redis_auth:\n    SECRET\n\n    SECRET: x\n  hash: md5\n",
            "p:\n  redis_auth: |\n   SECRET\n   SECRET\n  hash: md5\n",
            "p:\n  redis_auth: &pw !SECRET\n",
            "p:\n  redis_auth: !SECRET x\n",
            "p: {redis: true, redis_auth: SECRET, hash: md5}\n",
            "p: {redis_auth:\n    SECRET, hash: md5}\n",
            "p:\n  ? redis_auth\n  : SECRET\n",
            "p:\n  # redis_auth: SECRET\n",
            "p:\n  redis_auth = SECRET\n",
            "p:\n  redis_auth SECRET\n",
            "p:\n  redis_auth:SECRET\n",
            "p:\n  redis-auth: SECRET\n",
            "p:\n  redis_atuh: SECRET\n",
            "p:\n  redisauth: SECRET\n",
            "p:\n  REDIS_AUTH: SECRET\n",
            "p:\n  password: SECRET\n",
            "p:\n  requirepass: SECRET\n",
            "p:\n  auth: SECRET\n",
            "p:\n  users:\n    - {name: a, password_sha256: SECRET, acl: x}\n",
            "p:\n  users:\n    - name: a\n      acl: +get >SECRET\n",
            "p:\n  users:\n    - name: a\n      password_sha256:\n        - SECRET\n",
            "nuthatch:\n  admin_token: SECRET\n",
            "nuthatch:\n  admin_tokn: SECRET\n",
            "redis_auth: SECRET\np:\n",
            "redis_auth:\n  SECRET\np:\n",
            "é: &e\n  öä: &pw \"SECRET\"\np:\n  redis_auth: *pw\n",
            "x: {a: &pw SECRET, b: c}\np: {redis_auth: *pw}\n",
            "x:\n  - &pw\n    SECRET\np:\n  redis_auth: *pw # &pw\n",
        ] {
            let shown = shown(text);
            assert!(!shown.contains("SECRET") && shown.contains(MASK), "{shown}");
        }
    }

    #[test]
    fn what_is_no_password_is_shown() {
        for text in [
            "p:\n  redis: true\n  redis_db: 3\n  listen: /run/auth.sock 0660\n",
            "nuthatch:\n  admin_hosts: a.example\n  admin: 127.0.0.1:1\n  admin_ready: any_pool\n",
            "auth:\n  listen: 127.0.0.1:1\n  servers:\n    - h:1:1 auth\n",
            "p:\n  redis_auth: x\n  hash: md5\n",
            "a: &a\n  hash: md5\np:\n  <<: *a\n  redis_auth: x\n",
        ] {
            let shown = shown(text);
            let expected = text.replace("auth: x", &format!("auth: {MASK}"));
            assert_eq!(shown, expected.trim_end());
        }
    }

    #[test]
    fn passwords_of_urls_are_hidden() {
        for (text, expected) in [
            (
                "server `redis://:x@h:1:1` is a URL",
                "server `redis://********@h:1:1` is a URL",
            ),
            ("redis://u:a@b@h redis://h", "redis://********@h redis://h"),
            ("none at all: a@b", "none at all: a@b"),
        ] {
            assert_eq!(without_userinfo(text), expected);
        }
        let line: Vec<char> = " - é://u:ä@h:1:1 @".chars().collect();
        assert_eq!(userinfo(&line), Some((7, 3)));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_searched(text in "[a: \\n\"&*?#é@/]{0,40}|\\PC{0,40}|redis_auth[:&* \\n]{0,9}") {
            let hidden = hidden(text.lines());
            for (line, before) in hidden {
                let line = text.lines().nth(line - 1).expect("a line");
                assert!(before <= line.chars().count());
            }
            without_userinfo(&text);
            userinfo(&text.chars().collect::<Vec<_>>());
        }
    }
}
