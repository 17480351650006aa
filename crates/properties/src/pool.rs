//! A pool of `proxy` with arbitrary bytes from both sides.
//!
//! The input is a script of actions: who does what, with which bytes. For every script, nothing may panic,
//! the output pending for a client stays within the limits, and nothing is left once everybody has closed.

use std::sync::Arc;
use std::time::Duration;

use proxy::limits::{MAX_WINDOW, WINDOW_BYTES};
use proxy::metrics::{POOL_ROWS, PoolMetric, SERVER_ROWS, ServerMetric};
use proxy::settings::{
    Address, MemcachedSettings, PoolSettings, ProtocolSettings, RedisSettings, ServerSettings,
};
use proxy::{
    Action, Cause, Chunk, ConnectionId, FailoverPool, Flush, Memory, Pool, PoolShare, ServerShare,
    SessionId, Time, WorkerContext,
};

const SERVERS: usize = 3;

/// Runs the script in `data` against a Redis pool.
pub fn redis(data: &[u8]) {
    let redis = RedisSettings {
        auth: data
            .first()
            .filter(|first| **first >= 0xf0)
            .map(|_| Arc::from(&b"secret"[..])),
        ..RedisSettings::default()
    };
    play(data, ProtocolSettings::Redis(redis));
}

/// Runs the script in `data` against a memcached pool.
pub fn memcached(data: &[u8]) {
    play(
        data,
        ProtocolSettings::Memcached(MemcachedSettings {
            max_value: 1 << 20,
            admin_commands: true,
        }),
    );
}

fn play(data: &[u8], protocol: ProtocolSettings) {
    // An otherwise unused bit: half of the scripts have a failover pool.
    let failover = data.first().is_some_and(|first| first & 0x80 != 0);
    let mut stage = Stage::new(protocol, failover);
    let mut rest = data;
    while let [act, len, after @ ..] = rest {
        let len = (*len as usize).min(after.len());
        let (bytes, next) = after.split_at(len);
        stage.act(*act, bytes);
        stage.drain();
        rest = next;
    }
    stage.end();
}

struct Stage {
    pool: Pool,
    share: Arc<PoolShare>,
    /// Including those of the failover pool.
    servers: Vec<Arc<ServerShare>>,
    now: Time,
    sessions: Vec<SessionId>,
    connections: Vec<ConnectionId>,
}

impl Stage {
    fn new(protocol: ProtocolSettings, failover: bool) -> Self {
        let server = |index: usize| ServerSettings {
            name: format!("s{index}"),
            pname: format!("s{index}:1:1"),
            address: Address::tcp(&format!("s{index}"), 1),
            weight: 1,
            db: index as u32,
            replication: Default::default(),
        };
        let settings = PoolSettings {
            // Cheap to build: there is a new pool for every script.
            placement: hashkit::Placement {
                distribution: hashkit::Distribution::Modula,
                ..hashkit::Placement::default()
            },
            timeout: Some(Duration::from_millis(50)),
            auto_eject_hosts: true,
            server_connections: 2,
            server_retry_timeout: Duration::from_millis(100),
            allow_flush: true,
            ..PoolSettings::new("pool", (0..SERVERS).map(server).collect(), protocol)
        };
        let memory = Arc::new(Memory::new(0));
        let other = failover.then(|| FailoverPool {
            pool: PoolShare::new(settings.clone(), None, &memory, 1),
            seconds: 60,
        });
        let share = PoolShare::new(settings, other.clone(), &memory, 1);
        let pools = std::iter::once(&share).chain(other.iter().map(|other| &other.pool));
        let plans: Vec<_> = pools.map(|pool| pool.plan()).collect();
        let servers = plans.iter().flat_map(|plan| &plan.servers);
        let context = WorkerContext { worker: 0, seed: 1 };
        Self {
            pool: Pool::new(&share, context, Time::ZERO),
            servers: servers.map(|server| Arc::clone(&server.share)).collect(),
            share,
            now: Time::ZERO,
            sessions: Vec::new(),
            connections: Vec::new(),
        }
    }

    /// One action: the low bits select what, the high ones who.
    fn act(&mut self, act: u8, bytes: &[u8]) {
        self.now = self.now + Duration::from_micros(500);
        let who = (act >> 4) as usize;
        let chunk: Chunk = bytes.into();
        match act & 15 {
            0 => self
                .sessions
                .push(self.pool.open_session("client".into(), self.now)),
            1..=5 => self.client_says(who, &chunk),
            6..=9 => self.server_says(who, &chunk),
            10 => self.connected(who),
            11 => self.server_leaves(who),
            12 => self.client_leaves(who, bytes.is_empty()),
            13 => self.write_some(bytes.len()),
            14 => {
                self.now = self.now + Duration::from_millis(20);
                self.pool.handle_timeout(self.now);
            }
            _ => self.write_some(usize::MAX),
        }
    }

    fn client_says(&mut self, who: usize, chunk: &Chunk) {
        if self.sessions.is_empty() {
            self.sessions
                .push(self.pool.open_session("client".into(), self.now));
        }
        let id = self.sessions[who % self.sessions.len()];
        if self.pool.session_wants_read(id) {
            self.pool
                .handle_session_data(id, chunk, 0..chunk.len(), self.now);
        }
    }

    fn server_says(&mut self, who: usize, chunk: &Chunk) {
        if let Some(id) = self.pick(who) {
            self.pool
                .handle_connection_data(id, chunk, 0..chunk.len(), self.now);
        }
    }

    fn connected(&mut self, who: usize) {
        if let Some(id) = self.pick(who) {
            self.pool.handle_connected(id, self.now);
        }
    }

    fn server_leaves(&mut self, who: usize) {
        if let Some(id) = self.pick(who) {
            self.connections.retain(|known| *known != id);
            self.pool
                .handle_connection_closed(id, Cause::Closed, self.now);
        }
    }

    fn client_leaves(&mut self, who: usize, politely: bool) {
        if self.sessions.is_empty() {
            return;
        }
        let who = who % self.sessions.len();
        let id = self.sessions[who];
        if politely {
            self.pool.handle_session_end(id, self.now);
        } else {
            self.sessions.swap_remove(who);
            self.pool.handle_session_error(id, self.now);
        }
    }

    fn pick(&self, who: usize) -> Option<ConnectionId> {
        self.connections
            .get(who % self.connections.len().max(1))
            .copied()
    }

    /// Writes up to `most` bytes of each peer's output.
    fn write_some(&mut self, most: usize) {
        for id in self.sessions.clone() {
            let count = self.pool.session_output(id).len().min(most);
            self.pool.handle_session_written(id, count, self.now);
        }
        for id in self.connections.clone() {
            let count = self.pool.connection_output(id).len().min(most);
            self.pool.handle_connection_written(id, count, self.now);
        }
    }

    /// Performs the pool's actions, and checks its limits.
    fn drain(&mut self) {
        while let Some(action) = self.pool.poll_action() {
            match action {
                Action::Connect {
                    connection, server, ..
                } => {
                    let is_known = |known: &Arc<ServerShare>| Arc::ptr_eq(known, &server);
                    assert!(
                        self.servers.iter().any(is_known),
                        "a server that is not configured"
                    );
                    self.connections.push(connection);
                }
                Action::CloseConnection { connection } => {
                    self.connections.retain(|known| *known != connection);
                }
                Action::CloseSession { session, .. } => {
                    self.sessions.retain(|known| *known != session);
                }
                Action::LookForServers => {}
                Action::AskForMap { .. } => {}
                Action::Ask { .. } => unreachable!("there is one worker"),
                Action::ReadSession { session } => {
                    assert!(
                        self.sessions.contains(&session),
                        "a session that is not there"
                    );
                }
            }
        }
        while let Some(flush) = self.pool.poll_flush() {
            match flush {
                Flush::Session(id) => {
                    let owed = self.pool.session_output(id).len();
                    assert!(
                        owed <= WINDOW_BYTES + (1 << 20),
                        "unread replies grow: {owed}"
                    );
                }
                Flush::Connection(_) => {}
            }
        }
        while let Some(record) = self.pool.poll_event() {
            assert!(!record.in_pool("pool").to_string().is_empty());
        }
        assert_eq!(
            self.pool.session_count(),
            self.sessions.len(),
            "sessions are miscounted"
        );
        let waiting = self.gauge(ServerMetric::InQueue) + self.gauge(ServerMetric::OutQueue);
        let clients = self.share.counters(0).get(PoolMetric::ClientTotal) as usize;
        let bound = clients.max(1) * MAX_WINDOW * self.servers.len();
        assert!(
            (0..=bound as i64).contains(&waiting),
            "requests are miscounted: {waiting}"
        );
    }

    fn gauge(&self, metric: ServerMetric) -> i64 {
        let value = |server: &Arc<ServerShare>| server.counters(0).get(metric);
        self.servers.iter().map(value).sum()
    }

    /// Everybody closes: nothing may be left.
    fn end(mut self) {
        for id in std::mem::take(&mut self.sessions) {
            self.pool.handle_session_error(id, self.now);
        }
        for id in std::mem::take(&mut self.connections) {
            self.pool
                .handle_connection_closed(id, Cause::Reset, self.now);
        }
        self.drain();
        for gauge in [
            ServerMetric::InQueue,
            ServerMetric::InQueueBytes,
            ServerMetric::OutQueue,
            ServerMetric::OutQueueBytes,
            ServerMetric::ServerConnections,
        ] {
            assert_eq!(
                self.gauge(gauge),
                0,
                "{} at the end",
                SERVER_ROWS[gauge as usize].name
            );
        }
        let clients = PoolMetric::ClientConnections;
        assert_eq!(
            self.share.counters(0).get(clients),
            0,
            "{} at the end",
            POOL_ROWS[clients as usize].name
        );
    }
}
