//! Reproducible random numbers, and which seeds a run uses.

/// Seeds that once found a bug; every run starts with them.
const REGRESSIONS: &[u64] = &[];

/// Number of seeds of a run by default, for each protocol.
const DEFAULT_SEEDS: u64 = 40;

/// The seeds to run: one (`NUTHATCH_DIFF_SEED=n`), many (`NUTHATCH_DIFF_SEEDS=count`), or the default.
pub(crate) fn seeds() -> Vec<u64> {
    if let Some(only) = number("NUTHATCH_DIFF_SEED") {
        return vec![only];
    }
    let count = number("NUTHATCH_DIFF_SEEDS").unwrap_or(DEFAULT_SEEDS);
    REGRESSIONS.iter().copied().chain(1..=count).collect()
}

/// Whether a single seed is run, so that not every excuse is expected to be needed.
pub(crate) fn is_replay() -> bool {
    number("NUTHATCH_DIFF_SEED").is_some()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
    )
}

/// A small generator (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// An independent generator: using it does not change the sequence of this one.
    pub(crate) fn fork(&mut self) -> Rng {
        Rng(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// From `low` to `high`, inclusive.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    /// True with probability 1 / `n`.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}
