//! Two hashes by Bob Jenkins: one-at-a-time and lookup3.

use super::bytes::{CharSign, le_word, len32};

pub(super) fn one_at_a_time(sign: CharSign, key: &[u8]) -> u32 {
    let hash = key.iter().fold(0_u32, |hash, &byte| {
        let hash = hash.wrapping_add(sign.widen(byte));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ (hash >> 6)
    });
    let hash = hash.wrapping_add(hash << 3);
    let hash = hash ^ (hash >> 11);
    hash.wrapping_add(hash << 15)
}

/// The `hashlittle` of lookup3 with initial value 13 (nutcracker's choice).
///
/// Every group of twelve bytes but the last is mixed in. The last one, which may be full, is padded with
/// zeros and finishes the hash.
pub(super) fn lookup3(key: &[u8]) -> u32 {
    let mut state = State::new(len32(key));
    let mut rest = key;
    while rest.len() > GROUP {
        let (group, others) = rest.split_at(GROUP);
        state.add(group);
        state.mix();
        rest = others;
    }
    if !rest.is_empty() {
        state.add(rest);
        state.close();
    }
    state.c
}

/// Bytes that lookup3 processes at once: one word for each of its registers.
const GROUP: usize = 12;

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(len: u32) -> Self {
        let start = 0xdead_beef_u32.wrapping_add(len).wrapping_add(13);
        Self {
            a: start,
            b: start,
            c: start,
        }
    }

    /// Adds up to twelve bytes; missing ones count as zero.
    fn add(&mut self, group: &[u8]) {
        let word = |at: usize| le_word(group.get(at..).unwrap_or_default());
        self.a = self.a.wrapping_add(word(0));
        self.b = self.b.wrapping_add(word(4));
        self.c = self.c.wrapping_add(word(8));
    }

    /// Six reversible steps that spread a group over all three registers.
    fn mix(&mut self) {
        let Self { a, b, c } = self;
        mix_step(a, c, b, 4);
        mix_step(b, a, c, 6);
        mix_step(c, b, a, 8);
        mix_step(a, c, b, 16);
        mix_step(b, a, c, 19);
        mix_step(c, b, a, 4);
    }

    /// Seven steps that let every bit reach register `c`.
    fn close(&mut self) {
        let Self { a, b, c } = self;
        close_step(c, b, 14);
        close_step(a, c, 11);
        close_step(b, a, 25);
        close_step(c, b, 16);
        close_step(a, c, 4);
        close_step(b, a, 14);
        close_step(c, b, 24);
    }
}

fn mix_step(target: &mut u32, source: &mut u32, other: &u32, bits: u32) {
    *target = target.wrapping_sub(*source) ^ source.rotate_left(bits);
    *source = source.wrapping_add(*other);
}

fn close_step(target: &mut u32, source: &u32, bits: u32) {
    *target = (*target ^ source).wrapping_sub(source.rotate_left(bits));
}
