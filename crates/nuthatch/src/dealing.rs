//! Deals the clients of each pool to workers such that the connections to servers of all of them together stay within
//! `server_connections_total`.
//!
//! Each worker that serves a pool needs a connection to each of its servers (one for RESP2 and one for RESP3). So a pool is
//! served by fewer workers where there would be too many. What is left is for further connections (`server_connections`).

use std::collections::BinaryHeap;
use std::sync::Arc;

use proxy::Process;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::PoolSettings;

use crate::descriptors::servers;
use crate::live::InForce;
use crate::logger::{NOTICE, Repeats, WARN, log, log_limited};
use crate::pool::PoolShare;
use crate::worker::{self, Message};

/// How many workers serve each pool, and how many connections they need together.
#[derive(Debug, PartialEq, Eq)]
struct Dealt {
    workers: Vec<usize>,
    needed: u64,
}

/// Deals the pools in force to the workers anew, as they may have other servers, and has the workers follow.
pub(crate) fn deal_again(in_force: &InForce, process: &Process, workers: &[worker::Handle]) {
    let most = in_force.server_connections_total;
    if deal(most, &in_force.pools, process, workers.len()) {
        let tell = |worker: &worker::Handle| worker.insist(Message::KeepBudget);
        workers.iter().for_each(tell);
    }
}

/// Deals pools to so many workers, such that there are at most so many connections (0: no limit). Returns whether the workers
/// are to be told: it is different from before, or there are more connections than there may be.
pub(crate) fn deal(most: u64, pools: &[Arc<PoolShare>], process: &Process, workers: usize) -> bool {
    let is_different = match most {
        0 => deal_all(pools, process),
        most => deal_within(most, pools, process, workers),
    };
    let has_too_many = || {
        let left_over = pools.iter().any(|pool| has_left_over(pool));
        left_over || process.connections.is_exceeded()
    };
    is_different || (most > 0 && has_too_many())
}

/// Whether a worker that serves the pool no more has connections to its servers, and no client that needs them.
fn has_left_over(pool: &PoolShare) -> bool {
    let (core, plan) = (pool.core(), pool.core().plan());
    let is_left = |worker: usize| core.counters(worker).get(PoolMetric::ClientConnections) == 0;
    let has_connections = |worker: usize| {
        let mut servers = plan.servers.iter();
        servers.any(|it| {
            it.share
                .counters(worker)
                .get(ServerMetric::ServerConnections)
                > 0
        })
    };
    (0..core.workers()).any(|it| !core.deals_to(it) && is_left(it) && has_connections(it))
}

/// Every worker serves every pool.
fn deal_all(pools: &[Arc<PoolShare>], process: &Process) -> bool {
    process.connections.set_spare(i64::MAX);
    let changed = pools.iter().filter(|pool| pool.core().deal(0, 0));
    changed.count() > 0
}

fn deal_within(most: u64, pools: &[Arc<PoolShare>], process: &Process, workers: usize) -> bool {
    let each: Vec<u64> = pools.iter().map(|pool| needs(pool)).collect();
    let dealt = dealt(&each, workers, most);
    if dealt.needed > most {
        log_limited!(
            WARN,
            Repeats::of_lasting("server_connections_total", ""),
            "up to {} connections to servers are needed though each pool is served by one worker only; \
             server_connections_total is {most}",
            dealt.needed
        );
    }
    let spare = i64::try_from(most.saturating_sub(dealt.needed)).unwrap_or(i64::MAX);
    process.connections.set_spare(spare);
    let mut is_different = false;
    for (pool, count) in pools.iter().zip(dealt.workers) {
        // Each begins at another one, and at the same one after a reload.
        if pool.core().deal(pool.id().index() % workers, count) {
            is_different = true;
            log!(
                NOTICE,
                { pool: pool.name() },
                "clients of pool '{}' that connect are served by {count} of {workers} workers: \
                 server_connections_total is {most}",
                pool.name()
            );
        }
    }
    is_different
}

/// How many connections one worker needs for a pool at least, when its clients use all of it.
fn needs(pool: &PoolShare) -> u64 {
    let of = |settings: &PoolSettings| (servers(settings) * settings.versions()) as u64;
    let plan = pool.core().plan();
    let failover = plan.failover.as_ref();
    of(&plan.settings) + failover.map_or(0, |other| of(&other.pool.plan().settings))
}

/// Deals pools of which one worker needs `each` connections. The pool that needs most loses a worker until `most` suffice, or
/// each pool has one worker only.
fn dealt(each: &[u64], workers: usize, most: u64) -> Dealt {
    let mut dealt = Dealt {
        workers: vec![workers; each.len()],
        needed: each.iter().sum::<u64>().saturating_mul(workers as u64),
    };
    let entry = |pool: usize, count: usize| (each[pool].saturating_mul(count as u64), pool);
    let mut by_need: BinaryHeap<(u64, usize)> = (0..each.len())
        .filter(|_| workers > 1)
        .map(|pool| entry(pool, workers))
        .collect();
    while dealt.needed > most
        && let Some((_, pool)) = by_need.pop()
    {
        let count = &mut dealt.workers[pool];
        *count -= 1;
        dealt.needed -= each[pool];
        if *count > 1 {
            by_need.push(entry(pool, *count));
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(each: &[u64], workers: usize, most: u64) -> (Vec<usize>, u64) {
        let Dealt { workers, needed } = dealt(each, workers, most);
        (workers, needed)
    }

    #[test]
    fn the_pool_that_needs_most_loses_workers_first() {
        assert_eq!(counts(&[10, 2], 4, 48), (vec![4, 4], 48));
        assert_eq!(counts(&[10, 2], 4, 47), (vec![3, 4], 38));
        assert_eq!(counts(&[10, 2], 4, 20), (vec![1, 4], 18));
        assert_eq!(counts(&[10, 2], 4, 15), (vec![1, 2], 14));
        assert_eq!(counts(&[10, 2], 4, 1), (vec![1, 1], 12));
        assert_eq!(counts(&[10, 2], 1, 1), (vec![1, 1], 12));
        assert_eq!(counts(&[], 4, 1), (vec![], 0));
        assert_eq!(counts(&[0, 3], 2, 3), (vec![2, 1], 3));
    }

    #[test]
    fn absurd_numbers_end() {
        let (workers, needed) = counts(&[u64::MAX / 128, 1], 64, 1);
        assert_eq!((workers, needed), (vec![1, 1], u64::MAX / 128 + 1));
    }
}
