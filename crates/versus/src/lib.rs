//! Compares the proxy with a direct connection: the same bytes go to a real server directly, and through the
//! core to the same server. A client must not be able to tell the difference, except for the documented
//! [`Excuse`]s.
//!
//! The core runs in this process over a small blocking driver, with one server. The fuzzer's bytes determine
//! what is sent and how it is cut. Nothing here uses the project's parsers: requests and replies are parsed
//! by independent code.
//!
//! Each run begins with a flush, so that it depends on its input only.

mod compare;
mod difference;
mod direct;
mod excuses;
mod memcached;
mod meta;
mod protocol;
mod redis;
mod script;
mod template;
mod through;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proxy::settings::{MemcachedSettings, ProtocolSettings, RedisSettings};

pub use excuses::Excuse;
use protocol::Protocol;
use script::Script;

/// Arguments of a redis-server for these runs: it may receive any bytes, and none of them may make it stop,
/// write files, connect to others or block.
pub const REDIS_ARGUMENTS: &[&str] = &[
    "--user",
    "default",
    "on",
    "nopass",
    "~*",
    "&*",
    "+@all",
    "-@dangerous",
    "-@admin",
    "-@blocking",
    "+sort",
    "+restore",
    "+flushall",
    "+flushdb",
    "+info",
    "+xread",
];

/// How often a difference must occur before it is reported: a new second may begin between the two runs,
/// which changes a remaining time to live.
const TRIES: usize = 3;

/// A real server, on a unix socket, that nothing else uses.
#[derive(Debug)]
pub struct TestServer {
    protocol: Protocol,
    socket: PathBuf,
}

impl TestServer {
    /// A redis-server, started with [`REDIS_ARGUMENTS`].
    pub fn redis(socket: &Path) -> TestServer {
        TestServer {
            protocol: Protocol::Redis,
            socket: socket.to_owned(),
        }
    }

    /// A memcached.
    pub fn memcached(socket: &Path) -> TestServer {
        TestServer {
            protocol: Protocol::Memcached,
            socket: socket.to_owned(),
        }
    }

    /// Runs the script of `data` both ways; returns the excuses that were needed.
    ///
    /// # Panics
    /// When the replies differ without an excuse, when the server or the core leaves a client waiting, or
    /// when another client of the same pool gets a wrong reply.
    pub fn play(&self, data: &[u8]) -> BTreeSet<&'static str> {
        let script = Script::new(self.protocol, data);
        let mut differences = Vec::new();
        while differences.len() < TRIES {
            match self.play_once(&script, !differences.is_empty()) {
                Ok(excuses) => return excuses,
                Err(difference) => differences.push(difference),
            }
        }
        panic!("{}\n{}", script.shown(), differences.swap_remove(0));
    }

    fn play_once(
        &self,
        script: &Script,
        patiently: bool,
    ) -> Result<BTreeSet<&'static str>, String> {
        let direct = direct::send(&self.socket, &script.bytes, patiently)?;
        let through = through::send(&self.socket, self.settings(), script)?;
        compare::compare(self.protocol, &script.bytes, &direct, &through)
    }

    fn settings(&self) -> ProtocolSettings {
        match self.protocol {
            Protocol::Redis => ProtocolSettings::Redis(RedisSettings::default()),
            Protocol::Memcached => ProtocolSettings::Memcached(MemcachedSettings {
                admin_commands: true,
                ..MemcachedSettings::default()
            }),
        }
    }
}

/// The ids of all excuses, for both protocols.
pub fn excuses() -> Vec<&'static str> {
    excuses::all().map(|excuse| excuse.id).collect()
}
