//! What becomes of servers that were found: they are compared with those in force, and published if they may be.

use std::collections::HashMap;
use std::sync::Arc;

use proxy::settings::{Address, ServerSettings};

use super::publisher::Publisher;
use crate::logger::{NOTICE, WARN, log};
use crate::standing::Standing;

/// Names of servers that a log line tells.
const MOST_NAMES: usize = 5;

/// What was found at one source for one pool.
#[derive(Debug)]
pub(crate) struct Found {
    standing: Arc<Standing>,
    /// How many servers may disappear at once, in percent.
    max_removed: usize,
}

impl Found {
    /// Nothing yet. At most `max_removed` percent of the servers may disappear at once.
    pub(crate) fn new(standing: &Arc<Standing>, max_removed: u8) -> Self {
        Self {
            standing: Arc::clone(standing),
            max_removed: usize::from(max_removed),
        }
    }

    /// Servers were found, in index order, or not, for this reason. Those in force stay where there is a reason, or none were
    /// found, or too many of them are missing.
    pub(crate) fn take(&self, publisher: &Publisher, found: Result<Vec<ServerSettings>, String>) {
        let servers = match found {
            Ok(servers) if servers.is_empty() => return self.fail(publisher, "it lists no server"),
            Ok(servers) => servers,
            Err(problem) => return self.fail(publisher, &problem),
        };
        let in_force = publisher.pool().core().plan();
        let changes = Changes::between(&in_force.settings.servers, &servers);
        let before = in_force
            .settings
            .servers
            .iter()
            .filter(is_somewhere)
            .count();
        let reason = self.reason_against(before, servers.len(), &changes);
        if let Some(reason) = reason.filter(|_| !self.standing.take_acceptance()) {
            if self.standing.note_held_back(servers.len(), &reason) {
                let (name, source) = (publisher.pool().name(), self.standing.known().source);
                log!(
                    WARN,
                    { pool: name },
                    "the servers of pool '{name}' ({source}) stay as they are: {reason}; `nuthatch ctl accept-servers` puts \
                     the new ones in force"
                );
            }
            return;
        }
        self.publish(publisher, &servers, &changes);
    }

    /// All servers are known by name, and for some of them something was found; for others nothing new, for this reason, if there is
    /// one.
    pub(super) fn take_known(
        &self,
        publisher: &Publisher,
        servers: &[ServerSettings],
        problem: Option<&str>,
    ) {
        let in_force = publisher.pool().core().plan();
        let changes = Changes::between(&in_force.settings.servers, servers);
        match problem {
            None => self.publish(publisher, servers, &changes),
            Some(problem) => {
                self.publish_changes(publisher, servers, &changes);
                self.fail(publisher, problem);
            }
        }
    }

    fn publish(&self, publisher: &Publisher, servers: &[ServerSettings], changes: &Changes<'_>) {
        if !self.publish_changes(publisher, servers, changes) {
            return;
        }
        let (name, source) = (publisher.pool().name(), self.standing.known().source);
        if let Some(problem) = self.standing.note_success(servers.len()) {
            log!(
                NOTICE,
                { pool: name },
                "the servers of pool '{name}' ({source}) are found again, after: {problem}"
            );
        }
    }

    /// Publishes the servers, if they are different. Returns false if they are and are not published.
    fn publish_changes(
        &self,
        publisher: &Publisher,
        servers: &[ServerSettings],
        changes: &Changes<'_>,
    ) -> bool {
        if changes.is_empty() {
            return true;
        }
        let is_published = publisher.publish(|pool| {
            pool.publish_servers(servers.to_vec());
            true
        });
        if is_published {
            let (name, source) = (publisher.pool().name(), self.standing.known().source);
            let count = servers.len();
            log!(
                NOTICE,
                { pool: name },
                "pool '{name}' has {count} servers now ({source}): {changes}"
            );
        }
        is_published
    }

    /// Nothing was found, for this reason.
    pub(crate) fn fail(&self, publisher: &Publisher, problem: &str) {
        if publisher.is_over() || !self.standing.note_failure(problem) {
            return;
        }
        let (name, source) = (publisher.pool().name(), self.standing.known().source);
        log!(
            WARN,
            { pool: name },
            "the servers of pool '{name}' ({source}) stay as they are: {problem}"
        );
    }

    /// Why the servers are not to be put in force.
    fn reason_against(&self, before: usize, after: usize, changes: &Changes<'_>) -> Option<String> {
        let removed = changes.removed.len();
        (removed * 100 > before * self.max_removed).then(|| {
            let (most, names) = (self.max_removed, listed(&changes.removed));
            format!(
                "{removed} of {before} are missing in the new list of {after} ({names}), more than {most} % \
                 (discovery_max_removed)"
            )
        })
    }
}

/// Whether a server has an address.
fn is_somewhere(server: &&ServerSettings) -> bool {
    server.address != Address::Unknown
}

/// The names of servers that differ between two lists.
struct Changes<'s> {
    added: Vec<&'s str>,
    removed: Vec<&'s str>,
    changed: Vec<String>,
}

impl<'s> Changes<'s> {
    fn between(old: &'s [ServerSettings], new: &'s [ServerSettings]) -> Self {
        let by_name = |servers: &'s [ServerSettings]| {
            let named = servers.iter().map(|server| (server.name.as_str(), server));
            named.collect::<HashMap<_, _>>()
        };
        let (before, after) = (by_name(old), by_name(new));
        let missing = |these: &'s [ServerSettings], those: &HashMap<&str, &ServerSettings>| {
            let names = these.iter().map(|server| server.name.as_str());
            names.filter(|name| !those.contains_key(name)).collect()
        };
        let changed = new.iter().filter_map(|server| {
            let known = before.get(server.name.as_str())?;
            (*known != server).then(|| change_of(known, server))
        });
        // One that is nowhere has no keys.
        let is_removed = |name: &&str| before.get(name).is_some_and(is_somewhere);
        let removed: Vec<&str> = missing(old, &after);
        Self {
            added: missing(new, &before),
            removed: removed.into_iter().filter(is_removed).collect(),
            changed: changed.collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl std::fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let changed: Vec<&str> = self.changed.iter().map(String::as_str).collect();
        let parts = [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &changed),
        ];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, names)| format!("{what} {}", listed(names)))
            .collect();
        f.write_str(&parts.join("; "))
    }
}

/// What has become of a server.
fn change_of(known: &ServerSettings, server: &ServerSettings) -> String {
    let replicas = server.replication.replicas.len();
    match known.address == server.address && known.replication != server.replication {
        true => format!("{} ({replicas} replicas now)", server.name),
        false => format!("{} (now {})", server.name, server.address),
    }
}

fn listed(names: &[&str]) -> String {
    let mut text = names[..names.len().min(MOST_NAMES)].join(", ");
    if let more @ 1.. = names.len().saturating_sub(MOST_NAMES) {
        text += &format!(" and {more} more");
    }
    text
}

#[cfg(test)]
mod tests;
