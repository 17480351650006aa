//! A fake memcached: parses the text protocol with its own code, and replies as the keys ask.
//!
//! Letters in a key: `b` a hit, `n` a miss or a negative answer, `y` a positive one, `e` a server error, `w`
//! a write (its size is the value's), `m` a write that is not stored, `f` a write that fails.

use crate::keys;
use crate::memcached_meta;
use crate::redis_server::{Incoming, Step};

/// The request at the start of `input` and its length; `None` if it is incomplete.
pub(crate) fn next(
    server: usize,
    limit: Option<u32>,
    input: &[u8],
) -> Result<Option<(usize, Incoming)>, String> {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let words: Vec<&[u8]> = line
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
        .collect();
    let verb = words.first().map_or(String::new(), |word| {
        String::from_utf8_lossy(word).into_owned()
    });
    if words.iter().skip(1).any(|word| *word == b"noreply") {
        return Err(format!(
            "a quiet request reached the server: {}",
            String::from_utf8_lossy(line)
        ));
    }
    check_limit(&verb, &words, limit)?;
    if memcached_meta::is_meta(&verb) {
        memcached_meta::check(&verb, &words, limit)?;
    }
    if is_storage(&verb) || verb == "ms" {
        return storage(server, &verb, &words, input, end + 1);
    }
    let keys: Vec<Vec<u8>> = words[1.min(words.len())..]
        .iter()
        .filter(|word| keys::read(word).is_some())
        .map(|word| word.to_vec())
        .collect();
    let reply = match (verb.as_str(), &keys[..]) {
        ("get" | "gets" | "gat" | "gats", [_, ..]) => retrieval(server, &verb, &keys),
        ("delete" | "incr" | "decr" | "touch" | "mg" | "md" | "ma", [key]) => {
            answer(server, &verb, key)
        }
        ("version", []) => version(server),
        ("verbosity" | "flush_all", []) => b"OK\r\n".to_vec(),
        ("stats", []) => stats(server),
        _ => {
            return Err(format!(
                "not a request: {:?}",
                String::from_utf8_lossy(line)
            ));
        }
    };
    Ok(Some((
        end + 1,
        Incoming {
            keys,
            reply,
            handshake: false,
            step: Step::Other,
            unblocks: None,
            probe: verb == "version",
            limit: false,
            part: false,
        },
    )))
}

/// On a server of the failover pool, no item may be written with too long a TTL, and nothing may be deleted
/// wholesale.
fn check_limit(verb: &str, words: &[&[u8]], limit: Option<u32>) -> Result<(), String> {
    let Some(limit) = limit else {
        return Ok(());
    };
    let at = match verb {
        "set" | "add" | "replace" | "cas" => 3,
        "touch" => 2,
        "gat" | "gats" => 1,
        "flush_all" | "stats" | "verbosity" => return Err(format!("{verb} of another pool")),
        _ => return Ok(()),
    };
    let text = words
        .get(at)
        .and_then(|word| std::str::from_utf8(word).ok());
    let exptime: i64 = text
        .and_then(|text| text.parse().ok())
        .ok_or("no exptime")?;
    match exptime != 0 && exptime <= limit.into() {
        true => Ok(()),
        false => Err(format!("{verb} for {exptime} s, more than {limit}")),
    }
}

fn is_storage(verb: &str) -> bool {
    matches!(
        verb,
        "set" | "add" | "replace" | "append" | "prepend" | "cas"
    )
}

fn storage(
    server: usize,
    verb: &str,
    words: &[&[u8]],
    input: &[u8],
    body: usize,
) -> Result<Option<(usize, Incoming)>, String> {
    let number =
        |at: usize| -> Option<usize> { std::str::from_utf8(words.get(at)?).ok()?.parse().ok() };
    let (wanted, at) = match verb {
        "ms" => (words.len(), 2),
        "cas" => (6, 4),
        _ => (5, 4),
    };
    let (key, len) = match (words.get(1), number(at)) {
        (Some(key), Some(len)) if words.len() == wanted => (key.to_vec(), len),
        _ => return Err(format!("a {verb} line with odd words: {words:?}")),
    };
    let Some(block) = input.get(body..body + len + 2) else {
        return Ok(None);
    };
    let wish = keys::read(&key).ok_or("a storage command for somebody else's key")?;
    if block != [&keys::value(&key, wish.size)[..], b"\r\n"].concat() {
        return Err(format!(
            "{verb}: value of {} is wrong ({len} bytes)",
            String::from_utf8_lossy(&key)
        ));
    }
    let reply = answer(server, verb, &key);
    Ok(Some((
        body + len + 2,
        Incoming {
            keys: vec![key],
            reply,
            handshake: false,
            step: Step::Other,
            unblocks: None,
            probe: false,
            limit: false,
            part: false,
        },
    )))
}

/// `server`'s reply to a retrieval of `keys`.
fn retrieval(server: usize, verb: &str, keys: &[Vec<u8>]) -> Vec<u8> {
    let failing = |key: &&Vec<u8>| keys::read(key).is_some_and(|key| key.mark == b'e');
    if let Some(key) = keys.iter().find(failing) {
        return error(server, key);
    }
    let mut reply: Vec<u8> = keys
        .iter()
        .flat_map(|key| block(server, verb, key))
        .collect();
    reply.extend_from_slice(b"END\r\n");
    reply
}

/// The VALUE block of `key`; empty for a miss.
pub(crate) fn block(server: usize, verb: &str, key: &[u8]) -> Vec<u8> {
    let Some(wish) = keys::read(key).filter(|key| key.mark == b'b') else {
        return Vec::new();
    };
    let name = String::from_utf8_lossy(key);
    let cas = if verb.ends_with('s') {
        format!(" {}", keys::stamp(server, &wish))
    } else {
        String::new()
    };
    let line = format!("VALUE {name} {server} {}{cas}\r\n", wish.size);
    [
        line.as_bytes(),
        &keys::payload(server, key, wish.size),
        b"\r\n",
    ]
    .concat()
}

/// `server`'s reply to `verb` on one key; the server and the oracle share nothing else.
pub(crate) fn answer(server: usize, verb: &str, key: &[u8]) -> Vec<u8> {
    let Some(wish) = keys::read(key) else {
        return b"ERROR\r\n".to_vec();
    };
    if memcached_meta::is_meta(verb) {
        return memcached_meta::answer(server, verb, key);
    }
    let yes: &[u8] = match verb {
        "get" | "gets" | "gat" | "gats" => return retrieval(server, verb, &[key.to_vec()]),
        "incr" | "decr" if wish.mark == b'y' => {
            return format!("{}\r\n", keys::stamp(server, &wish)).into_bytes();
        }
        "delete" => b"DELETED\r\n",
        "touch" => b"TOUCHED\r\n",
        _ => b"STORED\r\n",
    };
    match wish.mark {
        b'e' | b'f' => error(server, key),
        b'n' => b"NOT_FOUND\r\n".to_vec(),
        b'm' if verb == "cas" => b"EXISTS\r\n".to_vec(),
        b'm' => b"NOT_STORED\r\n".to_vec(),
        _ => yes.to_vec(),
    }
}

pub(crate) fn error(server: usize, key: &[u8]) -> Vec<u8> {
    [format!("SERVER_ERROR s{server} ").as_bytes(), key, b"\r\n"].concat()
}

pub(crate) fn version(server: usize) -> Vec<u8> {
    format!("VERSION 1.6.{server}\r\n").into_bytes()
}

pub(crate) fn stats(server: usize) -> Vec<u8> {
    format!("STAT pid {server}\r\nSTAT curr_items 1{server}\r\nEND\r\n").into_bytes()
}
