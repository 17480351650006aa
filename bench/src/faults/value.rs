//! Keys and values that identify their writer.
//!
//! A value names its pool, client, key and sequence number, and the rest of it follows from these. So any
//! value, wherever it is read, can be traced to the one request that wrote it.

use super::random::mix;

/// Keys per client.
pub const KEYS: u16 = 64;

/// Length of a key, which is also the part of a value that names it: `t`, then pool, client and key in
/// hexadecimal.
pub const KEY_LEN: usize = 9;

/// Length of a value's head: the key, `#`, and the sequence number.
pub const HEAD: usize = KEY_LEN + 9;

/// Owners whose pool has this number or a higher one write large values more often.
pub const LARGE_POOLS: u8 = 0x80;

/// Period of the filler in bytes.
const PERIOD: usize = 16;

/// The owner of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Number of the pool.
    pub pool: u8,
    /// Number of the client.
    pub client: u16,
}

/// The result of tracing a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traced {
    /// Complete, of the requested key, with this sequence number.
    Ours(u32),
    /// Complete, of another key or client.
    Strange,
    /// Not a value that any client wrote.
    Broken,
}

/// Appends the name of a key.
pub fn push_key(out: &mut Vec<u8>, owner: Owner, key: u16) {
    out.push(b't');
    push_hex(out, u32::from(owner.pool), 2);
    push_hex(out, u32::from(owner.client), 3);
    push_hex(out, u32::from(key), 3);
}

/// Appends the value that `owner` writes to `key` with sequence number `seq`.
pub fn push_value(out: &mut Vec<u8>, owner: Owner, key: u16, seq: u32) {
    let start = out.len();
    push_head(out, owner, key, seq);
    let filler = token(&out[start..]);
    let end = start + value_len(owner, key, seq);
    out.reserve(end - out.len());
    while out.len() < end {
        let missing = end - out.len();
        // Once a whole period is there, it is doubled.
        let have = out.len() - start - HEAD;
        if have == 0 {
            out.extend_from_slice(&filler[..missing.min(PERIOD)]);
        } else {
            out.extend_from_within(start + HEAD..start + HEAD + have.min(missing));
        }
    }
}

/// Appends the head of a value: the key, `#` and the sequence number.
pub fn push_head(out: &mut Vec<u8>, owner: Owner, key: u16, seq: u32) {
    push_key(out, owner, key);
    out.push(b'#');
    push_hex(out, seq, 8);
}

/// Length of a value: mostly tens of bytes, sometimes thousands, rarely (see [`LARGE_POOLS`]) hundreds of thousands.
pub fn value_len(owner: Owner, key: u16, seq: u32) -> usize {
    let chance = mix(u64::from(seq) << 32
        | u64::from(owner.client) << 16
        | u64::from(key)
        | u64::from(owner.pool) << 60);
    let size = (chance >> 32) as usize;
    let extra = match chance % 1_000 {
        0..=40 if owner.pool >= LARGE_POOLS => size % 600_000,
        0 => size % 200_000,
        1..=20 => size % 8_000,
        _ => size % 100,
    };
    HEAD + extra
}

/// Determines the origin of `value`, which was read as `key` of `owner`.
pub fn trace(value: &[u8], owner: Owner, key: u16) -> Traced {
    let Some((found_owner, found_key, seq)) = read_head(value) else {
        return Traced::Broken;
    };
    if value.len() != value_len(found_owner, found_key, seq) || !has_its_filler(value) {
        return Traced::Broken;
    }
    if (found_owner, found_key) == (owner, key) {
        Traced::Ours(seq)
    } else {
        Traced::Strange
    }
}

fn has_its_filler(value: &[u8]) -> bool {
    let (head, filler) = value.split_at(HEAD);
    let first = filler.len().min(PERIOD);
    // A value that begins correctly and repeats itself is correct.
    filler[..first] == token(head)[..first] && filler[first..] == filler[..filler.len() - first]
}

/// What the head of a value says: owner, key and sequence number.
pub fn read_head(value: &[u8]) -> Option<(Owner, u16, u32)> {
    let head = value.get(..HEAD)?;
    if head[0] != b't' || head[KEY_LEN] != b'#' {
        return None;
    }
    let owner = Owner {
        pool: u8::try_from(read_hex(&head[1..3])?).ok()?,
        client: u16::try_from(read_hex(&head[3..6])?).ok()?,
    };
    let key = u16::try_from(read_hex(&head[6..9])?).ok()?;
    Some((owner, key, read_hex(&head[KEY_LEN + 1..])?))
}

/// The filler's first bytes: no control characters, so that traffic is readable.
fn token(head: &[u8]) -> [u8; PERIOD] {
    let seed = head
        .iter()
        .fold(0, |seed, &byte| mix(seed ^ u64::from(byte)));
    let mut token = [0; PERIOD];
    for (place, byte) in token.iter_mut().enumerate() {
        *byte = b'@' + ((mix(seed) >> (place * 4)) & 15) as u8;
    }
    token
}

fn push_hex(out: &mut Vec<u8>, number: u32, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(number >> (place * 4) & 15) as usize]);
    }
}

fn read_hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u32::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner {
        pool: 3,
        client: 0x12a,
    };

    fn value(owner: Owner, key: u16, seq: u32) -> Vec<u8> {
        let mut out = b"before".to_vec();
        push_value(&mut out, owner, key, seq);
        out.split_off(6)
    }

    #[test]
    fn values_are_traced_to_their_writers() {
        let other = Owner { client: 1, ..OWNER };
        for seq in 0..3_000 {
            let ours = value(OWNER, 7, seq);
            assert_eq!(ours.len(), value_len(OWNER, 7, seq));
            assert_eq!(trace(&ours, OWNER, 7), Traced::Ours(seq));
            assert_eq!(trace(&ours, OWNER, 8), Traced::Strange);
            assert_eq!(trace(&ours, other, 7), Traced::Strange);
            assert_eq!(trace(&ours[1..], OWNER, 7), Traced::Broken);
            assert_eq!(trace(&ours[..ours.len() - 1], OWNER, 7), Traced::Broken);
        }
        let mut key = Vec::new();
        push_key(&mut key, OWNER, 7);
        assert_eq!((key.as_slice(), key.len()), (&b"t0312a007"[..], KEY_LEN));
    }

    #[test]
    fn a_changed_byte_anywhere_is_seen() {
        let seq = (0..10_000)
            .find(|&seq| value_len(OWNER, 7, seq) > 1_000)
            .unwrap();
        let good = value(OWNER, 7, seq);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_ne!(trace(&bad, OWNER, 7), Traced::Ours(seq), "byte {at}");
        }
    }
}
