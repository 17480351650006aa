//! Requests of memcached clients, and an independent parser of their replies.

use arbitrary::{Result, Unstructured};

use crate::{meta, template};

pub(crate) const FLUSH: &[u8] = b"flush_all\r\n";

/// A flush in the future makes items of an earlier flush visible again: no script goes on after it.
pub(crate) const LATE_FLUSH: &[u8] = b"flush_all ";
pub(crate) const QUESTION: &[u8] = b"get a-bystander's-key\r\n";
pub(crate) const ANSWER: &[u8] = b"END\r\n";

/// One-line requests, see [`template`].
const TEMPLATES: &[&str] = &[
    "get K",
    "get K*",
    "gets K",
    "gets K*",
    "gat N K*",
    "gats 1000 K*",
    "delete K",
    "delete K 0",
    "delete K noreply",
    "incr K N",
    "decr K N",
    "incr K N noreply",
    "touch K N",
    "touch K 1000",
    "touch K N noreply",
    "version",
    "verbosity N",
    "flush_all",
    "flush_all noreply",
    "get",
    "get K noreply",
    "delete K N",
    "quit",
    "stats",
    "incr K",
    "touch K",
    "mg K v",
    "mg K k v t s f h u O1",
    "mg K N0 v",
    "mg K T1000 N",
    "mg K !",
    "mg K b v k",
    "md K",
    "md K I k",
    "ma K N0 J10 v",
    "ma K D3 MD O2 k",
    "ma K t T0 J",
    "mn",
    "me",
];

/// Commands that the proxy refuses, and unknown words.
const REFUSED: &[&str] = &["bget K", "shutdown", "lru K", "GET K", "S K"];

const STORAGE: &[&str] = &[
    "set", "add", "replace", "append", "prepend", "set", "set", "cas",
];

/// Flags of a meta set.
const SET_FLAGS: &[&str] = &[
    "", "k O3", "T0 F5", "ME", "MA", "MP N0", "MR", "b", "C1", "F",
];

/// A request, usually complete and valid.
pub(crate) fn request(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    if u.ratio(3, 5)? {
        return storage(u);
    }
    let templates = match u.int_in_range(0..=31)? {
        31 => REFUSED,
        25..=30 => return meta::request(u),
        _ => TEMPLATES,
    };
    let template = u.choose(templates)?;
    let words = template::fill(u, template)?;
    Ok([&words.join(&b' ')[..], template::line_end(u)?].concat())
}

fn storage(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let verb = *u.choose(STORAGE)?;
    let mut words = template::fill(u, &format!("{verb} K"))?;
    let data = template::value(u)?;
    if u.ratio(1, 4)? {
        return meta_set(u, &data);
    }
    let odd = |u: &mut Unstructured<'_>, usual: &str| -> Result<Vec<u8>> {
        Ok(match u.int_in_range(0..=31)? {
            31 => template::number(u)?.into_bytes(),
            _ => usual.as_bytes().to_vec(),
        })
    };
    words.push(odd(u, "7")?);
    words.push(odd(u, "0")?);
    words.push(odd(u, &data.len().to_string())?);
    if verb == "cas" {
        // Servers number their items from 1; none of their numbers is as large.
        words.push(odd(u, "18446744073709551000")?);
    }
    if u.int_in_range(0..=7)? == 7 {
        words.push(b"noreply".to_vec());
    }
    if u.int_in_range(0..=63)? == 63 {
        words.pop();
    }
    Ok([
        &words.join(&b' ')[..],
        template::line_end(u)?,
        &data,
        b"\r\n",
    ]
    .concat())
}

fn meta_set(u: &mut Unstructured<'_>, data: &[u8]) -> Result<Vec<u8>> {
    let mut words = template::fill(u, &format!("{} K", meta::SET))?;
    words.push(match u.int_in_range(0..=31)? {
        31 => template::number(u)?.into_bytes(),
        _ => data.len().to_string().into_bytes(),
    });
    let flags = u.choose(SET_FLAGS)?;
    words.extend(template::fill(u, flags)?);
    Ok([
        &words.join(&b' ')[..],
        template::line_end(u)?,
        data,
        b"\r\n",
    ]
    .concat())
}

/// The length of the first reply, if it is complete.
pub(crate) fn reply_len(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\x81") {
        return binary_reply_len(bytes);
    }
    let mut end = 0;
    loop {
        let rest = bytes.get(end..)?;
        let len = rest.iter().position(|byte| *byte == b'\n')? + 1;
        let line = &rest[..len];
        end += len;
        let header = line.strip_suffix(b"\r\n").unwrap_or(line);
        let data = |nth| {
            let data = header.split(|byte| *byte == b' ').nth(nth)?;
            Some(std::str::from_utf8(data).ok()?.parse::<usize>().ok()? + 2)
        };
        if line.starts_with(b"VA ") {
            end += data(1)?;
            return (end <= bytes.len()).then_some(end);
        } else if line.starts_with(b"VALUE ") {
            end += data(3)?;
        } else if !line.starts_with(b"STAT ") {
            return (end <= bytes.len()).then_some(end);
        }
    }
}

/// The same of a reply of the binary protocol.
fn binary_reply_len(bytes: &[u8]) -> Option<usize> {
    let body = bytes.get(8..)?.first_chunk::<4>()?;
    let len = 24 + u32::from_be_bytes(*body) as usize;
    (len <= bytes.len()).then_some(len)
}

/// The first words of error lines.
pub(crate) const ERRORS: &[&str] = &["ERROR", "CLIENT_ERROR", "SERVER_ERROR"];

/// Whether the proxy serves this command.
pub(crate) fn is_served(name: &str) -> bool {
    let first = |template: &&str| template.split(' ').next() == Some(name);
    is_storage(name.as_bytes()) || TEMPLATES.iter().any(first)
}

/// Whether a request with this name is followed by a data block.
pub(crate) fn is_storage(name: &[u8]) -> bool {
    is_classic_storage(name) || name == meta::SET.as_bytes()
}

/// Whether an error of the proxy is about such a request.
pub(crate) fn names_storage(error: &[u8]) -> bool {
    let mut words = error.split(|byte| *byte == b'\'');
    words.nth(1).is_some_and(is_storage)
}

fn is_classic_storage(name: &[u8]) -> bool {
    STORAGE.iter().any(|verb| verb.as_bytes() == name)
}

/// A request as parsed here.
struct Request<'a> {
    words: Vec<Vec<u8>>,
    block: &'a [u8],
}

/// The words of each request that gets a reply, as far as the bytes can be parsed, and it is known which get one.
pub(crate) fn requests(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let requests = read(bytes).0.into_iter().map(|request| request.words);
    let told = requests.take_while(|words| !meta::is_quiet(words));
    told.filter(|words| !is_quiet(words)).collect()
}

/// Whether the bytes end inside a data block. After an invalid line servers disagree on what begins a block,
/// so each line is considered.
pub(crate) fn ends_in_block(bytes: &[u8]) -> bool {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut starts = std::iter::once(0).chain(ends.map(|(end, _)| end + 1));
    starts.any(|start| read(&bytes[start..]).1)
}

/// Whether a value was sent that makes memcached read past its end when it is used as a number: a blank, or
/// 2^63 or more.
pub(crate) fn has_odd_number(bytes: &[u8]) -> bool {
    let odd = |block: &[u8]| {
        block.iter().any(u8::is_ascii_whitespace)
            || number_of(block).is_some_and(|number| number >= 1 << 63)
    };
    read(bytes).0.iter().any(|request| odd(request.block))
}

/// The same, where a request whose reply is not told uses a number.
pub(crate) fn counts_odd_number_in_silence(bytes: &[u8]) -> bool {
    let is_silent = |words: &[Vec<u8>]| match words.first().map(Vec::as_slice) {
        Some(b"incr" | b"decr") => is_quiet(words),
        Some(b"ma") => meta::is_quiet(words),
        _ => false,
    };
    let mut requests = read(bytes).0.into_iter();
    has_odd_number(bytes) && requests.any(|request| is_silent(&request.words))
}

fn read(mut bytes: &[u8]) -> (Vec<Request<'_>>, bool) {
    let mut requests = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
        let words = line
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        let words: Vec<Vec<u8>> = words.map(<[u8]>::to_vec).collect();
        bytes = &bytes[end + 1..];
        let len = match words.first() {
            Some(name) if is_storage(name) => {
                let at = if is_classic_storage(name) { 4 } else { 2 };
                words.get(at).and_then(|word| number(leading_digits(word)))
            }
            _ => None,
        };
        let mut block = &b""[..];
        let mut is_whole = true;
        if let Some(len) = len {
            is_whole = bytes.len() >= len + 2;
            block = &bytes[..len.min(bytes.len())];
            bytes = bytes.get(len + 2..).unwrap_or_default();
        }
        requests.push(Request { words, block });
        if !is_whole {
            return (requests, true);
        }
    }
    (requests, false)
}

/// Whether it says `noreply`. A key may have that name too.
fn is_quiet(words: &[Vec<u8>]) -> bool {
    const OTHERS: [&[u8]; 6] = [
        b"delete",
        b"incr",
        b"decr",
        b"touch",
        b"flush_all",
        b"verbosity",
    ];
    let may_be = |name: &Vec<u8>| is_classic_storage(name) || OTHERS.contains(&&name[..]);
    words.first().is_some_and(may_be) && words.last().is_some_and(|word| word == b"noreply")
}

/// Whether any request is a quiet `ma` that may create its item.
pub(crate) fn has_quiet_creation(bytes: &[u8]) -> bool {
    let creates = |words: &[Vec<u8>]| {
        let has = |letter: u8| words.iter().skip(2).any(|flag| flag[0] == letter);
        words.first().is_some_and(|name| name == b"ma") && has(b'N') && has(b'q')
    };
    read(bytes).0.iter().any(|request| creates(&request.words))
}

/// Whether any request says `noreply`.
pub(crate) fn has_noreply(bytes: &[u8]) -> bool {
    read(bytes).0.iter().any(|request| is_quiet(&request.words))
}

/// Whether any request with a data block says `noreply`.
pub(crate) fn has_quiet_block(bytes: &[u8]) -> bool {
    let quiet = |words: &[Vec<u8>]| is_quiet(words) && is_storage(&words[0]);
    read(bytes).0.iter().any(|request| quiet(&request.words))
}

/// Whether any invalid request says `noreply`.
pub(crate) fn has_odd_noreply(bytes: &[u8]) -> bool {
    let odd = |words: &[Vec<u8>]| is_quiet(words) && !is_sound(words);
    read(bytes).0.iter().any(|request| odd(&request.words))
}

/// The same, where at most so many replies belong before it.
pub(crate) fn has_odd_noreply_before(bytes: &[u8], replies: usize) -> bool {
    let mut before = 0;
    read(bytes).0.iter().any(|request| {
        let words = &request.words;
        before += usize::from(!is_quiet(words));
        is_quiet(words) && before <= replies && !is_sound(words)
    })
}

/// The same for a storage command, which announces a block.
pub(crate) fn has_odd_noreply_block(bytes: &[u8]) -> bool {
    let odd = |words: &[Vec<u8>]| is_quiet(words) && !is_sound(words) && is_storage(&words[0]);
    read(bytes).0.iter().any(|request| odd(&request.words))
}

/// Whether a request follows memcached's documentation, so that it must not be refused.
pub(crate) fn is_sound(words: &[Vec<u8>]) -> bool {
    let quiet = usize::from(is_quiet(words));
    let words: Vec<&str> = words[..words.len() - quiet]
        .iter()
        .map(|word| std::str::from_utf8(word).unwrap_or("\0"))
        .collect();
    let is_key = |word: &&str| word.len() <= 250 && !word.contains(['\0', '\r']);
    let plain = |word: &str| {
        word.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    let fits = |word: &str, max: i128| {
        plain(word) && word.parse().is_ok_and(|n: i128| n <= max && n >= -max)
    };
    let unsigned = |word: &str, max: i128| fits(word, max) && !word.starts_with('-');
    match words[..] {
        ["get" | "gets", _, ..] => words[1..].iter().all(is_key),
        ["gat" | "gats", exptime, _, ..] => {
            fits(exptime, i128::from(i32::MAX)) && words[2..].iter().all(is_key)
        }
        ["incr" | "decr", key, delta] => is_key(&key) && unsigned(delta, i128::from(u64::MAX)),
        ["touch", key, exptime] => is_key(&key) && fits(exptime, i128::from(i32::MAX)),
        ["delete", key] | ["delete", key, "0"] => is_key(&key),
        ["version" | "flush_all" | "stats" | "quit"] => true,
        ["mn", ..] => true,
        ["me" | "mg" | "md" | "ma", key, ..] => is_key(&key) && are_flags(&words[2..]),
        [meta::SET, key, len, ..] => {
            is_key(&key) && unsigned(len, 1 << 20) && are_flags(&words[3..])
        }
        ["cas", key, flags, exptime, len, unique] => {
            is_key(&key)
                && unsigned(flags, i128::from(u32::MAX))
                && fits(exptime, i128::from(i32::MAX))
                && unsigned(len, 1 << 20)
                && unsigned(unique, i128::from(u64::MAX))
        }
        [name, key, flags, exptime, len]
            if is_classic_storage(name.as_bytes()) && name != "cas" =>
        {
            is_key(&key)
                && unsigned(flags, i128::from(u32::MAX))
                && fits(exptime, i128::from(i32::MAX))
                && unsigned(len, 1 << 20)
        }
        _ => false,
    }
}

/// Flags of a meta command of which none is there twice, and none says that the key is in base64.
fn are_flags(words: &[&str]) -> bool {
    let letters: Vec<_> = words.iter().map(|word| word.as_bytes()[0]).collect();
    let is_single = |letter: &u8| letters.iter().filter(|other| *other == letter).count() == 1;
    letters
        .iter()
        .all(|letter| is_single(letter) && *letter != b'b')
}

/// How servers parse a number with a sign before it or something after it.
fn leading_digits(word: &[u8]) -> &[u8] {
    let word = word.strip_prefix(b"+").unwrap_or(word);
    let end = word.iter().position(|byte| !byte.is_ascii_digit());
    &word[..end.unwrap_or(word.len())]
}

fn number(word: &[u8]) -> Option<usize> {
    std::str::from_utf8(word)
        .ok()?
        .parse()
        .ok()
        .filter(|len| *len < 1 << 30)
}

/// Whether two replies to `gets` are equal except for the last number of each header: the server numbers its
/// items in the order of arrival.
pub(crate) fn is_same_but_for_uniques(one: &[u8], other: &[u8]) -> bool {
    without_uniques(one).is_some_and(|plain| Some(plain) == without_uniques(other))
}

fn without_uniques(mut reply: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    while reply.starts_with(b"VALUE ") {
        let end = reply.iter().position(|byte| *byte == b'\r')?;
        let words: Vec<&[u8]> = reply[..end].split(|byte| *byte == b' ').collect();
        let [_, key, flags, len, _unique] = words[..] else {
            return None;
        };
        let data = reply.get(end..end + 2 + number(len)? + 2)?;
        plain.extend_from_slice(&[key, flags, len, data].join(&b' '));
        reply = &reply[end + data.len()..];
    }
    plain.extend_from_slice(reply);
    Some(plain)
}

fn number_of(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_in_a_block_is_seen_behind_a_line_that_makes_no_sense() {
        let odd = "append a 7 0 2touch k0 19 noreply\r\n";
        for (rest, ends) in [
            ("append b 7 32 32\r\nva\r\n", true),
            ("append b 7 32 2\r\nva\r\n", false),
            ("append b 7 32 +2\r\n\r\n", true),
            ("get b\r\n", false),
        ] {
            assert_eq!(
                ends_in_block(format!("{odd}{rest}").as_bytes()),
                ends,
                "{rest}"
            );
            assert_eq!(ends_in_block(rest.as_bytes()), ends, "{rest}");
        }
    }
}
