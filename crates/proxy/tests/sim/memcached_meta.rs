//! Meta commands of fake memcached clients, and what fake servers answer to them. The servers parse them with their own
//! code.
//!
//! Every reply names its key (flag `k`). Behind a quiet request whose reply the client may not want comes `mn`, so that
//! its silence can be seen.

use crate::clients::Client;
use crate::expected::Expected;
use crate::keys;
use crate::memcached_server::error;
use crate::redis_client::Composed;

/// The next one, where `key` makes a key with the given letter.
pub(crate) fn compose(
    client: &mut Client,
    key: impl FnOnce(&mut Client, char) -> Vec<u8>,
) -> Composed {
    let verb = client.rng.pick(&["mg", "mg", "ms", "ms", "md", "ma"]);
    let mark = match verb {
        "mg" => client.rng.pick(&['b', 'b', 'n', 'n', 'e']),
        "ms" => client.rng.pick(&['w', 'w', 'w', 'm', 'f']),
        _ => client.rng.pick(&['y', 'y', 'n', 'e']),
    };
    let key = key(client, mark);
    let name = String::from_utf8_lossy(&key).into_owned();
    let is_quiet = client.rng.chance(2, 3);
    let quiet = match is_quiet {
        true => client.rng.pick(&[" q", "  q"]),
        false => "",
    };
    let value = keys::value(&key, keys::read(&key).map_or(0, |key| key.size));
    let mut bytes = match verb {
        "mg" => format!("mg {name} v{quiet} k\r\n").into_bytes(),
        "ms" => {
            let ttl = client.rng.pick(&["", " T0", " T-1", " T100"]);
            let line = format!("ms {name} {}{quiet} k{ttl}\r\n", value.len());
            [line.as_bytes(), &value, b"\r\n"].concat()
        }
        "md" => format!("md {name} k{quiet}\r\n").into_bytes(),
        _ => format!("ma {name} N0 v k{quiet}\r\n").into_bytes(),
    };
    // A read of an ejected server's key may be a miss.
    let may_be_silent = is_quiet && (verb == "mg" || is_unwanted(verb, &key));
    let want = match may_be_silent {
        false => Expected::Keyed { verb, key },
        true => {
            bytes.extend_from_slice(b"mn\r\n");
            Expected::Silence { verb, key }
        }
    };
    Composed {
        bytes,
        want: Some(want),
        ..Composed::default()
    }
}

/// Whether the client of a quiet request does not want the server's reply, by the letter of the key.
pub(crate) fn is_unwanted(verb: &str, key: &[u8]) -> bool {
    let Some(wish) = keys::read(key) else {
        return false;
    };
    match verb {
        "mg" => wish.mark == b'n',
        _ => matches!(wish.mark, b'w' | b'y'),
    }
}

/// Whether it is such a command.
pub(crate) fn is_meta(verb: &str) -> bool {
    matches!(verb, "mg" | "ms" | "md" | "ma")
}

/// `server`'s reply to `verb` on a key.
pub(crate) fn answer(server: usize, verb: &str, key: &[u8]) -> Vec<u8> {
    let Some(wish) = keys::read(key) else {
        return b"CLIENT_ERROR bad command line format\r\n".to_vec();
    };
    let name = String::from_utf8_lossy(key);
    let data = |data: &[u8]| {
        let line = format!("VA {} k{name}\r\n", data.len());
        [line.as_bytes(), data, b"\r\n"].concat()
    };
    let code = match (verb, wish.mark) {
        (_, b'e' | b'f') => return error(server, key),
        ("mg", b'b') => return data(&keys::payload(server, key, wish.size)),
        ("mg", _) => return miss(key),
        ("ma", b'y') => return data(keys::stamp(server, &wish).to_string().as_bytes()),
        ("ms", b'm') => "NS",
        (_, b'n') => "NF",
        _ => "HD",
    };
    format!("{code} k{name}\r\n").into_bytes()
}

/// The reply to a meta get that finds nothing.
pub(crate) fn miss(key: &[u8]) -> Vec<u8> {
    [b"EN k", key, b"\r\n"].concat()
}

/// What is wrong with the words of such a command, which must have no `q`, and on a server of the failover pool no
/// longer life than `limit`.
pub(crate) fn check(verb: &str, words: &[&[u8]], limit: Option<u32>) -> Result<(), String> {
    let shown = || String::from_utf8_lossy(&words.join(&b' ')).into_owned();
    let flags = words.get(if verb == "ms" { 3.. } else { 2.. });
    let flags = flags.ok_or_else(|| format!("too short: {}", shown()))?;
    if flags.iter().any(|flag| flag.starts_with(b"q")) {
        return Err(format!("a quiet request reached the server: {}", shown()));
    }
    let Some(limit) = limit else {
        return Ok(());
    };
    let times = flags.iter().filter(|flag| matches!(flag[0], b'T' | b'N'));
    let times: Vec<Option<i64>> = times
        .map(|flag| std::str::from_utf8(&flag[1..]).ok()?.parse().ok())
        .collect();
    let is_short = |time: &Option<i64>| time.is_some_and(|time| time != 0 && time <= limit.into());
    let needs_one = matches!(verb, "ms" | "ma");
    match times.iter().all(is_short) && !(needs_one && times.is_empty()) {
        true => Ok(()),
        false => Err(format!("{} for more than {limit} s", shown())),
    }
}
