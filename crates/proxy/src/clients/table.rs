//! All clients of a pool in one worker: which may be resumed, which are measured or timed, and how each ends.

mod leaving;
mod memory;
mod pushing;
mod timeouts;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::ending::Ending;
use super::holds::Hold;
use super::large_split::LargeSplit;
use super::leaving::Leaving;
use super::session::Session;
use crate::event::{Event, Level, Trace};
use crate::flow::buffer::Chunk;
use crate::flow::memory::MemoryPart;
use crate::flow::outbox::{Action, Flush, Outbox};
use crate::flow::spares::Spares;
use crate::id::{ConnectionId, ServerId, SessionId, Table};
use crate::limits::{AUTHENTICATE_WITHIN, CLIENT_SCAN_AT_LEAST};
use crate::metrics::{PoolCounters, PoolMetric};
use crate::protocol::Protocol;
use crate::settings::PoolSettings;
use crate::time::Time;

/// The clients.
pub(crate) struct Clients<P: Protocol> {
    sessions: Table<SessionId, Session<P>>,
    settings: Arc<PoolSettings>,
    counters: Arc<PoolCounters>,
    memory: Arc<MemoryPart>,
    /// Buffers for the next output.
    spares: Spares,
    /// Sessions that were full or held back and may be resumed in this call.
    ready: VecDeque<SessionId>,
    /// Sessions that were resumed and have more backlog, or that have used up their turn. Their next turn is in the next
    /// `handle_timeout`, so that one client cannot keep the worker from its other sockets.
    next_turn: Vec<SessionId>,
    /// Split requests whose joined replies are continued then, too.
    unfinished_joins: Vec<(SessionId, u64)>,
    /// When those are due: as soon as there are any.
    next_turn_at: Option<Time>,
    /// When the period of each measured session ends. All periods are equally long, so the queue is in order of time.
    measured: VecDeque<(Time, SessionId)>,
    /// When all clients are next checked for time-outs, if any are set.
    next_scan: Option<Time>,
    /// Connections whose sessions have left while they held the leases.
    left: Vec<ConnectionId>,
    /// How many are held back because memory is short.
    held_for_memory: usize,
    shutting_down: bool,
    /// Those that are closed one after the other.
    leaving: Option<Leaving>,
    /// Subscribers that have left.
    subscribers_left: Vec<SessionId>,
}

impl<P: Protocol> Clients<P> {
    pub(crate) fn new(
        settings: Arc<PoolSettings>,
        counters: Arc<PoolCounters>,
        memory: Arc<MemoryPart>,
    ) -> Self {
        Self {
            sessions: Table::new(),
            settings,
            counters,
            memory,
            spares: Spares::default(),
            ready: VecDeque::new(),
            next_turn: Vec::new(),
            unfinished_joins: Vec::new(),
            next_turn_at: None,
            measured: VecDeque::new(),
            next_scan: None,
            left: Vec::new(),
            held_for_memory: 0,
            shutting_down: false,
            leaving: None,
            subscribers_left: Vec::new(),
        }
    }

    /// Other settings apply from now on, also to clients that are under way.
    pub(crate) fn follow(&mut self, settings: &Arc<PoolSettings>, now: Time) {
        let last = std::mem::replace(&mut self.settings, Arc::clone(settings));
        self.bring_scan_forward(now);
        if last.clients.patience() != settings.clients.patience() {
            self.measure_anew(now);
        }
        if last.failure.retry_reads && !settings.failure.retry_reads {
            self.end_retries();
        }
    }

    /// Changes are not noted from now on: no read from before may be sent once more behind one.
    fn end_retries(&mut self) {
        for id in self.sessions.ids() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.note_change();
            }
        }
    }

    /// A client has connected.
    pub(crate) fn open(&mut self, name: Box<str>, client: P::Client, now: Time) -> SessionId {
        self.schedule_scan(now, self.settings.has_password());
        self.counters.add(PoolMetric::ClientConnections, 1);
        self.counters.add(PoolMetric::ClientTotal, 1);
        self.memory.memory().add_client();
        let new = Session::new(name, client, now);
        self.sessions.insert_with(|_| new)
    }

    #[inline]
    pub(crate) fn get(&self, id: SessionId) -> Option<&Session<P>> {
        self.sessions.get(id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session<P>> {
        self.sessions.get_mut(id)
    }

    /// The session, and buffers for its output.
    #[inline]
    pub(crate) fn with_spares(&mut self, id: SessionId) -> Option<(&mut Session<P>, &mut Spares)> {
        let session = self.sessions.get_mut(id)?;
        Some((session, &mut self.spares))
    }

    /// Gives back all buffers that no session uses.
    pub(crate) fn drop_spares(&mut self) {
        self.spares.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Bytes of memory that all sessions hold, and spare buffers. It walks all of them.
    pub(crate) fn held(&self) -> usize {
        let sessions = self.iter().map(|(_, session)| session.held());
        sessions.sum::<usize>() + self.spares.footprint()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session<P>)> {
        self.sessions.iter()
    }

    /// Whether any unanswered request has a fragment for this server. Such a server must not be forgotten: the join
    /// may ask for its name.
    pub(crate) fn has_fragment_at(&self, server: ServerId) -> bool {
        let mut sessions = self.sessions.iter();
        sessions.any(|(_, session)| session.has_fragment_at(server))
    }

    /// Adds a piece of the reply in a slot of a session, the last one if `last`, and does what follows from it. Most
    /// sessions are plain, for which that is only to be listed for writing.
    #[inline(always)]
    pub(crate) fn deliver(
        &mut self,
        (id, slot): (SessionId, u64),
        chunk: &Chunk,
        range: Range<usize>,
        last: bool,
        now: Time,
        outbox: &mut Outbox,
    ) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let moved = session.deliver(slot, chunk, range, last, &mut self.spares);
        if session.is_over_limit() || !session.is_plain() {
            self.settle_delivery(id, moved, now, outbox);
        } else if moved && session.list_for_flush() {
            outbox.flush(Flush::Session(id));
        }
    }

    #[cold]
    fn settle_delivery(&mut self, id: SessionId, moved: bool, now: Time, outbox: &mut Outbox) {
        if self
            .sessions
            .get(id)
            .is_some_and(|session| session.is_over_limit())
        {
            self.measure_reader(id, now);
        }
        if moved {
            self.flush(id, outbox);
            self.settle(id, now, outbox);
        }
    }

    /// The session has new output. It is written at the end of the tick, once, however much is added.
    #[inline]
    pub(crate) fn flush(&mut self, id: SessionId, outbox: &mut Outbox) {
        if let Some(session) = self.sessions.get_mut(id)
            && session.list_for_flush()
        {
            outbox.flush(Flush::Session(id));
        }
    }

    /// The session has made progress: output was written, a request was completed, or it has ended. It is resumed if
    /// it waited for that, closed if nothing is left to do, and otherwise measured if it must read.
    pub(crate) fn settle(&mut self, id: SessionId, now: Time, outbox: &mut Outbox) {
        self.note_progress(id);
        self.close_if_finished(id, now, outbox);
    }

    /// Puts the session on the ready list if it waits and may be resumed.
    #[inline]
    pub(crate) fn note_progress(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.release_if_drained();
        if session.list_if_ready() {
            self.ready.push_back(id);
        }
    }

    /// A pause is over: those that have waited for that go on.
    pub(crate) fn end_pause(&mut self) {
        for id in self.sessions.ids() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.release(Hold::Paused);
            }
            self.note_progress(id);
        }
    }

    /// Whether any session is to be resumed, or a subscriber has left.
    #[inline]
    pub(crate) fn is_anybody_ready(&self) -> bool {
        !self.ready.is_empty() || !self.subscribers_left.is_empty()
    }

    /// The next session to be resumed.
    #[inline]
    pub(crate) fn next_ready(&mut self, now: Time) -> Option<SessionId> {
        while let Some(id) = self.ready.pop_front() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.resume(now);
                return Some(id);
            }
        }
        None
    }

    /// A resumed session has parsed one piece of its backlog, or has gone on with a request that is being split. If there
    /// is more, it gets another turn after the others; if not, and the client has ended its side, the session may be at
    /// its end.
    pub(crate) fn after_piece(&mut self, id: SessionId, now: Time, outbox: &mut Outbox) {
        let most = self.settings.clients.backlog;
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.resume_reading(most) {
            outbox.act(Action::ReadSession { session: id });
        }
        if session.has_backlog() || session.has_split() {
            return self.await_turn(id, now);
        }
        if session.has_ended() {
            self.drop_incomplete(id, outbox);
        }
        self.close_if_finished(id, now, outbox);
    }

    /// The session goes on in the next `handle_timeout`, if it may go on.
    fn await_turn(&mut self, id: SessionId, now: Time) {
        if let Some(session) = self.sessions.get_mut(id)
            && session.list_again()
        {
            self.next_turn.push(id);
            self.next_turn_at.get_or_insert(now);
        }
    }

    /// A request of the session is being split; that goes on in its next turn.
    pub(crate) fn keep_split(&mut self, id: SessionId, split: Box<LargeSplit<P>>, now: Time) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.keep_split(split);
            self.await_turn(id, now);
        }
    }

    /// The proxy has answered, refused or passed over a request of the session by itself, with a reply of so many
    /// bytes. If that ends its turn, it goes on in the next `handle_timeout`.
    pub(crate) fn spend(&mut self, id: SessionId, bytes: usize, now: Time) {
        if let Some(session) = self.sessions.get_mut(id)
            && session.spend(bytes)
        {
            self.next_turn.push(id);
            self.next_turn_at.get_or_insert(now);
        }
    }

    /// Puts the sessions that wait for their next turn on the ready list.
    pub(crate) fn begin_next_turns(&mut self) {
        self.next_turn_at = None;
        self.ready.extend(self.next_turn.drain(..));
    }

    /// The joined reply in this slot is continued in the next `handle_timeout`.
    pub(crate) fn continue_join(&mut self, id: SessionId, slot: u64, now: Time) {
        self.unfinished_joins.push((id, slot));
        self.next_turn_at.get_or_insert(now);
    }

    /// Whether it is.
    pub(crate) fn is_join_continued(&self, id: SessionId, slot: u64) -> bool {
        self.unfinished_joins.contains(&(id, slot))
    }

    /// The joined replies that are to be continued.
    pub(crate) fn take_unfinished_joins(&mut self) -> Vec<(SessionId, u64)> {
        std::mem::take(&mut self.unfinished_joins)
    }

    /// Whether the client is to be read.
    pub(crate) fn wants_read(&self, id: SessionId) -> bool {
        let session = self.sessions.get(id);
        session.is_some_and(|session| session.wants_read(self.settings.clients.backlog))
    }

    /// If the client's backlog is full, it is not read until there is room.
    #[inline]
    pub(crate) fn stop_reading(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.stop_reading(self.settings.clients.backlog);
        }
    }

    /// The session accepts nothing further; it ends when what was accepted is answered and written.
    pub(crate) fn quit(&mut self, id: SessionId, linger: bool, now: Time, outbox: &mut Outbox) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.quit(linger);
        }
        self.await_end(id, now, outbox);
    }

    /// A session has accepted its last request. What its client still sends is read and dropped; it ends when its
    /// last replies are written, or when the client does not read them for too long.
    pub(crate) fn await_end(&mut self, id: SessionId, now: Time, outbox: &mut Outbox) {
        if let Some(session) = self.sessions.get_mut(id)
            && session.read_to_the_end()
        {
            outbox.act(Action::ReadSession { session: id });
        }
        self.close_if_finished(id, now, outbox);
    }

    /// Every session ends when what was accepted is answered.
    pub(crate) fn begin_shutdown(&mut self, now: Time, outbox: &mut Outbox) {
        self.shutting_down = true;
        for id in self.sessions.ids() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.shut_down();
            }
            self.close_if_finished(id, now, outbox);
        }
    }

    pub(crate) fn close_if_finished(&mut self, id: SessionId, now: Time, outbox: &mut Outbox) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if let Some(linger) = session.is_finished() {
            self.close(id, Ending::Finished { linger }, outbox);
        } else if session.must_be_measured() {
            self.measure_reader(id, now);
        }
    }

    /// Removes a session and has its socket closed. Its requests stay in the servers' queues: the replies must still
    /// be matched with them, and are dropped as the session's id is not known any more.
    pub(crate) fn close(&mut self, id: SessionId, ending: Ending, outbox: &mut Outbox) {
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        if session.is_held_for_memory() {
            self.held_for_memory -= 1;
            self.counters.add(PoolMetric::ClientHeldBack, -1);
        }
        if !session.leases().is_empty() {
            self.left.extend(session.leases());
            // It is not found there any more, but what is ready is looked at before the call ends.
            self.ready.push_back(id);
        }
        if session.is_subscriber() {
            self.subscribers_left.push(id);
        }
        self.memory.memory().remove_client();
        let gone = self.memory.note_gone(session.held());
        self.counters.add(PoolMetric::BufferedBytes, -(gone as i64));
        self.counters.add(PoolMetric::ClientConnections, -1);
        self.counters
            .add(ending.metric(session.phase(), self.shutting_down), 1);
        if outbox.logs(Level::Info) {
            let why = ending.describe();
            let client = || Some(session.name().into());
            outbox.log_of(Event::Trace(Trace::ClientClosed { why }), client);
        }
        match ending {
            Ending::Gone => {}
            Ending::Finished { linger } => outbox.act(Action::CloseSession {
                session: id,
                linger,
            }),
            Ending::Closed | Ending::Killed | Ending::Barred => outbox.act(Action::CloseSession {
                session: id,
                linger: false,
            }),
        }
    }

    /// Takes the connections whose sessions have left while they held the leases.
    pub(crate) fn take_left(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.left)
    }

    /// Drops a request that stays incomplete, because the client sends nothing further.
    pub(crate) fn drop_incomplete(&mut self, id: SessionId, outbox: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if let Some(intake) = session.take_intake() {
            let len = intake.len();
            let client = || Some(session.name().into());
            outbox.log_of(Event::IncompleteRequest { len }, client);
        }
    }
}

/// Slow readers. A client with more than `WINDOW_BYTES` of unread replies is measured: one that moves less than
/// `client_min_rate` on average over `client_stall_timeout` is closed. So is one that is ending and reads nothing of
/// its last replies for that long.
impl<P: Protocol> Clients<P> {
    /// The session has too many unread replies, or is ending: begins to measure how fast it reads, if it is not
    /// measured yet.
    #[cold]
    pub(crate) fn measure_reader(&mut self, id: SessionId, now: Time) {
        let Some((time, _)) = self.settings.clients.patience() else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(id)
            && session.measure_reading()
        {
            self.measured.push_back((now + time, id));
        }
    }

    /// Every client that must read is measured anew by other settings, and has the whole of their period.
    fn measure_anew(&mut self, now: Time) {
        for (_, id) in std::mem::take(&mut self.measured) {
            let session = self.sessions.get_mut(id);
            session.and_then(Session::take_read_rate);
        }
        for id in self.sessions.ids() {
            let session = self.sessions.get(id);
            if session.is_some_and(|session| session.must_be_measured()) {
                self.measure_reader(id, now);
            }
        }
    }

    /// Closes the clients whose period is over and that have moved too little in it.
    pub(crate) fn close_slow_readers(&mut self, now: Time, outbox: &mut Outbox) {
        let Some((_, least)) = self.settings.clients.patience() else {
            return;
        };
        while let Some(&(due, id)) = self.measured.front()
            && due <= now
        {
            self.measured.pop_front();
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            let Some(rate) = session.take_read_rate() else {
                continue;
            };
            // One that is ending and holds little may read its last replies at any rate above zero.
            let least = if session.is_over_limit() { least } else { 1 };
            match session.must_read() {
                false => {}
                true if rate.was_below || rate.moved >= least => self.measure_reader(id, now),
                true => self.close_stalled(id, rate.moved, outbox),
            }
        }
    }

    fn close_stalled(&mut self, id: SessionId, moved: usize, outbox: &mut Outbox) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        outbox.log(Event::ClientStalled {
            client: session.name().into(),
            unread: session.unread(),
            moved,
        });
        self.counters.add(PoolMetric::ClientOverflow, 1);
        self.close(id, Ending::Closed, outbox);
    }
}

/// When all clients are checked for time-outs; see `timeouts`.
impl<P: Protocol> Clients<P> {
    /// When something may have to be done for a client without any input.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let judged = self.measured.front().map(|(due, _)| *due);
        let leaving = self.leaving.as_ref().and_then(Leaving::due);
        [self.next_scan, self.next_turn_at, judged, leaving]
            .into_iter()
            .flatten()
            .min()
    }

    /// Sets the time of the next check, unless it is set or there are no time-outs. `has_strangers`: there may be
    /// clients that have to give the password yet.
    fn schedule_scan(&mut self, now: Time, has_strangers: bool) {
        if self.next_scan.is_none()
            && let Some(shortest) = self.shortest_timeout(has_strangers)
        {
            self.next_scan = Some(now + (shortest / 4).max(CLIENT_SCAN_AT_LEAST));
        }
    }

    /// The same where clients may be late sooner than they were.
    fn bring_scan_forward(&mut self, now: Time) {
        let planned = self.next_scan.take();
        if self.sessions.len() > 0 {
            self.schedule_scan(now, self.settings.has_password());
        }
        self.next_scan = [planned, self.next_scan].into_iter().flatten().min();
    }

    fn shortest_timeout(&self, has_strangers: bool) -> Option<Duration> {
        let failure = &self.settings.failure;
        [
            failure.client_idle_timeout,
            failure.client_request_timeout,
            has_strangers.then_some(AUTHENTICATE_WITHIN),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
