//! Medians and their confidence intervals.

use std::fmt;

/// Number of bootstrap resamples.
const RESAMPLES: usize = 4_000;

/// A ratio of two medians with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Ratio {
    /// A figure measured once, without an interval.
    pub(super) fn exact(value: f64) -> Ratio {
        Ratio {
            median: value,
            low: value,
            high: value,
        }
    }
}

/// With its interval, unless that is a single value.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            return write!(f, "{:.3}", self.median);
        }
        write!(
            f,
            "{:.3} ({:.3} to {:.3})",
            self.median, self.low, self.high
        )
    }
}

/// The median; the mean of the two middle values for an even number.
///
/// # Panics
///
/// Without values.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

/// The ratio of the medians of `ours` and `theirs`, which were measured in the same rounds.
///
/// The interval is a percentile bootstrap over rounds: both values of a round are drawn together, so that a
/// disturbance of a whole round affects both sides. `None` without rounds, or if the lengths differ.
pub(super) fn ratio(ours: &[f64], theirs: &[f64]) -> Option<Ratio> {
    if ours.is_empty() || ours.len() != theirs.len() {
        return None;
    }
    let mut chance = Chance(0x5eed);
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let rounds: Vec<usize> = ours.iter().map(|_| chance.below(ours.len())).collect();
            let pick = |side: &[f64]| median(&rounds.iter().map(|&r| side[r]).collect::<Vec<_>>());
            pick(ours) / pick(theirs)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((RESAMPLES - 1) as f64 * share).round() as usize];
    Some(Ratio {
        median: median(ours) / median(theirs),
        low: at(0.025),
        high: at(0.975),
    })
}

/// A small generator (xorshift) with a fixed seed: the same samples always give the same interval.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) as usize) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn an_interval_holds_its_median_and_narrows_without_noise() {
        let theirs = [10.0, 11.0, 9.0, 10.0, 12.0, 10.5, 9.5];
        let ours = theirs.map(|value| value * 0.5);
        let exact = ratio(&ours, &theirs).unwrap();
        assert_eq!((exact.low, exact.median, exact.high), (0.5, 0.5, 0.5));
        let noisy = ratio(&[5.0, 6.5, 4.0, 5.5, 5.0, 7.0, 5.1], &theirs).unwrap();
        assert!(
            noisy.low < noisy.median && noisy.median < noisy.high,
            "{noisy:?}"
        );
        assert!(noisy.low > 0.3 && noisy.high < 0.8, "{noisy:?}");
    }

    #[test]
    fn rounds_that_do_not_match_have_no_ratio() {
        assert_eq!(ratio(&[], &[]), None);
        assert_eq!(ratio(&[1.0], &[1.0, 2.0]), None);
    }
}
