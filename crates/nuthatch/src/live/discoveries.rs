//! The threads that find the servers of pools, as the configuration in force wants them.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use proxy::settings::{Address, ServerSettings};

use crate::config::{Config, Discovery as Settings, PoolConfig, ServerSource};
use crate::discovery::{
    Discovery, Found, NamedServers, Publisher, Sentinels, ServerFile, ServerNames, Source, Terms,
    Turn,
};
use crate::logger::{ALERT, log};
use crate::pool::PoolShare;
use crate::resolver::Resolver;
use crate::standing::{Standing, Wake};
use crate::worker::Handle;

/// The threads, and whose turn it is to publish plans.
#[derive(Debug)]
pub(super) struct Discoveries {
    turn: Turn,
    names: ServerNames,
    resolver: Resolver,
    running: Vec<Running>,
}

/// The thread of a pool.
#[derive(Debug)]
struct Running {
    pool: Arc<PoolShare>,
    settings: Settings,
    terms: Terms,
    thread: Discovery,
}

impl Discoveries {
    /// No threads. The names of servers that are found are among `names`.
    pub(super) fn new(names: &ServerNames, resolver: &Resolver) -> Self {
        Self {
            turn: Turn::default(),
            names: names.clone(),
            resolver: resolver.clone(),
            running: Vec::new(),
        }
    }

    /// Whose turn it is.
    pub(super) fn turn(&self) -> Turn {
        self.turn.clone()
    }

    /// Gives the pools of `config` whose servers are found where they are found now, or were at `before`, the servers that are in
    /// force. A reload changes no servers of theirs.
    pub(super) fn adopt(&self, config: &mut Config, before: &Config, pools: &[Arc<PoolShare>]) {
        for pool in &mut config.pools {
            let Some(discovery) = &pool.discovery else {
                continue;
            };
            let is_it = |known: &&PoolConfig| known.settings.name == pool.settings.name;
            let known = before.pools.iter().find(is_it);
            let known = known.and_then(|known| known.discovery.as_ref());
            let share = pools
                .iter()
                .find(|share| share.name() == pool.settings.name);
            let (Some(known), Some(share)) = (known, share) else {
                continue;
            };
            if known.source == discovery.source {
                let mut servers = share.core().plan().settings.servers.clone();
                for server in &mut servers {
                    server.db = discovery.database_of(&server.address);
                }
                pool.settings.servers = servers;
                continue;
            }
            // Masters that other Sentinels tell are where they were, until they are told.
            let in_force = &share.core().plan().settings.servers;
            for server in &mut pool.settings.servers {
                let is_it = |known: &&ServerSettings| known.name == server.name;
                if let (Address::Unknown, Some(known)) =
                    (&server.address, in_force.iter().find(is_it))
                {
                    server.address = known.address.clone();
                    server.pname = format!("{}:{}", known.address, server.weight);
                }
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
            let Some(settings) = &pool.discovery else {
                share.set_standing(None);
                continue;
            };
            let terms = Terms::of(pool);
            let is_it = |it: &Running| {
                Arc::ptr_eq(&it.pool, share) && it.settings == *settings && it.terms == terms
            };
            if let Some(at) = before.iter().position(is_it) {
                self.running.push(before.swap_remove(at));
                continue;
            }
            match self.start(settings, terms, share, workers) {
                Ok(running) => self.running.push(running),
                Err(error) => {
                    let name = share.name();
                    log!(
                        ALERT,
                        { pool: name },
                        "the servers of pool '{name}' are not looked for: starting a thread failed: {error}"
                    );
                }
            }
        }
        before.iter().for_each(|it| it.thread.end(turn));
    }

    fn start(
        &self,
        settings: &Settings,
        terms: Terms,
        pool: &Arc<PoolShare>,
        workers: &[Handle],
    ) -> io::Result<Running> {
        let publisher = Publisher::new(pool, workers, &self.turn).watching(&self.names, terms);
        let thread = Discovery::start(publisher, |wake| {
            source(settings, pool, &self.resolver, wake)
        })?;
        Ok(Running {
            pool: Arc::clone(pool),
            settings: settings.clone(),
            terms,
            thread,
        })
    }

    /// Waits until each thread has looked once, until then at most.
    pub(super) fn wait(&self, until: Instant) {
        for running in &self.running {
            running.thread.wait(until);
        }
    }
}

/// The source of a pool's servers.
fn source(
    settings: &Settings,
    pool: &PoolShare,
    resolver: &Resolver,
    wake: Wake,
) -> Box<dyn Source> {
    let standing = Standing::new(settings.source.to_string(), wake.clone());
    let standing = Arc::new(standing);
    pool.set_standing(Some(Arc::clone(&standing)));
    let found = Found::new(&standing, settings.max_removed);
    match &settings.source {
        ServerSource::File(path) => {
            Box::new(ServerFile::new(path.clone(), settings.clone(), found))
        }
        ServerSource::Srv(_) | ServerSource::Dns(..) => {
            Box::new(NamedServers::new(settings.clone(), found))
        }
        ServerSource::Sentinel(source) => Box::new(Sentinels::new(
            source,
            settings.clone(),
            resolver,
            wake,
            found,
        )),
    }
}
