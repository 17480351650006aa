//! Keys that contain everything needed to check a reply: the client, the request, and the reply that the
//! server must give.
//!
//! A key reads `k12:c3:45.0:b300`: salt 12, client 3, its request 45, the first key of it, to be answered
//! with a bulk string of 300 bytes. With a hash tag, the salt is in braces, so that many keys are on the same
//! server. Values and payloads are generated from the key, so that bytes of another request are detected.

/// A parsed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyText {
    pub(crate) client: usize,
    pub(crate) seq: usize,
    /// The kind of reply; each protocol has its own letters.
    pub(crate) mark: u8,
    /// Size of that reply, or of the value that is sent.
    pub(crate) size: usize,
}

/// The origin of a request: the client and the number of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tag {
    pub(crate) client: usize,
    pub(crate) seq: usize,
}

/// Builds a key; `salt` is what is hashed if the pool has a hash tag.
pub(crate) fn key(salt: &str, tag: Tag, part: usize, mark: char, size: usize) -> Vec<u8> {
    format!("{salt}:c{}:{}.{part}:{mark}{size}", tag.client, tag.seq).into_bytes()
}

/// Parses a key; `None` for anything else, including values.
pub(crate) fn read(key: &[u8]) -> Option<KeyText> {
    if key.len() > 4_096 || key.starts_with(VALUE) {
        return None;
    }
    let text = std::str::from_utf8(key).ok()?;
    let mut parts = text.rsplit(':');
    let wish = parts.next()?;
    let (seq, part) = parts.next()?.split_once('.')?;
    let client = parts.next()?.strip_prefix('c')?;
    part.parse::<usize>().ok()?;
    Some(KeyText {
        client: client.parse().ok()?,
        seq: seq.parse().ok()?,
        mark: *wish.as_bytes().first()?,
        size: wish.get(1..)?.parse().ok()?,
    })
}

impl KeyText {
    pub(crate) fn tag(&self) -> Tag {
        Tag {
            client: self.client,
            seq: self.seq,
        }
    }
}

const VALUE: &[u8] = b"v|";

/// The value that a client stores under `key`.
pub(crate) fn value(key: &[u8], len: usize) -> Vec<u8> {
    cycle(&[VALUE, key, b"|"].concat(), len)
}

/// The value that `server` has under `key`.
pub(crate) fn payload(server: usize, key: &[u8], len: usize) -> Vec<u8> {
    cycle(&[format!("s{server}|").as_bytes(), key, b"|"].concat(), len)
}

/// A number that only this server returns for this request.
pub(crate) fn stamp(server: usize, key: &KeyText) -> u64 {
    (server as u64 + 1) * 1_000_000_000_000 + key.client as u64 * 1_000_000 + key.seq as u64
}

fn cycle(unit: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + unit.len());
    bytes.extend_from_slice(unit);
    while bytes.len() < len {
        bytes.extend_from_within(..);
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn keys_lead_back_and_values_do_not() {
    let tag = Tag { client: 3, seq: 45 };
    let text = key("{k12}", tag, 2, 'b', 300);
    assert_eq!(text, b"{k12}:c3:45.2:b300");
    assert_eq!(
        read(&text),
        Some(KeyText {
            client: 3,
            seq: 45,
            mark: b'b',
            size: 300
        })
    );
    for len in 0..60 {
        assert_eq!(read(&value(&text, len)), None);
    }
}
