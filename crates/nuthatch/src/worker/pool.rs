//! A worker's part of each pool.

use std::fmt;
use std::ops::{Index, IndexMut, Range};
use std::sync::Arc;

use proxy::{EventFields, Limit, LogRecord, Pool, Time, WorkerContext};

use crate::access_log;
use crate::logger::{self, Fields, Heading, Repeats};
use crate::pool::{PoolId, PoolShare};

/// A worker's part of a pool.
pub(super) struct PoolPart {
    pub(super) core: Pool,
    pub(super) share: Arc<PoolShare>,
    /// Maps a session's index to its link's key.
    pub(super) sessions: LinkKeys,
    /// Maps a connection's index to its link's key.
    pub(super) connections: LinkKeys,
    /// When the core must be called at the latest, as of the last [`PoolPart::settle`].
    pub(super) deadline: Option<Time>,
    /// Is on the driver's list of pools to drain.
    pub(super) touched: bool,
}

/// A worker's parts of all pools, by their slots.
#[derive(Debug, Default)]
pub(super) struct PoolParts(Vec<Option<PoolPart>>);

impl PoolParts {
    /// The slots; some may be empty.
    pub(super) fn slots(&self) -> Range<usize> {
        0..self.0.len()
    }

    /// The pool in a slot.
    pub(super) fn at(&mut self, slot: usize) -> Option<&mut PoolPart> {
        self.0.get_mut(slot)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PoolPart> {
        self.0.iter().flatten()
    }

    /// The pool, unless it was removed.
    pub(super) fn get(&self, id: PoolId) -> Option<&PoolPart> {
        let part = self.0.get(id.index())?.as_ref();
        part.filter(|part| part.share.id() == id)
    }

    /// Adds a pool; one that was in its slot has been removed.
    pub(super) fn insert(&mut self, part: PoolPart) {
        let slot = part.share.id().index();
        if slot >= self.0.len() {
            self.0.resize_with(slot + 1, || None);
        }
        debug_assert!(self.0[slot].is_none(), "a slot is used once at a time");
        self.0[slot] = Some(part);
    }

    pub(super) fn remove(&mut self, id: PoolId) {
        if self.get(id).is_some() {
            self.0[id.index()] = None;
        }
    }
}

/// Links have the ids of pools that are there: a pool takes its links with it.
const HAS_LINKS: &str = "a pool is removed after its links";

impl Index<PoolId> for PoolParts {
    type Output = PoolPart;

    fn index(&self, id: PoolId) -> &PoolPart {
        self.0[id.index()].as_ref().expect(HAS_LINKS)
    }
}

impl IndexMut<PoolId> for PoolParts {
    fn index_mut(&mut self, id: PoolId) -> &mut PoolPart {
        self.0[id.index()].as_mut().expect(HAS_LINKS)
    }
}

impl PoolPart {
    pub(super) fn new(share: Arc<PoolShare>, context: WorkerContext, now: Time) -> Self {
        Self {
            core: Pool::new(share.core(), context, now),
            share,
            sessions: LinkKeys::default(),
            connections: LinkKeys::default(),
            deadline: None,
            touched: false,
        }
    }

    /// Collects from the core what needs no socket: log records and the next deadline.
    pub(super) fn settle(&mut self) {
        while let Some(record) = self.core.poll_event() {
            self.log(&record);
        }
        while let Some(record) = self.core.poll_access() {
            if !access_log::write(record, &self.share) {
                self.core.note_access_dropped();
            }
        }
        self.deadline = self.core.poll_deadline();
    }

    /// Logs a record of the core. The core limits those of one worker, and the log those of all workers together.
    fn log(&self, record: &LogRecord) {
        let (level, pool) = (record.event.level() as u8, self.share.name());
        if !logger::enabled(level) {
            return;
        }
        let heading = Heading {
            level,
            place: (record.place.file(), record.place.line()),
            fields: logger::fields(|| fields(record, pool)),
        };
        let line = record.in_pool(pool);
        // What has a field of its own need not be in the message.
        let message: &dyn fmt::Display = match heading.fields {
            Some(_) => &record.event,
            None => &line,
        };
        let (kind, server, every) = match record.event.limit() {
            Limit::None => return logger::record(heading, format_args!("{message}")),
            Limit::One {
                kind,
                server,
                every,
            } => (kind, server, every),
        };
        let repeats = Repeats {
            kind,
            whom: format!("{pool}/{server}"),
            every,
            count: record.more + 1,
        };
        logger::record_limited(heading, repeats, format_args!("{message}"));
    }
}

fn fields(record: &LogRecord, pool: &str) -> Fields {
    let EventFields {
        name,
        server,
        client,
        cause,
    } = record.fields();
    Fields {
        event: Some(name),
        pool: Some(pool.into()),
        server: server.map(Into::into),
        client: client.map(Into::into),
        cause: cause.map(Into::into),
    }
}

impl fmt::Debug for PoolPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolPart")
            .field("deadline", &self.deadline)
            .field("touched", &self.touched)
            .finish_non_exhaustive()
    }
}

/// Maps the small dense indices that the core assigns to keys of links. An entry may be stale; the
/// link knows its owner's full id.
#[derive(Debug, Default)]
pub(super) struct LinkKeys(Vec<u32>);

impl LinkKeys {
    const NONE: u32 = u32::MAX;

    pub(super) fn set(&mut self, index: usize, key: usize) {
        if index >= self.0.len() {
            self.0.resize(index + 1, Self::NONE);
        }
        self.0[index] = u32::try_from(key).expect("fewer than 2^32 descriptors exist");
    }

    pub(super) fn get(&self, index: usize) -> Option<usize> {
        let key = *self.0.get(index)?;
        (key != Self::NONE).then_some(key as usize)
    }
}
