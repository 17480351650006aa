//! How many clients may come in.

use std::sync::Arc;

use crate::census::Census;

/// Most clients at a time.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Over all pools.
    pub(crate) process: usize,
    /// Of each pool, by index; `None` is no limit of its own.
    pub(crate) pools: Box<[Option<usize>]>,
}

/// Applies the limits. Only one thread admits, so that a check and the count that follows it cannot
/// be overtaken.
#[derive(Debug)]
pub(super) struct Turnstile {
    census: Arc<Census>,
    limits: Limits,
}

impl Turnstile {
    pub(super) fn new(census: Arc<Census>, limits: Limits) -> Self {
        Self { census, limits }
    }

    /// Whether the pool with index `pool` may have one more client.
    pub(super) fn admits(&self, pool: usize) -> bool {
        let of_pool = self.limits.pools[pool].unwrap_or(usize::MAX);
        self.census.clients() < self.limits.process && self.census.clients_of_pool(pool) < of_pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::Occupant;

    #[test]
    fn both_limits_count_and_a_seat_given_up_is_free_again() {
        let census = Census::new(2, 1);
        let pools = Box::new([Some(1), None]);
        let turnstile = Turnstile::new(Arc::clone(&census), Limits { process: 2, pools });
        let client = |pool| census.seat(Occupant::Client { pool, worker: 0 });
        let first = client(0);
        assert!(!turnstile.admits(0) && turnstile.admits(1));
        let second = client(1);
        assert!(!turnstile.admits(1));
        drop(first);
        assert!(turnstile.admits(0) && turnstile.admits(1));
        drop(second);
        assert_eq!((census.current(), census.total()), (0, 2));
    }
}
