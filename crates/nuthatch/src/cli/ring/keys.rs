//! Keys from a file, one by one: which of them move.

use std::io::{self, BufRead, Read};

use hashkit::{Placement, Ring};

use super::change::Kept;
use crate::config::PoolConfig;
use crate::ring_diff::{members, same_servers};

/// The longest key that is read, in bytes. memcached allows 250; longer ones are rare in Redis, too, and a file without
/// line ends must not be held in memory.
pub(super) const LONGEST: usize = 64 << 10;

/// A key that moves.
pub(super) struct Moved<'k> {
    /// The pool, by its new name.
    pub(super) pool: &'k str,
    pub(super) key: &'k [u8],
    /// Names of servers.
    pub(super) from: &'k str,
    pub(super) to: &'k str,
}

/// What was found of a pool.
pub(super) struct Count {
    pub(super) pool: String,
    pub(super) keys: u64,
    pub(super) moved: u64,
}

impl Count {
    /// Whether more than this many percent of the keys move.
    pub(super) fn exceeds(&self, percent: Option<f64>) -> bool {
        let share = self.moved as f64 / self.keys.max(1) as f64;
        percent.is_some_and(|percent| share > percent / 100.0)
    }
}

/// Why keys could not be read.
pub(super) enum Refused {
    Unreadable(io::Error),
    /// The key in this line is longer than [`LONGEST`].
    TooLong(u64),
}

/// Calls `tell` for each key that moves in any of the pools, and whether it is the first. Pools whose keys have no
/// server of their own are passed over. Empty lines are, too: no key is empty.
pub(super) fn count(
    input: &mut dyn BufRead,
    pools: &[&Kept<'_>],
    tell: &mut dyn FnMut(&Moved<'_>, bool),
) -> Result<Vec<Count>, Refused> {
    let mut pairs: Vec<Pair<'_>> = pools.iter().filter_map(|kept| Pair::of(kept)).collect();
    let (mut line, mut number, mut is_first) = (Vec::new(), 0, true);
    // Room for the line end, too.
    let most = LONGEST as u64 + 2;
    loop {
        line.clear();
        number += 1;
        let mut limited = Read::take(&mut *input, most);
        if limited
            .read_until(b'\n', &mut line)
            .map_err(Refused::Unreadable)?
            == 0
        {
            break;
        }
        let key = line.strip_suffix(b"\n").unwrap_or(&line);
        let key = key.strip_suffix(b"\r").unwrap_or(key);
        if key.len() > LONGEST {
            return Err(Refused::TooLong(number));
        }
        for pair in pairs.iter_mut().filter(|_| !key.is_empty()) {
            if let Some(moved) = pair.moved(key) {
                tell(&moved, is_first);
                is_first = false;
            }
        }
    }
    Ok(pairs.into_iter().map(|pair| pair.count).collect())
}

/// A pool's placement before and after.
struct Pair<'c> {
    old: (&'c PoolConfig, Ring),
    new: (&'c PoolConfig, Ring),
    same: Vec<Option<usize>>,
    count: Count,
}

impl<'c> Pair<'c> {
    fn of(kept: &Kept<'c>) -> Option<Self> {
        kept.diff.worst()?;
        let ring = |pool: &PoolConfig| {
            let settings = &pool.settings;
            settings.placement.ring(&members(&settings.servers))
        };
        Some(Self {
            old: (kept.old, ring(kept.old)),
            new: (kept.new, ring(kept.new)),
            same: same_servers(&kept.old.settings.servers, &kept.new.settings.servers),
            count: Count {
                pool: kept.new.settings.name.clone(),
                keys: 0,
                moved: 0,
            },
        })
    }

    /// Counts a key; where it moves, if it does.
    fn moved<'k>(&'k mut self, key: &'k [u8]) -> Option<Moved<'k>> {
        self.count.keys += 1;
        // The pool's keys have servers of their own, so that nothing is drawn.
        let place = |placement: &Placement, ring: &Ring| placement.place(ring, key, || 0);
        let from = place(&self.old.0.settings.placement, &self.old.1)?;
        let to = place(&self.new.0.settings.placement, &self.new.1)?;
        if self.same[to] == Some(from) {
            return None;
        }
        self.count.moved += 1;
        Some(Moved {
            pool: &self.new.0.settings.name,
            key,
            from: &self.old.0.settings.servers[from].name,
            to: &self.new.0.settings.servers[to].name,
        })
    }
}
