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
    pub(crate) health: ServerHealth,
    pub(crate) release: KnownRelease,
}

impl Endpoint {
    pub(super) fn new(pool: &PoolSettings, server: &ServerSettings, number: u64) -> Self {
        let login = match (&pool.protocol, &pool.server_logins) {
            (ProtocolSettings::Redis(_), Some(logins)) => {
                let name = server.name.as_str().into();
                Some(LoginSource::Listed(Arc::clone(logins), name))
            }
            (ProtocolSettings::Redis(redis), None) => redis.auth.clone().map(LoginSource::Pool),
            (ProtocolSettings::Memcached(_), _) => None,
        };
        Self {
            number,
            address: server.address.clone(),
            login,
            database: server.db,
            security: pool.server_security.clone(),
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
