//! The Redis protocol with a pool's settings.

use std::cell::Cell;
use std::sync::Arc;

use hashkit::HashTag;
use redis_proto::request::RequestLimits;

use super::extra::ExtraCommands;
use super::recent::Recent;
use super::scan;
use crate::protocol::Protocol;
use crate::release::Release;
use crate::settings::{ProtocolSettings, RedisSettings};
use crate::share::PoolPlan;
use crate::users::Users;

/// The Redis protocol with a pool's settings.
pub(crate) struct Redis {
    pub(super) settings: RedisSettings,
    pub(super) users: Option<Arc<Users>>,
    /// The database of each server.
    pub(super) databases: Vec<u32>,
    pub(super) plan: Arc<PoolPlan>,
    pub(super) allow_flush: bool,
    /// What cursors of SCAN tell of the servers: how many there are, and a digest of their names.
    pub(super) places: (u16, u16),
    /// The delimiters of the part of a key that decides its server.
    pub(super) hash_tag: Option<HashTag>,
    pub(super) limits: RequestLimits,
    pub(super) recent: Recent,
    /// Commands that are not in the table.
    pub(super) extra: ExtraCommands,
    /// A buffer for the indices of a request's keys.
    pub(super) indices: Cell<Vec<usize>>,
}

/// The delimiters of the part of a key that decides its hash slot in a Redis Cluster.
const CLUSTER_TAG: HashTag = HashTag {
    open: b'{',
    close: b'}',
};

impl Protocol for Redis {
    const HAS_REPLICAS: bool = true;

    fn new(plan: &Arc<PoolPlan>) -> Self {
        let settings = &plan.settings;
        let ProtocolSettings::Redis(redis) = &settings.protocol else {
            unreachable!("a Redis engine is built for Redis pools only");
        };
        Self {
            settings: redis.clone(),
            users: settings.users.clone(),
            databases: settings.servers.iter().map(|server| server.db).collect(),
            plan: Arc::clone(plan),
            allow_flush: settings.allow_flush,
            places: (
                u16::try_from(settings.servers.len()).unwrap_or(u16::MAX),
                scan::digest(settings.servers.iter().map(|server| &*server.name)),
            ),
            hash_tag: match settings.slots {
                Some(_) => Some(CLUSTER_TAG),
                None => settings.placement.tag,
            },
            limits: RequestLimits::default(),
            recent: Recent::default(),
            extra: ExtraCommands::new(&redis.commands),
            indices: Cell::default(),
        }
    }
}

impl Redis {
    /// Whether the pool has one server, so that whatever a command is about is there.
    pub(super) fn has_one_server(&self) -> bool {
        // A cluster may get more at any time.
        self.places.0 == 1 && self.plan.settings.slots.is_none()
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
