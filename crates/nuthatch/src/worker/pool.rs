//! A worker's part of each pool.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use proxy::{Limit, LogRecord, Pool, Time, WorkerContext};

use crate::logger::{self, Repeats};
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

/// A worker's parts of all pools.
#[derive(Debug)]
pub(super) struct PoolParts(Vec<PoolPart>);

impl PoolParts {
    /// The pools, whose numbers are 0 and so on, in the order of their numbers.
    pub(super) fn new(parts: Vec<PoolPart>) -> Self {
        Self(parts)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PoolId> + use<> {
        (0..self.0.len()).map(PoolId::new)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PoolPart> {
        self.0.iter()
    }
}

impl Index<PoolId> for PoolParts {
    type Output = PoolPart;

    fn index(&self, id: PoolId) -> &PoolPart {
        &self.0[id.index()]
    }
}

impl IndexMut<PoolId> for PoolParts {
    fn index_mut(&mut self, id: PoolId) -> &mut PoolPart {
        &mut self.0[id.index()]
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
        self.deadline = self.core.poll_deadline();
    }

    /// Logs a record of the core. The core limits those of one worker, and the log those of all workers together.
    fn log(&self, record: &LogRecord) {
        let (level, pool) = (record.event.level() as u8, self.share.name());
        if !logger::enabled(level) {
            return;
        }
        let (file, row) = (record.place.file(), record.place.line());
        let line = record.in_pool(pool);
        let (kind, server, every) = match record.event.limit() {
            Limit::None => return logger::record(file, row, format_args!("{line}")),
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
        logger::record_limited(file, row, repeats, format_args!("{line}"));
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
