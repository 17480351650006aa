//! The store of an embedded server: in memory, bounded, with expiry.

use std::collections::HashMap;
use std::time::Instant;

/// Bytes of keys and values that one server keeps.
pub(crate) const MAX_BYTES: usize = 64 << 20;

/// Bytes of one value.
pub(crate) const MAX_VALUE: usize = 1 << 20;

/// Approximate overhead of an entry.
const OVERHEAD: usize = 100;

/// One stored value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) value: Vec<u8>,
    /// The client's flags (memcached).
    pub(crate) flags: u32,
    /// When it expires.
    pub(crate) expires: Option<Instant>,
    /// Changes with every update (memcached's `cas unique`); assigned by the store.
    pub(crate) cas: u64,
}

/// There is no room for the value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Keys and their items.
#[derive(Debug, Default)]
pub(crate) struct Store {
    items: HashMap<Vec<u8>, Item>,
    bytes: usize,
    last_cas: u64,
}

impl Store {
    /// The item of `key`, unless it has expired.
    pub(crate) fn get(&mut self, key: &[u8], now: Instant) -> Option<&Item> {
        let expired = self.items.get(key)?.expires.is_some_and(|end| end <= now);
        if expired {
            self.remove(key);
        }
        self.items.get(key)
    }

    /// Stores an item, replacing an existing one.
    ///
    /// # Errors
    ///
    /// [`Full`] if the item is too large or the store is full; an existing item then stays.
    pub(crate) fn put(&mut self, key: &[u8], item: Item) -> Result<(), Full> {
        let freed = self.items.get(key).map_or(0, |old| cost(key, old));
        let after = self.bytes - freed + cost(key, &item);
        if item.value.len() > MAX_VALUE || after > MAX_BYTES {
            return Err(Full);
        }
        self.bytes = after;
        self.last_cas += 1;
        let item = Item {
            cas: self.last_cas,
            ..item
        };
        self.items.insert(key.to_vec(), item);
        Ok(())
    }

    /// Sets only an item's expiry time; false if there is no such item.
    pub(crate) fn expire(&mut self, key: &[u8], expires: Option<Instant>, now: Instant) -> bool {
        if self.get(key, now).is_none() {
            return false;
        }
        if let Some(item) = self.items.get_mut(key) {
            item.expires = expires;
        }
        true
    }

    /// Removes an item; false if there was none.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let removed = self.items.remove(key);
        self.bytes -= removed.as_ref().map_or(0, |item| cost(key, item));
        removed.is_some()
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.bytes = 0;
    }

    /// Number of items, including expired ones that nobody has asked for since.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

fn cost(key: &[u8], item: &Item) -> usize {
    key.len() + item.value.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn item(value: &[u8]) -> Item {
        Item {
            value: value.to_vec(),
            ..Item::default()
        }
    }

    #[test]
    fn items_expire_and_every_change_has_its_number() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut store = Store::default();
        store.put(b"k", item(b"a")).unwrap();
        let first = store.get(b"k", now).unwrap().cas;
        store.put(b"k", item(b"b")).unwrap();
        assert!(store.get(b"k", now).unwrap().cas > first);
        assert!(store.expire(b"k", Some(later), now));
        assert_eq!(store.get(b"k", now).unwrap().value, b"b");
        assert_eq!(store.get(b"k", later), None);
        assert!(!store.expire(b"k", None, later));
        assert_eq!((store.len(), store.bytes), (0, 0));
    }

    #[test]
    fn the_bounds_hold_and_a_refused_value_changes_nothing() {
        let now = Instant::now();
        let mut store = Store::default();
        store.put(b"k", item(b"old")).unwrap();
        assert_eq!(store.put(b"k", item(&vec![0; MAX_VALUE + 1])), Err(Full));
        assert_eq!(store.get(b"k", now).unwrap().value, b"old");
        let large = item(&vec![0; MAX_VALUE]);
        let fitted = (0_u32..100)
            .take_while(|n| store.put(&n.to_be_bytes(), large.clone()).is_ok())
            .count();
        assert_eq!(fitted, 63);
        assert!(store.bytes <= MAX_BYTES);
        store.clear();
        assert!(store.put(b"k", large).is_ok());
    }
}
