//! Random numbers that can be had again, and which of them a run uses.

/// Seeds that once found something; every run plays them first.
const REGRESSIONS: &[u64] = &[];

/// Seeds of a run that was not told otherwise, for each protocol.
const DEFAULT_SEEDS: u64 = 40;

/// The seeds to play: one (`NUTHATCH_DIFF_SEED=n`), many (`NUTHATCH_DIFF_SEEDS=count`), or the default.
pub(crate) fn seeds() -> Vec<u64> {
    if let Some(only) = number("NUTHATCH_DIFF_SEED") {
        return vec![only];
    }
    let count = number("NUTHATCH_DIFF_SEEDS").unwrap_or(DEFAULT_SEEDS);
    REGRESSIONS.iter().copied().chain(1..=count).collect()
}

/// Whether one seed is being looked at, so that not everything is expected to happen.
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

    /// An independent generator: what it gives does not change how this one goes on.
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

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}
