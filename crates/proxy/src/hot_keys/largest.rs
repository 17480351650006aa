//! The keys with the largest values.

use std::cmp::Reverse;
use std::sync::Arc;

use super::key_name::KeyName;

/// What a large value was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// A request.
    Request,
    /// The reply to one.
    Reply,
}

/// A key with the size of the largest request for it, or of the largest reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Large {
    /// The key.
    pub key: Arc<KeyName>,
    /// The size in bytes on the wire; where a request has several keys, its part for one of them.
    pub bytes: u64,
    /// What had that size.
    pub within: Within,
}

/// The keys with the largest requests or replies, at most so many.
#[derive(Debug)]
pub(crate) struct Largest {
    places: usize,
    entries: Vec<Large>,
    /// What is not larger than this is not among them.
    least: u64,
}

impl Largest {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places,
            entries: Vec::new(),
            least: 0,
        }
    }

    /// So many bytes were for the key.
    pub(crate) fn note(&mut self, key: &Arc<KeyName>, bytes: u64, within: Within) {
        if bytes > self.least {
            self.enter(Large {
                key: Arc::clone(key),
                bytes,
                within,
            });
        }
    }

    /// All of them, in no order.
    pub(crate) fn entries(&self) -> &[Large] {
        &self.entries
    }

    fn enter(&mut self, large: Large) {
        let known = self.entries.iter().position(|it| it.key == large.key);
        match known {
            Some(known) if self.entries[known].bytes >= large.bytes => return,
            Some(known) => self.entries[known] = large,
            None if self.entries.len() < self.places => self.entries.push(large),
            None => {
                let least = self.entries.iter_mut().min_by_key(|it| it.bytes);
                least.into_iter().for_each(|least| *least = large.clone());
            }
        }
        if self.entries.len() == self.places {
            let sizes = self.entries.iter().map(|it| it.bytes);
            self.least = sizes.min().unwrap_or_default();
        }
    }

    /// The largest of all of them, largest first, at most so many.
    pub(crate) fn merge<'a>(all: impl Iterator<Item = &'a Large>, most: usize) -> Vec<Large> {
        let mut sorted: Vec<&Large> = all.collect();
        sorted.sort_by(|one, other| {
            (Reverse(one.bytes), &one.key).cmp(&(Reverse(other.bytes), &other.key))
        });
        let mut largest: Vec<Large> = Vec::new();
        for large in sorted {
            if largest.len() < most && !largest.iter().any(|it| it.key == large.key) {
                largest.push(large.clone());
            }
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_each_key_once() {
        let key = |text: &str| Arc::new(KeyName::new(text.as_bytes()));
        let mut largest = Largest::new(2);
        for (text, bytes) in [("a", 5), ("b", 3), ("a", 4), ("c", 1), ("d", 4), ("a", 9)] {
            largest.note(&key(text), bytes, Within::Reply);
        }
        let mut other = Largest::new(2);
        other.note(&key("d"), 7, Within::Request);
        let all = || largest.entries().iter().chain(other.entries());
        let told = |most| -> Vec<(String, u64, Within)> {
            let largest = Largest::merge(all(), most);
            let told = |it: &Large| {
                (
                    String::from_utf8_lossy(it.key.start()).into_owned(),
                    it.bytes,
                    it.within,
                )
            };
            largest.iter().map(told).collect()
        };
        let (a, d) = (
            ("a".to_owned(), 9, Within::Reply),
            ("d".to_owned(), 7, Within::Request),
        );
        assert_eq!(told(9), [a.clone(), d]);
        assert_eq!(told(1), [a]);
    }
}
