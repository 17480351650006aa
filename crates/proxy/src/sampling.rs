//! One in so many, picked at random.

/// Picks one in so many. The gaps between those that are picked vary: with requests that follow each other in the same order
/// again and again, only some of them would ever be picked otherwise.
#[derive(Debug)]
pub(crate) struct Sampler {
    every: u32,
    /// How many are left until the next that is picked, that one included.
    left: u32,
    random: u64,
}

impl Sampler {
    /// Picks one in `every`, at least 1.
    pub(crate) fn new(every: u32, seed: u64) -> Self {
        let mut sampler = Self {
            every,
            left: 0,
            // A generator that is at zero stays there.
            random: seed | 1,
        };
        sampler.begin_gap();
        sampler
    }

    /// It picks one in so many.
    pub(crate) fn every(&self) -> u32 {
        self.every
    }

    /// Whether the next one is picked.
    #[inline]
    pub(crate) fn is_next(&mut self) -> bool {
        self.left -= 1;
        let is_it = self.left == 0;
        if is_it {
            self.begin_gap();
        }
        is_it
    }

    fn begin_gap(&mut self) {
        // Xorshift: any spread will do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        // From 1 to twice as many less 1, which is so many on average.
        let most = u64::from(self.every) * 2 - 1;
        self.left = 1 + (self.random % most) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_picked() {
        for (every, expected) in [
            (1, 100_000..=100_000),
            (10, 9_500..=10_500),
            (1_000, 80..=120),
        ] {
            let mut sampler = Sampler::new(every, 5);
            let picked = (0..100_000).filter(|_| sampler.is_next()).count();
            assert!(expected.contains(&picked), "{every}: {picked}");
        }
        assert_eq!(Sampler::new(i32::MAX as u32, 0).every(), i32::MAX as u32);
    }
}
