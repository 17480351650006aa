//! One worker: a pool, and a shell around it that follows the core's rules and is otherwise as difficult as a
//! real one can be: any order of inputs, several of them before outputs are drained, short reads and writes,
//! calls that come too late.

use std::collections::HashMap;

use proxy::{Action, Cause, Chunk, ConnectionId, Flush, Pool, SessionId, Time, Trace};

use crate::bytes::first;
pub(crate) use crate::bytes::shown;
use crate::events::Event;
use crate::faults::LossCause;
use crate::network::{Direction, Fin, Link, Peer, ProxySide, Reset};
use crate::scenario::Condition;
use crate::servers::ServerSide;
use crate::world::World;

/// A pool in its worker.
pub(crate) struct Worker {
    pub(crate) pool: Pool,
    sessions: HashMap<SessionId, usize>,
    connections: HashMap<ConnectionId, usize>,
    /// Links with something to do.
    ready: Vec<usize>,
    /// When the next iteration of the loop is planned.
    planned: Option<u64>,
    /// The plan that it follows, as it says.
    pub(crate) plan: u64,
    /// The last step in which everything was done that the core wanted.
    drained_in: u64,
    /// How often in a row something was due at once when what was due had been done.
    due_again: usize,
    /// Chunks given to the core, as long as it holds them.
    chunks: Vec<Chunk>,
    /// Stale ids.
    stale_sessions: Vec<SessionId>,
    stale_connections: Vec<ConnectionId>,
}

impl Worker {
    pub(crate) fn new(pool: Pool) -> Self {
        Self {
            pool,
            sessions: HashMap::new(),
            connections: HashMap::new(),
            ready: Vec::new(),
            planned: None,
            drained_in: 0,
            plan: 1,
            due_again: 0,
            chunks: Vec::new(),
            stale_sessions: Vec::new(),
            stale_connections: Vec::new(),
        }
    }

    pub(crate) fn session_links(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn connection_links(&self) -> usize {
        self.connections.len()
    }

    /// Bytes of the chunks that the core still holds.
    pub(crate) fn bytes_held(&mut self) -> usize {
        self.chunks.retain(Chunk::is_shared);
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }
}

/// How many times in a row something may be due again at once: a client's unparsed input is processed piece
/// by piece.
const MOST_TURNS: usize = 2_000;

impl World {
    pub(crate) fn time(&self) -> Time {
        Time::from_micros(self.now)
    }

    /// Puts a link on its worker's ready list.
    pub(crate) fn make_ready(&mut self, worker: usize, link: usize) {
        if !self.links[link].ready {
            self.links[link].ready = true;
            self.workers[worker].ready.push(link);
        }
        let delay = self.rng.pick(&[0, 5, 60]);
        self.plan_tick(worker, self.now + delay);
    }

    pub(crate) fn plan_tick(&mut self, worker: usize, at: u64) {
        let is_missing = match self.workers[worker].planned {
            None => true,
            // An iteration that is due now may already be running.
            Some(planned) => planned > at || (planned <= self.now && !self.counts_turns()),
        };
        if is_missing {
            self.workers[worker].planned = Some(at);
            self.events.plan(at, Event::Tick { worker });
        }
    }

    /// Whether only planned iterations are run. An extra one does no harm, but where memory is counted or slow servers
    /// are looked at, at intervals, each would plan the next, and there would be more and more of them.
    fn counts_turns(&self) -> bool {
        let it = &self.scenario;
        let is_timed = it.timeout.is_some() || self.has_client_timeouts();
        it.max_memory > 0 || !it.plans.is_empty() || is_timed
    }

    /// One iteration of a worker's loop.
    pub(crate) fn tick(&mut self, worker: usize) {
        if self.is_superseded(worker) {
            return;
        }
        self.workers[worker].planned = None;
        let mut ready = std::mem::take(&mut self.workers[worker].ready);
        self.rng.shuffle(&mut ready);
        let timers_at = self.rng.between(0, ready.len());
        for (position, link) in ready.iter().enumerate() {
            if position == timers_at {
                self.run_timers(worker);
            }
            self.links[*link].ready = false;
            self.attend(worker, *link);
            if self.rng.chance(1, 3) {
                let some = self.rng.between(1, 4);
                self.drain(worker, some);
            }
        }
        self.call_too_late(worker);
        if timers_at == ready.len() {
            self.run_timers(worker);
        }
        self.drain(worker, usize::MAX);
        self.check_after_tick(worker);
        self.plan_deadline(worker);
    }

    /// Whether an earlier planned iteration was replaced by another one, which is still to come.
    fn is_superseded(&self, worker: usize) -> bool {
        let planned = self.workers[worker].planned;
        self.counts_turns() && planned.is_some_and(|planned| planned > self.now)
    }

    fn run_timers(&mut self, worker: usize) {
        let now = self.time();
        let before = self.timed_out(worker);
        let pool = &mut self.workers[worker].pool;
        if pool.poll_deadline().is_some_and(|deadline| deadline <= now) {
            pool.handle_timeout(now);
            self.note_late(worker, &before);
            let this = &mut self.workers[worker];
            let is_due = this.pool.poll_deadline().is_some_and(|next| next <= now);
            this.due_again = if is_due { this.due_again + 1 } else { 0 };
            assert!(
                this.due_again <= MOST_TURNS,
                "a deadline that has been dealt with is due again and again"
            );
            self.observe_health();
            // What the core has closed is not read any further: only bytes that it was given count as read.
            self.drain(worker, usize::MAX);
        }
    }

    fn plan_deadline(&mut self, worker: usize) {
        if let Some(deadline) = self.workers[worker].pool.poll_deadline() {
            let late = self.rng.pick(&[0, 1, 900]);
            self.plan_tick(worker, deadline.as_micros().max(self.now) + late);
        }
    }

    fn attend(&mut self, worker: usize, link: usize) {
        match self.links[link].side {
            ProxySide::Gone => {}
            ProxySide::Accepting => {
                let now = self.time();
                let id = self.workers[worker].pool.open_session("client".into(), now);
                self.trace(|| format!("link {link} is session {id:?} of worker {worker}"));
                self.workers[worker].sessions.insert(id, link);
                self.links[link].side = ProxySide::Session(id);
                let now = self.now;
                self.clock_of(link).starts(now);
                self.attend_session(worker, link, id);
            }
            ProxySide::Session(id) => self.attend_session(worker, link, id),
            ProxySide::Connecting(id) => self.attend_connecting(worker, link, id),
            ProxySide::Connected(id) => self.attend_connection(worker, link, id),
        }
    }

    fn attend_session(&mut self, worker: usize, link: usize, id: SessionId) {
        if self.links[link].reset == Reset::Arrived {
            self.trace(|| format!("link {link}: the client has reset"));
            let now = self.time();
            self.workers[worker].pool.handle_session_error(id, now);
            return self.forget_session(worker, link, id);
        }
        for _ in 0..self.rng.between(1, 4) {
            let open = self.links[link].side == ProxySide::Session(id);
            if !open
                || self.links[link].inbound.arrived.is_empty()
                || !self.workers[worker].pool.session_wants_read(id)
            {
                break;
            }
            self.read_session(worker, link, id);
        }
        if self.links[link].side != ProxySide::Session(id) {
            return;
        }
        self.read_session_end(worker, link, id);
        if self.links[link].unwritten {
            self.write_session(worker, link, id);
        }
    }

    fn read_session(&mut self, worker: usize, link: usize, id: SessionId) {
        let bytes = self.read_some(link);
        self.trace(|| format!("link {link}: session data {}", shown(&bytes)));
        let now = self.now;
        self.clock_of(link).reads(bytes.len(), now);
        self.moves_of(link).reads(bytes.len(), now);
        let (chunk, range) = self.chunk(worker, &bytes);
        let now = self.time();
        self.workers[worker]
            .pool
            .handle_session_data(id, &chunk, range, now);
        self.observe_health();
        self.tell_writer(link, Direction::In);
        if self.rng.chance(1, 4) {
            let some = self.rng.between(1, 3);
            self.drain(worker, some);
        }
    }

    /// Reports a FIN once everything before it was read; a session that refuses reading may be told or not.
    /// The rest is read in the next iteration, unless the session refuses.
    fn read_session_end(&mut self, worker: usize, link: usize, id: SessionId) {
        let wants_read = self.workers[worker].pool.session_wants_read(id);
        if !self.links[link].inbound.arrived.is_empty() {
            if wants_read {
                self.make_ready(worker, link);
            }
            return;
        }
        let ended = self.links[link].inbound.fin == Fin::Arrived && !self.links[link].fin_told;
        if ended && (wants_read || self.rng.chance(1, 2)) {
            self.trace(|| format!("link {link}: the client has ended"));
            self.links[link].fin_told = true;
            let now = self.time();
            self.workers[worker].pool.handle_session_end(id, now);
            self.observe_health();
        }
    }

    fn attend_connecting(&mut self, worker: usize, link: usize, id: ConnectionId) {
        let Some(outcome) = self.links[link].server_mut().outcome.take() else {
            return;
        };
        self.trace(|| format!("link {link}: connect ended with {outcome:?}"));
        match outcome {
            Ok(()) => {
                self.links[link].side = ProxySide::Connected(id);
                let now = self.time();
                self.workers[worker].pool.handle_connected(id, now);
                self.attend_connection(worker, link, id);
            }
            Err(loss_cause) => self.end_connection(worker, link, id, loss_cause),
        }
    }

    fn attend_connection(&mut self, worker: usize, link: usize, id: ConnectionId) {
        let reset = self.links[link].reset == Reset::Arrived;
        if reset && (self.links[link].inbound.arrived.is_empty() || self.rng.chance(1, 2)) {
            let loss_cause = if self.links[link].unwritten {
                LossCause::BrokenPipe
            } else {
                LossCause::Reset
            };
            return self.end_connection(worker, link, id, loss_cause);
        }
        while !self.links[link].inbound.arrived.is_empty()
            && self.links[link].side == ProxySide::Connected(id)
        {
            self.read_connection(worker, link, id);
        }
        if self.links[link].side != ProxySide::Connected(id) {
            return;
        }
        let idle = self.links[link].server().is_warm() && self.is_idle(worker, link);
        if let Some(stray) = self.stray_reply(link, idle) {
            self.trace(|| format!("link {link}: a stray reply"));
            let (chunk, range) = self.chunk(worker, stray);
            let now = self.time();
            let pool = &mut self.workers[worker].pool;
            pool.handle_connection_data(id, &chunk, range, now);
            return self.observe_health();
        }
        if reset || self.links[link].inbound.fin == Fin::Arrived {
            let loss_cause = if reset {
                LossCause::Reset
            } else {
                LossCause::Fin
            };
            return self.end_connection(worker, link, id, loss_cause);
        }
        if self.links[link].unwritten {
            self.write_connection(worker, link, id);
        }
    }

    fn read_connection(&mut self, worker: usize, link: usize, id: ConnectionId) {
        let bytes = self.read_some(link);
        self.trace(|| format!("link {link}: server data {}", shown(&bytes)));
        self.note_replies_read(link);
        let (chunk, range) = self.chunk(worker, &bytes);
        let now = self.time();
        self.workers[worker]
            .pool
            .handle_connection_data(id, &chunk, range, now);
        self.observe_health();
        self.tell_writer(link, Direction::In);
        if self.rng.chance(1, 4) {
            let some = self.rng.between(1, 3);
            self.drain(worker, some);
        }
    }

    fn read_some(&mut self, link: usize) -> Vec<u8> {
        let available = self.links[link].inbound.arrived.len();
        let count = if self.rng.chance(1, 3) {
            self.rng.between(1, available)
        } else {
            available
        };
        self.links[link].inbound.read(count)
    }

    /// A chunk with `bytes` somewhere in it, as a shared read buffer has.
    fn chunk(&mut self, worker: usize, bytes: &[u8]) -> (Chunk, std::ops::Range<usize>) {
        let before = self.rng.pick(&[0, 0, 7]);
        let after = self.rng.pick(&[0, 0, 300, 5 * bytes.len()]);
        let mut all = vec![b'\n'; before];
        all.extend_from_slice(bytes);
        all.resize(before + bytes.len() + after, b'\n');
        let chunk = Chunk::from(all);
        self.workers[worker].chunks.push(chunk.clone());
        (chunk, before..before + bytes.len())
    }

    fn end_connection(
        &mut self,
        worker: usize,
        link: usize,
        id: ConnectionId,
        loss_cause: LossCause,
    ) {
        self.trace(|| {
            format!(
                "link {link}: connection to server {} ends: {loss_cause:?}",
                self.links[link].server().index
            )
        });
        let now = self.time();
        self.note_lost(link, loss_cause);
        self.forget_connection(worker, link, id);
        self.workers[worker]
            .pool
            .handle_connection_closed(id, loss_cause.cause(), now);
        self.observe_health();
    }

    /// Performs up to `most` of the core's actions, in random order.
    pub(crate) fn drain(&mut self, worker: usize, most: usize) {
        for _ in 0..most {
            let first = self.rng.below(2);
            let done = (0..2).any(|turn| match (first + turn) % 2 {
                0 => self.do_action(worker),
                _ => self.do_flush(worker),
            });
            if !done {
                self.workers[worker].drained_in = self.step;
                break;
            }
        }
        while let Some(record) = self.workers[worker].pool.poll_event() {
            self.trace(|| format!("worker {worker} says: {}", record.event));
            if let proxy::Event::Trace(Trace::PlanFollowed { number }) = record.event {
                self.workers[worker].plan = number;
            }
        }
    }

    fn do_action(&mut self, worker: usize) -> bool {
        let Some(action) = self.workers[worker].pool.poll_action() else {
            return false;
        };
        self.trace(|| format!("worker {worker}: {action:?}"));
        match action {
            Action::LookForServers => {}
            Action::AskForMap { .. } => {}
            Action::Ask { .. } => unreachable!("no client asks about others"),
            Action::Connect {
                connection,
                server,
                endpoint,
            } => {
                let server = self.number_of(&server).expect("a server of the pool");
                self.connect(worker, connection, server);
                self.note_endpoint(server, &endpoint);
            }
            Action::CloseConnection { connection } => {
                if let Some(link) = self.workers[worker].connections.get(&connection).copied() {
                    self.check_close_is_due(link);
                    self.forget_connection(worker, link, connection);
                }
            }
            Action::CloseSession { session, linger } => {
                if let Some(link) = self.workers[worker].sessions.get(&session).copied() {
                    self.note_client_closed(link, linger);
                    self.close_session(worker, link, session, linger);
                }
            }
            Action::ReadSession { session } => {
                if let Some(link) = self.workers[worker].sessions.get(&session).copied() {
                    self.make_ready(worker, link);
                }
            }
        }
        true
    }

    fn connect(&mut self, worker: usize, id: ConnectionId, server: usize) {
        let asked = self.workers[worker].drained_in;
        let mut side = Box::new(ServerSide::new(server, asked, self.now));
        side.doubtful = !self.is_live(server);
        let pace = self.scenario.server_pace.clone();
        self.links.push(Link::new(
            worker,
            Peer::Server(side),
            ProxySide::Connecting(id),
            pace,
        ));
        let link = self.links.len() - 1;
        let connections = &mut self.workers[worker].connections;
        let twin = connections.keys().find(|open| open.index() == id.index());
        assert_eq!(twin, None, "an index is used again before it is free");
        connections.insert(id, link);
        self.open_links.push(link);
        if self.condition[server] == Condition::Missing && self.rng.chance(2, 3) {
            let loss_cause = self.rng.pick(&[LossCause::NoSuchFile, LossCause::HostDown]);
            return self.end_connection(worker, link, id, loss_cause);
        }
        let delay = self.links[link].delay(&mut self.rng);
        self.events
            .plan(self.now + delay, Event::ConnectEnds { link });
    }

    fn do_flush(&mut self, worker: usize) -> bool {
        let Some(flush) = self.workers[worker].pool.poll_flush() else {
            return false;
        };
        match flush {
            Flush::Session(id) => {
                if let Some(link) = self.workers[worker].sessions.get(&id).copied() {
                    self.write_session(worker, link, id);
                }
            }
            Flush::Connection(id) => {
                if let Some(link) = self.workers[worker].connections.get(&id).copied() {
                    self.write_connection(worker, link, id);
                }
            }
        }
        true
    }

    fn write_session(&mut self, worker: usize, link: usize, id: SessionId) {
        let output = self.workers[worker].pool.session_output(id);
        let (total, bytes) = (
            output.len(),
            first(output, self.links[link].outbound.room()),
        );
        let written = self.write(link, &bytes, total);
        if written > 0 {
            self.trace(|| format!("link {link}: to the client {}", shown(&bytes[..written])));
            let now = self.now;
            self.clock_of(link).writes(now);
            self.moves_of(link).writes(written, now);
            let now = self.time();
            self.workers[worker]
                .pool
                .handle_session_written(id, written, now);
            self.observe_health();
        }
    }

    fn write_connection(&mut self, worker: usize, link: usize, id: ConnectionId) {
        let output = self.workers[worker].pool.connection_output(id);
        let (total, bytes) = (
            output.len(),
            first(output, self.links[link].outbound.room()),
        );
        let written = self.write(link, &bytes, total);
        if written > 0 {
            self.trace(|| format!("link {link}: to the server {}", shown(&bytes[..written])));
            let now = self.time();
            self.workers[worker]
                .pool
                .handle_connection_written(id, written, now);
        }
    }

    /// Writes `bytes`, for which there is room, out of `total`, sometimes less; returns how much. The rest is
    /// written when the link is writable again.
    fn write(&mut self, link: usize, bytes: &[u8], total: usize) -> usize {
        let mut count = bytes.len();
        if count > 1 && self.rng.chance(1, 5) {
            count = self.rng.between(1, count);
        }
        self.counts.digest(link, self.now, &bytes[..count]);
        self.links[link].outbound.write(&bytes[..count]);
        self.links[link].unwritten = count < total;
        if count < bytes.len() {
            let worker = self.links[link].worker;
            self.make_ready(worker, link);
        } else if count < total {
            self.links[link].outbound.starved = true;
        }
        self.pump(link, Direction::Out);
        count
    }

    /// Closes a client's socket. Without lingering, unread input turns it into a reset, which may destroy
    /// what the client has not received yet.
    fn close_session(&mut self, worker: usize, link: usize, id: SessionId, linger: bool) {
        self.forget_session(worker, link, id);
        let closing = &mut self.links[link];
        let unread = !closing.inbound.arrived.is_empty() || closing.inbound.in_transit() > 0;
        if unread && !linger {
            closing.outbound.cut(&mut self.rng);
            self.counts.resets += 1;
            self.clock_of(link).is_cut = true;
        }
        self.links[link].inbound.destroy();
        // A client that still writes may be read in vain, or find out: either way it continues.
        self.tell_writer(link, Direction::In);
        self.links[link].outbound.finish();
        self.pump(link, Direction::Out);
    }

    fn forget_session(&mut self, worker: usize, link: usize, id: SessionId) {
        self.workers[worker].sessions.remove(&id);
        self.workers[worker].stale_sessions.push(id);
        self.links[link].side = ProxySide::Gone;
    }

    fn forget_connection(&mut self, worker: usize, link: usize, id: ConnectionId) {
        self.workers[worker].connections.remove(&id);
        self.workers[worker].stale_connections.push(id);
        self.links[link].side = ProxySide::Gone;
        self.links[link].inbound.destroy();
        self.links[link].outbound.destroy();
        self.open_links.retain(|open| *open != link);
    }

    /// Calls with stale ids must do nothing.
    fn call_too_late(&mut self, worker: usize) {
        if !self.rng.chance(1, 8) {
            return;
        }
        let now = self.time();
        let (chunk, range) = self.chunk(worker, b"PING\r\n");
        let late = &mut self.workers[worker];
        // No question of it has such a number.
        late.pool.handle_answer(u64::MAX, None, now);
        if let Some(id) = late.stale_sessions.last().copied() {
            assert!(!late.pool.session_wants_read(id) && late.pool.session_output(id).is_empty());
            late.pool
                .handle_session_data(id, &chunk, range.clone(), now);
            late.pool.handle_session_written(id, 0, now);
            late.pool.handle_session_end(id, now);
            late.pool.handle_session_error(id, now);
        }
        if let Some(id) = late.stale_connections.last().copied() {
            assert!(late.pool.connection_output(id).is_empty());
            late.pool.handle_connected(id, now);
            late.pool.handle_connection_data(id, &chunk, range, now);
            late.pool.handle_connection_written(id, 0, now);
            late.pool.handle_connection_closed(id, Cause::Reset, now);
        }
    }
}
