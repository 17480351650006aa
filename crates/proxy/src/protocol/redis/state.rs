//! The Redis protocol with a pool's settings.

use std::cell::Cell;
use std::sync::Arc;

use hashkit::HashTag;
use redis_proto::request::RequestLimits;

use super::recent::Recent;
use crate::protocol::Protocol;
use crate::release::Release;
use crate::settings::{ProtocolSettings, RedisSettings};
use crate::share::PoolPlan;

/// The Redis protocol with a pool's settings.
pub(crate) struct Redis {
    pub(super) settings: RedisSettings,
    /// The database of each server.
    pub(super) databases: Vec<u32>,
    pub(super) plan: Arc<PoolPlan>,
    pub(super) allow_flush: bool,
    /// The delimiters of the part of a key that decides its server.
    pub(super) hash_tag: Option<HashTag>,
    pub(super) limits: RequestLimits,
    pub(super) recent: Recent,
    /// A buffer for the indices of a request's keys.
    pub(super) indices: Cell<Vec<usize>>,
}

impl Protocol for Redis {
    fn new(plan: &Arc<PoolPlan>) -> Self {
        let settings = &plan.settings;
        let ProtocolSettings::Redis(redis) = &settings.protocol else {
            unreachable!("a Redis engine is built for Redis pools only");
        };
        Self {
            settings: redis.clone(),
            databases: settings.servers.iter().map(|server| server.db).collect(),
            plan: Arc::clone(plan),
            allow_flush: settings.allow_flush,
            hash_tag: settings.placement.tag,
            limits: RequestLimits::default(),
            recent: Recent::default(),
            indices: Cell::default(),
        }
    }
}

/// The release that clients are told: the lowest of the servers' as far as they are known, so that no client uses what
/// one of them lacks.
pub(super) fn release(plan: &PoolPlan) -> Release {
    let known = plan
        .servers
        .iter()
        .filter_map(|it| it.endpoint.release.get());
    let before = || match &plan.settings.protocol {
        ProtocolSettings::Redis(redis) => redis.release,
        ProtocolSettings::Memcached(_) => Release::default(),
    };
    known.min().unwrap_or_else(before)
}
