//! The twelve hash functions of nutcracker, by name.
//!
//! All arithmetic is modulo 2^32 unless a function says otherwise.

mod bob_jenkins;
mod bytes;
mod crc;
mod fnv;
mod hsieh;
mod murmur;

pub use bytes::CharSign;

use crate::md5;

/// A hash function: the `hash` setting of nutcracker 0.5.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HashKind {
    /// Bob Jenkins's one-at-a-time.
    OneAtATime,
    /// The first four bytes of the MD5 digest, little-endian.
    Md5,
    /// CRC-16/XMODEM whose state is never masked to 16 bits. (The hash of Redis Cluster's slots is masked.)
    Crc16,
    /// Bits 16 to 30 of the CRC-32. With ketama, nearly all keys land on one server; kept because existing
    /// deployments use it.
    Crc32,
    /// The CRC-32 of zlib.
    Crc32a,
    /// The low half of 64-bit FNV-1.
    Fnv1_64,
    /// The low half of 64-bit FNV-1a. nutcracker's default.
    #[default]
    Fnv1a64,
    /// 32-bit FNV-1.
    Fnv1_32,
    /// 32-bit FNV-1a.
    Fnv1a32,
    /// Paul Hsieh's SuperFastHash, started from zero.
    Hsieh,
    /// MurmurHash2, seeded with the length of the key.
    Murmur,
    /// Bob Jenkins's lookup3.
    Jenkins,
}

impl HashKind {
    /// Every hash function, in the order in which nutcracker lists them.
    pub const ALL: [Self; 12] = [
        Self::OneAtATime,
        Self::Md5,
        Self::Crc16,
        Self::Crc32,
        Self::Crc32a,
        Self::Fnv1_64,
        Self::Fnv1a64,
        Self::Fnv1_32,
        Self::Fnv1a32,
        Self::Hsieh,
        Self::Murmur,
        Self::Jenkins,
    ];

    /// Its name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneAtATime => "one_at_a_time",
            Self::Md5 => "md5",
            Self::Crc16 => "crc16",
            Self::Crc32 => "crc32",
            Self::Crc32a => "crc32a",
            Self::Fnv1_64 => "fnv1_64",
            Self::Fnv1a64 => "fnv1a_64",
            Self::Fnv1_32 => "fnv1_32",
            Self::Fnv1a32 => "fnv1a_32",
            Self::Hsieh => "hsieh",
            Self::Murmur => "murmur",
            Self::Jenkins => "jenkins",
        }
    }

    /// The function called `name` (case matters, as in nutcracker), or `None`
    /// if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How many values it can have: from 0 to one less. Keys of many different bytes are spread over them evenly.
    pub fn values(self) -> u64 {
        match self {
            Self::Crc32 => 1 << crc::CRC32_BITS,
            _ => 1 << u32::BITS,
        }
    }

    /// The hash by which `key` is placed: 0 for the empty key with every function, as in nutcracker's
    /// dispatcher, otherwise [`digest`](Self::digest).
    #[inline]
    pub fn hash(self, sign: CharSign, key: &[u8]) -> u32 {
        match self {
            _ if key.is_empty() => 0,
            // The default, and so that of most pools.
            Self::Fnv1a64 => fnv::fnv1a_64(sign, key),
            other => other.digest(sign, key),
        }
    }

    /// The function itself, which may return a value other than 0 for the empty key (`md5` does). To place a
    /// key use [`hash`](Self::hash).
    #[inline(never)]
    pub fn digest(self, sign: CharSign, key: &[u8]) -> u32 {
        match self {
            Self::OneAtATime => bob_jenkins::one_at_a_time(sign, key),
            Self::Md5 => md5::words(key)[0],
            Self::Crc16 => crc::crc16(key),
            Self::Crc32 => crc::crc32(key),
            Self::Crc32a => crc::crc32a(key),
            Self::Fnv1_64 => fnv::fnv1_64(sign, key),
            Self::Fnv1a64 => fnv::fnv1a_64(sign, key),
            Self::Fnv1_32 => fnv::fnv1_32(sign, key),
            Self::Fnv1a32 => fnv::fnv1a_32(sign, key),
            Self::Hsieh => hsieh::hsieh(sign, key),
            Self::Murmur => murmur::murmur(key),
            Self::Jenkins => bob_jenkins::lookup3(key),
        }
    }
}

#[cfg(test)]
mod tests;
