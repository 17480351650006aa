//! Keys and values that follow from a number.

/// Digits of a key's number.
const DIGITS: usize = 8;

/// Period of a value in bytes.
const PERIOD: usize = 16;

/// Bytes of values: printable, so that traffic is readable.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// Numbered keys with values of one size; a value identifies its key and size.
#[derive(Debug, Clone)]
pub struct Keyspace {
    prefix: Vec<u8>,
    count: u32,
    size: usize,
}

impl Keyspace {
    /// Keys 0 to `count` - 1 with values of `size` bytes.
    pub fn new(count: u32, size: usize) -> Self {
        Self {
            prefix: format!("nb{size}:").into_bytes(),
            count,
            size,
        }
    }

    /// The same with keys that begin with `tag` in braces, unless it is empty.
    pub fn tagged(mut self, tag: &str) -> Self {
        if !tag.is_empty() {
            let tag = format!("{{{tag}}}");
            self.prefix.splice(0..0, tag.bytes());
        }
        self
    }

    /// How many keys there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of each value.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes of each key.
    pub fn key_len(&self) -> usize {
        self.prefix.len() + DIGITS
    }

    /// Appends key `id`.
    pub fn push_key(&self, out: &mut Vec<u8>, id: u32) {
        out.extend_from_slice(&self.prefix);
        let mut digits = [b'0'; DIGITS];
        let mut rest = id;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits);
    }

    /// The number of a key of this keyspace.
    pub fn id_of(&self, key: &[u8]) -> Option<u32> {
        let digits = key.strip_prefix(self.prefix.as_slice())?;
        let id = (digits.len() == DIGITS).then(|| number(digits))??;
        (id < self.count).then_some(id)
    }

    /// Appends the value of key `id`.
    pub fn push_value(&self, out: &mut Vec<u8>, id: u32) {
        push_value(out, id, self.size);
    }

    /// Whether `value` is the value of key `id`.
    pub fn is_value(&self, value: &[u8], id: u32) -> bool {
        if value.len() != self.size {
            return false;
        }
        let first = self.size.min(PERIOD);
        // A value that begins correctly and repeats itself is correct.
        value[..first] == token(id, self.size)[..first]
            && value[first..] == value[..self.size - first]
    }
}

/// The number of a key of any untagged keyspace, and the size of its value.
pub fn id_and_size_of(key: &[u8]) -> Option<(u32, usize)> {
    let rest = key.strip_prefix(b"nb")?;
    let (size, digits) = rest.split_at(rest.len().checked_sub(DIGITS)?);
    let size = number(size.strip_suffix(b":")?)?;
    Some((number(digits)?, size as usize))
}

/// Appends the value of key `id` where values have `size` bytes.
pub fn push_value(out: &mut Vec<u8>, id: u32, size: usize) {
    let start = out.len();
    out.reserve(size);
    out.extend_from_slice(&token(id, size)[..size.min(PERIOD)]);
    // Doubling keeps the period as long as it is complete.
    while out.len() - start < size {
        let have = out.len() - start;
        out.extend_from_within(start..start + have.min(size - have));
    }
}

fn token(id: u32, size: usize) -> [u8; PERIOD] {
    let seed = (u64::from(id) << 32) ^ size as u64;
    let (mut low, mut high) = (mix(seed), mix(!seed));
    let mut token = [0; PERIOD];
    for pair in token.chunks_exact_mut(2) {
        pair[0] = ALPHABET[(low & 63) as usize];
        pair[1] = ALPHABET[(high & 63) as usize];
        low >>= 6;
        high >>= 6;
    }
    token
}

/// A number of up to nine digits and nothing else.
fn number(digits: &[u8]) -> Option<u32> {
    let sound = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let value = |sum, digit: &u8| sum * 10 + u32::from(digit - b'0');
    sound.then(|| digits.iter().fold(0, value))
}

/// A mixing step similar to splitmix64: nearby inputs give unrelated outputs.
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(keys: &Keyspace, id: u32) -> Vec<u8> {
        let mut out = b"before".to_vec();
        keys.push_value(&mut out, id);
        out.split_off(6)
    }

    #[test]
    fn a_value_of_any_size_fits_its_key_only() {
        for size in [1, 3, 15, 16, 17, 33, 100, 16_384] {
            let keys = Keyspace::new(1_000, size);
            let seven = value(&keys, 7);
            assert_eq!(seven.len(), size);
            assert!(keys.is_value(&seven, 7));
            let strangers = (0..1_000).filter(|&id| keys.is_value(&seven, id)).count();
            assert!(
                strangers <= if size < 3 { 40 } else { 2 },
                "{size}: {strangers}"
            );
            assert!(!keys.is_value(&seven[1..], 7));
        }
    }

    #[test]
    fn one_changed_byte_anywhere_is_seen() {
        let keys = Keyspace::new(10, 100);
        let good = value(&keys, 3);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(!keys.is_value(&bad, 3), "byte {at}");
        }
        assert!(!keys.is_value(&value(&Keyspace::new(10, 101), 3), 3));
    }

    #[test]
    fn keys_are_read_back() {
        let keys = Keyspace::new(500, 3);
        let mut key = Vec::new();
        keys.push_key(&mut key, 421);
        assert_eq!(key, b"nb3:00000421");
        assert_eq!(key.len(), keys.key_len());
        assert_eq!(keys.id_of(&key), Some(421));
        for bad in [
            "nb3:00000500",
            "nb3:421",
            "nb4:00000421",
            "nb3:+0000421",
            "",
        ] {
            assert_eq!(keys.id_of(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(id_and_size_of(&key), Some((421, 3)));
        for bad in ["nb:00000421", "nb3:0000421", "nx3:00000421", "nb3", ""] {
            assert_eq!(id_and_size_of(bad.as_bytes()), None, "{bad}");
        }
        let tagged = keys.tagged("t");
        key.clear();
        tagged.push_key(&mut key, 421);
        assert_eq!(key, b"{t}nb3:00000421");
        assert_eq!(
            (tagged.id_of(&key), tagged.key_len()),
            (Some(421), key.len())
        );
    }
}
