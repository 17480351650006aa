//! How long requests wait in the proxy and at their servers, in log-linear histograms.
//!
//! Each worker has histograms of its own for every server and is their only writer, like for the counters in
//! [`crate::metrics`]; readers add them up. A request waits in the proxy from when it was parsed until its last byte was written
//! to the server, where that is measured, and at the server from then until the last byte of the reply was read. Requests that may wait for other clients (BLPOP), those of the proxy itself, and those
//! without any reply (lost, or late with `timeout_action: close`) are not measured.
//!
//! Times are those that the shell passes: one clock read per batch of reads and one per batch of writes.

use std::iter::Sum;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets per octave, as a power of two: 64, so that a bucket is at most 1/64 of its values wide, and its middle at
/// most 0.8 % from each of them.
const LINEAR_BITS: u32 = 6;
const LINEAR: usize = 1 << LINEAR_BITS;

/// Values from this power of two (134 s, in microseconds) on are counted as the largest below it. No request takes
/// longer where `timeout` is set.
const MAX_BITS: u32 = 27;
const MAX: u64 = (1 << MAX_BITS) - 1;

/// The first holds the values below 64, each in a bucket of its own; each further one doubles the width. Memory for
/// one is only allocated when a value falls into it: 512 bytes, at most 11 KiB per histogram.
const OCTAVES: usize = (MAX_BITS - LINEAR_BITS) as usize + 1;

/// Whether a request only reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Class {
    /// It is known to change no data.
    Read,
    /// Any other.
    #[default]
    Write,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 2] = [Class::Read, Class::Write];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
        }
    }
}

/// What one worker has measured of a server's requests.
#[derive(Debug, Default)]
pub struct ServerLatency {
    waiting: Histogram,
    serving: [Histogram; Class::ALL.len()],
}

impl ServerLatency {
    /// How long requests waited in the proxy.
    pub fn waiting(&self) -> &Histogram {
        &self.waiting
    }

    pub(crate) fn record_waiting(&self, took: Duration, count: u64) {
        self.waiting.record(took, count);
    }

    pub(crate) fn record_serving(&self, class: Class, took: Duration, count: u64) {
        if count > 0 {
            self.serving[class as usize].record(took, count);
        }
    }

    /// How many reads the server has answered, and how long they waited there together.
    pub(crate) fn reads(&self) -> (u64, Duration) {
        self.serving(Class::Read).total()
    }

    /// How long those of a class waited at the server.
    pub fn serving(&self, class: Class) -> &Histogram {
        &self.serving[class as usize]
    }
}

/// Durations, in microseconds. One thread writes; any may read.
#[derive(Debug, Default)]
pub struct Histogram {
    octaves: [OnceLock<Box<[AtomicU64; LINEAR]>>; OCTAVES],
    /// Of all values, in microseconds.
    sum: AtomicU64,
}

impl Histogram {
    /// How many values there are, and their sum.
    fn total(&self) -> (u64, Duration) {
        let octaves = self.octaves.iter().filter_map(OnceLock::get);
        let buckets = octaves.flat_map(|octave| octave.iter());
        let count = buckets.map(|bucket| bucket.load(Ordering::Relaxed)).sum();
        let sum = Duration::from_micros(self.sum.load(Ordering::Relaxed));
        (count, sum)
    }

    fn record(&self, value: Duration, count: u64) {
        let micros = u64::try_from(value.as_micros()).map_or(MAX, |micros| micros.min(MAX));
        let (octave, bucket) = place(micros);
        let buckets = self.octaves[octave]
            .get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
        bump(&buckets[bucket], count);
        bump(&self.sum, micros * count);
    }
}

/// A copy of one or several histograms, to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations {
    /// Bucket by bucket, octave by octave.
    counts: Vec<u64>,
    sum: u64,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            counts: vec![0; OCTAVES * LINEAR],
            sum: 0,
        }
    }
}

impl Durations {
    /// Adds what a histogram has now.
    pub fn add(&mut self, histogram: &Histogram) {
        for (octave, counts) in histogram.octaves.iter().zip(self.counts.chunks_mut(LINEAR)) {
            let Some(buckets) = octave.get() else {
                continue;
            };
            for (bucket, count) in buckets.iter().zip(counts) {
                *count += bucket.load(Ordering::Relaxed);
            }
        }
        self.sum += histogram.sum.load(Ordering::Relaxed);
    }

    /// Adds another copy.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }

    /// What was added to the histograms since `earlier` was copied from them.
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts);
        Self {
            counts: counts
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum)
    }

    /// The duration that a share `quantile` (0 to 1) of them does not exceed, within 1 %; `None` if there are none.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_micros(middle(found)))
    }

    /// How many are shorter than each of the bounds of [`bounds`], in their order.
    pub fn cumulative(&self) -> Vec<u64> {
        let mut total = 0;
        let mut at = 0;
        let below = |bound: Duration| {
            let micros = u64::try_from(bound.as_micros()).unwrap_or(MAX);
            let (octave, bucket) = place(micros);
            let end = octave * LINEAR + bucket;
            total += self.counts[at..end].iter().sum::<u64>();
            at = end;
            total
        };
        bounds().map(below).collect()
    }
}

impl Sum for Durations {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|one| sum.merge(&one));
        sum
    }
}

/// The bounds of the histograms that are shown to other programs, as powers of two of microseconds: from 64 us to 17 s,
/// in steps of two and, from 16 ms on, of four. Each bound costs a line per server and class.
const BOUNDS: [u32; 14] = [6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 22, 24];

/// The bounds of the histograms that are shown to other programs. Buckets begin there, so that what is shown is exact.
pub fn bounds() -> impl Iterator<Item = Duration> {
    BOUNDS.iter().map(|bits| Duration::from_micros(1 << bits))
}

/// The octave and bucket of a value of at most [`MAX`].
fn place(micros: u64) -> (usize, usize) {
    if micros < LINEAR as u64 {
        return (0, micros as usize);
    }
    let bits = micros.ilog2();
    let bucket = (micros >> (bits - LINEAR_BITS)) as usize % LINEAR;
    ((bits - LINEAR_BITS) as usize + 1, bucket)
}

/// The middle of the values of a bucket, counted over all octaves.
fn middle(at: usize) -> u64 {
    let (octave, bucket) = (at / LINEAR, (at % LINEAR) as u64);
    match octave.checked_sub(1) {
        None => bucket,
        Some(shift) => ((LINEAR as u64 + bucket) << shift) + (1 << shift) / 2,
    }
}

/// There is one writer, so a plain load and store suffice.
fn bump(value: &AtomicU64, by: u64) {
    value.store(
        value.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Durations {
        let histogram = Histogram::default();
        for value in values {
            histogram.record(Duration::from_micros(*value), 1);
        }
        let mut durations = Durations::default();
        durations.add(&histogram);
        durations
    }

    #[test]
    fn each_value_is_read_back_within_one_percent() {
        let mut value = 1_u64;
        while value <= 100_000_000 {
            let read = of(&[value]).quantile(0.5).unwrap().as_micros() as f64;
            let error = (read - value as f64).abs() / value as f64;
            assert!(error <= 0.01, "{value} us is read as {read}");
            value += 1 + value / 37;
        }
        let endless = of(&[u64::MAX]);
        assert!(endless.quantile(1.0).unwrap() >= Duration::from_secs(130));
        assert_eq!(of(&[0]).quantile(1.0), Some(Duration::ZERO));
        assert_eq!(of(&[]).quantile(0.5), None);
    }

    #[test]
    fn quantiles_sums_and_differences_are_those_of_the_values() {
        let values: Vec<u64> = (1..=1_000).collect();
        let all = of(&values);
        let near = |quantile: f64, micros: u64| {
            let found = all.quantile(quantile).unwrap().as_micros() as i64;
            assert!(
                (found - micros as i64).abs() <= 1 + micros as i64 / 100,
                "{quantile}: {found}"
            );
        };
        near(0.5, 500);
        near(0.99, 990);
        near(0.0, 1);
        near(1.0, 1_000);
        assert_eq!(
            (all.count(), all.sum()),
            (1_000, Duration::from_micros(500_500))
        );
        let mut twice = all.clone();
        twice.merge(&of(&[7, 7]));
        assert_eq!(twice.since(&all), of(&[7, 7]));
    }

    #[test]
    fn what_is_shown_to_other_programs_is_exact() {
        let shown = of(&[63, 64, 127, 128, 255, 1 << 20]).cumulative();
        let bounds: Vec<u128> = bounds().map(|bound| bound.as_micros()).collect();
        assert_eq!(bounds[..3], [64, 128, 256]);
        assert_eq!(shown[..3], [1, 3, 5]);
        let at = |micros| bounds.iter().position(|bound| *bound == micros).unwrap();
        assert_eq!((shown[at(1 << 20)], shown[at(1 << 22)]), (5, 6));
        assert_eq!(shown.last(), Some(&6));
    }
}
