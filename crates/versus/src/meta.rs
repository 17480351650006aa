//! Requests of memcached's meta commands, with any of their flags.

use arbitrary::{Result, Unstructured};

use crate::template;

/// The commands, and the flags that `protocol.txt` of memcached 1.6.18 has for each. `#` stands for a number, `?` for
/// a mode.
const COMMANDS: &[(&str, &[&str])] = &[
    ("mg", GET),
    (
        SET,
        &["b", "c", "k", "q", "C#", "F#", "I", "O#", "T#", "M?"],
    ),
    ("md", &["b", "k", "q", "C#", "I", "O#", "T#"]),
    (
        "ma",
        &[
            "b", "c", "k", "q", "t", "v", "C#", "D#", "J#", "N#", "O#", "T#", "M?",
        ],
    ),
    ("me", &["b"]),
    ("mn", &[]),
    ("mg", GET),
    (SET, &["b", "k", "q", "O#"]),
];

const GET: &[&str] = &[
    "b", "c", "f", "h", "k", "l", "q", "s", "t", "u", "v", "N#", "O#", "R#", "T#",
];

/// Flags that are another command's, belong to proxies (`L`, `P`) or nobody.
const ANY: &[&str] = &[
    "b", "c", "f", "h", "k", "l", "q", "s", "t", "u", "v", "C#", "D#", "F#", "I", "J#", "L", "M?",
    "N#", "O#", "P", "R#", "T#", "x", "S#", "E#", "!",
];

const MODES: &[&str] = &[
    "E", "A", "P", "R", "S", "I", "D", "+", "-", "a", "i", "SET", "",
];

/// The name of a meta set.
pub(crate) const SET: &str = "ms";

/// Some keys in base64: those that other requests use, two of bytes that no line can have (one with a line end), and
/// what is none.
const BASE64_KEYS: &[&str] = &[
    "azA=", "azE=", "azI=", "azM=", "e3R9YQ==", "AA0gMQ==", "AAoNIP8=", "azA",
];

/// A request, usually complete and valid.
pub(crate) fn request(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (name, own) = *u.choose(COMMANDS)?;
    let mut flags = Vec::new();
    for _ in 0..u.int_in_range(0..=5)? {
        let known = if u.ratio(1, 16)? { ANY } else { own };
        if !known.is_empty() {
            let shape = u.choose(known)?;
            flags.push(flag(u, shape)?);
        }
    }
    let mut words = vec![name.as_bytes().to_vec()];
    if name != "mn" {
        let is_encoded = flags.iter().any(|flag| flag == b"b");
        words.push(match is_encoded && !u.ratio(1, 16)? {
            true => u.choose(BASE64_KEYS)?.as_bytes().to_vec(),
            false => template::fill(u, "K")?.concat(),
        });
    }
    if name != SET {
        words.append(&mut flags);
        return Ok([&words.join(&b' ')[..], template::line_end(u)?].concat());
    }
    let data = template::value(u)?;
    words.push(data.len().to_string().into_bytes());
    words.append(&mut flags);
    Ok([
        &words.join(&b' ')[..],
        template::line_end(u)?,
        &data,
        b"\r\n",
    ]
    .concat())
}

fn flag(u: &mut Unstructured<'_>, shape: &str) -> Result<Vec<u8>> {
    let letter = &shape[..1];
    Ok(match &shape[1..] {
        "#" => format!("{letter}{}", template::number(u)?).into_bytes(),
        "?" => format!("{letter}{}", u.choose(MODES)?).into_bytes(),
        _ => letter.as_bytes().to_vec(),
    })
}

/// Whether the request's reply depends on what is found: it may get none.
pub(crate) fn is_quiet(words: &[Vec<u8>]) -> bool {
    let Some((name, flags)) = words.split_first() else {
        return false;
    };
    let is_meta = COMMANDS.iter().any(|(known, _)| known.as_bytes() == name);
    is_meta && flags.iter().skip(1).any(|flag| flag.starts_with(b"q"))
}

/// Whether two replies are equal except for the numbers that the server gives its items: it has only one count.
pub(crate) fn is_same_but_for_cas(one: &[u8], other: &[u8]) -> bool {
    without_cas(one).is_some_and(|plain| Some(plain) == without_cas(other))
}

fn without_cas(reply: &[u8]) -> Option<Vec<u8>> {
    // A key that is repeated as it is may have a CR.
    let end = reply.windows(2).position(|pair| pair == b"\r\n")?;
    let words = reply[..end].split(|byte| *byte == b' ');
    let is_number = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let is_cas = |word: &[u8]| {
        let number = word.strip_prefix(b"cas=").or(word.strip_prefix(b"c"));
        number.is_some_and(is_number)
    };
    let words: Vec<&[u8]> = words.filter(|word| !is_cas(word)).collect();
    let kinds: [&[u8]; 6] = [b"HD", b"VA", b"NF", b"NS", b"EX", b"ME"];
    kinds
        .contains(words.first()?)
        .then(|| [&words.join(&b' ')[..], &reply[end..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_that_differ_in_more_than_their_items_numbers_differ() {
        for (one, other, is_same) in [
            ("HD c5\r\n", "HD c17\r\n", true),
            ("VA 1 c5 Oc5\r\nx\r\n", "VA 1 c6 Oc5\r\nx\r\n", true),
            ("ME k exp=-1 cas=5\r\n", "ME k exp=-1 cas=6\r\n", true),
            ("VA 1 c5\r\nx\r\n", "VA 1 c6\r\ny\r\n", false),
            ("VA 1 c5 O5\r\nx\r\n", "VA 1 c5 O6\r\nx\r\n", false),
            ("HD k\r 1 c5\r\n", "HD k\r 1 c6\r\n", true),
            ("HD c5\r\n", "HD cx\r\n", false),
            ("HD c5\r\n", "NF c6\r\n", false),
            ("OK c5\r\n", "OK c6\r\n", false),
        ] {
            let found = is_same_but_for_cas(one.as_bytes(), other.as_bytes());
            assert_eq!(found, is_same, "{one} {other}");
        }
    }
}
