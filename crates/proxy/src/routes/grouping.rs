//! The keys of one request, grouped by server: each group becomes a fragment, or several if it is too long for one. In a
//! pool of a Redis Cluster they are grouped by hash slot, as no server takes a request for several.

//!
//! This is a counting sort by the server's index, so the time is linear in the number of keys and no memory is
//! allocated per request. Keys keep the order of the request within a fragment, which joined replies rely on.

use std::ops::Range;

use hashkit::SLOTS;

use super::routing::Destination;
use crate::limits::KEEP_KEYS;
use crate::protocol::decision::Key;

/// Buffers for grouping, kept from request to request: `begin`, `find_owners`, `group`, then `fragments`, then `end`.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    keys: Vec<Key>,
    /// For each key the index of the group that it belongs to: that of its server.
    owners: Vec<u32>,
    /// For each server, by its index, its keys; for each hash slot in the order in which they were found. All keys of one
    /// group have the same destination.
    groups: Vec<Group>,
    /// For each hash slot that has a group the index of that, plus one. Empty until there is one.
    groups_of_slots: Vec<u32>,
    /// Indices of the keys, grouped by server, in request order within one.
    order: Vec<u32>,
    /// The fragments: where each goes, and which keys of `order`.
    fragments: Vec<(Destination, Range<usize>)>,
}

/// Whether the destinations of all keys are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owners {
    /// They are.
    Found,
    /// Those of some are not.
    More,
    /// There is no server for one of them.
    NoServer,
}

/// The keys of one server.
#[derive(Debug, Clone, Copy)]
struct Group {
    destination: Destination,
    /// Number of its keys.
    count: usize,
    /// Index in `order` for the next of them; in the end, the index behind the last one.
    next: usize,
}

impl Grouping {
    /// Begins a new request with `keys`, which [`Grouping::end`] gives back.
    pub(crate) fn begin(&mut self, keys: Vec<Key>) {
        self.keys = keys;
        self.owners.clear();
        self.clear_groups();
    }

    /// Finds the destination of the next `most` keys that have none yet.
    #[inline]
    pub(crate) fn find_owners(
        &mut self,
        most: usize,
        mut route: impl FnMut(Key) -> Destination,
    ) -> Owners {
        let start = self.owners.len();
        let end = self.keys.len().min(start.saturating_add(most));
        self.owners.reserve(end - start);
        for at in start..end {
            let destination = route(self.keys[at]);
            let Some(server) = destination.server() else {
                return Owners::NoServer;
            };
            let index = match destination {
                Destination::Slot(_, slot) => self.group_of_slot(slot),
                _ => server.index(),
            };
            if index >= self.groups.len() {
                self.groups.resize(index + 1, Group::EMPTY);
            }
            let group = &mut self.groups[index];
            group.destination = destination;
            group.count += 1;
            // No truncation: a pool has far fewer than 2^32 servers.
            self.owners.push(index as u32);
        }
        match end == self.keys.len() {
            true => Owners::Found,
            false => Owners::More,
        }
    }

    /// The index of the group of a hash slot, the next one if it has none.
    #[inline(never)]
    fn group_of_slot(&mut self, slot: u16) -> usize {
        if self.groups_of_slots.is_empty() {
            self.groups_of_slots.resize(SLOTS, 0);
        }
        let known = &mut self.groups_of_slots[usize::from(slot)];
        if *known == 0 {
            // No truncation: there are no more groups than slots.
            *known = self.groups.len() as u32 + 1;
        }
        *known as usize - 1
    }

    fn clear_groups(&mut self) {
        if !self.groups_of_slots.is_empty() {
            for group in &self.groups {
                if let Destination::Slot(_, slot) = group.destination {
                    self.groups_of_slots[usize::from(slot)] = 0;
                }
            }
        }
        self.groups.clear();
    }

    /// Begins anew with the same keys: their destinations have changed.
    pub(crate) fn restart(&mut self) {
        self.owners.clear();
        self.clear_groups();
        self.fragments.clear();
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let keys = self.keys.capacity() * size_of::<Key>();
        let numbers = self.owners.capacity() + self.order.capacity();
        let numbers = numbers + self.groups_of_slots.capacity();
        let fragments = self.fragments.capacity() * size_of::<(Destination, Range<usize>)>();
        let groups = self.groups.capacity() * size_of::<Group>();
        keys + numbers * size_of::<u32>() + groups + fragments
    }

    /// Groups the keys, and makes one fragment of each group, or several where it has more than `most` bytes. To be
    /// called when all owners are found.
    pub(crate) fn group(&mut self, most: usize) {
        let mut start = 0;
        for group in &mut self.groups {
            group.next = start;
            start += group.count;
        }
        self.order.clear();
        self.order.resize(self.owners.len(), 0);
        for (key, owner) in (0..).zip(&self.owners) {
            let group = &mut self.groups[*owner as usize];
            self.order[group.next] = key;
            group.next += 1;
        }
        self.cut(most);
    }

    fn cut(&mut self, most: usize) {
        self.fragments.clear();
        for group in &self.groups {
            let (mut start, end) = (group.next - group.count, group.next);
            while start < end {
                let next = fragment_end(&self.order, &self.keys, start..end, most);
                self.fragments.push((group.destination, start..next));
                start = next;
            }
        }
    }

    /// Changes where the fragments go, those of the same destination alike.
    pub(crate) fn change_destinations(&mut self, mut to: impl FnMut(Destination) -> Destination) {
        let mut last = None;
        for (destination, _) in &mut self.fragments {
            let changed = match last {
                Some((from, to)) if from == *destination => to,
                _ => to(*destination),
            };
            last = Some((std::mem::replace(destination, changed), changed));
        }
    }

    /// The fragments: where each goes, and its keys in request order.
    pub(crate) fn fragments(
        &self,
    ) -> impl ExactSizeIterator<Item = (Destination, FragmentKeys<'_>)> {
        self.fragments
            .iter()
            .map(|(destination, fragment)| (*destination, self.keys_of(fragment)))
    }

    /// One of them.
    pub(crate) fn fragment(&self, index: usize) -> Option<(Destination, FragmentKeys<'_>)> {
        let (destination, fragment) = self.fragments.get(index)?;
        Some((*destination, self.keys_of(fragment)))
    }

    fn keys_of(&self, fragment: &Range<usize>) -> FragmentKeys<'_> {
        FragmentKeys {
            order: &self.order[fragment.clone()],
            keys: &self.keys,
        }
    }

    /// All keys, in the order of the request.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// For each key the fragment that it is in.
    pub(crate) fn fragments_of_keys(&self) -> Vec<u32> {
        let mut fragments = vec![0; self.order.len()];
        for (index, (_, fragment)) in self.fragments.iter().enumerate() {
            for key in &self.order[fragment.clone()] {
                fragments[*key as usize] = index as u32;
            }
        }
        fragments
    }

    /// Gives the keys back. What a large request has needed is freed.
    pub(crate) fn end(&mut self) -> Vec<Key> {
        if self.owners.capacity() > KEEP_KEYS {
            self.owners = Vec::new();
            self.order = Vec::new();
            self.fragments = Vec::new();
        }
        std::mem::take(&mut self.keys)
    }
}

/// The keys of one fragment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FragmentKeys<'g> {
    order: &'g [u32],
    keys: &'g [Key],
}

impl<'g> FragmentKeys<'g> {
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Some of them.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self {
            order: &self.order[range],
            keys: self.keys,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Key> + use<'g> {
        let keys = self.keys;
        self.order.iter().map(|key| keys[*key as usize])
    }
}

impl Group {
    const EMPTY: Group = Group {
        destination: Destination::NoServer,
        count: 0,
        next: 0,
    };
}

/// Where the fragment that begins with the first of `range` ends: it has at least one key, and no
/// more than `most` bytes of further ones.
fn fragment_end(order: &[u32], keys: &[Key], range: Range<usize>, most: usize) -> usize {
    if most == usize::MAX {
        return range.end;
    }
    let mut bytes = 0;
    let mut end = range.start;
    while end < range.end {
        bytes += keys[order[end] as usize].len as usize + 1;
        if bytes > most && end > range.start {
            break;
        }
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ServerId, Table};

    fn key(len: u32) -> Key {
        Key {
            start: 0,
            len,
            arg: 0,
        }
    }

    #[test]
    fn a_fragment_ends_before_the_key_that_is_too_much_and_has_one_at_least() {
        let keys = [key(3), key(3), key(3), key(9)];
        let order = [0, 1, 2, 3];
        let end = |begin, most| fragment_end(&order, &keys, begin..order.len(), most);
        // Each key has a space before it.
        assert_eq!([end(0, 7), end(0, 8), end(0, 11), end(0, 12)], [1, 2, 2, 3]);
        assert_eq!([end(0, 2), end(3, 2), end(1, 100)], [1, 4, 4]);
    }

    #[test]
    fn keys_are_grouped_by_server_and_keep_their_order() {
        let mut table = Table::new();
        let servers: [ServerId; 4] = [(); 4].map(|()| table.insert_with(|_| ()));
        let mut grouping = Grouping::default();
        for _ in 0..2 {
            grouping.begin((1..=6).map(key).collect());
            let mut owners = [2, 0, 2, 3, 0, 2].into_iter();
            let mut next = |_| Destination::Server(servers[owners.next().unwrap()]);
            let pieces = [Owners::More, Owners::More, Owners::Found];
            assert_eq!(
                [2, 1, 9].map(|most| grouping.find_owners(most, &mut next)),
                pieces
            );
            grouping.group(10);
            let fragment = |(to, keys): (Destination, FragmentKeys<'_>)| {
                let server = to.server().unwrap().index();
                (server, keys.iter().map(|key| key.len).collect())
            };
            let fragments: Vec<_> = grouping.fragments().map(fragment).collect();
            let expected: [(usize, Vec<u32>); 4] =
                [(0, vec![2, 5]), (2, vec![1, 3]), (2, vec![6]), (3, vec![4])];
            assert_eq!(fragments, expected);
            assert_eq!(grouping.fragments_of_keys(), [1, 0, 1, 3, 0, 2]);
            assert_eq!(grouping.end().len(), 6);
            grouping.begin((1..=6).map(key).collect());
            let found = grouping.find_owners(9, |_| Destination::NoServer);
            assert_eq!(found, Owners::NoServer);
        }
    }

    #[test]
    fn keys_of_a_cluster_are_grouped_by_slot() {
        let mut table = Table::new();
        let servers: [ServerId; 2] = [(); 2].map(|()| table.insert_with(|_| ()));
        let mut grouping = Grouping::default();
        let all: [([u16; 4], &[usize]); 2] = [
            ([16_383, 3, 16_383, 4], &[2, 1, 1]),
            ([4, 0, 0, 4], &[2, 2]),
        ];
        for (slots, expected) in all {
            grouping.begin((1..=4).map(key).collect());
            let mut slots = slots.into_iter();
            // One server has the even slots.
            let mut next = |_| {
                let slot = slots.next().unwrap();
                Destination::Slot(servers[usize::from(slot % 2)], slot)
            };
            assert_eq!(grouping.find_owners(9, &mut next), Owners::Found);
            grouping.group(usize::MAX);
            let keys = grouping.fragments().map(|(_, keys)| keys.len());
            assert_eq!(keys.collect::<Vec<_>>(), expected);
            grouping.end();
        }
    }
}
