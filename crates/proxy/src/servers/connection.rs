//! One connection to a server: its handshake, its queue of requests, and the replies that arrive on it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::flow::buffer::Rope;
use crate::id::{ServerId, SessionId};
use crate::limits::{
    MAX_HANDSHAKE_REPLY, MAX_IN_FLIGHT, MAX_IN_FLIGHT_SILENT, MAX_PUSHED, PUSH_PERIOD, SILENT_AFTER,
};
use crate::metrics::{ServerCounters, ServerMetric};
use crate::protocol::Protocol;
use crate::protocol::grammar::{BadReply, Scan};
use crate::protocol::greeting::Step;
use crate::servers::purpose::Purpose;
use crate::servers::queue::{InFlight, ReplyTo, RequestQueue};
use crate::servers::server::Server;
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
    state: State,
    queue: RequestQueue,
    scanner: P::Scanner,
    /// Whether part of the oldest request's reply has been passed on. Until its end everything received belongs to
    /// it.
    mid_reply: bool,
    /// A RESP3 push frame is being dropped: it answers no request.
    dropping: bool,
    pushed: Pushed,
    opened: Time,
    /// When the server last sent anything, if ever.
    heard: Option<Time>,
    /// It is on the list of those with new output.
    is_listed: bool,
    /// It takes no further request, and is closed when those that it has are answered.
    is_draining: bool,
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

/// What was found at the start of a server's bytes.
pub(crate) enum Found<K> {
    /// So many bytes that belong to the reply to `entry`; they end it if a kind is given.
    Reply {
        len: usize,
        entry: InFlight,
        first: bool,
        kind: Option<K>,
    },
    /// So many bytes of a push frame, which answers no request.
    Push(usize),
}

impl<K: Copy> Found<K> {
    /// If this is a whole reply to a slot and no error: its length, and the session and slot.
    #[inline]
    pub(crate) fn plain<P: Protocol<Kind = K>>(&self) -> Option<(usize, SessionId, u64)> {
        match self {
            Found::Reply {
                len,
                entry:
                    InFlight {
                        session,
                        reply_to: ReplyTo::Slot(slot),
                        ..
                    },
                kind: Some(kind),
                ..
            } if !P::is_error_kind(*kind) => Some((*len, *session, *slot)),
            _ => None,
        }
    }
}

/// What a batch of replies adds to the counters. It is added at the end of each read, as atomics are slow.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    replies: i64,
    bytes: i64,
    /// Answered requests that had been wholly written, and their bytes.
    sent: (i64, i64),
    /// Those that were answered before they were wholly written.
    unsent: (i64, i64),
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(id: ServerId, server: &Server, purpose: Purpose, now: Time) -> Self {
        Self {
            server: id,
            endpoint: Arc::clone(server.endpoint()),
            peer: None,
            purpose,
            counters: Arc::clone(server.counters()),
            state: State::Connecting,
            queue: RequestQueue::default(),
            scanner: P::Scanner::default(),
            mid_reply: false,
            dropping: false,
            pushed: Pushed::default(),
            opened: now,
            heard: None,
            is_listed: false,
            is_draining: false,
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

    /// It takes no further request from now on.
    pub(super) fn start_draining(&mut self) {
        self.is_draining = true;
    }

    /// Whether it has no requests left, so that it can be closed if it is draining.
    pub(crate) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.queue.output().is_empty()
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(crate) fn opened(&self) -> Time {
        self.opened
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
        }
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
    pub(crate) fn become_ready(&mut self) -> bool {
        self.state = State::Ready;
        !self.queue.output().is_empty()
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
        now: Time,
        write: impl FnOnce(&mut Rope),
    ) -> bool {
        let bytes = self.queue.push(session, reply_to, now, write);
        self.counters.note_queued(bytes as i64);
        matches!(self.state, State::Ready)
    }

    /// The request that was pushed last runs a script: what is answered to it says nothing of the server.
    pub(crate) fn note_script(&mut self) {
        self.queue.note_script();
    }

    /// What may be written now.
    pub(crate) fn output(&self) -> &Rope {
        match &self.state {
            State::Connecting => &self.nothing,
            State::Handshaking(handshake) => &handshake.output,
            State::Ready => self.queue.output(),
        }
    }

    /// Notes that `count` bytes of [`Connection::output`] were written.
    pub(crate) fn written(&mut self, count: usize) {
        match &mut self.state {
            State::Connecting => {}
            State::Handshaking(handshake) => handshake.output.consume(count),
            State::Ready => {
                let whole = self.queue.written(count);
                self.counters
                    .note_sent(whole.requests as i64, whole.bytes as i64);
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
            State::Connecting | State::Ready => false,
        }
    }

    /// Scans what `data`, which is not empty, begins with: a reply to the oldest request, or a push frame. The
    /// request is taken off the queue when its reply ends.
    ///
    /// # Errors
    ///
    /// When it is no reply, or none is due.
    #[inline]
    pub(crate) fn next_reply(
        &mut self,
        data: &[u8],
        marks: &mut Vec<u64>,
        tally: &mut Tally,
    ) -> Result<Found<P::Kind>, BadReply> {
        if P::is_between_replies(&self.scanner) {
            self.dropping = P::is_push(data[0]);
        }
        if self.dropping {
            return self.drop_push(data);
        }
        let oldest = self.queue.begun().ok_or(BadReply)?;
        let marks = matches!(oldest.reply_to, ReplyTo::Fragment(..)).then_some(marks);
        let first = !self.mid_reply;
        let (len, kind, entry) = match P::scan(&mut self.scanner, data, marks)? {
            Scan::Complete { len, kind } => {
                let (entry, whole) = self.queue.pop().ok_or(BadReply)?;
                tally.add(&entry, whole);
                (len, Some(kind), entry)
            }
            Scan::Partial => (data.len(), None, *oldest),
        };
        self.mid_reply = kind.is_none();
        tally.bytes += len as i64;
        Ok(Found::Reply {
            len,
            entry,
            first,
            kind,
        })
    }

    #[cold]
    fn drop_push(&mut self, data: &[u8]) -> Result<Found<P::Kind>, BadReply> {
        let len = match P::scan(&mut self.scanner, data, None)? {
            Scan::Complete { len, .. } => len,
            Scan::Partial => data.len(),
        };
        match self.pushed.add(len, self.heard.unwrap_or(self.opened)) {
            true => Ok(Found::Push(len)),
            false => Err(BadReply),
        }
    }

    /// Adds a batch of replies to the server's counters.
    pub(crate) fn count(&self, tally: &Tally) {
        let add = |metric, by| self.counters.add(metric, by);
        add(ServerMetric::Responses, tally.replies);
        add(ServerMetric::ResponseBytes, tally.bytes);
        add(ServerMetric::OutQueue, -tally.sent.0);
        add(ServerMetric::OutQueueBytes, -tally.sent.1);
        if tally.unsent.0 > 0 {
            add(ServerMetric::InQueue, -tally.unsent.0);
            add(ServerMetric::InQueueBytes, -tally.unsent.1);
        }
    }
}

/// How much of a server's output answers no request. The proxy asks for no push frames, so that there are hardly any.
#[derive(Debug, Default)]
struct Pushed {
    since: Time,
    bytes: usize,
}

impl Pushed {
    /// Adds so many bytes that came at `now`; returns whether that is no more than is allowed.
    fn add(&mut self, bytes: usize, now: Time) -> bool {
        if now.since(self.since) >= PUSH_PERIOD {
            *self = Self {
                since: now,
                bytes: 0,
            };
        }
        self.bytes += bytes;
        self.bytes <= MAX_PUSHED
    }
}

impl Handshake {
    fn expects_reply(&self) -> bool {
        let unanswered: usize = self.steps.iter().map(|step| step.request.len()).sum();
        self.output.len() < unanswered
    }
}

impl Tally {
    /// A request was answered; `whole` if it had been wholly written.
    fn add(&mut self, entry: &InFlight, whole: bool) {
        self.replies += 1;
        let queue = if whole {
            &mut self.sent
        } else {
            &mut self.unsent
        };
        queue.0 += 1;
        queue.1 += entry.bytes() as i64;
    }
}
