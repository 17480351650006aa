//! The Redis protocol with a pool's settings.

use std::cell::Cell;

use redis_proto::request::RequestLimits;

use super::recent::Recent;
use crate::protocol::Protocol;
use crate::settings::{PoolSettings, ProtocolSettings, RedisSettings};

/// The Redis protocol with a pool's settings.
pub(crate) struct Redis {
    pub(super) settings: RedisSettings,
    /// The database of each server.
    pub(super) databases: Vec<u32>,
    pub(super) allow_flush: bool,
    pub(super) limits: RequestLimits,
    pub(super) recent: Recent,
    /// A buffer for the indices of a request's keys.
    pub(super) indices: Cell<Vec<usize>>,
}

impl Protocol for Redis {
    fn new(settings: &PoolSettings) -> Self {
        let ProtocolSettings::Redis(redis) = &settings.protocol else {
            unreachable!("a Redis engine is built for Redis pools only");
        };
        Self {
            settings: redis.clone(),
            databases: settings.servers.iter().map(|server| server.db).collect(),
            allow_flush: settings.allow_flush,
            limits: RequestLimits::default(),
            recent: Recent::default(),
            indices: Cell::default(),
        }
    }
}
