//! Ids of sessions, servers and connections, and the table that assigns them.
//!
//! An id has an index, which is reused, and a generation, which is not. So a reply to a client that has left cannot
//! reach another client that got the same index: its id is simply not found.

use std::marker::PhantomData;

macro_rules! id {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name {
            index: u32,
            generation: u32,
        }

        impl $name {
            /// A small number that is reused when its owner is gone: suitable as an index into a vector.
            $vis fn index(self) -> usize {
                self.index as usize
            }
        }

        impl Id for $name {
            fn new(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }
            fn parts(self) -> (usize, u32) {
                (self.index as usize, self.generation)
            }
        }
    };
}

id! {
    /// Identifies one session. An id of a session that is gone is never found again.
    pub SessionId
}
id! {
    /// Identifies one server connection, in the same way.
    pub ConnectionId
}

id! {
    /// Identifies one server in one worker. It stays the same across plans, as long as its pool has a server of its
    /// name.
    pub(crate) ServerId
}

pub(crate) trait Id: Copy {
    fn new(index: u32, generation: u32) -> Self;
    fn parts(self) -> (usize, u32);
}

/// A table whose entries are found by an id with a generation.
#[derive(Debug)]
pub(crate) struct Table<I, T> {
    entries: slab::Slab<(u32, T)>,
    generation: u32,
    id: PhantomData<I>,
}

impl<I: Id, T> Table<I, T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: slab::Slab::new(),
            generation: 0,
            id: PhantomData,
        }
    }

    /// Adds the entry that `make` returns for its new id.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(I) -> T) -> I {
        self.generation = self.generation.wrapping_add(1);
        let entry = self.entries.vacant_entry();
        let index = u32::try_from(entry.key()).expect("fewer than 2^32 descriptors exist");
        let id = I::new(index, self.generation);
        entry.insert((self.generation, make(id)));
        id
    }

    pub(crate) fn get(&self, id: I) -> Option<&T> {
        let (index, generation) = id.parts();
        match self.entries.get(index) {
            Some((found, entry)) if *found == generation => Some(entry),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let (index, generation) = id.parts();
        match self.entries.get_mut(index) {
            Some((found, entry)) if *found == generation => Some(entry),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, id: I) -> Option<T> {
        self.get(id)?;
        let (_, entry) = self.entries.remove(id.parts().0);
        if self.entries.is_empty() {
            self.entries = slab::Slab::new();
        }
        Some(entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.entries
            .iter()
            .map(|(index, (generation, entry))| (I::new(index as u32, *generation), entry))
    }

    pub(crate) fn ids(&self) -> Vec<I> {
        let id = |(index, (generation, _)): (usize, &(u32, T))| I::new(index as u32, *generation);
        self.entries.iter().map(id).collect()
    }
}
