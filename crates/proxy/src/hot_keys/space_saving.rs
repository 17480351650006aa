//! The Space-Saving algorithm: the keys that count most, in a fixed number of places.
//!
//! Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams" (2005). A key
//! that has no place takes that of the key that counts least, and its count with it: the count of a key is never too
//! low, and too high by that at most. With `n` places and a total of `t`, no count is too high by more than `t / n`, and each
//! key that counts for more than that has a place.

use std::collections::HashMap;
use std::sync::Arc;

use super::key_name::KeyName;
use crate::latency::Class;

/// A key and what was counted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The key.
    pub key: Arc<KeyName>,
    /// How much it counts at most.
    pub count: u64,
    /// How much of that may belong to other keys.
    pub error: u64,
    /// How much of the rest was of requests that change nothing.
    pub reads: u64,
}

/// What counts most.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    pub(crate) counted: Vec<Counted>,
    /// A key that is not among them counts for so much at most.
    pub(crate) floor: u64,
    /// All keys together.
    pub(crate) total: u64,
}

/// The keys that count most, in a fixed number of places.
#[derive(Debug)]
pub(crate) struct SpaceSaving {
    places: usize,
    entries: Vec<Counted>,
    by_key: HashMap<Arc<KeyName>, usize>,
    /// The entries as a heap: what counts least is first.
    heap: Vec<usize>,
    /// For each entry where it is in the heap.
    in_heap: Vec<usize>,
    total: u64,
}

impl SpaceSaving {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places,
            entries: Vec::new(),
            by_key: HashMap::new(),
            heap: Vec::new(),
            in_heap: Vec::new(),
            total: 0,
        }
    }

    /// The key counts for `amount` more.
    pub(crate) fn add(&mut self, key: &Arc<KeyName>, amount: u64, class: Class) {
        self.total += amount;
        let index = match self.by_key.get(key) {
            Some(index) => *index,
            None => self.place(key),
        };
        let entry = &mut self.entries[index];
        entry.count += amount;
        if class == Class::Read {
            entry.reads += amount;
        }
        self.sink(self.in_heap[index]);
    }

    /// What counts most, in no order.
    pub(crate) fn summary(&self) -> Summary {
        let is_full = self.entries.len() == self.places;
        let least = self.heap.first().map_or(0, |least| self.count_of(*least));
        Summary {
            counted: self.entries.clone(),
            floor: if is_full { least } else { 0 },
            total: self.total,
        }
    }

    /// Gives the key a place, which may be that of the key that counts least.
    fn place(&mut self, key: &Arc<KeyName>) -> usize {
        let index = match self.entries.len() < self.places {
            true => {
                self.in_heap.push(self.heap.len());
                self.heap.push(self.entries.len());
                self.entries.push(Counted {
                    key: Arc::clone(key),
                    count: 0,
                    error: 0,
                    reads: 0,
                });
                // It counts for nothing yet.
                self.rise(self.heap.len() - 1);
                self.entries.len() - 1
            }
            false => {
                let index = self.heap[0];
                let entry = &mut self.entries[index];
                self.by_key.remove(&entry.key);
                entry.key = Arc::clone(key);
                entry.error = entry.count;
                entry.reads = 0;
                index
            }
        };
        self.by_key.insert(Arc::clone(key), index);
        index
    }

    fn count_of(&self, index: usize) -> u64 {
        self.entries[index].count
    }

    /// Moves what is at this place of the heap towards its end, until what follows it counts as much.
    fn sink(&mut self, mut at: usize) {
        loop {
            let children = (2 * at + 1)..self.heap.len().min(2 * at + 3);
            let least = children.min_by_key(|child| self.count_of(self.heap[*child]));
            match least {
                Some(child) if self.count_of(self.heap[child]) < self.count_of(self.heap[at]) => {
                    self.swap(at, child);
                    at = child;
                }
                _ => return,
            }
        }
    }

    /// The opposite.
    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.count_of(self.heap[parent]) <= self.count_of(self.heap[at]) {
                return;
            }
            self.swap(at, parent);
            at = parent;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.in_heap[self.heap[one]] = one;
        self.in_heap[self.heap[other]] = other;
    }
}

impl Summary {
    /// What counts most in all of them together, at most so many, and their total. The bounds hold as for one: a key that
    /// a summary does not have may count there for as much as its floor says.
    pub(crate) fn merge(summaries: &[&Self], most: usize) -> (Vec<Counted>, u64) {
        let floors: u64 = summaries.iter().map(|it| it.floor).sum();
        // Each with the floors of the summaries that have it, which do not count for it.
        let mut sums: HashMap<&KeyName, (Counted, u64)> = HashMap::new();
        for summary in summaries {
            for counted in &summary.counted {
                let none = Counted {
                    key: Arc::clone(&counted.key),
                    count: 0,
                    error: 0,
                    reads: 0,
                };
                let (sum, known) = sums.entry(&counted.key).or_insert((none, 0));
                sum.count += counted.count;
                sum.error += counted.error;
                sum.reads += counted.reads;
                *known += summary.floor;
            }
        }
        let whole = |(counted, known): (Counted, u64)| Counted {
            count: counted.count + floors - known,
            error: counted.error + floors - known,
            ..counted
        };
        let mut counted: Vec<Counted> = sums.into_values().map(whole).collect();
        counted.sort_unstable_by(|one, other| {
            let by_count = other.count.cmp(&one.count);
            by_count.then_with(|| one.key.cmp(&other.key))
        });
        counted.truncate(most);
        (counted, summaries.iter().map(|it| it.total).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Arc<KeyName> {
        Arc::new(KeyName::new(format!("key:{number}").as_bytes()))
    }

    /// Keys from a skewed distribution: few of many come often. Reproducible.
    fn skewed(seed: u64, count: usize) -> Vec<u64> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        (0..count)
            .map(|_| next() % (1 + next() % (1 + next() % 5_000)))
            .collect()
    }

    /// Counts the same exactly.
    fn exactly(keys: &[u64], weight: impl Fn(usize) -> u64) -> HashMap<Arc<KeyName>, u64> {
        let mut counts = HashMap::new();
        for (index, number) in keys.iter().enumerate() {
            *counts.entry(key(*number)).or_default() += weight(index);
        }
        counts
    }

    fn check_bounds(counted: &[Counted], exact: &HashMap<Arc<KeyName>, u64>) {
        for it in counted {
            let exact = exact.get(&it.key).copied().unwrap_or_default();
            assert!(it.count >= exact, "{it:?}, exactly {exact}");
            assert!(it.count - it.error <= exact, "{it:?}, exactly {exact}");
            assert!(it.reads <= exact, "{it:?}, exactly {exact}");
        }
    }

    #[test]
    fn counts_are_within_their_bounds_and_what_counts_for_much_is_there() {
        let places = 64;
        for seed in 0..20 {
            let keys = skewed(seed, 20_000);
            let weight = |index: usize| 1 + (index as u64 * seed) % 7;
            let mut counter = SpaceSaving::new(places);
            for (index, number) in keys.iter().enumerate() {
                let class = if index % 3 == 0 {
                    Class::Read
                } else {
                    Class::Write
                };
                counter.add(&key(*number), weight(index), class);
            }
            let exact = exactly(&keys, weight);
            let summary = counter.summary();
            assert_eq!(summary.counted.len(), places);
            assert_eq!(summary.total, exact.values().sum::<u64>());
            assert!(summary.floor <= summary.total / places as u64);
            check_bounds(&summary.counted, &exact);
            for (key, count) in &exact {
                let is_there = summary.counted.iter().any(|it| it.key == *key);
                assert!(is_there || *count <= summary.floor, "{key:?}: {count}");
            }
        }
    }

    #[test]
    fn few_keys_are_counted_exactly_by_class() {
        let mut counter = SpaceSaving::new(3);
        for (number, amount, class) in [
            (1, 5, Class::Read),
            (2, 1, Class::Write),
            (1, 2, Class::Write),
            (3, 9, Class::Read),
        ] {
            counter.add(&key(number), amount, class);
        }
        let (counted, total) = Summary::merge(&[&counter.summary()], 2);
        let told: Vec<_> = counted
            .iter()
            .map(|it| (it.count, it.error, it.reads))
            .collect();
        assert_eq!((told, total), (vec![(9, 0, 9), (7, 0, 5)], 17));
        // The next key takes the place of the one that counts least.
        counter.add(&key(4), 1, Class::Read);
        let (counted, _) = Summary::merge(&[&counter.summary()], 9);
        assert_eq!(counted.len(), 3);
        let last = &counted[2];
        assert_eq!(
            (&last.key, last.count, last.error, last.reads),
            (&key(4), 2, 1, 1)
        );
    }

    #[test]
    fn bounds_hold_for_several_together() {
        for seed in 0..20 {
            let keys = skewed(seed, 9_000);
            let mut counters = [(); 3].map(|()| SpaceSaving::new(32));
            for (index, number) in keys.iter().enumerate() {
                // Which counter gets a key depends on the key, too, so that some lack keys that count much elsewhere.
                let counter = (index + *number as usize) % 5 % 3;
                counters[counter].add(&key(*number), 1, Class::Write);
            }
            let summaries = counters.map(|it| it.summary());
            let all: Vec<&Summary> = summaries.iter().collect();
            let (counted, total) = Summary::merge(&all, 10);
            assert_eq!((counted.len(), total), (10, keys.len() as u64));
            assert!(counted.is_sorted_by_key(|it| std::cmp::Reverse(it.count)));
            check_bounds(&counted, &exactly(&keys, |_| 1));
        }
    }
}
