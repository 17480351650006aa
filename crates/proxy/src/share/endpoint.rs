//! Where and how a server is reached.

use std::fmt;
use std::sync::Arc;

use crate::login::{Login, LoginSource};
use crate::release::KnownRelease;
use crate::security::Security;
use crate::servers::health::ServerHealth;
use crate::settings::{Address, PoolSettings, ProtocolSettings, ServerSettings};

/// The address of a server, what its connections need (login, database, security), and its health there. If any of that
/// changes, a new endpoint is made, and nothing that was learnt about the old one applies to it.
pub struct Endpoint {
    /// Counts the endpoints of its server, from 1.
    pub number: u64,
    /// Where to connect to.
    pub address: Address,
    /// Who connections say that they are, if anybody (Redis only).
    pub(crate) login: Option<LoginSource>,
    /// Database that connections select (Redis only); 0 selects nothing.
    pub database: u32,
    /// How connections are secured; `None` is not at all.
    pub security: Option<Security>,
    /// It is a replica: it gets reads only.
    pub is_replica: bool,
    /// It is a replica in a Redis Cluster, where connections have to ask for reads (READONLY).
    pub(crate) asks_for_reads: bool,
    pub(crate) health: ServerHealth,
    pub(crate) release: KnownRelease,
}

impl Endpoint {
    /// `replica_of` is the name of the server whose replica it is, if it is one: that has the same logins.
    pub(super) fn new(
        pool: &PoolSettings,
        server: &ServerSettings,
        replica_of: Option<&str>,
        number: u64,
    ) -> Self {
        let login = match (&pool.protocol, &pool.server_logins) {
            (_, Some(logins)) => {
                let name = replica_of.unwrap_or(&server.name).into();
                Some(LoginSource::Listed(Arc::clone(logins), name))
            }
            (ProtocolSettings::Redis(redis), None) => redis.auth.clone().map(LoginSource::Pool),
            (ProtocolSettings::Memcached(_), None) => None,
        };
        Self {
            number,
            address: server.address.clone(),
            login,
            database: server.db,
            security: pool.server_security.clone(),
            is_replica: replica_of.is_some(),
            asks_for_reads: replica_of.is_some() && pool.slots.is_some(),
            health: ServerHealth::default(),
            release: KnownRelease::default(),
        }
    }

    /// What connections give with AUTH at present, if anything.
    pub fn login(&self) -> Option<Login> {
        self.login.as_ref().and_then(LoginSource::login)
    }

    /// One that reads the same and is elsewhere, where nothing is known of the server's health.
    pub(super) fn successor(&self) -> Self {
        Self {
            number: self.number + 1,
            address: self.address.clone(),
            login: self.login.clone(),
            database: self.database,
            security: self.security.clone(),
            is_replica: self.is_replica,
            asks_for_reads: self.asks_for_reads,
            health: ServerHealth::default(),
            release: KnownRelease::default(),
        }
        .held_as(self)
    }

    /// Held if `last` is: that is about the server, wherever it is.
    pub(super) fn held_as(self, last: &Self) -> Self {
        self.health.set_held(last.health.is_held());
        self
    }

    /// Whether connections to `other` would be made in the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.address == other.address
            && self.login == other.login
            && self.database == other.database
            && self.security == other.security
            && self.asks_for_reads == other.asks_for_reads
    }
}

/// The password is not shown.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("number", &self.number)
            .field("address", &self.address)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
