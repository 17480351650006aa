//! One connection to a server: its handshake, its queue of requests, and the replies that arrive on it.

pub(crate) mod replies;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::connection_budget::FurtherConnection;
use crate::flow::buffer::Rope;
use crate::id::{ServerId, SessionId};
use crate::latency::{Class, ServerLatency};
use crate::limits::{MAX_HANDSHAKE_REPLY, MAX_IN_FLIGHT, MAX_IN_FLIGHT_SILENT, SILENT_AFTER};
use crate::metrics::ServerCounters;
use crate::protocol::Protocol;
use crate::protocol::grammar::{BadReply, Mark, Scan};
use crate::protocol::greeting::Step;
use crate::servers::delay::DelayBound;
use crate::servers::leases::Lease;
use crate::servers::listener::Listener;
use crate::servers::loaded::LoadedScripts;
use crate::servers::purpose::Purpose;
use crate::servers::pushed::Pushed;
use crate::servers::queue::{InFlight, ReplyTo, RequestQueue};
use crate::servers::server::Server;
use crate::servers::trial::{Trial, Verdict};
use crate::share::Endpoint;
use crate::time::Time;

/// One connection to a server.
pub(crate) struct Connection<P: Protocol> {
    server: ServerId,
    /// Where it was made to. The server may have got another endpoint since; then the connection is draining.
    endpoint: Arc<Endpoint>,
    /// What its server's name was found to mean, for log lines.
    peer: Option<Box<str>>,
    purpose: Purpose,
    /// The server's.
    counters: Arc<ServerCounters>,
    latency: Arc<ServerLatency>,
    state: State,
    queue: RequestQueue,
    scanner: P::Scanner,
    /// Whether part of the oldest request's reply has been passed on. Until its end everything received belongs to
    /// it.
    mid_reply: bool,
    /// The beginning of the reply to the oldest request, if that is quiet and its client may not want the reply.
    withheld: Vec<u8>,
    /// The first error line of a transaction under way that says that it belongs elsewhere, or the beginning of a line that
    /// may say so.
    redirect_before: Vec<u8>,
    /// A RESP3 push frame is being dropped: it answers no request.
    dropping: bool,
    pushed: Pushed,
    trial: Trial,
    opened: Time,
    /// If it is leased: who has it.
    lease: Option<Box<Lease>>,
    /// How long requests may wait on it.
    delay: DelayBound,
    /// Since when there is a way to the server that may be measured: when it was opened, then when it was connected.
    way_since: Time,
    /// Since when requests are written, if they are.
    ready_since: Time,
    /// Until then the requests that wait need not be looked at once more.
    looked_until: Time,
    /// When the server last sent anything, if ever.
    heard: Option<Time>,
    scripts: LoadedScripts,
    /// It is on the list of those with new output.
    is_listed: bool,
    /// It takes no further request, and is closed when those that it has are answered.
    is_draining: bool,
    /// If it is not the worker's first one to the server.
    further: Option<FurtherConnection>,
    /// The output while it is connecting: nothing, whatever is queued.
    nothing: Rope,
}

/// The state of a connection. Requests can be queued in each of them; they are written only when it is ready.
///
/// ```text
///  Connecting ── connected ──▶ Handshaking ── every reply checked ──▶ Ready
///                     └──────────── nothing to say ──────────────────▲
/// ```
enum State {
    /// The shell is connecting the socket.
    Connecting,
    /// AUTH, HELLO, SELECT and the like are under way.
    Handshaking(Handshake),
    /// Requests are written and answered.
    Ready,
    /// Messages of channels are received.
    Listening(Listener),
}

/// A handshake under way. All steps are written at once; the replies are checked one by one.
struct Handshake {
    /// Steps that are not answered, the next one first.
    steps: VecDeque<Step>,
    /// Their bytes that are not written.
    output: Rope,
    /// What has arrived of the reply to the next one.
    reply: Vec<u8>,
}

/// The state of a connection, for those outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Connecting,
    Handshaking,
    Ready,
    Listening,
}

/// What was found at the start of a server's bytes during the handshake.
pub(crate) enum StepReply<K> {
    /// All bytes belong to a reply that goes on.
    Partial,
    /// So many bytes end the reply to a step.
    Complete {
        len: usize,
        step: Step,
        kind: K,
        reply: Vec<u8>,
    },
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(id: ServerId, server: &Server, purpose: Purpose, now: Time) -> Self {
        Self {
            server: id,
            endpoint: Arc::clone(server.endpoint()),
            peer: None,
            purpose,
            counters: Arc::clone(server.counters()),
            latency: Arc::clone(server.latency()),
            state: State::Connecting,
            queue: RequestQueue::default(),
            scanner: P::Scanner::default(),
            mid_reply: false,
            withheld: Vec::new(),
            redirect_before: Vec::new(),
            dropping: false,
            pushed: Pushed::default(),
            trial: Trial::default(),
            opened: now,
            lease: None,
            delay: DelayBound::new(server.settings().timeout),
            way_since: now,
            ready_since: now,
            looked_until: Time::ZERO,
            heard: None,
            scripts: LoadedScripts::default(),
            is_listed: false,
            is_draining: false,
            further: None,
            nothing: Rope::new(),
        }
    }

    pub(crate) fn server(&self) -> ServerId {
        self.server
    }

    /// Where it was made to.
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// What its server's name was found to mean, if that was told.
    pub(crate) fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// Tells what its server's name was found to mean.
    pub(crate) fn set_peer(&mut self, peer: Box<str>) {
        self.peer = Some(peer);
    }

    /// Whether it takes no further request, because its server was removed from the pool, or has another endpoint or
    /// fewer connections now. What happens on it does not count for the server's health any more.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// It is not the worker's first one to the server, and counts as such.
    pub(super) fn count_as(&mut self, further: Option<FurtherConnection>) {
        self.further = further;
    }

    /// It takes no further request from now on.
    pub(super) fn start_draining(&mut self) {
        self.is_draining = true;
    }

    /// Whether it has no requests left, so that it can be closed if it is draining.
    pub(crate) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.queue.output().is_empty()
    }

    /// Whether it was leased to a session that has left, and owes nothing more. Its state is not known, so that nobody else
    /// gets it.
    pub(crate) fn is_left(&self) -> bool {
        self.lease().is_some_and(Lease::is_left) && self.is_drained()
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Who has it, if it is leased.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_deref()
    }

    pub(crate) fn lease_mut(&mut self) -> Option<&mut Lease> {
        self.lease.as_deref_mut()
    }

    /// It is leased.
    pub(super) fn set_lease(&mut self, lease: Lease) {
        self.lease = Some(Box::new(lease));
    }

    /// Whether a request waits on it for other clients.
    pub(super) fn is_waiting(&self) -> bool {
        self.lease().is_some_and(|lease| lease.wait().is_some())
    }

    pub(crate) fn opened(&self) -> Time {
        self.opened
    }

    /// It was connected just now, or the server has sent its first bytes: measures what the way takes.
    pub(crate) fn note_way(&mut self, now: Time) {
        let since = std::mem::replace(&mut self.way_since, now);
        let oldest = self.queue.oldest().filter(|_| self.is_ready());
        let since = oldest.map_or(since, |oldest| since.max(oldest.queued));
        self.delay.note_way(now.since(since));
    }

    /// How long requests may wait on it.
    #[inline]
    pub(crate) fn delay(&self) -> &DelayBound {
        &self.delay
    }

    /// Another `timeout` applies.
    pub(super) fn follow(&mut self, timeout: Option<Duration>) {
        self.delay.follow(timeout);
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// When the server last sent anything on it, if ever.
    pub(crate) fn heard(&self) -> Option<Time> {
        self.heard
    }

    /// When it is to be looked at which requests wait for too long.
    pub(super) fn look_due(&self) -> Option<Time> {
        let oldest = self.queue.oldest().filter(|_| self.is_ready())?;
        if self.is_waiting() {
            return None;
        }
        let due = self.delay.after(self.waits_since(oldest))?;
        Some(due.max(self.looked_until))
    }

    /// Since when a request waits for the server, and not for the connection.
    pub(crate) fn waits_since(&self, entry: &InFlight) -> Time {
        entry.queued.max(self.ready_since)
    }

    /// That is done, and need not be again for a while.
    pub(super) fn note_look(&mut self, now: Time) {
        self.looked_until = now + self.delay.pause();
    }

    /// The scripts that were loaded over it.
    pub(crate) fn scripts_mut(&mut self) -> &mut LoadedScripts {
        &mut self.scripts
    }

    /// Whether some request was found to wait for too long, just now.
    pub(crate) fn is_delayed(&self, now: Time) -> bool {
        now < self.looked_until
    }

    /// The requests that it carries.
    pub(crate) fn queue(&self) -> &RequestQueue {
        &self.queue
    }

    /// The same, for dropping or failing some.
    pub(crate) fn queue_mut(&mut self) -> &mut RequestQueue {
        &mut self.queue
    }

    /// The counters of its server.
    pub(crate) fn counters(&self) -> &ServerCounters {
        &self.counters
    }

    pub(crate) fn progress(&self) -> Progress {
        match self.state {
            State::Connecting => Progress::Connecting,
            State::Handshaking(_) => Progress::Handshaking,
            State::Ready => Progress::Ready,
            State::Listening(_) => Progress::Listening,
        }
    }

    /// Whether the reply to the oldest request has come to an aggregate that is an element of another.
    pub(crate) fn is_nested(&self) -> bool {
        P::is_nested(&self.scanner)
    }

    /// Whether part of the oldest request's reply has been passed on.
    pub(crate) fn is_mid_reply(&self) -> bool {
        self.mid_reply
    }

    /// The socket is connected, and the handshake begins with `steps`. If there are none the caller goes on with
    /// [`Connection::become_ready`].
    pub(crate) fn begin_handshake(&mut self, steps: Vec<Step>) {
        let mut output = Rope::new();
        for step in &steps {
            output.extend(&step.request);
        }
        self.state = State::Handshaking(Handshake {
            steps: steps.into(),
            output,
            reply: Vec::new(),
        });
    }

    /// Requests may be written from now on; returns whether some wait.
    pub(crate) fn become_ready(&mut self, now: Time) -> bool {
        self.state = State::Ready;
        self.ready_since = now;
        !self.queue.output().is_empty()
    }

    /// Messages are received from now on.
    pub(crate) fn begin_listening(&mut self) {
        self.state = State::Listening(Listener::default());
    }

    /// Bytes of memory that it takes to receive messages.
    pub(crate) fn listener_footprint(&self) -> usize {
        match &self.state {
            State::Listening(listener) => listener.footprint(),
            State::Connecting | State::Handshaking(_) | State::Ready => 0,
        }
    }

    /// What it receives messages with, and the scanner for that.
    pub(crate) fn listener(&mut self) -> Option<(&mut Listener, &mut P::Scanner)> {
        match &mut self.state {
            State::Listening(listener) => Some((listener, &mut self.scanner)),
            State::Connecting | State::Handshaking(_) | State::Ready => None,
        }
    }

    /// Puts it on the list of connections with new output; returns whether it was not on it.
    pub(crate) fn list_for_flush(&mut self) -> bool {
        !std::mem::replace(&mut self.is_listed, true)
    }

    /// It has been taken off that list.
    pub(crate) fn unlist_for_flush(&mut self) {
        self.is_listed = false;
    }

    /// Bytes were received; returns whether they were the first.
    pub(crate) fn note_received(&mut self, now: Time) -> bool {
        self.heard.replace(now).is_none()
    }

    /// Queues a request whose bytes `write` appends; returns whether it can be written now.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        session: SessionId,
        reply_to: ReplyTo,
        class: Class,
        now: Time,
        write: impl FnOnce(&mut Rope),
    ) -> bool {
        let bytes = self.queue.push(session, reply_to, class, now, write);
        self.counters.note_queued(bytes as i64);
        matches!(self.state, State::Ready)
    }

    /// What is special about the reply to the request that was pushed last.
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.queue.mark(mark);
    }

    /// The request that was pushed last consists of several, with so many replies before the one that counts.
    pub(crate) fn expect_before(&mut self, replies: u16) {
        self.queue.expect_before(replies);
    }

    /// Whether transactions may be sent on it, as far as it is known.
    pub(crate) fn takes_transactions(&self, now: Time) -> Verdict<'_> {
        self.trial.verdict(now)
    }

    /// The trial of that has ended; returns whether the connection can be used further.
    pub(crate) fn end_trial(&mut self, is_error: bool, now: Time) -> bool {
        self.trial.end(is_error, now)
    }

    /// Keeps the beginning of the reply to a quiet request until it is known whether its client wants it.
    pub(crate) fn withhold(&mut self, start: Vec<u8>) {
        self.withheld = start;
    }

    /// Takes the beginning of the reply to the oldest request, which is quiet, as far as it is kept.
    pub(crate) fn take_withheld(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.withheld)
    }

    /// Takes the error line of a request of the transaction that was just answered, if one said that it belongs elsewhere.
    pub(crate) fn take_redirect_before(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.redirect_before);
        (!line.is_empty()).then_some(line)
    }

    /// What may be written now.
    pub(crate) fn output(&self) -> &Rope {
        match &self.state {
            State::Connecting => &self.nothing,
            State::Handshaking(handshake) => &handshake.output,
            State::Ready => self.queue.output(),
            State::Listening(listener) => listener.output(),
        }
    }

    /// Notes that `count` bytes of [`Connection::output`] were written at `now`.
    pub(crate) fn written(&mut self, count: usize, now: Time) {
        match &mut self.state {
            State::Connecting => {}
            State::Handshaking(handshake) => handshake.output.consume(count),
            State::Listening(listener) => listener.written(count),
            State::Ready => {
                let whole = self.queue.written(count, now);
                if whole.requests > 0 && matches!(self.purpose, Purpose::Shared { .. }) {
                    self.measure_wait(whole.requests, now);
                }
                self.counters
                    .note_sent(whole.requests as i64, whole.bytes as i64);
            }
        }
    }

    /// Records how long the requests have waited in here that were wholly written just now. They were queued in this order,
    /// most often all in the same tick.
    fn measure_wait(&self, count: usize, now: Time) {
        let latest = || self.queue.latest_written(count);
        let ends = (latest().next(), latest().next_back());
        match ends {
            (Some(first), Some(last)) if first.queued == last.queued => {
                let waited = now.since(first.queued);
                self.latency.record_waiting(waited, count as u64);
            }
            _ => {
                for request in latest() {
                    self.latency.record_waiting(now.since(request.queued), 1);
                }
            }
        }
    }

    /// Whether a further request may be queued at `now`, see [`crate::limits`]. A server that owes many replies and
    /// has sent nothing for a while gets no more: clients get an error at once instead of a time-out later. The next
    /// byte that it sends ends that.
    #[inline]
    pub(crate) fn has_room(&self, now: Time) -> bool {
        let most = match self.queue.len() >= MAX_IN_FLIGHT_SILENT && self.is_silent(now) {
            true => MAX_IN_FLIGHT_SILENT,
            false => MAX_IN_FLIGHT,
        };
        self.queue.has_room(most)
    }

    fn is_silent(&self, now: Time) -> bool {
        now.since(self.waiting_since(now)) >= SILENT_AFTER
    }

    /// Since when the server has been silent while it owes a reply: since the oldest request was queued, or since
    /// anything was received after that. `otherwise` if it owes none.
    pub(crate) fn waiting_since(&self, otherwise: Time) -> Time {
        let oldest = self.queue.oldest();
        oldest.map_or(otherwise, |entry| match self.heard {
            Some(heard) => entry.queued.max(heard),
            None => entry.queued.max(self.opened),
        })
    }

    /// Whether the oldest request, or step of the handshake, has at least begun to be written. Otherwise whatever the
    /// server sends cannot be a reply to it.
    pub(crate) fn expects_reply(&self) -> bool {
        match &self.state {
            State::Connecting => false,
            State::Handshaking(handshake) => handshake.expects_reply(),
            State::Listening(_) => true,
            State::Ready => self.queue.begun().is_some(),
        }
    }

    /// Scans the reply to the next step of the handshake in `data`, which continues what was received before. Later
    /// steps may still be unwritten.
    ///
    /// # Errors
    ///
    /// When the bytes are no reply, none is due, or it is too long.
    pub(crate) fn next_step_reply(&mut self, data: &[u8]) -> Result<StepReply<P::Kind>, BadReply> {
        let State::Handshaking(handshake) = &mut self.state else {
            return Err(BadReply);
        };
        if !handshake.expects_reply() || handshake.reply.len() > MAX_HANDSHAKE_REPLY {
            return Err(BadReply);
        }
        let (len, kind) = match P::scan(&mut self.scanner, data, None)? {
            Scan::Complete { len, kind } => (len, kind),
            Scan::Partial => {
                handshake.reply.extend_from_slice(data);
                return Ok(StepReply::Partial);
            }
        };
        let mut reply = std::mem::take(&mut handshake.reply);
        reply.extend_from_slice(&data[..len]);
        let step = handshake.steps.pop_front().ok_or(BadReply)?;
        Ok(StepReply::Complete {
            len,
            step,
            kind,
            reply,
        })
    }

    /// Whether every step of the handshake has been answered.
    pub(crate) fn is_handshake_done(&self) -> bool {
        match &self.state {
            State::Handshaking(handshake) => handshake.steps.is_empty(),
            State::Connecting | State::Ready | State::Listening(_) => false,
        }
    }
}

impl Handshake {
    fn expects_reply(&self) -> bool {
        let unanswered: usize = self.steps.iter().map(|step| step.request.len()).sum();
        self.output.len() < unanswered
    }
}
