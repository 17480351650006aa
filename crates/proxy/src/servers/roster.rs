//! All servers that a pool in one worker uses, and all connections to them: opened, chosen, written to, drained,
//! removed.

mod leasing;

use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, Progress};
use super::purpose::Purpose;
use super::queue::ReplyTo;
use super::server::Server;
use crate::cause::Cause;
use crate::flow::buffer::Rope;
use crate::flow::outbox::{Action, Flush, Outbox};
use crate::id::{ConnectionId, ServerId, SessionId, Table};
use crate::latency::Class;
use crate::limits::{DRAIN_CHECK_EVERY, DRAIN_WITHIN, SILENCE_AT_LEAST, SILENCE_FACTOR};
use crate::metrics::ServerMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::Lane;
use crate::protocol::greeting::Step;
use crate::settings::{PoolSettings, TimeoutAction};
use crate::share::{PlannedServer, PoolPlan, PoolShare};
use crate::time::Time;

/// The servers and their connections. A server stays while a route, a connection or an unanswered fragment refers to
/// it; only then may its id be used.
pub(crate) struct Roster<P: Protocol> {
    servers: Table<ServerId, Server>,
    connections: Table<ConnectionId, Connection<P>>,
    /// No connection can be late before this. A lower bound: it is not raised when a request is answered.
    earliest: Option<Time>,
    /// Draining connections, and when each is closed even if it has unanswered requests.
    draining: Vec<(ConnectionId, Time)>,
    /// When to check those next.
    next_check: Option<Time>,
}

/// Connections on which requests wait for longer than they should.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Longer than `timeout`, or their server is silent for too long.
    pub(crate) late: Vec<ConnectionId>,
    /// Longer than quick requests of their clients would.
    pub(crate) delayed: Vec<ConnectionId>,
}

/// A connection to which a request is about to be added. It borrows what that takes, so that a request looks its
/// connection up once.
pub(crate) struct OpenConnection<'a, P: Protocol> {
    id: ConnectionId,
    connection: &'a mut Connection<P>,
    earliest: &'a mut Option<Time>,
}

impl<P: Protocol> Roster<P> {
    pub(crate) fn new() -> Self {
        Self {
            servers: Table::new(),
            connections: Table::new(),
            earliest: None,
            draining: Vec::new(),
            next_check: None,
        }
    }

    /// A server that something refers to (see [`Roster`]).
    #[inline]
    pub(crate) fn server(&self, id: ServerId) -> &Server {
        let server = self.servers.get(id);
        server.expect("a server stays while a route or a connection leads to it")
    }

    pub(crate) fn server_mut(&mut self, id: ServerId) -> &mut Server {
        let server = self.servers.get_mut(id);
        server.expect("a server stays while a route or a connection leads to it")
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection<P>> {
        self.connections.get(id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection<P>> {
        self.connections.get_mut(id)
    }

    /// Every connection.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &Connection<P>> {
        self.connections.iter().map(|(_, connection)| connection)
    }

    /// The connections that take requests.
    pub(crate) fn shared_connections(
        &self,
    ) -> impl Iterator<Item = (ConnectionId, &Connection<P>)> {
        let all = self.connections.iter();
        all.filter(|(_, it)| it.purpose().is_shared() && !it.is_draining())
    }

    /// The ids of all connections.
    pub(crate) fn connection_ids(&self) -> Vec<ConnectionId> {
        self.connections.ids()
    }

    /// Opens a connection.
    pub(crate) fn open(
        &mut self,
        server: ServerId,
        purpose: Purpose,
        now: Time,
        outbox: &mut Outbox,
    ) -> ConnectionId {
        let to = self.server(server);
        let (share, endpoint) = (to.share().clone(), to.endpoint().clone());
        if purpose.is_counted() {
            to.counters().add(ServerMetric::ServerTotal, 1);
        }
        let new = Connection::new(server, to, purpose, now);
        let id = self.connections.insert_with(|_| new);
        self.server_mut(server).add(purpose, id);
        outbox.act(Action::Connect {
            connection: id,
            server: share,
            endpoint,
        });
        self.note_deadline(id);
        id
    }

    /// The connection for a request to a server, of a session of this lane: the one that it is pinned to,
    /// else one without requests, else a new one while the server may have more, else the one with the fewest
    /// requests.
    #[inline(always)]
    pub(crate) fn connection_for(
        &mut self,
        id: ServerId,
        lane: Lane,
        pinned: impl FnOnce(Purpose) -> Option<ConnectionId>,
        now: Time,
        outbox: &mut Outbox,
    ) -> Result<OpenConnection<'_, P>, Cause> {
        let id = self.choose(id, lane, pinned, now, outbox)?;
        match self.connections.get_mut(id) {
            Some(connection) if connection.has_room(now) => Ok(OpenConnection {
                id,
                connection,
                earliest: &mut self.earliest,
            }),
            _ => Err(Cause::Overloaded),
        }
    }

    #[inline(always)]
    fn choose(
        &mut self,
        id: ServerId,
        lane: Lane,
        pinned: impl FnOnce(Purpose) -> Option<ConnectionId>,
        now: Time,
        outbox: &mut Outbox,
    ) -> Result<ConnectionId, Cause> {
        let server = self.server(id);
        if let ([only], 1) = (
            server.connections(lane),
            server.settings().server_connections,
        ) {
            return Ok(*only);
        }
        if let Some(pinned) = pinned(server.shared_by(lane)) {
            return Ok(pinned);
        }
        self.choose_freely(id, lane, now, outbox)
    }

    #[cold]
    fn choose_freely(
        &mut self,
        id: ServerId,
        lane: Lane,
        now: Time,
        outbox: &mut Outbox,
    ) -> Result<ConnectionId, Cause> {
        let server = self.server(id);
        let open = server.connections(lane);
        let load = |id: &ConnectionId| {
            let connection = self.connections.get(*id);
            connection.map_or(usize::MAX, |connection| connection.queue().len())
        };
        let least = open.iter().min_by_key(|id| load(id));
        if let Some(least) = least
            && (load(least) == 0 || open.len() >= server.settings().server_connections)
        {
            return Ok(*least);
        }
        let further = match (server.refusal(lane, now), least) {
            (None, _) => server.take_further(lane, least.is_some()),
            (Some(_), Some(_)) => Err(()),
            (Some(cause), None) => return Err(cause.clone()),
        };
        match (further, least) {
            (Err(()), Some(least)) => Ok(*least),
            (further, _) => {
                let new = self.open(id, server.shared_by(lane), now, outbox);
                if let Some(connection) = self.connections.get_mut(new) {
                    connection.count_as(further.ok().flatten());
                }
                Ok(new)
            }
        }
    }

    /// A connection that was chosen before, to add a further request.
    pub(crate) fn connection_by_id(&mut self, id: ConnectionId) -> Option<OpenConnection<'_, P>> {
        Some(OpenConnection {
            id,
            connection: self.connections.get_mut(id)?,
            earliest: &mut self.earliest,
        })
    }

    /// Lists the connection for writing, if it is not listed.
    pub(crate) fn flush(&mut self, id: ConnectionId, outbox: &mut Outbox) {
        if let Some(connection) = self.connections.get_mut(id)
            && connection.list_for_flush()
        {
            outbox.flush(Flush::Connection(id));
        }
    }

    /// The socket of a connection is connected, and its handshake begins with `steps`; returns whether there are any.
    pub(crate) fn start_handshake(
        &mut self,
        id: ConnectionId,
        steps: Vec<Step>,
        outbox: &mut Outbox,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return false;
        };
        let has_steps = !steps.is_empty();
        connection.begin_handshake(steps);
        if connection.purpose().is_gauged() {
            let gauge = ServerMetric::ServerConnections;
            connection.counters().add(gauge, 1);
        }
        if has_steps {
            self.flush(id, outbox);
        }
        has_steps
    }

    /// Removes a connection. The caller has to answer its requests.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection<P>> {
        let connection = self.connections.remove(id)?;
        let server = self.server_mut(connection.server());
        server.remove(connection.purpose(), id);
        server.note_heard(connection.heard());
        match connection.progress() {
            Progress::Connecting => {}
            _ if connection.purpose().is_gauged() => {
                let gauge = ServerMetric::ServerConnections;
                connection.counters().add(gauge, -1);
            }
            Progress::Handshaking | Progress::Ready | Progress::Listening => {}
        }
        Some(connection)
    }

    /// How many requests are outstanding at a server, of sessions of this lane; `None` if it has refused their connections
    /// lately and has none.
    pub(crate) fn outstanding(&self, id: ServerId, lane: Lane, now: Time) -> Option<usize> {
        let server = self.server(id);
        let open = server.connections(lane);
        if open.is_empty() && server.refusal(lane, now).is_some() {
            return None;
        }
        let open = open.iter().filter_map(|id| self.connections.get(*id));
        Some(open.map(|connection| connection.queue().len()).sum())
    }

    /// When a connection may be late, at the earliest.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.earliest
    }

    /// The connections that are late at `now`, and those on which requests wait for too long. Whoever handles one
    /// without removing it calls [`Roster::note_deadline`] afterwards, or its next deadline is missed.
    pub(crate) fn take_waiting(&mut self, now: Time) -> Waiting {
        let mut waiting = Waiting::default();
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return waiting;
        }
        self.earliest = None;
        let is_due = |due: Option<Time>| due.is_some_and(|due| due <= now);
        for id in self.connections.ids() {
            let Some(connection) = self.connections.get(id) else {
                continue;
            };
            if is_due(self.deadline_of(connection)) {
                waiting.late.push(id);
            } else if is_due(connection.look_due()) {
                waiting.delayed.push(id);
            } else {
                self.note_deadline(id);
            }
        }
        waiting
    }

    /// Includes this time in the lower bound.
    pub(crate) fn note_due(&mut self, at: Time) {
        note_due(&mut self.earliest, Some(at));
    }

    /// Includes a connection's current deadline in the lower bound.
    pub(crate) fn note_deadline(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(id) {
            let due = [self.deadline_of(connection), connection.look_due()];
            note_due(&mut self.earliest, due.into_iter().flatten().min());
        }
    }

    /// The requests that wait on a connection are looked at. Returns it, and when its server was heard last.
    pub(crate) fn look_at_waiting(
        &mut self,
        id: ConnectionId,
        now: Time,
    ) -> Option<(&Connection<P>, Option<Time>)> {
        let connection = self.connections.get_mut(id)?;
        let server = self.servers.get(connection.server())?;
        connection.note_look(now);
        let heard = connection.heard().max(server.heard());
        Some((connection, heard))
    }

    /// When the connection is late, by its current state: its handshake, its oldest waiting request, or the server's
    /// silence while it owes a late reply.
    fn deadline_of(&self, connection: &Connection<P>) -> Option<Time> {
        let settings = self.server(connection.server()).settings();
        let connect = match connection.progress() {
            Progress::Ready | Progress::Listening => None,
            Progress::Connecting | Progress::Handshaking => connection.purpose().patience(settings),
        };
        let connect = connect.map(|patience| connection.opened() + patience);
        let queue = connection.queue();
        let lease = connection.lease();
        let lease = lease.and_then(|lease| lease.due(!queue.is_empty()));
        let lease = lease.map(|(due, _)| due);
        let timeout = settings.timeout.filter(|_| !connection.is_waiting());
        let oldest = queue.oldest_waiting().zip(timeout);
        let request = oldest.map(|(oldest, timeout)| oldest.queued + timeout);
        let silence = silence(settings).filter(|_| queue.owes_forgotten());
        let silence = silence.map(|bound| connection.waiting_since(connection.opened()) + bound);
        let due = [connect, lease, request, silence];
        due.into_iter().flatten().min()
    }

    /// Whether a late connection is to be closed; otherwise only its late requests fail.
    pub(crate) fn is_lost(&self, connection: &Connection<P>, now: Time) -> bool {
        let settings = self.server(connection.server()).settings();
        connection.progress() != Progress::Ready
            || silence(settings).is_none_or(|bound| connection.waiting_since(now) + bound <= now)
    }
}

/// Changes of plan.
impl<P: Protocol> Roster<P> {
    /// Adds these servers of a plan, or changes those that are known to what the plan says. Returns their ids in the
    /// same order; those that are new, or have another endpoint now, are added to `fresh`.
    pub(crate) fn add_planned<'p>(
        &mut self,
        pool: &Arc<PoolShare>,
        plan: &PoolPlan,
        servers: impl Iterator<Item = &'p PlannedServer>,
        ttl_cap: Option<u32>,
        worker: usize,
        fresh: &mut Vec<ServerId>,
    ) -> Vec<ServerId> {
        let add_planned = |planned: &PlannedServer| {
            let is_it = |(_, server): &(_, &Server)| Arc::ptr_eq(server.share(), &planned.share);
            let known = self.servers.iter().find(is_it).map(|(id, _)| id);
            let is_fresh = match known.and_then(|id| self.servers.get_mut(id)) {
                Some(server) => server.follow(&plan.settings, planned, ttl_cap),
                None => true,
            };
            let id = known.unwrap_or_else(|| {
                let server = Server::new(pool, &plan.settings, planned, ttl_cap, worker);
                self.servers.insert_with(|_| server)
            });
            fresh.extend(is_fresh.then_some(id));
            id
        };
        servers.map(add_planned).collect()
    }

    /// Marks the servers that are not in `plan` as removed; returns those that were not before.
    pub(crate) fn remove_servers(&mut self, plan: &[ServerId]) -> Vec<ServerId> {
        let stays = |(id, server): &(ServerId, &Server)| server.is_removed() || plan.contains(id);
        let gone: Vec<_> = self.servers.iter().filter(|it| !stays(it)).collect();
        let gone: Vec<_> = gone.into_iter().map(|(id, _)| id).collect();
        gone.iter()
            .for_each(|id| self.server_mut(*id).mark_removed());
        gone
    }

    /// Starts draining the connections whose server was removed, has another endpoint, or may have fewer connections
    /// now, or all that are shared where the worker serves nobody. Returns them. All deadlines are computed anew, as time-outs
    /// may have changed.
    pub(crate) fn drain_connections(&mut self, now: Time, serves: bool) -> Vec<ConnectionId> {
        let is_kept = |id: ConnectionId, connection: &Connection<P>| {
            let (server, purpose) = (self.server(connection.server()), connection.purpose());
            connection.is_draining()
                || ((serves || !purpose.is_shared())
                    && server.keeps(id, purpose, connection.endpoint()))
        };
        let all = self.connections.iter();
        let draining = all.filter(|(id, connection)| !is_kept(*id, connection));
        let draining: Vec<_> = draining.map(|(id, _)| id).collect();
        for id in &draining {
            if let Some(connection) = self.connections.get_mut(*id) {
                connection.start_draining();
                let (server, purpose) = (connection.server(), connection.purpose());
                self.server_mut(server).remove(purpose, *id);
                self.draining.push((*id, now + DRAIN_WITHIN));
            }
        }
        for id in self.connections.ids() {
            if let Some(connection) = self.connections.get_mut(id)
                && let Some(server) = self.servers.get(connection.server())
            {
                connection.follow(server.settings().timeout);
            }
            self.note_deadline(id);
        }
        draining
    }

    /// When to check draining connections and removed servers next.
    pub(crate) fn next_check(&self) -> Option<Time> {
        self.next_check
    }

    /// Takes the draining connections that have answered everything off the list.
    pub(crate) fn take_drained(&mut self) -> Vec<ConnectionId> {
        self.take_draining(|connection, _| connection.is_drained())
    }

    /// Takes those off the list whose time is over.
    pub(crate) fn take_overdue(&mut self, now: Time) -> Vec<ConnectionId> {
        self.take_draining(|_, until| until <= now)
    }

    fn take_draining(&mut self, ends: impl Fn(&Connection<P>, Time) -> bool) -> Vec<ConnectionId> {
        let mut taken = Vec::new();
        let connections = &self.connections;
        self.draining.retain(|(id, until)| {
            let connection = connections.get(*id);
            let ends = connection.is_some_and(|connection| ends(connection, *until));
            taken.extend(ends.then_some(*id));
            !ends && connection.is_some()
        });
        taken
    }

    /// Sets the time of the next check, as long as there is anything to check.
    pub(crate) fn schedule_check(&mut self, now: Time) {
        let gone = self.servers.iter().any(|(_, server)| server.is_removed());
        let more = gone || !self.draining.is_empty();
        self.next_check = more.then_some(now + DRAIN_CHECK_EVERY);
    }

    /// Forgets the removed servers that have no connection and are not `is_in_use`; returns them.
    pub(crate) fn forget_servers(&mut self, is_in_use: impl Fn(ServerId) -> bool) -> Vec<ServerId> {
        let connections = &self.connections;
        let is_to = |id: ServerId| connections.iter().any(|(_, link)| link.server() == id);
        let gone = self
            .servers
            .iter()
            .filter(|(_, server)| server.is_removed());
        let gone = gone.map(|(id, _)| id);
        let gone: Vec<_> = gone.filter(|id| !is_to(*id) && !is_in_use(*id)).collect();
        gone.iter().for_each(|id| drop(self.servers.remove(*id)));
        gone
    }
}

impl<'a, P: Protocol> OpenConnection<'a, P> {
    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.connection.purpose()
    }

    /// Queues a request, whose bytes `write` appends.
    #[inline(always)]
    pub(crate) fn send(
        &mut self,
        session: SessionId,
        reply_to: ReplyTo,
        class: Class,
        now: Time,
        outbox: &mut Outbox,
        write: impl FnOnce(&mut Rope),
    ) {
        // If an older request waits, its deadline is earlier than this one's and already included.
        if self.connection.queue().oldest_waiting().is_none() {
            self.note_due(now);
        }
        if self.connection.push(session, reply_to, class, now, write)
            && self.connection.list_for_flush()
        {
            outbox.flush(Flush::Connection(self.id));
        }
    }

    /// The connection itself.
    pub(crate) fn into_inner(self) -> &'a mut Connection<P> {
        self.connection
    }

    /// Includes when a request that is queued now will have waited for too long, which is before it is late.
    fn note_due(&mut self, now: Time) {
        note_due(self.earliest, self.connection.delay().after(now));
    }
}

/// Lowers the bound to `at`, if that is earlier.
fn note_due(earliest: &mut Option<Time>, at: Option<Time>) {
    if let Some(at) = at {
        *earliest = Some(earliest.map_or(at, |known| known.min(at)));
    }
}

/// How long a server that owes a late reply may be silent before its connection is closed (`timeout_action: answer`);
/// `None` if the first late request closes it.
fn silence(settings: &PoolSettings) -> Option<Duration> {
    let timeout = settings.timeout?;
    match settings.failure.timeout_action {
        TimeoutAction::Close => None,
        TimeoutAction::Answer => Some((timeout * SILENCE_FACTOR).max(SILENCE_AT_LEAST)),
    }
}
