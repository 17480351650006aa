//! The main paths through the proxy's core, on a fake network, for counting their instructions.
//!
//! A [`Rig`] holds a pool with its sessions and server connections. Its first lap runs against simulated
//! servers and is recorded. Later laps repeat the requests with the recorded replies, so that almost
//! everything that is counted is the core's work.

mod fake_servers;
mod rig;

pub use fake_servers::answer;
pub use rig::Rig;

use crate::load::Protocol;

/// What one lap of a path sends.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// Its name in the table of baselines.
    pub name: &'static str,
    /// The protocol.
    pub protocol: Protocol,
    /// The kind of request.
    pub ask: Ask,
    /// Sessions that each send a batch in every tick.
    pub sessions: usize,
    /// Requests per batch.
    pub pipeline: usize,
    /// Size of each value in bytes.
    pub size: usize,
    /// Servers of the pool.
    pub servers: usize,
    /// Whether the pool has guardrails, which refuse nothing.
    pub guarded: bool,
}

/// The kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// One key.
    Get,
    /// One key.
    Set,
    /// This many keys at once.
    MultiGet(u32),
    /// One key, by memcached's meta command.
    MetaGet,
    /// One key, by memcached's meta command.
    MetaSet,
}

/// Ticks per lap. Their keys differ, so that lookups reach many parts of the ring.
pub const TICKS: usize = 16;

impl Path {
    /// Every path that is counted.
    pub const ALL: &[Path] = &[
        redis("redis-get-p1", Ask::Get, 50, 1, 3),
        redis("redis-set-p1", Ask::Set, 50, 1, 3),
        redis("redis-get-p16", Ask::Get, 10, 16, 3),
        redis("redis-set-p16", Ask::Set, 10, 16, 3),
        Path {
            guarded: true,
            ..redis("redis-get-p1-guarded", Ask::Get, 50, 1, 3)
        },
        redis("redis-get-p1-1k", Ask::Get, 50, 1, 1_024),
        redis("redis-set-p16-1k", Ask::Set, 10, 16, 1_024),
        redis("redis-get-p1-16k", Ask::Get, 10, 1, 16 << 10),
        Path {
            servers: 4,
            ..redis("redis-mget-100", Ask::MultiGet(100), 5, 1, 3)
        },
        memcached("memcached-get-p1", Ask::Get, 50, 1, 100),
        memcached("memcached-set-p1", Ask::Set, 50, 1, 100),
        memcached("memcached-get-p16", Ask::Get, 10, 16, 100),
        memcached("memcached-mg-p16", Ask::MetaGet, 10, 16, 100),
        memcached("memcached-ms-p16", Ask::MetaSet, 10, 16, 100),
        Path {
            servers: 4,
            ..memcached("memcached-multi-get-100", Ask::MultiGet(100), 5, 1, 100)
        },
    ];

    /// The path called `name`.
    pub fn find(name: &str) -> Option<&'static Path> {
        Self::ALL.iter().find(|path| path.name == name)
    }

    /// Requests per lap.
    pub fn requests(&self) -> usize {
        TICKS * self.sessions * self.pipeline
    }
}

const fn redis(
    name: &'static str,
    ask: Ask,
    sessions: usize,
    pipeline: usize,
    size: usize,
) -> Path {
    Path {
        name,
        protocol: Protocol::Redis,
        ask,
        sessions,
        pipeline,
        size,
        servers: 2,
        guarded: false,
    }
}

const fn memcached(
    name: &'static str,
    ask: Ask,
    sessions: usize,
    pipeline: usize,
    size: usize,
) -> Path {
    Path {
        protocol: Protocol::Memcached,
        ..redis(name, ask, sessions, pipeline, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_runs_again_and_again_with_the_right_replies() {
        for path in Path::ALL {
            let mut rig = Rig::new(path);
            for _ in 0..3 {
                rig.run_lap();
            }
            assert_eq!(rig.answered(), 4 * path.requests(), "{}", path.name);
        }
    }

    #[test]
    fn names_are_unique() {
        for path in Path::ALL {
            let same = Path::ALL.iter().filter(|other| other.name == path.name);
            assert_eq!(same.count(), 1, "{}", path.name);
            assert!(Path::find(path.name).is_some());
        }
        assert!(Path::find("nowhere").is_none());
    }
}
