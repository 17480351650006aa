//! What one configuration has that another has not.

use std::collections::HashMap;
use std::fmt::Write;
use std::mem::discriminant;

use proxy::settings::ServerSettings;
use serde::Serialize;

use crate::config::{Config, Globals, PoolConfig};
use crate::ring_diff::{self, Moved, RingDiff};

/// Moves between two servers that are told of for each pool; `nuthatch ring diff` tells of all.
const MOST_MOVES: usize = 20;

/// The differences of two configurations.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Changes {
    /// Names of pools that are new.
    pub(crate) added: Vec<String>,
    /// Names of pools that are gone.
    pub(crate) removed: Vec<String>,
    /// Pools with other settings.
    pub(crate) changed: Vec<ChangedPool>,
    /// Settings of the process that are different, and take effect.
    pub(crate) globals: Vec<Change>,
    /// Settings that are different, and take effect at the next start only.
    pub(crate) at_restart: Vec<Change>,
}

/// A pool with other settings.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ChangedPool {
    /// Its name.
    pub(crate) pool: String,
    /// It speaks another protocol, so its clients are closed once they are answered.
    pub(crate) is_replaced: bool,
    /// The settings, without its servers.
    pub(crate) settings: Vec<Change>,
    /// Names of servers that are new.
    pub(crate) added: Vec<String>,
    /// Names of servers that are gone.
    pub(crate) removed: Vec<String>,
    /// Servers with another address or weight.
    pub(crate) servers: Vec<Change>,
    /// Which keys move, if that was found out.
    pub(crate) keys: Option<MovedKeys>,
}

/// The keys of a pool that get another server.
#[derive(Debug, Serialize)]
pub(crate) struct MovedKeys {
    /// Which part of all keys; `None` if they have no server of their own before or after (`distribution: random`).
    pub(crate) share: Option<f64>,
    /// Whether that is the result of a sample.
    pub(crate) is_sample: bool,
    /// From where to where, the largest part first, at most [`MOST_MOVES`].
    pub(crate) moves: Vec<KeyMove>,
}

/// Keys that move from one server to another.
#[derive(Debug, Serialize)]
pub(crate) struct KeyMove {
    /// The server that has them.
    pub(crate) from: String,
    /// The server that gets them.
    pub(crate) to: String,
    /// Which part of all keys.
    pub(crate) share: f64,
}

/// A setting that is different.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    /// Its name.
    pub(crate) what: String,
    /// What it was; `None` if it was not written down.
    pub(crate) from: Option<String>,
    /// What it is; `None` if it is not written down.
    pub(crate) to: Option<String>,
}

impl Changes {
    /// What `new` has that `old` has not.
    pub(crate) fn between(old: &Config, new: &Config) -> Self {
        let (before, after) = (by_name(old), by_name(new));
        let names = |pools: &[PoolConfig], without: &dyn Fn(&str) -> bool| {
            let names = pools.iter().map(|pool| pool.settings.name.clone());
            names.filter(|name| !without(name)).collect()
        };
        let pairs = new.pools.iter().filter_map(|pool| {
            let known = before.get(pool.settings.name.as_str())?;
            Some((*known, pool))
        });
        let mut changes = Self {
            added: names(&new.pools, &|name| before.contains_key(name)),
            removed: names(&old.pools, &|name| after.contains_key(name)),
            changed: pairs
                .filter_map(|(old, new)| changed_pool(old, new))
                .collect(),
            ..Self::default()
        };
        changes.compare_globals(&old.globals, &new.globals);
        changes.compare_sockets(old, new);
        changes
    }

    /// Finds out which keys move. Takes milliseconds for each pool, or up to a few seconds where keys have to be sampled.
    pub(crate) fn find_moved_keys(&mut self, old: &Config, new: &Config) {
        let (before, after) = (by_name(old), by_name(new));
        for changed in &mut self.changed {
            let name = changed.pool.as_str();
            if let (Some(old), Some(new)) = (before.get(name), after.get(name))
                && old.cluster.is_none()
                && new.cluster.is_none()
            {
                changed.keys = Some(moved_keys(&ring_diff::diff(&old.settings, &new.settings)));
            }
        }
    }

    fn compare_globals(&mut self, old: &Globals, new: &Globals) {
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes.to_string());
        let millis = |time: std::time::Duration| Some(time.as_millis().to_string());
        let path =
            |path: &Option<std::path::PathBuf>| path.as_ref().map(|it| it.display().to_string());
        let flag = |is_on: bool| Some(is_on.to_string());
        let live = [
            ("max_memory", bytes(old.max_memory), bytes(new.max_memory)),
            (
                "max_clients",
                bytes(Some(old.max_clients)),
                bytes(Some(new.max_clients)),
            ),
            (
                "shutdown_timeout",
                millis(old.shutdown_timeout),
                millis(new.shutdown_timeout),
            ),
            (
                "drain",
                old.drain.and_then(millis),
                new.drain.and_then(millis),
            ),
            ("drain_wait", millis(old.drain_wait), millis(new.drain_wait)),
            (
                "drain_grace",
                millis(old.drain_grace),
                millis(new.drain_grace),
            ),
            (
                "stats_extended",
                flag(old.stats_extended),
                flag(new.stats_extended),
            ),
            ("signals", flag(old.signals), flag(new.signals)),
            (
                "access_log_file",
                path(&old.access_log_file),
                path(&new.access_log_file),
            ),
        ];
        let workers = |globals: &Globals| Some(globals.workers.count().to_string());
        let admin = |globals: &Globals| globals.admin.as_ref().map(|it| it.text.clone());
        let hosts = |globals: &Globals| Some(format!("{:?}", globals.admin_hosts));
        let format = |globals: &Globals| Some(globals.log_format.name().to_owned());
        let at_restart = [
            ("workers", workers(old), workers(new)),
            ("admin", admin(old), admin(new)),
            ("admin_hosts", hosts(old), hosts(new)),
            (
                "admin_token_file",
                path(&old.admin_token_file),
                path(&new.admin_token_file),
            ),
            ("control", path(&old.control), path(&new.control)),
            ("watch", flag(old.watch), flag(new.watch)),
            ("log_format", format(old), format(new)),
        ];
        let differ = |(what, from, to): (&str, Option<String>, Option<String>)| {
            (from != to).then(|| Change {
                what: what.to_owned(),
                from,
                to,
            })
        };
        self.globals.extend(live.into_iter().filter_map(differ));
        self.at_restart
            .extend(at_restart.into_iter().filter_map(differ));
    }

    /// A socket that stays open keeps what was set when it was bound.
    fn compare_sockets(&mut self, old: &Config, new: &Config) {
        for pool in &new.pools {
            let same = old
                .pools
                .iter()
                .find(|it| it.listen.text() == pool.listen.text());
            if let Some(same) = same.filter(|same| same.reuseport != pool.reuseport) {
                let name = &pool.settings.name;
                self.at_restart.push(Change {
                    what: format!("reuseport of pool '{name}'"),
                    from: Some(same.reuseport.to_string()),
                    to: Some(pool.reuseport.to_string()),
                });
            }
        }
    }

    /// Whether nothing is different.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.globals.is_empty()
            && self.at_restart.is_empty()
    }

    /// In one line, for the log.
    pub(crate) fn summary(&self) -> String {
        if self.is_empty() {
            return "nothing is different".to_owned();
        }
        let changed = self.changed.iter().map(|pool| pool.pool.clone());
        let global = self.globals.iter().map(|change| change.what.clone());
        let later = self.at_restart.iter().map(|change| change.what.clone());
        let parts = [
            ("pools added", self.added.clone()),
            ("pools removed", self.removed.clone()),
            ("pools changed", changed.collect()),
            ("settings changed", global.collect()),
            ("only at the next start", later.collect()),
        ];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let parts =
            parts.map(|(what, names): (_, Vec<String>)| format!("{what}: {}", names.join(", ")));
        parts.collect::<Vec<_>>().join("; ")
    }

    /// In lines, for people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |words: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{words}");
        };
        if self.is_empty() {
            line(format_args!("nothing is different"));
        }
        self.added
            .iter()
            .for_each(|pool| line(format_args!("+ pool {pool}")));
        self.removed
            .iter()
            .for_each(|pool| line(format_args!("- pool {pool}")));
        for pool in &self.changed {
            let note = match pool.is_replaced {
                true => " (another protocol: its clients are closed once they are answered)",
                false => "",
            };
            line(format_args!("~ pool {}{note}", pool.pool));
            pool.settings
                .iter()
                .for_each(|change| line(format_args!("    {change}")));
            pool.added
                .iter()
                .for_each(|server| line(format_args!("  + server {server}")));
            pool.removed
                .iter()
                .for_each(|server| line(format_args!("  - server {server}")));
            pool.servers
                .iter()
                .for_each(|change| line(format_args!("  ~ server {change}")));
            let keys = pool.keys.as_ref();
            keys.into_iter().for_each(|keys| keys.write(&mut line));
        }
        self.globals
            .iter()
            .for_each(|change| line(format_args!("~ {change}")));
        for change in &self.at_restart {
            line(format_args!("! {change} (only at the next start)"));
        }
        text
    }
}

impl MovedKeys {
    fn write(&self, line: &mut dyn FnMut(std::fmt::Arguments<'_>)) {
        match (self.share, self.is_sample) {
            (None, _) => line(format_args!("    keys: none has a server of its own")),
            (Some(0.0), false) => line(format_args!("    keys: none moves")),
            (Some(share), false) => line(format_args!("    keys: {} move", percent(share))),
            (Some(share), true) => {
                line(format_args!(
                    "    keys: {} of a sample move",
                    percent(share)
                ));
            }
        }
        for KeyMove { from, to, share } in &self.moves {
            line(format_args!("      {} {from} -> {to}", percent(*share)));
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn moved_keys(diff: &RingDiff) -> MovedKeys {
    let to_move = |one: &ring_diff::Move| KeyMove {
        from: one.from.clone(),
        to: one.to.clone(),
        share: one.share,
    };
    MovedKeys {
        share: diff.worst(),
        is_sample: matches!(diff.moved, Moved::Sample(..)),
        moves: diff.moves.iter().take(MOST_MOVES).map(to_move).collect(),
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown =
            |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
        write!(
            f,
            "{}: {} -> {}",
            self.what,
            shown(&self.from),
            shown(&self.to)
        )
    }
}

/// The differences of two pools of the same name, if there are any.
fn changed_pool(old: &PoolConfig, new: &PoolConfig) -> Option<ChangedPool> {
    if old.written == new.written {
        return None;
    }
    // The nodes of a cluster are found out.
    let listed = |pool: &'_ PoolConfig| match pool.cluster {
        Some(_) => Vec::new(),
        None => pool.settings.servers.clone(),
    };
    let (before, after) = (&listed(old), &listed(new));
    let protocols = (&old.settings.protocol, &new.settings.protocol);
    Some(ChangedPool {
        pool: new.settings.name.clone(),
        is_replaced: discriminant(protocols.0) != discriminant(protocols.1),
        settings: changed_settings(old, new),
        added: missing(after, before),
        removed: missing(before, after),
        servers: before
            .iter()
            .filter_map(|server| changed_server(server, after))
            .collect(),
        keys: None,
    })
}

fn changed_settings(old: &PoolConfig, new: &PoolConfig) -> Vec<Change> {
    let names = old.written.keys().chain(new.written.keys());
    // Servers that are listed are told of one by one.
    let is_found = [old, new].iter().any(|pool| pool.discovery.is_some());
    let is_told = |name: &&str| *name != "servers" || is_found;
    let mut names: Vec<&str> = names.copied().filter(is_told).collect();
    names.sort_unstable();
    names.dedup();
    let differ = |name: &&str| old.written.get(*name) != new.written.get(*name);
    let shown =
        |pool: &PoolConfig, name: &str| pool.written.get(name).map(|it| it.shown().to_owned());
    let change = |name: &str| Change {
        what: name.to_owned(),
        from: shown(old, name),
        to: shown(new, name),
    };
    names.into_iter().filter(differ).map(change).collect()
}

/// Names of servers in `these` that are not in `those`.
fn missing(these: &[ServerSettings], those: &[ServerSettings]) -> Vec<String> {
    let is_missing = |server: &&ServerSettings| !those.iter().any(|it| it.name == server.name);
    these
        .iter()
        .filter(is_missing)
        .map(|server| server.name.clone())
        .collect()
}

fn changed_server(server: &ServerSettings, after: &[ServerSettings]) -> Option<Change> {
    let now = after.iter().find(|it| it.name == server.name)?;
    (now.pname != server.pname).then(|| Change {
        what: server.name.clone(),
        from: Some(server.pname.clone()),
        to: Some(now.pname.clone()),
    })
}

/// The pools of a configuration.
pub(super) fn by_name(config: &Config) -> HashMap<&str, &PoolConfig> {
    let pools = config.pools.iter();
    pools
        .map(|pool| (pool.settings.name.as_str(), pool))
        .collect()
}
