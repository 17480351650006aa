//! The proxy beside no proxy: the same bytes go straight to a real server, and through the core to the same
//! server. A client must not be able to tell which, except for the differences of [`Excuse`]s.
//!
//! The core runs in this process over a small blocking driver, with one server, and what is sent and how it
//! is cut comes out of the bytes of a fuzzer. Nothing here uses the project's parsers: where a reply ends
//! and what a request was is found out by code of its own.
//!
//! Each play begins with a flush, so that it depends on nothing but its input.

mod compare;
mod difference;
mod direct;
mod excuses;
mod memcached;
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

/// Arguments for a redis-server that is to be played against: any bytes may reach it, and none may make it
/// stop, write files, connect to others or wait.
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

/// How often a difference must show before it is believed: a second may begin between the two runs, and a
/// time to live is then another.
const TRIES: usize = 3;

/// A real server, on a unix socket, that nobody else talks to.
#[derive(Debug)]
pub struct Arena {
    protocol: Protocol,
    socket: PathBuf,
}

impl Arena {
    /// A redis-server, started with [`REDIS_ARGUMENTS`].
    pub fn redis(socket: &Path) -> Arena {
        Arena {
            protocol: Protocol::Redis,
            socket: socket.to_owned(),
        }
    }

    /// A memcached.
    pub fn memcached(socket: &Path) -> Arena {
        Arena {
            protocol: Protocol::Memcached,
            socket: socket.to_owned(),
        }
    }

    /// Plays what `data` stands for, both ways; returns the excuses that were needed.
    ///
    /// # Panics
    /// When the replies differ without an excuse, when the server or the core leaves a client waiting, or
    /// when another client of the same pool is answered wrongly.
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
            Protocol::Memcached => ProtocolSettings::Memcached(MemcachedSettings::default()),
        }
    }
}

/// The ids of all excuses, for both protocols.
pub fn excuses() -> Vec<&'static str> {
    excuses::all().map(|excuse| excuse.id).collect()
}
