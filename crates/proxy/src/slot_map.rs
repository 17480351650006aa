//! Which server of a Redis Cluster has which hash slot.

use hashkit::SLOTS;

/// Stands for no server.
const NONE: u16 = u16::MAX;

/// For each hash slot the server that has it, as an index of the pool's servers. Of some it may not be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotMap {
    owners: Box<[u16]>,
}

impl Default for SlotMap {
    /// One in which no slot is known.
    fn default() -> Self {
        Self {
            owners: vec![NONE; SLOTS].into(),
        }
    }
}

impl SlotMap {
    /// The server that has this slot, if it is known.
    #[inline]
    pub fn owner(&self, slot: u16) -> Option<usize> {
        let owner = *self.owners.get(usize::from(slot))?;
        (owner != NONE).then_some(usize::from(owner))
    }

    /// The server with this index has the slot now. A slot or an index that no cluster has (its bound is far below) changes
    /// nothing.
    pub fn set(&mut self, slot: u16, server: usize) {
        if let Some(owner) = self.owners.get_mut(usize::from(slot))
            && let Ok(server) = u16::try_from(server)
        {
            *owner = server;
        }
    }

    /// How many slots have no known server.
    pub fn unknown(&self) -> usize {
        self.owners.iter().filter(|owner| **owner == NONE).count()
    }

    /// How many slots the server with this index has.
    pub fn count_of(&self, server: usize) -> usize {
        let is_it = |owner: &&u16| **owner != NONE && usize::from(**owner) == server;
        self.owners.iter().filter(is_it).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_unknown_until_they_are_set() {
        let mut map = SlotMap::default();
        assert_eq!((map.owner(5), map.unknown()), (None, SLOTS));
        map.set(5, 2);
        map.set(16_383, 0);
        assert_eq!((map.owner(5), map.owner(16_383)), (Some(2), Some(0)));
        assert_eq!((map.unknown(), map.count_of(2)), (SLOTS - 2, 1));
    }

    #[test]
    fn what_is_no_slot_or_no_server_changes_nothing() {
        let mut map = SlotMap::default();
        map.set(16_384, 1);
        map.set(7, usize::from(u16::MAX));
        map.set(8, 100_000);
        assert_eq!(map, SlotMap::default());
        assert_eq!(map.owner(16_384), None);
    }
}
