//! What is attacked: servers and the proxy in front of them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nuthatch_bench::load::Protocol;
use serde_json::Value;
use tempfile::TempDir;
use testkit::{Client, Endpoint, Proxy, Server, free_port};

use crate::pusher::Pusher;
use crate::wire;

/// Real servers of the pool. The bystander asks the first; what is heavy goes to the others.
const SERVERS: usize = 3;

/// Hash tags that are tried until each server has one.
const TAGS_TRIED: usize = 400;

/// The pool's password where it has one.
const PASSWORD: &str = "secret";

/// The proxy's log, in its directory.
const LOG: &str = "nuthatch.log";

/// What a case needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Setup {
    /// The pool's protocol.
    pub(crate) protocol: Protocol,
    /// Whether servers and pool have a password.
    pub(crate) has_password: bool,
    /// Whether the servers do not know HELLO.
    pub(crate) refuses_hello: bool,
    /// Whether one more server sends push messages for ever.
    pub(crate) has_pusher: bool,
    /// Further settings of the pool.
    pub(crate) settings: &'static [&'static str],
    /// The proxy's further arguments.
    pub(crate) args: &'static [&'static str],
    /// How many descriptors the proxy may open.
    pub(crate) descriptors: Option<u32>,
}

/// A Redis pool.
pub(crate) const REDIS: Setup = Setup {
    protocol: Protocol::Redis,
    has_password: false,
    refuses_hello: false,
    has_pusher: false,
    settings: &[],
    args: &[],
    descriptors: None,
};

/// A memcached pool.
pub(crate) const MEMCACHED: Setup = Setup {
    protocol: Protocol::Memcached,
    ..REDIS
};

/// Everything that runs. Dropping it ends everything.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    pub(crate) pusher: Option<Pusher>,
    /// Where the pool listens.
    pub(crate) address: SocketAddr,
    servers: Vec<Server>,
    has_password: bool,
    /// A hash tag of each server, the pusher last; none with memcached.
    tags: Vec<String>,
    _launcher: Option<Launcher>,
}

/// What the bystander asks.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// What is sent first, and the reply to that.
    pub(crate) greeting: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Vec<u8>,
}

impl Rig {
    /// Starts servers, and the proxy `nuthatch` with one worker.
    ///
    /// # Errors
    ///
    /// When a program is not installed, or some server gets no key.
    pub(crate) fn start(nuthatch: &Path, setup: Setup) -> Result<Self, String> {
        let servers = (0..SERVERS).map(|_| start_server(setup));
        let servers = servers.collect::<Option<Vec<_>>>();
        let servers = servers.ok_or("redis-server or memcached is not installed")?;
        let pusher = setup.has_pusher.then(Pusher::start).transpose()?;
        let endpoints = servers.iter().map(|server| server.endpoint().clone());
        let endpoints: Vec<_> = endpoints
            .chain(pusher.iter().map(Pusher::endpoint))
            .collect();
        let port = free_port();
        let launcher = setup
            .descriptors
            .map(|limit| Launcher::new(nuthatch, limit));
        let launcher = launcher.transpose()?;
        let program = launcher
            .as_ref()
            .map_or(nuthatch, |launcher| &launcher.script);
        let args = [&["--stats-extended=true", "-o", LOG], setup.args].concat();
        let mut rig = Self {
            proxy: testkit::nuthatch(program, &args, &conf(setup, port, &endpoints)),
            pusher,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            servers,
            has_password: setup.has_password,
            tags: Vec::new(),
            _launcher: launcher,
        };
        if setup.protocol == Protocol::Redis {
            rig.tags = rig.find_tags(endpoints.len())?;
        }
        Ok(rig)
    }

    /// A key of the server with this number (not with memcached). Server 0 is the bystander's.
    pub(crate) fn key(&self, server: usize, name: &str) -> String {
        format!("{{{}}}{name}", self.tags[server])
    }

    /// A client of the pool, which has given the password if there is one.
    pub(crate) fn client(&self) -> Client {
        self.authenticated(Client::connect(&Endpoint::Tcp(self.address)))
    }

    /// A client of one of the servers.
    pub(crate) fn direct(&self, server: usize) -> Client {
        self.authenticated(self.servers[server].client())
    }

    /// What the bystander asks; its value is stored.
    ///
    /// # Errors
    ///
    /// When it cannot be stored.
    pub(crate) fn target(&self) -> Result<Target, String> {
        let mut client = wire::connect(self.address)?;
        let password = wire::request(["AUTH", PASSWORD].iter());
        let greeting = self.has_password.then(|| (password, b"+OK\r\n".to_vec()));
        if let Some((request, reply)) = &greeting {
            wire::exchange(&mut client, request, reply)?;
        }
        let (request, reply) = if self.tags.is_empty() {
            wire::exchange(&mut client, b"set bystander 0 0 1\r\nv\r\n", b"STORED\r\n")?;
            let reply = b"VALUE bystander 0 1\r\nv\r\nEND\r\n";
            (b"get bystander\r\n".to_vec(), reply.to_vec())
        } else {
            let key = self.key(0, "bystander");
            let set = wire::request(["SET", &key, "v"].iter());
            wire::exchange(&mut client, &set, b"+OK\r\n")?;
            (wire::request(["GET", &key].iter()), b"$1\r\nv\r\n".to_vec())
        };
        Ok(Target {
            address: self.address,
            greeting,
            request,
            reply,
        })
    }

    /// Bytes in the proxy's log.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn logged(&self) -> Result<u64, String> {
        let log = self.proxy.dir().join(LOG);
        let metadata = fs::metadata(log).map_err(|error| format!("the proxy's log: {error}"))?;
        Ok(metadata.len())
    }

    /// A metric of the pool.
    ///
    /// # Errors
    ///
    /// When the statistics do not contain it.
    pub(crate) fn pool_metric(&self, name: &str) -> Result<u64, String> {
        let stats = self.stats()?;
        let value = stats["pool"][name].as_u64();
        value.ok_or_else(|| format!("statistics without {name}: {stats}"))
    }

    /// The sum of a metric over the servers.
    ///
    /// # Errors
    ///
    /// When there are no statistics.
    pub(crate) fn server_metric(&self, name: &str) -> Result<u64, String> {
        let stats = self.stats()?;
        let entries = stats["pool"].as_object().into_iter().flatten();
        Ok(entries.filter_map(|(_, entry)| entry[name].as_u64()).sum())
    }

    fn stats(&self) -> Result<Value, String> {
        serde_json::from_str(&self.proxy.stats()).map_err(|error| format!("statistics: {error}"))
    }

    fn authenticated(&self, mut client: Client) -> Client {
        if self.has_password {
            assert_eq!(
                client.ask(&["AUTH", PASSWORD]),
                "+OK\r\n",
                "the password is right"
            );
        }
        client
    }

    /// A hash tag for each of so many servers. A key that no real server has is the pusher's.
    fn find_tags(&self, count: usize) -> Result<Vec<String>, String> {
        let mut client = self.client();
        let mut direct: Vec<_> = (0..SERVERS).map(|server| self.direct(server)).collect();
        let mut tags = vec![None; count];
        for tag in 0..TAGS_TRIED {
            let key = format!("{{{tag}}}");
            client.ask(&["SET", &key, "v"]);
            let mut places = direct.iter_mut();
            let holder = places.position(|server| server.ask(&["EXISTS", &key]) == ":1\r\n");
            if let Some(place) = tags.get_mut(holder.unwrap_or(SERVERS)) {
                place.get_or_insert(tag.to_string());
            }
            if tags.iter().all(Option::is_some) {
                break;
            }
        }
        let tags: Option<Vec<_>> = tags.into_iter().collect();
        tags.ok_or_else(|| format!("of {TAGS_TRIED} keys some server has none"))
    }
}

fn start_server(setup: Setup) -> Option<Server> {
    if setup.protocol == Protocol::Memcached {
        return testkit::memcached();
    }
    let mut extra = Vec::new();
    if setup.has_password {
        extra.extend(["--requirepass", PASSWORD]);
    }
    if setup.refuses_hello {
        extra.extend(["--rename-command", "HELLO", ""]);
    }
    testkit::redis_with(&extra)
}

fn conf(setup: Setup, port: u16, endpoints: &[Endpoint]) -> String {
    let mut text = format!("pool:\n  listen: 127.0.0.1:{port}\n  hash_tag: \"{{}}\"\n");
    if setup.protocol == Protocol::Redis {
        text += "  redis: true\n";
    }
    if setup.has_password {
        text += &format!("  redis_auth: {PASSWORD}\n");
    }
    if setup.has_pusher {
        // It would not know the answer.
        text += "  ask_version: false\n";
    }
    for setting in setup.settings {
        text += &format!("  {setting}\n");
    }
    text += "  servers:\n";
    for (number, endpoint) in endpoints.iter().enumerate() {
        text += &format!("    - {endpoint}:1 s{number}\n");
    }
    text
}

/// A script that runs the proxy with a limit of descriptors.
#[derive(Debug)]
struct Launcher {
    script: PathBuf,
    _dir: TempDir,
}

impl Launcher {
    fn new(nuthatch: &Path, descriptors: u32) -> Result<Self, String> {
        let told = |error| format!("a script that limits descriptors: {error}");
        let dir = TempDir::with_prefix("attack-").map_err(told)?;
        let script = dir.path().join("nuthatch");
        let text = format!(
            "#!/bin/sh\nulimit -n {descriptors}\nexec '{}' \"$@\"\n",
            nuthatch.display()
        );
        fs::write(&script, text).map_err(told)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).map_err(told)?;
        Ok(Self { script, _dir: dir })
    }
}
