//! Requests from templates: words with placeholders for keys, values and numbers.
//!
//! In a template `K` stands for a key, `V` for a value, `N` for a small number, `F` for a fraction, `S` for a
//! word of any bytes; a trailing `*` repeats the word (and the one before it, after `**`).

use arbitrary::{Result, Unstructured};

/// Few keys, so that requests use each other's data.
const KEYS: &[&[u8]] = &[b"k0", b"k1", b"k2", b"k3", b"{t}a", b"{t}b"];

/// The words of a request made from `template`.
pub(crate) fn fill(u: &mut Unstructured<'_>, template: &str) -> Result<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    for part in template.split(' ') {
        let stem = part.trim_end_matches('*');
        let times = match part.len() - stem.len() {
            0 => 1,
            _ => u.int_in_range(1..=5)?,
        };
        for _ in 0..times {
            for token in stem.split('+') {
                words.push(word(u, token)?);
            }
        }
    }
    Ok(words)
}

fn word(u: &mut Unstructured<'_>, token: &str) -> Result<Vec<u8>> {
    Ok(match token {
        "K" => key(u)?,
        "V" => value(u)?,
        "N" => number(u)?.into_bytes(),
        "F" => format!("{}.{}", u.int_in_range(-9..=9)?, u.int_in_range(0..=99)?).into_bytes(),
        "S" => any(u)?,
        plain => plain.as_bytes().to_vec(),
    })
}

fn key(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    match u.ratio(1, 16)? {
        true => any(u),
        false => Ok(u.choose(KEYS)?.to_vec()),
    }
}

/// CR LF, and sometimes what memcached takes for it.
pub(crate) fn line_end(u: &mut Unstructured<'_>) -> Result<&'static [u8]> {
    Ok(match u.int_in_range(0..=31)? {
        31 => b"\n",
        30 => b" \r\n",
        _ => b"\r\n",
    })
}

/// A value: short, a number, any bytes, or long enough for the core to handle it differently.
pub(crate) fn value(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    const LONG: [usize; 6] = [100, 1_000, 8_191, 8_192, 9_000, 70_000];
    Ok(match u.int_in_range(0..=15)? {
        0..=5 => b"value"[..u.int_in_range(0..=5)?].to_vec(),
        6..=9 => number(u)?.into_bytes(),
        10..=13 => any(u)?,
        14 => b"\r\nEND\r\n$-1\r\n"[..u.int_in_range(0..=12)?].to_vec(),
        _ => {
            let len = *u.choose(&LONG)?;
            let first: u8 = u.arbitrary()?;
            (0..len)
                .map(|at| first.wrapping_add((at % 251) as u8))
                .collect()
        }
    })
}

fn any(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = u.int_in_range(0..=12)?;
    Ok(u.bytes(len.min(u.len()))?.to_vec())
}

/// Usually small, sometimes at a limit.
pub(crate) fn number(u: &mut Unstructured<'_>) -> Result<String> {
    const EDGES: [&str; 12] = [
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "4294967296",
        "2147483648",
        "-1",
        "+1",
        "01",
        "1e3",
        "",
    ];
    Ok(match u.ratio(1, 6)? {
        true => (*u.choose(&EDGES)?).to_owned(),
        false => u.int_in_range(-3..=40)?.to_string(),
    })
}
