//! What the two processes tell each other. They may be of different versions: a reader skips fields and messages that it does
//! not know, and every field that a later version adds has a default.

use std::time::Duration;

use proxy::HealthRecord;
use proxy::settings::{Address, ServerSettings};
use serde::{Deserialize, Serialize};

use super::address::WrittenAddress;
use crate::config::Discovery;

/// The version of the messages.
pub(super) const VERSION: u32 = 1;

/// The oldest version whose hand-over this one understands.
const OLDEST: u32 = 1;

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "kebab-case")]
pub(super) enum Message {
    /// From the old process, first; the sockets follow.
    HandOver(HandOver),
    /// From the new one: it can go on at any moment.
    Ready(Ready),
    /// From the new one: it cannot, and ends.
    Failed {
        /// Why.
        reason: String,
    },
    /// From the old one: go on.
    Go,
    /// From the old one, while it still has clients.
    Report(Report),
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// What the old process knows and has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HandOver {
    /// The version of this message.
    version: u32,
    /// The oldest version that can read this message.
    readable_by: u32,
    /// The version of the old program.
    pub(crate) program_version: String,
    /// Its process id.
    pub(crate) pid: u32,
    /// The sockets that follow.
    #[serde(default)]
    pub(super) sockets: Vec<SocketNote>,
    /// The health of servers.
    #[serde(default)]
    pools: Vec<PoolNote>,
    /// Servers that were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    found: Vec<FoundNote>,
    /// The level of the log, 0 to 11, which may have been changed.
    #[serde(default)]
    pub(crate) log_level: Option<u8>,
}

/// A socket that follows. Its address is asked of the socket itself; what is said here of purpose and address is for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SocketNote {
    #[serde(default)]
    pub(super) purpose: String,
    #[serde(default)]
    pub(super) address: String,
    /// Whether the file of a unix socket stays when a process ends.
    #[serde(default)]
    pub(super) keeps_file: bool,
}

/// Servers of a pool of which there is more to tell than that they work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PoolNote {
    name: String,
    #[serde(default)]
    servers: Vec<ServerNote>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ServerNote {
    name: String,
    address: WrittenAddress,
    #[serde(default)]
    failures: u32,
    /// How long it is ejected still, in microseconds.
    #[serde(default)]
    ejected_for: Option<u64>,
    #[serde(default)]
    probes: u32,
    #[serde(default)]
    is_held: bool,
}

/// The servers of a pool that were found, in index order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FoundNote {
    pool: String,
    /// Where.
    source: String,
    #[serde(default)]
    servers: Vec<FoundServer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FoundServer {
    name: String,
    pname: String,
    address: WrittenAddress,
    weight: u32,
}

/// The new process can go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ready {
    /// Its version.
    pub(super) program_version: String,
    /// The numbers of the sockets that it goes on with, in the order of the hand-over.
    pub(super) taken: Vec<usize>,
}

/// What the old process still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    /// Clients.
    #[serde(default)]
    pub(super) clients: u64,
    /// Connections to servers.
    #[serde(default)]
    pub(super) server_connections: u64,
}

impl HandOver {
    /// Of this process.
    pub(crate) fn of_this_process(log_level: u8) -> Self {
        Self {
            version: VERSION,
            readable_by: VERSION,
            program_version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            sockets: Vec::new(),
            pools: Vec::new(),
            found: Vec::new(),
            log_level: Some(log_level),
        }
    }

    /// Whether this version can go on from it, or why not.
    pub(super) fn check(&self) -> Result<(), String> {
        let (theirs, program) = (self.version, &self.program_version);
        if self.readable_by > VERSION {
            return Err(format!(
                "version {program} hands over in a form ({theirs}) that this older one does not know"
            ));
        }
        if theirs < OLDEST {
            return Err(format!(
                "version {program} hands over in a form ({theirs}) that is too old"
            ));
        }
        Ok(())
    }

    /// Adds the health of servers of a pool.
    pub(crate) fn add_health(&mut self, pool: &str, records: &[HealthRecord]) {
        if !records.is_empty() {
            self.pools.push(PoolNote {
                name: pool.into(),
                servers: records.iter().map(ServerNote::from).collect(),
            });
        }
    }

    /// Adds the servers of a pool that were found at a source.
    pub(crate) fn add_servers(&mut self, pool: &str, source: String, servers: &[ServerSettings]) {
        let note = |server: &ServerSettings| FoundServer {
            name: server.name.clone(),
            pname: server.pname.clone(),
            address: WrittenAddress::from(&server.address),
            weight: server.weight,
        };
        self.found.push(FoundNote {
            pool: pool.into(),
            source,
            servers: servers.iter().map(note).collect(),
        });
    }

    /// Those that were added for a pool, if they were found at the same source; none if not.
    pub(crate) fn servers_of(
        &self,
        pool: &str,
        source: &str,
        discovery: &Discovery,
    ) -> Vec<ServerSettings> {
        let is_it = |note: &&FoundNote| note.pool == pool && note.source == source;
        let servers = self
            .found
            .iter()
            .filter(is_it)
            .flat_map(|note| &note.servers);
        let settings = |note: &FoundServer| {
            let address = Address::from(&note.address);
            ServerSettings {
                name: note.name.clone(),
                pname: note.pname.clone(),
                weight: note.weight,
                db: discovery.database_of(&address),
                address,
                replication: Default::default(),
            }
        };
        servers.map(settings).collect()
    }

    /// What was added for a pool.
    pub(crate) fn health_of(&self, pool: &str) -> Vec<HealthRecord> {
        let notes = self.pools.iter().filter(|it| it.name == pool);
        notes
            .flat_map(|it| &it.servers)
            .map(HealthRecord::from)
            .collect()
    }
}

impl From<&HealthRecord> for ServerNote {
    fn from(record: &HealthRecord) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            name: record.name.clone(),
            address: WrittenAddress::from(&record.address),
            failures: record.failures,
            ejected_for: record.ejected_for.map(micros),
            probes: record.probes,
            is_held: record.is_held,
        }
    }
}

impl From<&ServerNote> for HealthRecord {
    fn from(note: &ServerNote) -> Self {
        Self {
            name: note.name.clone(),
            address: (&note.address).into(),
            failures: note.failures,
            ejected_for: note.ejected_for.map(Duration::from_micros),
            probes: note.probes,
            is_held: note.is_held,
        }
    }
}
