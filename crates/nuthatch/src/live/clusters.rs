//! The threads that ask Redis Clusters which node has which hash slots, one for each pool that has a cluster.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use crate::config::{ClusterConfig, Config, PoolConfig};
use crate::discovery::{Cluster, Discovery, Publisher, Turn};
use crate::logger::{ALERT, log};
use crate::map_wanted::MapWanted;
use crate::pool::PoolShare;
use crate::resolver::Resolver;
use crate::standing::Standing;
use crate::worker::Handle;

/// How long the start waits for the first map: with none, requests find their way from node to node.
const FIRST_MAP_WITHIN: Duration = Duration::from_secs(2);

/// The threads.
#[derive(Debug)]
pub(super) struct Clusters {
    resolver: Resolver,
    turn: Turn,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    pool: Arc<PoolShare>,
    config: ClusterConfig,
    standing: Option<Arc<Standing>>,
    thread: Discovery,
}

impl Clusters {
    /// No threads, which publish plans only when it is their turn.
    pub(super) fn new(resolver: &Resolver, turn: &Turn) -> Self {
        Self {
            resolver: resolver.clone(),
            turn: turn.clone(),
            running: Vec::new(),
        }
    }

    /// Gives the pools of `config` that have the same cluster as before the nodes and the map that are in force: a reload changes
    /// nothing of that.
    pub(super) fn adopt(&self, config: &mut Config, pools: &[Arc<PoolShare>]) {
        for pool in &mut config.pools {
            let is_it = |running: &&Running| {
                running.pool.name() == pool.settings.name
                    && Some(&running.config.seeds) == pool.cluster.as_ref().map(|it| &it.seeds)
            };
            let Some(running) = self.running.iter().find(is_it) else {
                continue;
            };
            if pools.iter().any(|share| Arc::ptr_eq(share, &running.pool)) {
                adopt(pool, &running.pool);
            }
        }
    }

    /// `config` and its pools are in force: starts and ends threads. Who calls this has the turn.
    pub(super) fn follow(
        &mut self,
        turn: &MutexGuard<'_, ()>,
        config: &Config,
        pools: &[Arc<PoolShare>],
        workers: &[Handle],
    ) {
        let mut before = std::mem::take(&mut self.running);
        for (pool, share) in config.pools.iter().zip(pools) {
            let Some(cluster) = &pool.cluster else {
                share.set_map_wanted(None);
                continue;
            };
            let is_it = |it: &Running| Arc::ptr_eq(&it.pool, share) && it.config == *cluster;
            if let Some(at) = before.iter().position(is_it) {
                let running = before.swap_remove(at);
                share.set_standing(running.standing.clone());
                // Its replicas may be wanted now.
                running.thread.wake().wake();
                self.running.push(running);
                continue;
            }
            match self.start(cluster, share, workers) {
                Ok(running) => self.running.push(running),
                Err(error) => {
                    let name = share.name();
                    log!(
                        ALERT,
                        { pool: name },
                        "the cluster of pool '{name}' is not asked for its map: starting a thread failed: {error}"
                    );
                }
            }
        }
        before.iter().for_each(|it| it.thread.end(turn));
    }

    fn start(
        &self,
        cluster: &ClusterConfig,
        share: &Arc<PoolShare>,
        workers: &[Handle],
    ) -> io::Result<Running> {
        let publisher = Publisher::new(share, workers, &self.turn);
        let mut standing = None;
        let thread = Discovery::start(publisher, |wake| {
            let new = Standing::new(cluster.to_string(), wake.clone());
            let standing = standing.insert(Arc::new(new));
            let wanted = MapWanted::new(move || wake.wake());
            share.set_map_wanted(Some(wanted.clone()));
            share.set_standing(Some(Arc::clone(standing)));
            Cluster::new(cluster, &self.resolver, wanted, standing)
        })?;
        Ok(Running {
            pool: Arc::clone(share),
            config: cluster.clone(),
            standing,
            thread,
        })
    }

    /// Waits until each cluster has told its map, for a while at most.
    pub(super) fn wait(&self) {
        let until = Instant::now() + FIRST_MAP_WITHIN;
        for running in &self.running {
            running.thread.wait(until);
        }
    }
}

fn adopt(pool: &mut PoolConfig, share: &PoolShare) {
    let db = pool.settings.servers.first().map_or(0, |server| server.db);
    let plan = share.core().plan();
    pool.settings.slots.clone_from(&plan.settings.slots);
    pool.settings.servers.clone_from(&plan.settings.servers);
    for server in &mut pool.settings.servers {
        server.db = db;
    }
}
