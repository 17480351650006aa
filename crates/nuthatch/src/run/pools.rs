//! Turns the configuration into the pools that all threads share.

use std::sync::Arc;

use proxy::{FailoverPool, Memory, Place, Process};

use crate::config::{Config, Listen, PoolConfig};
use crate::pool::{PoolId, PoolShare};

/// The pools of `config`, in its order, in a process that may have `most_clients`. All buffers together may hold
/// `max_memory` bytes (0 means no limit).
pub(super) fn build(
    config: &Config,
    workers: usize,
    max_memory: u64,
    process: &Arc<Process>,
    most_clients: usize,
) -> Vec<Arc<PoolShare>> {
    let cap = usize::try_from(max_memory).unwrap_or(usize::MAX);
    let memory = Arc::new(Memory::new(cap));
    let core = |pool: &PoolConfig, failover| {
        let place = Place {
            process: Arc::clone(process),
            listen: address(&pool.listen).into(),
            port: port(&pool.listen),
            max_clients: max_clients(pool).min(most_clients) as u64,
        };
        proxy::PoolShare::at(place, pool.settings.clone(), failover, &memory, workers)
    };
    // A failover pool has no failover itself, so it is complete before the pools that use it.
    let mut cores: Vec<_> = config
        .pools
        .iter()
        .map(|pool| config.failover_of(pool).is_none().then(|| core(pool, None)))
        .collect();
    for (index, pool) in config.pools.iter().enumerate() {
        let other = config
            .failover_of(pool)
            .and_then(|other| cores[other].clone());
        let failover = pool.settings.failure.failover.as_ref().zip(other);
        if let Some((settings, other)) = failover {
            let failover = FailoverPool {
                pool: other,
                seconds: settings.seconds,
            };
            cores[index] = Some(core(pool, Some(failover)));
        }
    }
    let share = |(index, (pool, core)): (usize, (&PoolConfig, _))| {
        let (id, keepalive) = (PoolId::new(index), pool.tcpkeepalive);
        Arc::new(PoolShare::new(id, core, keepalive, max_clients(pool)))
    };
    let pools = config.pools.iter().zip(cores.into_iter().flatten());
    pools.enumerate().map(share).collect()
}

/// The address that is listened on, without the mode of a unix socket.
fn address(listen: &Listen) -> String {
    match listen {
        Listen::Tcp { text, .. } => text.clone(),
        Listen::Unix { path, .. } => path.display().to_string(),
    }
}

/// The port that is listened on; 0 for a unix socket.
fn port(listen: &Listen) -> u16 {
    match listen {
        Listen::Tcp { addr, .. } => addr.port(),
        Listen::Unix { .. } => 0,
    }
}

/// Maximum clients of a pool at a time.
fn max_clients(pool: &PoolConfig) -> usize {
    match pool.client_connections {
        0 => usize::MAX,
        most => usize::try_from(most).unwrap_or(usize::MAX),
    }
}
