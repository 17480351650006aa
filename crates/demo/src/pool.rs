//! One pool of the demo: its servers, and where its keys belong.

use std::path::Path;

use hashkit::{Member, Placement};

use crate::cache::{CacheServer, Source};
use crate::client::Client;
use crate::kind::Kind;
use crate::narrator::Stop;
use crate::port::Port;

/// Servers in each pool.
const SERVERS: usize = 3;

/// Failures in a row that eject a server.
pub(crate) const FAILURE_LIMIT: u32 = 2;

/// How long a server stays ejected, in milliseconds.
pub(crate) const RETRY_AFTER_MS: u32 = 2000;

/// A pool: a port of the proxy with three servers behind it.
pub(crate) struct DemoPool {
    pub(crate) kind: Kind,
    pub(crate) source: Source,
    pub(crate) servers: Vec<CacheServer>,
    listen: Port,
}

impl DemoPool {
    /// Starts the servers of a pool.
    pub(crate) fn start(kind: Kind, source: Source, dir: &Path) -> Result<DemoPool, Stop> {
        let servers = (1..=SERVERS)
            .map(|n| CacheServer::start(kind, format!("{}-{n}", kind.name()), &source, dir))
            .collect::<Result<_, _>>()?;
        Ok(DemoPool {
            kind,
            source,
            servers,
            listen: Port::reserve()?,
        })
    }

    /// Its name in the configuration.
    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The proxy's port for this pool.
    pub(crate) fn port(&self) -> u16 {
        self.listen.number()
    }

    /// A client of the pool, through the proxy.
    pub(crate) fn client(&self) -> Result<Client, Stop> {
        let port = self.port();
        Client::connect(self.kind, port)
            .map_err(|error| Stop::Failed(format!("the proxy refuses port {port}: {error}")))
    }

    /// The pool in nutcracker's configuration format. Keys are placed by [`Placement::default`], which
    /// [`locate`](Self::locate) uses too.
    pub(crate) fn configuration(&self) -> String {
        let servers: String = self
            .servers
            .iter()
            .map(|server| format!("    - 127.0.0.1:{}:1 {}\n", server.port(), server.name))
            .collect();
        let (name, port) = (self.name(), self.port());
        let is_redis = self.kind == Kind::Redis;
        let placement = Placement::default();
        let (hash, distribution) = (placement.hash.name(), placement.distribution.name());
        format!(
            "{name}:\n  listen: 127.0.0.1:{port}\n  redis: {is_redis}\n  hash: {hash}\n  \
             distribution: {distribution}\n  timeout: 1000\n  auto_eject_hosts: true\n  \
             server_failure_limit: {FAILURE_LIMIT}\n  server_retry_timeout: {RETRY_AFTER_MS}\n  \
             servers:\n{servers}"
        )
    }

    /// The name of the server that a key belongs to while `dead` is ejected, computed as `nuthatch locate`
    /// does.
    pub(crate) fn locate(&self, key: &str, dead: Option<&str>) -> &str {
        let members: Vec<_> = self
            .servers
            .iter()
            .map(|server| Member {
                name: server.name.as_bytes(),
                weight: 1,
                live: Some(&*server.name) != dead,
            })
            .collect();
        let placement = Placement::default();
        let ring = placement.ring(&members);
        let index = placement.place(&ring, key.as_bytes(), || 0);
        let server = index.and_then(|index| self.servers.get(index));
        server.map_or("nobody", |server| &server.name)
    }

    /// The names of the servers that hold `key` with this value; asks each of them.
    pub(crate) fn holders(&self, key: &str, value: &str) -> Result<Vec<&str>, Stop> {
        let mut holders = Vec::new();
        for server in self.servers.iter().filter(|server| server.is_up()) {
            if server.ask(key)?.is_value(value) {
                holders.push(&*server.name);
            }
        }
        Ok(holders)
    }
}
