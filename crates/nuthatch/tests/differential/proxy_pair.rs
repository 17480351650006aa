//! Two equal sets of servers with a proxy in front of each: nutcracker ("theirs") and Nuthatch ("ours").

use std::path::Path;

use testkit::{Proxy, Server, free_port};

use crate::request::Protocol;

/// Two equal sets of servers. The scenario decides which set belongs to which proxy.
pub(crate) struct ServerSets {
    pub(crate) protocol: Protocol,
    pub(crate) theirs: Vec<Server>,
    pub(crate) ours: Vec<Server>,
}

impl ServerSets {
    /// `count` servers on each side; `None` if the server program is not installed.
    pub(crate) fn start(protocol: Protocol, count: usize) -> Option<ServerSets> {
        ServerSets::start_with(protocol, count, &[])
    }

    /// The same with more arguments for the servers.
    pub(crate) fn start_with(
        protocol: Protocol,
        count: usize,
        extra: &[&str],
    ) -> Option<ServerSets> {
        let set = || servers(protocol, count, extra);
        Some(ServerSets {
            protocol,
            theirs: set()?,
            ours: set()?,
        })
    }

    /// Deletes all data on both sides.
    pub(crate) fn flush(&self) {
        for server in self.theirs.iter().chain(&self.ours) {
            let mut client = server.client();
            match self.protocol {
                Protocol::Redis => client.command(&[b"FLUSHALL"]),
                Protocol::Memcached => client.send(b"flush_all\r\n"),
            }
            client.line();
        }
    }

    /// The ports of both sets.
    pub(crate) fn ports(&self) -> (Vec<u16>, Vec<u16>) {
        (ports(&self.theirs), ports(&self.ours))
    }

    /// Does the same to the server with this index on both sides.
    pub(crate) fn both(&mut self, index: usize, mut act: impl FnMut(&mut Server)) {
        act(&mut self.theirs[index]);
        act(&mut self.ours[index]);
    }
}

/// Starts servers; `None` if the program is not installed.
pub(crate) fn servers(protocol: Protocol, count: usize, extra: &[&str]) -> Option<Vec<Server>> {
    let start = || match protocol {
        Protocol::Redis => testkit::redis_with(extra),
        Protocol::Memcached => testkit::memcached_with(extra),
    };
    (0..count).map(|_| start()).collect()
}

/// The servers' ports.
pub(crate) fn ports(servers: &[Server]) -> Vec<u16> {
    servers.iter().map(|server| server.port()).collect()
}

/// The configuration of one pool for both proxies.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) protocol: Protocol,
    /// Lines such as `hash: md5`, besides `listen`, `redis` and `servers`.
    pub(crate) settings: Vec<String>,
    /// Name and weight of each server, in the order of the servers' ports.
    pub(crate) servers: Vec<(String, u32)>,
}

impl Pool {
    /// `count` servers of equal weight, no other settings.
    pub(crate) fn new(protocol: Protocol, count: usize) -> Pool {
        Pool {
            protocol,
            settings: Vec::new(),
            servers: (1..=count).map(|n| (format!("server{n}"), 1)).collect(),
        }
    }

    pub(crate) fn with(mut self, setting: &str) -> Pool {
        self.settings.push(setting.to_owned());
        self
    }

    /// The pool's configuration for both proxies, without the addresses.
    fn text(&self, name: &str, listen: u16, servers: &[u16]) -> String {
        let redis = self.protocol == Protocol::Redis;
        let mut text = format!("{name}:\n  listen: 127.0.0.1:{listen}\n  redis: {redis}\n");
        for setting in &self.settings {
            text.push_str(&format!("  {setting}\n"));
        }
        text.push_str("  servers:\n");
        for ((name, weight), port) in self.servers.iter().zip(servers) {
            let line = format!("    - 127.0.0.1:{port}:{weight} {name}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Where a pool listens, on each proxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) theirs: u16,
    pub(crate) ours: u16,
}

/// Two running proxies with the same pools.
pub(crate) struct ProxyPair {
    pub(crate) theirs: Proxy,
    pub(crate) ours: Proxy,
    /// In the order of the pools.
    pub(crate) ports: Vec<Ports>,
}

/// The proxy that takes Nuthatch's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opponent {
    Nuthatch,
    /// nutcracker again: then any difference comes from the tests themselves.
    Itself,
}

impl ProxyPair {
    /// nutcracker in front of the servers at `theirs`, Nuthatch in front of those at `ours`; `None` if
    /// nutcracker is not installed.
    pub(crate) fn start(pools: &[Pool], theirs: &[u16], ours: &[u16]) -> Option<ProxyPair> {
        ProxyPair::start_against(Opponent::Nuthatch, pools, theirs, ours)
    }

    pub(crate) fn start_against(
        opponent: Opponent,
        pools: &[Pool],
        theirs: &[u16],
        ours: &[u16],
    ) -> Option<ProxyPair> {
        let ports: Vec<Ports> = pools
            .iter()
            .map(|_| Ports {
                theirs: free_port(),
                ours: free_port(),
            })
            .collect();
        let text = |servers: &[u16], listen: fn(&Ports) -> u16| {
            let pool = |(index, pool): (usize, &Pool)| {
                pool.text(&format!("pool{index}"), listen(&ports[index]), servers)
            };
            pools.iter().enumerate().map(pool).collect::<String>()
        };
        let ours_text = text(ours, |ports| ports.ours);
        Some(ProxyPair {
            theirs: testkit::nutcracker(&text(theirs, |ports| ports.theirs))?,
            ours: match opponent {
                Opponent::Nuthatch => {
                    testkit::nuthatch(Path::new(env!("CARGO_BIN_EXE_nuthatch")), &[], &ours_text)
                }
                Opponent::Itself => testkit::nutcracker(&ours_text)?,
            },
            ports,
        })
    }
}
