//! Another configuration, while clients are served. Everything that can fail is done first; then nothing fails any more.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use super::changes::{Changes, by_name};
use super::pools::Bounds;
use super::state::Live;
use crate::acceptor::Change;
use crate::access_log::{self, Prepared};
use crate::config::{Config, PoolConfig};
use crate::failure::Failure;
use crate::logger::{ALERT, ALWAYS, log};
use crate::net::Inherited;
use crate::supervisor;
use crate::worker::Message;

/// How long a reload waits for the workers to follow. A worker that takes longer than this for one tick is in trouble; it
/// follows when it comes to it.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// A configuration was put in force, or would have been.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// What is different.
    pub(crate) changes: Changes,
    /// Whether all workers have followed already.
    pub(crate) all_followed: bool,
}

impl Live {
    /// What a reload would change, and which keys would move; or why it would be refused. Sockets are not opened.
    pub(crate) fn dry_run(&self) -> Result<Changes, Failure> {
        let mut config = self.files.load()?;
        let mut in_force = self.config.clone();
        self.adopt(&mut in_force);
        self.adopt(&mut config);
        let mut changes = Changes::between(&in_force, &config);
        changes.find_moved_keys(&in_force, &config);
        Ok(changes)
    }

    /// Reads the files again and puts them in force. Requests that were taken before are answered as before; clients stay
    /// connected, except those of pools that are gone, which are closed when they are answered.
    ///
    /// # Errors
    ///
    /// When the files have errors or a socket cannot be opened. Nothing is changed then.
    pub(crate) fn reload(&mut self) -> Result<Reloaded, Failure> {
        supervisor::reloading();
        let result = self.try_reload();
        supervisor::ready();
        let outcome = match &result {
            Ok(reloaded) => {
                log!(
                    ALWAYS,
                    "reloaded the configuration: {}",
                    reloaded.changes.summary()
                );
                Ok(())
            }
            Err(Failure { details, line }) => {
                self.directory.note_refused();
                details.lines().for_each(|line| log!(ALERT, "{line}"));
                log!(
                    ALERT,
                    "the configuration was not reloaded, nothing has changed: {line}"
                );
                Err(line.clone())
            }
        };
        self.reloads.last = Some((SystemTime::now(), outcome));
        result
    }

    fn try_reload(&mut self) -> Result<Reloaded, Failure> {
        if self.is_upgrading() {
            let line = "an upgrade is under way; the new process has read the files anew";
            return Err(Failure::new(line.into()));
        }
        let mut config = self.files.load()?;
        let mut in_force = self.config.clone();
        self.adopt(&mut in_force);
        self.adopt(&mut config);
        let changes = Changes::between(&in_force, &config);
        let mut prepared = self.sockets.prepare(&config, &mut Inherited::default())?;
        let access_log = self.prepare_access_log(&config)?;
        prepared
            .register(&self.acceptor)
            .map_err(|error| Failure::of("accepting clients", &error))?;

        // Nothing fails from here on.
        access_log.into_iter().for_each(access_log::follow);
        let most = (self.max_clients)(&config, self.workers.len());
        let turn = self.discoveries.turn();
        let turn = turn.take();
        // Others may have been found meanwhile.
        self.adopt(&mut config);
        let is_changed = changed_pools(&self.config, &config);
        self.clusters.adopt(&mut config, self.pools.current());
        let replaced = self
            .pools
            .replace(&config, Bounds::of(&config, most), &is_changed);
        let must_keep_budget = self.pools.deal(config.globals.server_connections_total);
        for pool in &replaced.added {
            self.tell(|| Message::AddPool(pool.clone()));
        }
        self.tell(|| Message::Planned);
        if must_keep_budget {
            self.tell(|| Message::KeepBudget);
        }
        let pools = self.pools.current().to_vec();
        self.names.watch(&config, &pools, &self.workers);
        self.discoveries
            .follow(&turn, &config, &pools, &self.workers);
        self.clusters.follow(&turn, &config, &pools, &self.workers);
        drop(turn);
        // A worker has a pool before it gets a client of it.
        let sockets = self.sockets.replace(&config, &pools, prepared);
        let opened = sockets.opened.into_iter().map(Change::Open);
        let mut orders: Vec<Change> = opened.chain(sockets.others).collect();
        if most != (self.max_clients)(&self.config, self.workers.len()) {
            orders.push(Change::MaxClients(most));
        }
        // Usually there is nothing to wait for.
        if !orders.is_empty() || !replaced.removed.is_empty() {
            self.acceptor.change(orders);
        }
        // It gets no client of a pool after it has removed it.
        let time_limit = config.globals.shutdown_timeout;
        for pool in &replaced.removed {
            self.tell(|| Message::RemovePool(pool.id(), time_limit));
        }
        self.directory.set(pools, &config);
        self.config = config;
        Ok(Reloaded {
            changes,
            all_followed: self.wait_for_workers(Instant::now() + TIME_LIMIT),
        })
    }
}

impl Live {
    /// Where `config` finds servers as they are found now, it has those that are in force.
    fn adopt(&self, config: &mut Config) {
        let pools = self.pools.current();
        self.discoveries.adopt(config, &self.config, pools);
    }

    /// Opens the access log, if it is another file than before.
    fn prepare_access_log(&self, config: &Config) -> Result<Option<Prepared>, Failure> {
        let path = &config.globals.access_log_file;
        if *path == self.config.globals.access_log_file {
            return Ok(None);
        }
        let prepared = access_log::prepare(path.as_deref());
        let prepared = prepared.map_err(|error| Failure::of("opening the access log", &error));
        prepared.map(Some)
    }
}

/// Tells which pools of `new` differ from those of `old`, apart from what does not concern the core.
fn changed_pools(old: &Config, new: &Config) -> impl Fn(&PoolConfig) -> bool + use<> {
    let old: HashMap<&str, &PoolConfig> = by_name(old);
    let is_changed = |pool: &&PoolConfig| {
        let known = old.get(pool.settings.name.as_str());
        known.is_none_or(|known| known.written != pool.written)
    };
    let names: Vec<String> = new
        .pools
        .iter()
        .filter(is_changed)
        .map(|pool| pool.settings.name.clone())
        .collect();
    move |pool: &PoolConfig| names.contains(&pool.settings.name)
}
