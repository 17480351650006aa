//! One pool of the demo: its servers, and where its keys belong.

use std::path::Path;

use proxy::settings::PoolSettings;

use super::cache::{CacheServer, Kind, Source};
use super::client::Client;
use super::narrator::Stop;
use super::port::Port;

/// Servers in each pool.
const SERVERS: usize = 3;

/// Failures in a row that eject a server.
pub(super) const FAILURE_LIMIT: u32 = 2;

/// How long an ejected server rests, in milliseconds.
pub(super) const RETRY_AFTER_MS: u32 = 2000;

/// A pool: a port of the proxy with three servers behind it.
pub(super) struct DemoPool {
    pub(super) kind: Kind,
    pub(super) source: Source,
    pub(super) servers: Vec<CacheServer>,
    listen: Port,
}

impl DemoPool {
    /// Starts the servers of a pool.
    pub(super) fn start(kind: Kind, source: Source, dir: &Path) -> Result<DemoPool, Stop> {
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
    pub(super) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The proxy's port for this pool.
    pub(super) fn port(&self) -> u16 {
        self.listen.number()
    }

    /// A client of the pool, through the proxy.
    pub(super) fn client(&self) -> Result<Client, Stop> {
        let port = self.port();
        Client::connect(self.kind, port)
            .map_err(|error| Stop::Failed(format!("the proxy refuses port {port}: {error}")))
    }

    /// The pool as nutcracker's configuration writes it.
    pub(super) fn configuration(&self) -> String {
        let servers: String = self
            .servers
            .iter()
            .map(|server| format!("    - 127.0.0.1:{}:1 {}\n", server.port(), server.name))
            .collect();
        let (name, port) = (self.name(), self.port());
        let is_redis = self.kind == Kind::Redis;
        format!(
            "{name}:\n  listen: 127.0.0.1:{port}\n  redis: {is_redis}\n  hash: fnv1a_64\n  \
             distribution: ketama\n  timeout: 1000\n  auto_eject_hosts: true\n  \
             server_failure_limit: {FAILURE_LIMIT}\n  server_retry_timeout: {RETRY_AFTER_MS}\n  \
             servers:\n{servers}"
        )
    }

    /// The name of the server that a key belongs to while `dead` is ejected,
    /// worked out from the settings as `nuthatch locate` does it.
    pub(super) fn locate(settings: &PoolSettings, key: &str, dead: Option<&str>) -> String {
        let members: Vec<_> = settings
            .servers
            .iter()
            .map(|server| hashkit::Member {
                name: server.name.as_bytes(),
                weight: server.weight,
                live: Some(&*server.name) != dead,
            })
            .collect();
        let ring = settings.placement.ring(&members);
        let index = settings.placement.place(&ring, key.as_bytes(), || 0);
        let server = index.and_then(|index| settings.servers.get(index));
        server.map_or_else(|| "nobody".into(), |server| server.name.clone())
    }

    /// The names of the servers that hold `key` with this value, asked one by one.
    pub(super) fn holders(&self, key: &str, value: &str) -> Result<Vec<&str>, Stop> {
        let mut holders = Vec::new();
        for server in self.servers.iter().filter(|server| server.is_up()) {
            if server.ask(key)?.is_value(value) {
                holders.push(&*server.name);
            }
        }
        Ok(holders)
    }
}
