//! The rows of the command table, and finding one by name.
//!
//! The index is an open-addressed hash table built at compile time. It is one quarter full, so that nearly
//! every lookup is one hash of at most 16 bytes, one probe and one comparison.

mod bundled;
mod collections;
mod containers;
mod generic;
mod refused;
mod row;
mod strings;

use crate::command::Command;

const GROUPS: [&[Command]; 8] = [
    generic::KEYS,
    generic::SCRIPTS,
    strings::ROWS,
    collections::ROWS,
    containers::ROWS,
    bundled::ROWS,
    refused::LOCAL,
    refused::ROWS,
];

const COUNT: usize = {
    let mut count = 0;
    let mut group = 0;
    while group < GROUPS.len() {
        count += GROUPS[group].len();
        group += 1;
    }
    count
};

static ALL: [Command; COUNT] = {
    let mut all = [GROUPS[0][0]; COUNT];
    let (mut group, mut row, mut at) = (0, 0, 0);
    while group < GROUPS.len() {
        while row < GROUPS[group].len() {
            all[at] = GROUPS[group][row];
            at += 1;
            row += 1;
        }
        row = 0;
        group += 1;
    }
    all
};

/// The longest name of any command.
const LONGEST_NAME: usize = 24;
const SLOTS: usize = 2048;
const EMPTY: u16 = u16::MAX;

/// For each hash the index of a row; rows whose slot is taken are in the next free slots.
static INDEX: [u16; SLOTS] = {
    let mut index = [EMPTY; SLOTS];
    let mut row = 0;
    while row < COUNT {
        let name = ALL[row].name.as_bytes();
        assert!(name.len() <= LONGEST_NAME);
        let mut slot = hash(name);
        while index[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        index[slot] = row as u16;
        row += 1;
    }
    index
};

pub(crate) fn all() -> &'static [Command] {
    &ALL
}

pub(crate) fn lookup(name: &[u8]) -> Option<&'static Command> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let mut slot = hash(name);
    loop {
        // Ends at an empty slot, of which there are more than used ones.
        let command = ALL.get(usize::from(INDEX[slot]))?;
        if command.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Hashes both ends of the name and its length. Case does not matter: setting bit 5 makes ASCII letters lower
/// case.
const fn hash(name: &[u8]) -> usize {
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let (head, tail) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(head), Some(tail)) => (
                u32::from_le_bytes(*head) as u64,
                u32::from_le_bytes(*tail) as u64,
            ),
            _ => match name {
                [] => (0, 0),
                [a] => (*a as u64, 0),
                [a, b] => (*a as u64, *b as u64),
                [a, b, rest @ ..] => (*a as u64 | (*b as u64) << 8, rest[0] as u64),
            },
        },
    };
    let mixed = (head | LOWER)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(tail | LOWER)
        .wrapping_add(name.len() as u64)
        .wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> 53) as usize % SLOTS
}

#[cfg(test)]
mod tests;
