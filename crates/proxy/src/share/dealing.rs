//! Which workers serve the clients of a pool that connect.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of the first one, and how many there are, in the upper and the lower half; none means all.
#[derive(Debug, Default)]
pub(super) struct Dealing(AtomicU64);

impl Dealing {
    /// So many from that one on; returns whether it was different.
    pub(super) fn set(&self, first: usize, count: usize) -> bool {
        let packed = (first as u64) << 32 | count as u64;
        self.0.swap(packed, Ordering::Relaxed) != packed
    }

    /// Whether this one is among them, of `all` that there are. After the last one comes the first one.
    pub(super) fn includes(&self, worker: usize, all: usize) -> bool {
        let packed = self.0.load(Ordering::Relaxed);
        let (first, count) = (
            (packed >> 32) as usize,
            (packed & u64::from(u32::MAX)) as usize,
        );
        count == 0 || (worker + all - first % all) % all < count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_in_a_row_are_included_around_the_end() {
        let dealing = Dealing::default();
        let included = |dealing: &Dealing| {
            let workers = (0..4).filter(|worker| dealing.includes(*worker, 4));
            workers.collect::<Vec<_>>()
        };
        assert_eq!(included(&dealing), [0, 1, 2, 3]);
        assert!(dealing.set(3, 2) && !dealing.set(3, 2));
        assert_eq!(included(&dealing), [0, 3]);
        assert!(dealing.set(9, 1));
        assert_eq!(included(&dealing), [1]);
        assert!(dealing.set(2, 4));
        assert_eq!(included(&dealing), [0, 1, 2, 3]);
    }
}
