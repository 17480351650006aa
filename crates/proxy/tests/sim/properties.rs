//! Properties that hold after every step.

use proxy::metrics::{PoolMetric, ServerMetric};

use crate::clients::Client;
use crate::faults::LossCause;
use crate::network::{Peer, ProxySide, Reset};
use crate::redis_server::UNWELL;
use crate::scenario::Theme;
use crate::world::World;

/// Maximum memory for a client that does not read: the window in bytes, plus as many of the largest replies
/// as are admitted before their size is known.
const MOST_UNREAD: usize = (8 << 20) + 49 * 301_000;

/// Maximum duration of a probe, if the timeout of requests is not shorter, in microseconds.
const PROBE_TIME_LIMIT: u64 = 5_000_000;

/// A silence in which late requests are tolerated, in microseconds.
const LEAST_SILENCE: u64 = 1_000_000;

/// Minimum time for which connections to another pool are kept, in microseconds.
const LEAST_LINGER: u64 = 10_000_000;

/// Chunks may be held for parts of them; the core promises at most this factor.
const MOST_WASTE: usize = 4;

impl World {
    /// The links to a server that the core has not closed.
    pub(crate) fn open_links_to(&self, server: usize) -> Vec<usize> {
        self.open_links
            .iter()
            .copied()
            .filter(|link| self.links[*link].server().index == server)
            .collect()
    }

    /// A worker's turn is over: its outputs are drained.
    pub(crate) fn check_after_tick(&mut self, worker: usize) {
        self.ejection.settle();
        self.check_gauges(worker);
        self.check_memory(worker);
        self.check_cap(worker);
        self.check_ejections_counted();
        for link in self.open_links.clone() {
            if self.links[link].worker == worker {
                self.check_server_link(worker, link);
            }
        }
    }

    fn check_gauges(&self, worker: usize) {
        let this = &self.workers[worker];
        let sessions = this.session_links();
        assert_eq!(
            this.pool.session_count(),
            sessions,
            "sessions that the core knows, and that exist"
        );
        assert_eq!(
            self.counted(worker, PoolMetric::ClientConnections),
            sessions as i64,
            "gauge client_connections"
        );
        for server in 0..self.condition.len() {
            let connected = |link: &usize| {
                self.links[*link].worker == worker
                    && matches!(self.links[*link].side, ProxySide::Connected(_))
            };
            let open = self
                .open_links_to(server)
                .iter()
                .filter(|link| connected(link))
                .count();
            assert_eq!(
                self.counted_of(worker, server, ServerMetric::ServerConnections),
                open as i64,
                "gauge server_connections of {server}"
            );
            for gauge in [
                ServerMetric::InQueue,
                ServerMetric::InQueueBytes,
                ServerMetric::OutQueue,
                ServerMetric::OutQueueBytes,
            ] {
                let value = self.counted_of(worker, server, gauge);
                assert!(value >= 0, "gauge {gauge:?} of server {server} is {value}");
            }
        }
    }

    fn check_memory(&mut self, worker: usize) {
        let mut unread = 0;
        for link in &self.links {
            if let (true, ProxySide::Session(id)) = (link.worker == worker, link.side) {
                let output = self.workers[worker].pool.session_output(id).len();
                assert!(
                    output <= MOST_UNREAD,
                    "a session holds {output} unread bytes"
                );
                unread += MOST_UNREAD;
            }
        }
        // Requests of closed sessions are still sent: a generous allowance for those.
        let most = MOST_WASTE * (unread + MOST_UNREAD);
        let held = self.workers[worker].bytes_held();
        assert!(
            held <= most,
            "worker {worker} holds {held} bytes of chunks, more than {most}"
        );
        self.counts.most_held = self.counts.most_held.max(held);
    }

    /// Whether a client may have been closed because memory was short. Never one that holds little.
    pub(crate) fn may_be_shed(&self, client: &Client) -> bool {
        let shed = self.counted(client.plan.worker, PoolMetric::ClientShed);
        shed > 0 && !client.plan.is_bystander()
    }

    fn check_ejections_counted(&self) {
        let ejects = PoolMetric::ServerEjects;
        let own = self.counted_by_all(ejects);
        let workers = 0..self.workers.len();
        let other = workers.map(|worker| self.counted_of_other(worker, ejects));
        let counted = own + other.sum::<i64>();
        let seen = self.ejection.count as i64;
        // A worker that has not noticed yet that a server has moved may eject it where it was, which nobody sees.
        let is_exact = self.plan_changed_at.is_none();
        assert!(
            counted == seen || (counted > seen && !is_exact),
            "{counted} ejections counted, and {seen} seen"
        );
    }

    fn check_server_link(&mut self, worker: usize, link: usize) {
        let read = self.links[link].inbound.read;
        let server = self.links[link].server();
        assert!(
            server.garbled.is_none_or(|(_, end)| read < end),
            "link {link}: the server is out of step and was not closed"
        );
        if self.is_idle(worker, link) {
            let now = self.now;
            self.links[link].server_mut().idle_at = now;
        }
    }

    /// Whether nothing is expected from a server on an established connection.
    pub(crate) fn is_idle(&self, worker: usize, link: usize) -> bool {
        let dying = self.links[link].reset != Reset::None;
        !dying && self.owes_nothing(worker, link)
    }

    /// The same of one that may be dying.
    pub(crate) fn owes_nothing(&self, worker: usize, link: usize) -> bool {
        let ProxySide::Connected(id) = self.links[link].side else {
            return false;
        };
        let output = self.workers[worker].pool.connection_output(id).len();
        let outbound = &self.links[link].outbound;
        let under_way = output + outbound.in_transit() + outbound.arrived.len();
        under_way == 0 && self.links[link].server().owes_nothing()
    }

    /// The core closes a server connection itself: only if the server violated the protocol, refused HELLO,
    /// or kept a request waiting too long.
    pub(crate) fn check_close_is_due(&mut self, link: usize) {
        let server = self.links[link].server();
        let (declined, probed) = (
            server.refused_hello(),
            server.may_be_probe() && server.said_so,
        );
        let loss_cause = match self.reasons(link).first() {
            _ if declined => LossCause::Declined,
            _ if probed => LossCause::Probed,
            _ if server.refused_limit() => LossCause::TooOld,
            _ if self.may_retire(link) || self.may_end_lease(link) => LossCause::Retired,
            None if server.refusal().is_some() => {
                LossCause::Unfit(server.refusal().unwrap_or_default())
            }
            Some(reason) => *reason,
            None if self.may_leave(link) || self.may_end_watch(link) => LossCause::Retired,
            None if self.must_leave(link) => LossCause::Left,
            None => panic!("link {link}: the core closed a server connection for no reason"),
        };
        self.note_lost(link, loss_cause);
    }

    /// Whether a connection to the other pool is idle and all servers are back, and have been for some time:
    /// an idle worker may not have noticed a new ejection in between.
    fn may_retire(&self, link: usize) -> bool {
        let opened = self.links[link].server().opened;
        let (server, worker) = (self.links[link].server().index, self.links[link].worker);
        self.scenario.is_other(server)
            && self.placement_oracle.live() == self.placement_oracle.full()
            && self.now >= opened + LEAST_LINGER
            && (self.is_connecting(link) || self.is_idle(worker, link))
    }

    /// Whether nothing can have been asked there yet. Requests that waited for it may have been dropped since.
    fn is_connecting(&self, link: usize) -> bool {
        let in_handshake = self.scenario.redis && !self.links[link].server().is_warm();
        in_handshake || matches!(self.links[link].side, ProxySide::Connecting(_))
    }

    /// Why the core may close a server connection, or has closed it already.
    pub(crate) fn reasons(&self, link: usize) -> Vec<LossCause> {
        let (side, read) = (self.links[link].server(), self.links[link].inbound.read);
        let garbled = side.garbled.is_some_and(|(start, _)| read > start);
        let reasons = [
            garbled.then_some(LossCause::Garbage),
            self.is_late(link).then_some(LossCause::TimedOut),
        ];
        reasons.into_iter().flatten().collect()
    }

    /// Whether a server connection may have exceeded a timeout.
    pub(crate) fn is_late(&self, link: usize) -> bool {
        let (side, policy) = (self.links[link].server(), &self.scenario.policy);
        let connecting = matches!(self.links[link].side, ProxySide::Connecting(_));
        let is_ready = side.is_warm() || !(self.scenario.redis || connecting);
        let open = self.now - side.opened;
        let waited = self.now - side.idle_at;
        let silent = self.now - side.idle_at.max(side.heard_at);
        let timeout = self.scenario.timeout;
        let probe_is_late = (side.may_be_probe() || side.doubtful)
            && !side.is_warm()
            && open >= timeout.unwrap_or(PROBE_TIME_LIMIT).min(PROBE_TIME_LIMIT);
        let request_is_late = timeout.is_some_and(|timeout| match policy.answers && is_ready {
            true => silent >= (4 * timeout).max(LEAST_SILENCE),
            false => waited >= timeout,
        });
        let connect_is_late = policy
            .connect_timeout
            .is_some_and(|timeout| !is_ready && open >= timeout);
        probe_is_late || request_is_late || connect_is_late
    }

    /// Number of timeouts at each server, as counted by a worker.
    pub(crate) fn timed_out(&self, worker: usize) -> Vec<i64> {
        let count = |server| self.counted_of(worker, server, ServerMetric::ServerTimedout);
        (0..self.condition.len()).map(count).collect()
    }

    /// Where late requests fail individually: records new ones from the counters.
    pub(crate) fn note_late(&mut self, worker: usize, before: &[i64]) {
        let Some(timeout) = self
            .scenario
            .timeout
            .filter(|_| self.scenario.policy.answers)
        else {
            return;
        };
        for (server, count) in self.timed_out(worker).into_iter().enumerate() {
            if count == before[server] {
                continue;
            }
            let sent_until = self.now.saturating_sub(timeout);
            self.trace(|| format!("worker {worker}: requests to server {server} are late"));
            self.faults
                .record_late(self.step, worker, server, sent_until);
            self.ejection.was_late(server, self.now);
            self.counts.late += 1;
        }
    }

    /// A server connection ends: records what was lost with it.
    pub(crate) fn note_lost(&mut self, link: usize, loss_cause: LossCause) {
        let (worker, read) = (self.links[link].worker, self.links[link].inbound.read);
        let (server, opened) = (
            self.links[link].server().index,
            self.links[link].server().opened,
        );
        let (lost, begun) = self.links[link].server().unanswered(read);
        let warm = self.links[link].server().is_warm() || !self.scenario.redis;
        let idle = warm && self.is_idle(worker, link);
        self.counts.lost += lost.len();
        for tag in &lost {
            self.clients[tag.client].left_server(tag.seq);
        }
        let reasons = match loss_cause {
            // No worker has checked since it became idle.
            LossCause::Retired if self.owes_nothing(worker, link) => Vec::new(),
            _ => self.reasons(link),
        };
        let refusal = self.links[link].server().refusal();
        if let Some(text) = refusal {
            self.faults.record_refusal(worker, server, self.now, text);
        }
        let loss_causes = [
            vec![loss_cause],
            reasons,
            refusal.map(LossCause::Unfit).into_iter().collect(),
            self.must_leave(link)
                .then_some(LossCause::Left)
                .into_iter()
                .collect(),
        ]
        .concat();
        let (probe, doubtful) = {
            let side = self.links[link].server();
            let probe = side.may_be_probe();
            // It may have been closed for that before its end was seen.
            let refused = side.refused_hello() || side.refused_limit() || side.refusal().is_some();
            let has_left = self.may_have_left(link);
            (probe, probe || side.doubtful || refused || has_left)
        };
        let is_probe = probe && self.scenario.redis;
        let is_harmless = |loss_cause: &LossCause| match loss_cause {
            LossCause::Declined | LossCause::Retired | LossCause::TooOld | LossCause::Left => true,
            LossCause::Unfit(text) => !UNWELL
                .iter()
                .any(|(said, of_auth)| [said, of_auth].contains(&text)),
            _ => false,
        };
        let harmless = loss_causes.iter().all(is_harmless)
            || (loss_cause == LossCause::Fin && idle)
            || is_probe;
        let silent = (read == 0).then_some(self.now);
        self.faults
            .record(self.step, (worker, server), loss_causes, begun, silent);
        // One to where the server is no more says nothing of where it is.
        let has_left = self.links[link].server().left.is_some();
        if !harmless && !has_left {
            let sure = match loss_cause {
                LossCause::Declined | LossCause::Probed | LossCause::Retired => false,
                LossCause::Left | LossCause::TooOld | LossCause::Unfit(_) => false,
                LossCause::Fin => !lost.is_empty() && !doubtful,
                _ => !doubtful,
            };
            self.ejection.failed(server, opened, self.now, sure);
        }
    }

    /// Checks whether servers were ejected or returned because of the core's latest input.
    pub(crate) fn observe_health(&mut self) {
        let live = |server: usize| u32::from(self.is_live(server)) << server;
        let mask: u32 = (0..self.condition.len()).map(live).sum();
        let changed = mask ^ self.live();
        if changed == 0 {
            return;
        }
        self.trace(|| format!("live servers are now {mask:b}"));
        for server in (0..self.condition.len()).filter(|server| changed & (1 << server) != 0) {
            if mask & (1 << server) == 0 {
                self.ejection.ejected(server, self.now);
            } else {
                self.ejection.readmitted(server, self.now);
            }
        }
        let (own, due) = (self.scenario.weights.len(), self.ejection.due());
        let mine = mask & ((1 << own) - 1);
        if mine != self.placement_oracle.live() {
            self.placement_oracle.note(self.step, mine, due);
        }
        let other = self
            .gutter
            .as_mut()
            .map(|other| &mut other.placement_oracle);
        if let Some(placement_oracle) =
            other.filter(|placement_oracle| placement_oracle.live() != mask >> own)
        {
            placement_oracle.note(self.step, mask >> own, due);
        }
    }

    /// Whether a server, of either pool, is not ejected.
    pub(crate) fn is_live(&self, server: usize) -> bool {
        self.servers[server]
            .as_ref()
            .is_some_and(|known| known.is_live())
    }

    /// The servers that were live at the last check, one bit each.
    fn live(&self) -> u32 {
        let other = self
            .gutter
            .as_ref()
            .map_or(0, |other| other.placement_oracle.live());
        self.placement_oracle.live() | (other << self.scenario.weights.len())
    }

    /// Every ejected server has returned, without a client's request.
    pub(crate) fn check_everybody_is_back(&self) {
        let planned = (0..self.condition.len()).filter(|server| self.servers[*server].is_some());
        let all = planned.into_iter().all(|server| self.is_live(server));
        assert!(all, "everybody is back when the trouble is over");
    }

    /// Nothing further will happen: every client that still waits must have a reason.
    pub(crate) fn check_nobody_waits(&self) {
        for client in &self.clients {
            if client.phase == crate::clients::Phase::Over || !client.plan.stays() {
                continue;
            }
            assert!(
                self.may_wait_for_ever(client.plan.worker) || self.may_wait_there(client),
                "client {} waits for ever: {:?}",
                client.id,
                client.owed.front()
            );
        }
    }

    /// Whether a worker's requests may be at a server that never answers, and have no timeout.
    pub(crate) fn may_wait_for_ever(&self, worker: usize) -> bool {
        let silent = |link: &usize| self.links[*link].worker == worker && self.is_silent(*link);
        self.scenario.timeout.is_none() && self.open_links.iter().any(silent)
    }

    /// Whether a link is unusable because of its server's condition.
    pub(crate) fn is_silent(&self, link: usize) -> bool {
        let server = self.links[link].server();
        server.hung || self.condition[server.index] != crate::scenario::Condition::Fair
    }

    /// Every client that stays has been answered and has closed.
    pub(crate) fn check_all_done(&self) {
        for client in self.clients.iter().filter(|client| client.plan.stays()) {
            assert!(
                client.phase == crate::clients::Phase::Over,
                "client {} never ended: {:?}",
                client.id,
                client.owed.front()
            );
        }
    }

    /// Without server failures, requests that wanted no reply were executed too; unless memory was short: then the queued
    /// requests of closed clients are dropped first.
    fn check_nothing_forgotten(&self) {
        if self.scenario.is_stormy()
            || self.scenario.max_memory > 0
            || (self.scenario.shutdown_at.is_some() || self.scenario.denies_transactions)
            || self.ejection.count > 0
        {
            return;
        }
        for client in self.clients.iter().filter(|client| client.plan.stays()) {
            let excused = self.may_be_shed(client) || client.moves.is_over;
            let forgotten = client.forgotten().filter(|_| !excused);
            assert!(
                forgotten.is_none(),
                "client {}: request {forgotten:?} was never executed",
                client.id
            );
        }
    }

    /// Retried reads are at most a tenth of all requests.
    fn check_retries(&mut self) {
        let retries = self.counted_by_all(PoolMetric::Retries);
        let asked: i64 = self
            .clients
            .iter()
            .map(|client| client.asked() as i64)
            .sum();
        assert!(
            10 * retries <= asked && (retries == 0 || self.scenario.policy.retry_reads),
            "{retries} retries of {asked} requests"
        );
        self.counts.retries += retries as usize;
        self.counts.failovers += self.counted_by_all(PoolMetric::Failovers);
    }

    /// Everything was closed: nothing is left, and the counters are consistent.
    pub(crate) fn check_nothing_left(&mut self) {
        for worker in 0..self.workers.len() {
            self.check_gauges(worker);
            let this = &mut self.workers[worker];
            assert!(this.pool.is_drained(), "a drained pool has no session");
            assert_eq!(
                this.session_links() + this.connection_links(),
                0,
                "connections left in worker {worker}"
            );
            assert_eq!(this.bytes_held(), 0, "worker {worker} still holds chunks");
            for server in 0..self.condition.len() {
                for gauge in [
                    ServerMetric::InQueue,
                    ServerMetric::InQueueBytes,
                    ServerMetric::OutQueue,
                    ServerMetric::OutQueueBytes,
                ] {
                    assert_eq!(
                        self.counted_of(worker, server, gauge),
                        0,
                        "gauge {gauge:?} of server {server} at the end"
                    );
                }
            }
        }
        self.counts.shed += self.counted_by_all(PoolMetric::ClientShed) as usize;
        self.check_elements();
        self.check_unheard();
        self.check_nothing_forgotten();
        self.check_retries();
        self.check_counts();
        self.check_spread();
    }

    /// If every reply was wanted, every failure was reported to its client.
    fn check_unheard(&mut self) {
        let unheard = self.counted_by_all(PoolMetric::Unheard);
        let muted = self.clients.iter().map(|client| client.dependent.muted);
        self.counts.muted = muted.sum();
        let all_wanted = self.scenario.redis && self.counts.muted == 0;
        assert!(unheard == 0 || !all_wanted, "{unheard} failures unheard");
        if self.scenario.redis {
            self.counts.unheard = unheard;
        }
    }

    /// Without faults, every counted request arrived, and every reply was counted.
    fn check_counts(&self) {
        let pool = |metric| self.counted_by_all(metric);
        let server = |metric| {
            let of = |worker| {
                (0..self.condition.len())
                    .map(|server| self.counted_of(worker, server, metric))
                    .sum::<i64>()
            };
            (0..self.workers.len()).map(of).sum::<i64>()
        };
        let (requests, responses) = (
            server(ServerMetric::Requests),
            server(ServerMetric::Responses),
        );
        assert!(
            responses <= requests,
            "{responses} responses to {requests} requests"
        );
        // What waits when the trouble is over may lose its link, and so may the request to end the wait.
        let is_calm = matches!(self.scenario.theme, Theme::Calm | Theme::Deep);
        if is_calm && self.ejection.count == 0 && !self.has_waits() {
            assert_eq!(
                (requests, responses),
                (self.counts.requests as i64, self.counts.requests as i64),
                "requests and responses counted"
            );
            assert_eq!(
                pool(PoolMetric::ForwardError),
                0,
                "forward_error without a fault"
            );
            assert_eq!(pool(PoolMetric::ClientConnections), 0);
        }
        let clients = self
            .links
            .iter()
            .filter(|link| matches!(link.peer, Peer::Client(_)))
            .count() as i64;
        assert_eq!(pool(PoolMetric::ClientTotal), clients, "client_total");
        assert_eq!(
            pool(PoolMetric::ClientEof) + pool(PoolMetric::ClientErr),
            clients,
            "client_eof and client_err"
        );
    }

    /// Many keys are spread over several servers.
    fn check_spread(&self) {
        let (homes, servers) = self.placement_oracle.owners();
        // Where servers fail, the others may be all that is ever seen.
        let planned = self.scenario.planned.iter().filter(|weight| **weight > 0);
        let excused = self.scenario.is_stormy() || planned.count() == 1;
        assert!(
            excused || homes < 40 || servers > 1,
            "{homes} keys on {servers} server"
        );
    }
}
