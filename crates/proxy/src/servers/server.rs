//! One server, as one worker sees it: its shared state, its endpoint, its connections, and whether new ones may be
//! opened.

use std::sync::Arc;
use std::time::Duration;

use crate::cause::Cause;
use crate::connection_budget::FurtherConnection;
use crate::id::ConnectionId;
use crate::latency::ServerLatency;
use crate::limits::{
    FIRST_REFUSAL_PAUSE, LONGEST_REFUSAL_PAUSE, REPLICA_PAUSE, SILENT_END_PAUSE, SILENT_ENDS,
};
use crate::metrics::{PoolCounters, ServerCounters};
use crate::protocol::decision::{Lane, Version};
use crate::servers::health::{EjectionPolicy, ServerHealth};
use crate::servers::leases::LeasedConnections;
use crate::servers::purpose::Purpose;
use crate::settings::PoolSettings;
use crate::share::{Endpoint, PlannedServer, PoolShare, ServerShare};
use crate::time::Time;

/// A server. It may belong to the failover pool; then its settings, health and counters are those of that pool.
#[derive(Debug)]
pub(crate) struct Server {
    pool: Arc<PoolShare>,
    settings: Arc<PoolSettings>,
    share: Arc<ServerShare>,
    /// Those of this worker.
    counters: Arc<ServerCounters>,
    latency: Arc<ServerLatency>,
    pool_counters: Arc<PoolCounters>,
    endpoint: Arc<Endpoint>,
    /// It is a replica: it gets reads only.
    is_replica: bool,
    /// It may be ejected, so that its failures and successes count.
    is_judged: bool,
    /// When it has last sent anything on a connection that has ended since.
    heard: Option<Time>,
    /// Connections in a row that have ended without a word from it.
    silent_ends: u32,
    /// `host:port:weight` as written.
    pname: String,
    /// The cap of the TTL of what is written here, in seconds; set for servers of the failover pool.
    ttl_cap: Option<u32>,
    /// No plan has it any more. It is kept until its connections are closed and no request refers to it.
    is_removed: bool,
    /// Its connections that carry requests and are not draining, grouped by version and database.
    shared: Vec<Shared>,
    leased: LeasedConnections,
}

/// The connections with one version and one database; at most `server_connections`.
#[derive(Debug)]
struct Shared {
    version: Version,
    database: u32,
    connections: Vec<ConnectionId>,
    /// Why no further one may be opened for a while.
    refusal: Option<Refusal>,
}

/// A handshake that the server refused, or connections that failed. No further one is opened before `until`: otherwise each request would
/// open one, only to fail again. Requests get the server's error line, or the cause, meanwhile.
#[derive(Debug)]
struct Refusal {
    cause: Cause,
    until: Time,
    /// The pause after this refusal, without its random part.
    pause: Duration,
}

impl Server {
    /// A server of `pool`, which has `settings`, for the worker with this number.
    pub(crate) fn new(
        pool: &Arc<PoolShare>,
        settings: &Arc<PoolSettings>,
        planned: &PlannedServer,
        ttl_cap: Option<u32>,
        worker: usize,
    ) -> Self {
        Self {
            pool: Arc::clone(pool),
            settings: Arc::clone(settings),
            share: Arc::clone(&planned.share),
            counters: Arc::clone(planned.share.counters(worker)),
            latency: Arc::clone(planned.share.latency(worker)),
            pool_counters: Arc::clone(pool.counters(worker)),
            endpoint: Arc::clone(&planned.endpoint),
            is_replica: planned.endpoint.is_replica,
            is_judged: settings.auto_eject_hosts || planned.endpoint.is_replica,
            heard: None,
            silent_ends: 0,
            pname: planned.pname.clone(),
            ttl_cap,
            is_removed: false,
            shared: Vec::new(),
            leased: LeasedConnections::default(),
        }
    }

    /// Changes the server to what a new plan says; returns whether it has another endpoint.
    pub(super) fn follow(
        &mut self,
        settings: &Arc<PoolSettings>,
        planned: &PlannedServer,
        ttl_cap: Option<u32>,
    ) -> bool {
        self.settings = Arc::clone(settings);
        self.is_judged = settings.auto_eject_hosts || self.is_replica;
        self.pname.clone_from(&planned.pname);
        self.ttl_cap = ttl_cap;
        let has_moved = !Arc::ptr_eq(&self.endpoint, &planned.endpoint);
        if has_moved {
            self.endpoint = Arc::clone(&planned.endpoint);
            let shared = self.shared.iter_mut();
            shared.for_each(|shared| shared.refusal = None);
            self.silent_ends = 0;
        }
        has_moved
    }

    /// No plan has the server any more.
    pub(super) fn mark_removed(&mut self) {
        self.is_removed = true;
    }

    /// Whether no plan has the server any more.
    pub(super) fn is_removed(&self) -> bool {
        self.is_removed
    }

    /// Whether a connection to `endpoint` is still used: the endpoint is current, and the connection is within
    /// `server_connections` and the bound of the process.
    pub(super) fn keeps(
        &self,
        id: ConnectionId,
        purpose: Purpose,
        endpoint: &Arc<Endpoint>,
    ) -> bool {
        if self.is_removed || !Arc::ptr_eq(&self.endpoint, endpoint) {
            return false;
        }
        match purpose {
            Purpose::Shared { version, database } => {
                let shared = self.find(version, database);
                let open = shared.map_or(&[][..], |shared| &shared.connections);
                open.iter()
                    .take(self.most_connections())
                    .any(|known| *known == id)
            }
            Purpose::Leased { .. }
            | Purpose::Interrupt
            | Purpose::Subscriber
            | Purpose::Probe
            | Purpose::Question => true,
        }
    }

    /// How many connections with one version and one database may be kept.
    fn most_connections(&self) -> usize {
        match self.pool.process().connections.is_exceeded() {
            true => 1,
            false => self.settings.server_connections,
        }
    }

    /// One more connection of this lane, which `has_one` already or not: `Ok(None)` for the first, `Err` if there
    /// may be none.
    pub(super) fn take_further(
        &self,
        lane: Lane,
        has_one: bool,
    ) -> Result<Option<FurtherConnection>, ()> {
        let budget = &self.pool.process().connections;
        let is_own_database = self.database_of(lane) == self.endpoint.database;
        match (has_one, is_own_database) {
            (true, _) => FurtherConnection::take(budget).map(Some).ok_or(()),
            (false, true) => Ok(None),
            (false, false) => Ok(Some(FurtherConnection::take_regardless(budget))),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.share.name()
    }

    /// The server as error lines name it.
    pub(crate) fn description(&self) -> String {
        format!("server '{}' ({})", self.name(), self.pname)
    }

    /// The settings of its own pool.
    pub(crate) fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    pub(crate) fn share(&self) -> &Arc<ServerShare> {
        &self.share
    }

    pub(crate) fn counters(&self) -> &Arc<ServerCounters> {
        &self.counters
    }

    /// What this worker measures of its requests.
    pub(crate) fn latency(&self) -> &Arc<ServerLatency> {
        &self.latency
    }

    /// The counters of its pool.
    pub(crate) fn pool_counters(&self) -> &PoolCounters {
        &self.pool_counters
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The health of its current endpoint.
    pub(crate) fn health(&self) -> &ServerHealth {
        &self.endpoint.health
    }

    /// Whether it is a replica.
    pub(crate) fn is_replica(&self) -> bool {
        self.is_replica
    }

    /// Whether it may be ejected, so that its failures and successes count.
    pub(crate) fn is_judged(&self) -> bool {
        self.is_judged
    }

    /// How long it is ejected when it fails too often. By a replica's first failure it is for a short time, as others have the
    /// same data.
    pub(crate) fn ejection(&self) -> EjectionPolicy {
        match self.is_replica {
            true => EjectionPolicy {
                failure_limit: 1,
                retry_timeout: REPLICA_PAUSE,
            },
            false => EjectionPolicy {
                failure_limit: self.settings.server_failure_limit,
                retry_timeout: self.settings.server_retry_timeout,
            },
        }
    }

    /// When it has last sent anything on a connection that has ended since.
    pub(crate) fn heard(&self) -> Option<Time> {
        self.heard
    }

    /// A connection on which it has last sent something then has ended.
    pub(super) fn note_heard(&mut self, heard: Option<Time>) {
        self.heard = self.heard.max(heard);
        if heard.is_some() {
            self.silent_ends = 0;
        }
    }

    /// A connection has failed without a word from the server. Returns whether there were so many in a row that further ones have
    /// to wait ([`Server::pause`]).
    pub(crate) fn count_silent_end(&mut self) -> bool {
        self.silent_ends = self.silent_ends.saturating_add(1);
        self.silent_ends > SILENT_ENDS
    }

    /// Further connections of that purpose have to wait, by the random `chance` (of 2^32) for different times; requests get `cause`
    /// meanwhile.
    pub(crate) fn pause(&mut self, purpose: Purpose, cause: &Cause, now: Time, chance: u32) {
        let (Purpose::Shared { version, database } | Purpose::Leased { version, database }) =
            purpose
        else {
            return;
        };
        let longer = SILENT_END_PAUSE.mul_f64(f64::from(chance) / f64::from(u32::MAX));
        let until = now + SILENT_END_PAUSE + longer;
        let shared = self.shared_mut(version, database);
        if shared.refusal.as_ref().is_none_or(|it| it.until < until) {
            shared.refusal = Some(Refusal {
                cause: cause.clone(),
                until,
                pause: FIRST_REFUSAL_PAUSE / 2,
            });
        }
    }

    /// The cap of the TTL of what is written here, in seconds, if it is a server of the failover pool.
    pub(crate) fn ttl_cap(&self) -> Option<u32> {
        self.ttl_cap
    }

    /// The purpose of a connection for the requests of sessions of this version and database.
    pub(crate) fn shared_by(&self, lane: Lane) -> Purpose {
        Purpose::Shared {
            version: lane.version,
            database: self.database_of(lane),
        }
    }

    /// The database that such sessions use here.
    #[inline(always)]
    pub(super) fn database_of(&self, lane: Lane) -> u32 {
        lane.database.or(self.endpoint.database)
    }

    /// Its leased connections.
    pub(super) fn leased(&self) -> &LeasedConnections {
        &self.leased
    }

    pub(super) fn leased_mut(&mut self) -> &mut LeasedConnections {
        &mut self.leased
    }

    /// Its connections for such requests.
    #[inline(always)]
    pub(crate) fn connections(&self, lane: Lane) -> &[ConnectionId] {
        let shared = self.find(lane.version, self.database_of(lane));
        shared.map_or(&[], |shared| &shared.connections)
    }

    /// Whether it has any connection for requests.
    pub(crate) fn is_used(&self) -> bool {
        self.shared
            .iter()
            .any(|shared| !shared.connections.is_empty())
    }

    pub(super) fn add(&mut self, purpose: Purpose, connection: ConnectionId) {
        match purpose {
            Purpose::Shared { version, database } => {
                let shared = self.shared_mut(version, database);
                shared.connections.push(connection);
            }
            Purpose::Leased { .. } | Purpose::Interrupt => self.leased.add(connection),
            Purpose::Subscriber | Purpose::Probe | Purpose::Question => {}
        }
    }

    pub(super) fn remove(&mut self, purpose: Purpose, connection: ConnectionId) {
        match purpose {
            Purpose::Shared { version, database } => {
                let shared = self.shared_mut(version, database);
                shared.connections.retain(|known| *known != connection);
            }
            Purpose::Leased { .. } | Purpose::Interrupt => self.leased.remove(connection),
            Purpose::Subscriber | Purpose::Probe | Purpose::Question => {}
        }
    }

    /// Why no connection may be opened at `now` for such sessions: a recent refusal, if there is one.
    pub(crate) fn refusal(&self, lane: Lane, now: Time) -> Option<&Cause> {
        let shared = self.find(lane.version, self.database_of(lane))?;
        let refusal = shared.refusal.as_ref();
        refusal
            .filter(|refusal| now < refusal.until)
            .map(|refusal| &refusal.cause)
    }

    /// The server has refused a connection of that purpose. The next one may be opened after a pause, which doubles
    /// with each refusal that soon follows another. It is made up to a quarter longer by the random `chance` (of
    /// 2^32), so that workers and proxies do not return all at once.
    pub(crate) fn note_refusal(&mut self, purpose: Purpose, cause: Cause, now: Time, chance: u32) {
        let (version, database) = match purpose {
            Purpose::Shared { version, database } | Purpose::Leased { version, database } => {
                (version, database)
            }
            // When to probe or ask again is settled when that is claimed, and subscriptions have a pause of their own.
            Purpose::Interrupt | Purpose::Subscriber | Purpose::Probe | Purpose::Question => return,
        };
        let shared = self.shared_mut(version, database);
        let last = shared.refusal.take();
        let again = last.filter(|last| now.since(last.until) < LONGEST_REFUSAL_PAUSE);
        let pause = again.map_or(FIRST_REFUSAL_PAUSE, |last| {
            (last.pause * 2).min(LONGEST_REFUSAL_PAUSE)
        });
        let longer = pause.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 4.0);
        shared.refusal = Some(Refusal {
            cause,
            until: now + pause + longer,
            pause,
        });
    }

    /// Counts a failure at `now` of a connection that was opened at `opened`. Returns whether it ejected the server.
    pub(crate) fn note_failure(&self, opened: Time, now: Time) -> bool {
        let all = match self.is_replica {
            true => &self.pool.replica_health,
            false => &self.pool.health,
        };
        all.note_failure(self.health(), opened, now, self.ejection())
    }

    /// The server has answered.
    #[inline]
    pub(crate) fn note_success(&self) {
        self.health().note_success();
    }

    /// The server's pool.
    pub(crate) fn pool(&self) -> &Arc<PoolShare> {
        &self.pool
    }

    #[inline(always)]
    fn find(&self, version: Version, database: u32) -> Option<&Shared> {
        // Nearly always it is the only one.
        if let [only] = &self.shared[..] {
            return (only.version == version && only.database == database).then_some(only);
        }
        let is = |shared: &&Shared| shared.version == version && shared.database == database;
        self.shared.iter().find(is)
    }

    fn shared_mut(&mut self, version: Version, database: u32) -> &mut Shared {
        let is = |shared: &Shared| shared.version == version && shared.database == database;
        let index = self.shared.iter().position(is).unwrap_or_else(|| {
            self.shared.push(Shared {
                version,
                database,
                connections: Vec::new(),
                refusal: None,
            });
            self.shared.len() - 1
        });
        &mut self.shared[index]
    }
}
