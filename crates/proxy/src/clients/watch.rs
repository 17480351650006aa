//! The keys that a client watches until its transaction.

use crate::id::{ConnectionId, ServerId};
use crate::limits::MAX_WATCHED;

/// Where keys are watched: on a connection that is leased to the client.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) connection: ConnectionId,
    pub(crate) server: ServerId,
    keys: Vec<Box<[u8]>>,
    bytes: usize,
}

impl Watch {
    pub(crate) fn new(connection: ConnectionId, server: ServerId) -> Self {
        Self {
            connection,
            server,
            keys: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds a key; false if there are too many.
    pub(crate) fn add(&mut self, key: &[u8]) -> bool {
        let (most, most_bytes) = MAX_WATCHED;
        if self.keys.len() >= most || self.bytes + key.len() > most_bytes {
            return false;
        }
        self.bytes += key.len();
        self.keys.push(key.into());
        true
    }

    /// The keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| &key[..])
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Self>() + self.bytes + self.keys.capacity() * size_of::<Box<[u8]>>()
    }
}
