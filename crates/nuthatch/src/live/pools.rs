//! The pools that all threads share, made of the configuration and changed with it.

use std::mem::discriminant;
use std::sync::{Arc, Weak};

use proxy::settings::PoolSettings;
use proxy::{FailoverPool, Memory, Place, Process, ServerLogins};

use crate::config::{Config, Listen, PoolConfig};
use crate::dealing::deal;
use crate::memory_limit::half_of_memory;
use crate::pool::{PoolId, PoolShare};
use crate::tls::Protection;

/// What the pools of a configuration need besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Maximum clients of the process.
    pub(super) max_clients: usize,
    /// Maximum bytes of all buffers together; 0 means no limit.
    pub(super) max_memory: u64,
}

impl Bounds {
    /// The bounds of `config` in a process that may have so many clients.
    pub(super) fn of(config: &Config, max_clients: usize) -> Self {
        Self {
            max_clients,
            max_memory: config.globals.max_memory.unwrap_or_else(half_of_memory),
        }
    }
}

/// The pools in force.
#[derive(Debug)]
pub(super) struct Pools {
    workers: usize,
    memory: Arc<Memory>,
    process: Arc<Process>,
    /// For each slot the id that was used last, and the pool that has it if there still is one.
    slots: Vec<(PoolId, Weak<PoolShare>)>,
    /// In the order of the configuration.
    current: Vec<Arc<PoolShare>>,
}

/// What another configuration has made of the pools.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// Pools that were not there before.
    pub(super) added: Vec<Arc<PoolShare>>,
    /// Pools that are there no more.
    pub(super) removed: Vec<Arc<PoolShare>>,
}

impl Pools {
    /// No pools.
    pub(super) fn new(workers: usize, process: &Arc<Process>) -> Self {
        Self {
            workers,
            memory: Arc::new(Memory::new(0)),
            process: Arc::clone(process),
            slots: Vec::new(),
            current: Vec::new(),
        }
    }

    /// Deals the pools to the workers, such that there are at most so many connections to servers. Returns whether the workers
    /// are to be told, see [`deal`].
    pub(super) fn deal(&self, most: u64) -> bool {
        deal(most, &self.current, &self.process, self.workers)
    }

    /// In the order of the configuration.
    pub(super) fn current(&self) -> &[Arc<PoolShare>] {
        &self.current
    }

    /// Puts the pools of `config` in force, in its order. A pool whose name and protocol were there before is the same
    /// pool with another plan; it gets none if `is_changed` says that nothing of it has changed.
    pub(super) fn replace(
        &mut self,
        config: &Config,
        bounds: Bounds,
        is_changed: &dyn Fn(&PoolConfig) -> bool,
    ) -> Replaced {
        let cap = usize::try_from(bounds.max_memory).unwrap_or(usize::MAX);
        self.memory.set_limit(cap);
        let old = std::mem::take(&mut self.current);
        let mut replaced = Replaced::default();
        let mut shares: Vec<Option<Arc<PoolShare>>> = vec![None; config.pools.len()];
        // A failover pool has no failover itself, so it is complete before the pools that use it.
        let (first, second): (Vec<usize>, Vec<usize>) = (0..config.pools.len())
            .partition(|at| config.failover_of(&config.pools[*at]).is_none());
        for at in first.into_iter().chain(second) {
            let pool = &config.pools[at];
            let failover = failover_pool(config, pool, &shares);
            let known = old.iter().find(|share| is_same(share, pool));
            shares[at] = Some(match known {
                Some(share) => {
                    self.change(share, pool, failover, bounds, is_changed(pool));
                    Arc::clone(share)
                }
                None => {
                    let share = self.add(pool, failover, bounds);
                    replaced.added.push(Arc::clone(&share));
                    share
                }
            });
        }
        self.current = shares.into_iter().flatten().collect();
        let is_gone =
            |share: &Arc<PoolShare>| !self.current.iter().any(|it| Arc::ptr_eq(it, share));
        replaced.removed = old.into_iter().filter(is_gone).collect();
        replaced
    }

    fn add(
        &mut self,
        pool: &PoolConfig,
        failover: Option<FailoverPool>,
        bounds: Bounds,
    ) -> Arc<PoolShare> {
        let place = self.place(pool, bounds);
        let settings = pool.settings.clone();
        let core = proxy::PoolShare::at(place, settings, failover, &self.memory, self.workers);
        let free = |(_, user): &(PoolId, Weak<PoolShare>)| user.strong_count() == 0;
        let (slot, id) = match self.slots.iter().position(free) {
            Some(slot) => (slot, self.slots[slot].0.successor()),
            None => {
                let id = PoolId::new(self.slots.len());
                self.slots.push((id, Weak::new()));
                (id.index(), id)
            }
        };
        let share = Arc::new(PoolShare::new(
            id,
            core,
            pool.tcpkeepalive,
            max_clients(pool),
        ));
        share.secure(pool.acceptance.as_ref());
        share.expect_headers(pool.balancers.as_ref());
        share.set_login_file(pool.login_file.as_ref());
        self.slots[slot] = (id, Arc::downgrade(&share));
        share
    }

    fn change(
        &self,
        share: &PoolShare,
        pool: &PoolConfig,
        failover: Option<FailoverPool>,
        bounds: Bounds,
        is_changed: bool,
    ) {
        share.core().set_place(self.place(pool, bounds));
        share.set_limits(pool.tcpkeepalive, max_clients(pool));
        share.secure(pool.acceptance.as_ref());
        share.expect_headers(pool.balancers.as_ref());
        let mut settings = pool.settings.clone();
        let is_same_file = share.login_file().as_deref() == pool.login_file.as_ref();
        if is_same_file && let Some(known) = &share.core().plan().settings.server_logins {
            follow_logins(known, &mut settings);
        }
        share.set_login_file(pool.login_file.as_ref());
        follow_security(&share.core().plan().settings, &mut settings);
        // The failover pool may be another one though its name is the same.
        let of = |failover: &Option<FailoverPool>| {
            failover
                .as_ref()
                .map(|other| (Arc::as_ptr(&other.pool), other.seconds))
        };
        if is_changed || of(&share.core().plan().failover) != of(&failover) {
            let published = share.core().publish(settings, failover);
            debug_assert!(published.is_ok(), "its name and protocol are the same");
        }
    }

    fn place(&self, pool: &PoolConfig, bounds: Bounds) -> Place {
        Place {
            process: Arc::clone(&self.process),
            listen: address(&pool.listen).into(),
            port: port(&pool.listen),
            max_clients: max_clients(pool).min(bounds.max_clients) as u64,
        }
    }
}

/// The logins are in the same file as before: connections go on, and further ones are made with the file as it is now.
fn follow_logins(known: &Arc<ServerLogins>, new: &mut PoolSettings) {
    if let Some(newer) = &mut new.server_logins {
        known.replace((*newer.load()).clone());
        *newer = Arc::clone(known);
    }
}

/// If connections to the servers are secured by the same setting as before, they go on in the same way, further ones with the
/// files as they are now.
fn follow_security(old: &PoolSettings, new: &mut PoolSettings) {
    let (Some(known), Some(newer)) = (old.server_security.clone(), &new.server_security) else {
        return;
    };
    if let (Some(protection), Some(changed)) =
        (Protection::of(known.known()), Protection::of(newer.known()))
        && protection.is_like(changed)
    {
        protection.follow(changed);
        new.server_security = Some(known);
    }
}

/// The pools of a configuration that is not in force, to ask where their keys go.
pub(crate) fn idle_pools(config: &Config) -> Vec<Arc<PoolShare>> {
    let mut pools = Pools::new(1, &Arc::default());
    pools.replace(config, Bounds::of(config, 0), &|_| true);
    pools.current
}

/// Whether a pool that is in force goes on with the settings of `pool`.
fn is_same(share: &Arc<PoolShare>, pool: &PoolConfig) -> bool {
    let protocol = &share.core().plan().settings.protocol;
    share.name() == pool.settings.name
        && discriminant(protocol) == discriminant(&pool.settings.protocol)
}

/// The failover pool of a pool, which is there already.
fn failover_pool(
    config: &Config,
    pool: &PoolConfig,
    shares: &[Option<Arc<PoolShare>>],
) -> Option<FailoverPool> {
    let settings = pool.settings.failure.failover.as_ref()?;
    let other = shares[config.failover_of(pool)?].as_ref()?;
    Some(FailoverPool {
        pool: Arc::clone(other.core()),
        seconds: settings.seconds,
    })
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
