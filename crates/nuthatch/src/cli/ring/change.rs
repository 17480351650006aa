//! What a configuration that replaces another does to a pool.

use crate::config::PoolConfig;
use crate::ring_diff::RingDiff;

/// What becomes of a pool.
pub(super) enum Change<'c> {
    /// It is in both configurations.
    Kept(Kept<'c>),
    Added(&'c PoolConfig),
    Removed(&'c PoolConfig),
}

/// A pool that is in both configurations.
pub(super) struct Kept<'c> {
    pub(super) old: &'c PoolConfig,
    pub(super) new: &'c PoolConfig,
    pub(super) diff: RingDiff,
    /// More moves than is allowed.
    pub(super) exceeds: bool,
}
