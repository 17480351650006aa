//! The keys of one request, grouped by server in linear time: each group becomes a fragment, or several.

use std::ops::Range;

use super::routing::Destination;
use crate::protocol::planner::Key;

/// Work space, kept from request to request.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    keys: Vec<Key>,
    /// Where each key is routed to, and that server's index.
    owners: Vec<(Destination, usize)>,
    /// For each server, by its index, where its keys begin in `order`; one more at the end.
    starts: Vec<usize>,
    /// Indices of the keys, grouped by server, in request order within one.
    order: Vec<usize>,
    /// The fragments: where each goes, and which keys of `order`.
    parts: Vec<(Destination, Range<usize>)>,
}

impl Grouping {
    /// Begins anew with `keys`, which [`Grouping::end`] gives back.
    pub(crate) fn begin(&mut self, keys: Vec<Key>) {
        self.keys = keys;
        self.owners.clear();
    }

    /// The keys, in request order.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Where the next key is routed to; false if that is nowhere. All keys of one server are routed alike.
    pub(crate) fn push_owner(&mut self, destination: Destination) -> bool {
        let server = destination.server();
        if let Some(server) = server {
            self.owners.push((destination, server.index()));
        }
        server.is_some()
    }

    /// Groups the keys, and makes one fragment of each server's, or several where they are longer than `most`
    /// bytes. Every key has an owner.
    pub(crate) fn group(&mut self, most: usize) {
        let servers = self.owners.iter().map(|(_, server)| server + 1);
        let servers = servers.max().unwrap_or(0);
        self.starts.clear();
        self.starts.resize(servers + 1, 0);
        for (_, server) in &self.owners {
            self.starts[server + 1] += 1;
        }
        for server in 0..servers {
            self.starts[server + 1] += self.starts[server];
        }
        self.order.clear();
        self.order.resize(self.owners.len(), 0);
        // Where the next key of a server goes is kept in the entry of the server before it, which is its start
        // again when all keys have been placed.
        for (key, (_, server)) in self.owners.iter().enumerate() {
            let next = &mut self.starts[*server];
            self.order[*next] = key;
            *next += 1;
        }
        self.starts.rotate_right(1);
        self.starts[0] = 0;
        self.cut(most);
    }

    fn cut(&mut self, most: usize) {
        self.parts.clear();
        for group in self.starts.windows(2) {
            let (mut start, end) = (group[0], group[1]);
            while start < end {
                let next = part_end(&self.order, &self.keys, start..end, most);
                let (destination, _) = self.owners[self.order[start]];
                self.parts.push((destination, start..next));
                start = next;
            }
        }
    }

    /// The fragments: where each goes, and its keys in request order.
    pub(crate) fn parts(&self) -> impl ExactSizeIterator<Item = (Destination, Keys<'_>)> {
        self.parts.iter().map(|(destination, part)| {
            let keys = Keys {
                order: &self.order[part.clone()],
                keys: &self.keys,
            };
            (*destination, keys)
        })
    }

    /// For each key the fragment that it is in.
    pub(crate) fn fragments_of_keys(&self) -> Vec<u32> {
        let mut fragments = vec![0; self.order.len()];
        for (fragment, (_, part)) in self.parts.iter().enumerate() {
            for key in &self.order[part.clone()] {
                fragments[*key] = fragment as u32;
            }
        }
        fragments
    }

    /// Gives the keys back.
    pub(crate) fn end(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.keys)
    }
}

/// The keys of one fragment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'g> {
    order: &'g [usize],
    keys: &'g [Key],
}

impl<'g> Keys<'g> {
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Key> + use<'g> {
        let keys = self.keys;
        self.order.iter().map(|key| keys[*key])
    }
}

/// Where the fragment that begins with the first of `range` ends: it has at least one key, and no
/// more than `most` bytes of further ones.
fn part_end(order: &[usize], keys: &[Key], range: Range<usize>, most: usize) -> usize {
    let mut bytes = 0;
    let mut end = range.start;
    while end < range.end {
        bytes += keys[order[end]].len as usize + 1;
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
        let end = |begin, most| part_end(&order, &keys, begin..order.len(), most);
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
            for owner in [2, 0, 2, 3, 0, 2] {
                assert!(grouping.push_owner(Destination::Server(servers[owner])));
            }
            grouping.group(10);
            assert!(!grouping.push_owner(Destination::Nobody));
            let part = |(to, keys): (Destination, Keys<'_>)| {
                let server = to.server().unwrap().index();
                (server, keys.iter().map(|key| key.len).collect())
            };
            let parts: Vec<_> = grouping.parts().map(part).collect();
            let expected: [(usize, Vec<u32>); 4] =
                [(0, vec![2, 5]), (2, vec![1, 3]), (2, vec![6]), (3, vec![4])];
            assert_eq!(parts, expected);
            assert_eq!(grouping.fragments_of_keys(), [1, 0, 1, 3, 0, 2]);
            assert_eq!(grouping.end().len(), 6);
        }
    }
}
