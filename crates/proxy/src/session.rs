//! One client: what it has sent and not been answered, in order.

use std::collections::VecDeque;
use std::ops::Range;

use crate::buffer::{Chunk, Rope};
use crate::engine::Retry;
use crate::id::ConnectionId;
use crate::limits::{FIRST_WINDOW, MAX_WINDOW, WINDOW_BYTES};
use crate::protocol::{Body, Join, Lane, Protocol};
use crate::stash::Stash;
use crate::time::Time;

/// One client connection.
pub(crate) struct Session<P: Protocol> {
    /// What the protocol remembers of the client.
    pub(crate) client: P::Client,
    /// Requests that owe a reply, oldest first.
    pub(crate) slots: VecDeque<Slot<P::Kind>>,
    /// Number of the oldest slot; slots are numbered for ever.
    pub(crate) first_slot: u64,
    /// Requests at servers whose replies are dropped (noreply).
    pub(crate) silent: usize,
    /// Number of the first slot behind the last request that may have changed something; kept only where
    /// lost reads are sent again.
    pub(crate) unchanged_from: u64,
    /// Replies on their way to the client.
    pub(crate) output: Rope,
    /// Bytes of replies that wait in slots.
    pub(crate) stashed: usize,
    /// Recent reply size, for the window; none seen yet.
    estimate: Option<usize>,
    /// The beginning of a request that is not whole yet.
    pub(crate) intake: Option<Box<Intake<P>>>,
    /// Bytes read and not looked at, because the window was full.
    pub(crate) backlog: Option<Box<(Chunk, Range<usize>)>>,
    /// Connections that carry something of this session; unused while servers have one connection each.
    pub(crate) affinity: Vec<Affinity>,
    pub(crate) phase: Phase,
    /// Takes no further request until nothing is outstanding.
    pub(crate) barrier: bool,
    /// Is not read because it holds too much while memory is short.
    pub(crate) held_back: bool,
    /// Has refused reading, so that the shell must be told when it wants it again.
    pub(crate) paused: bool,
    /// Is on the engine's list of sessions to go on with.
    pub(crate) queued: bool,
    /// Is on the engine's list of sessions with new output.
    pub(crate) dirty: bool,
    /// When it last did something: sent a request, or the first byte of one, or took a reply.
    pub(crate) since: Time,
}

/// Where a session stands.
///
/// ```text
///  Open ── FIN ─────────▶ Ended ── all answered and written ──▶ closed
///   │ └─ QUIT, fatal ───▶ Quitting ── all answered and written ─▶ closed
///   └─ reply cut off ───▶ Broken ── output written ────────────▶ closed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Requests are read.
    Open,
    /// The client sends nothing further; what it has sent is answered.
    Ended,
    /// Nothing further is read; what was accepted is answered. `linger` as in `Action::CloseSession`.
    Quitting { linger: bool },
    /// A reply broke off in the middle: nothing may follow it.
    Broken,
}

/// A request on its way into the proxy.
pub(crate) struct Intake<P: Protocol> {
    pub(crate) parser: P::Parser,
    pub(crate) text: Vec<u8>,
    pub(crate) bodies: Vec<Body>,
    /// Bytes that the last body still lacks.
    pub(crate) body_left: usize,
    /// The last two bytes of the last body.
    pub(crate) body_tail: [u8; 2],
    /// Bytes of a refused request still to be dropped.
    pub(crate) skip: u64,
}

impl<P: Protocol> Default for Intake<P> {
    fn default() -> Self {
        Self {
            parser: P::Parser::default(),
            text: Vec::new(),
            bodies: Vec::new(),
            body_left: 0,
            body_tail: [0; 2],
            skip: 0,
        }
    }
}

impl<P: Protocol> Intake<P> {
    /// The parser's list of arguments is about as long as the text at most.
    fn footprint(&self) -> usize {
        let bodies = self.bodies.iter().map(|body| body.rope.footprint());
        size_of::<Self>() + 2 * self.text.capacity() + bodies.sum::<usize>()
    }
}

/// How much of a session a server connection carries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affinity {
    pub(crate) server: usize,
    pub(crate) lane: Lane,
    pub(crate) connection: ConnectionId,
    pub(crate) outstanding: usize,
}

/// A request that owes a reply.
#[derive(Debug)]
pub(crate) struct Slot<K> {
    /// What has arrived of the reply while older ones are missing.
    pub(crate) stash: Stash,
    /// The replies of fragments.
    pub(crate) join: Option<Box<Join<K>>>,
    /// What it takes to send the request once more.
    pub(crate) retry: Option<Box<Retry>>,
    /// Bytes of the servers' reply so far; none of what the proxy says itself.
    pub(crate) bytes: usize,
    /// The reply is whole.
    pub(crate) done: bool,
}

impl<K> Slot<K> {
    pub(crate) fn waiting() -> Self {
        Self {
            stash: Stash::new(),
            join: None,
            retry: None,
            bytes: 0,
            done: false,
        }
    }

    /// Bytes of memory besides the slot itself.
    fn footprint(&self) -> usize {
        let join = self.join.as_ref().map_or(0, |join| join.footprint());
        let retry = self.retry.as_ref().map_or(0, |retry| retry.footprint());
        self.stash.footprint() + join + retry
    }

    pub(crate) fn joining(join: Box<Join<K>>) -> Self {
        Self {
            join: Some(join),
            ..Self::waiting()
        }
    }
}

impl<P: Protocol> Session<P> {
    pub(crate) fn new(client: P::Client, now: Time) -> Self {
        Self {
            client,
            slots: VecDeque::new(),
            first_slot: 0,
            silent: 0,
            unchanged_from: 0,
            output: Rope::new(),
            stashed: 0,
            estimate: None,
            intake: None,
            backlog: None,
            affinity: Vec::new(),
            phase: Phase::Open,
            barrier: false,
            held_back: false,
            paused: false,
            queued: false,
            dirty: false,
            since: now,
        }
    }

    /// Whether a further request may be taken now.
    pub(crate) fn may_take(&self) -> bool {
        let outstanding = self.slots.len() + self.silent;
        if (self.barrier && outstanding > 0) || self.held_back {
            return false;
        }
        let unread = self.output.len() + self.stashed;
        match self.estimate {
            None => outstanding < FIRST_WINDOW && unread < WINDOW_BYTES,
            Some(size) => {
                let expected = unread.saturating_add(outstanding.saturating_mul(size));
                outstanding < MAX_WINDOW && expected < WINDOW_BYTES
            }
        }
    }

    /// Whether a session that was full may go on: not before half of its window is free, so that under
    /// pressure requests still move in batches, not each in the place of the last reply.
    pub(crate) fn may_resume(&self) -> bool {
        if !self.may_take() {
            return false;
        }
        let outstanding = self.slots.len() + self.silent;
        let unread = self.output.len() + self.stashed;
        match self.estimate {
            None => outstanding <= FIRST_WINDOW / 2,
            Some(size) => {
                let expected = unread.saturating_add(outstanding.saturating_mul(size));
                outstanding == 0 || (outstanding <= MAX_WINDOW / 2 && expected <= WINDOW_BYTES / 2)
            }
        }
    }

    /// Bytes of memory that its buffers take. It walks all of them.
    pub(crate) fn held(&self) -> usize {
        let slots = self.slots.iter().map(Slot::footprint);
        let slots = slots.sum::<usize>() + self.slots.capacity() * size_of::<Slot<P::Kind>>();
        let intake = self.intake.as_ref().map_or(0, |intake| intake.footprint());
        let backlog = self.backlog.as_ref().map_or(0, |backlog| backlog.0.len());
        self.output.footprint() + slots + intake + backlog
    }

    /// Whether it may come to hold less without being read: it waits for replies, or has some to read.
    pub(crate) fn can_shrink(&self) -> bool {
        !self.is_idle() || !self.output.is_empty()
    }

    /// Nothing is at any server and no reply waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.slots.is_empty() && self.silent == 0
    }

    /// Whether bytes of the client are looked at.
    pub(crate) fn takes_input(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Ended)
    }

    /// Whether the session has nothing left to do and may be closed; says whether to linger.
    pub(crate) fn is_finished(&self) -> Option<bool> {
        let answered = self.slots.is_empty() && self.output.is_empty();
        match self.phase {
            Phase::Open => None,
            Phase::Ended => (answered && self.backlog.is_none()).then_some(false),
            Phase::Quitting { linger } => answered.then_some(linger),
            Phase::Broken => self.output.is_empty().then_some(true),
        }
    }

    /// Whether output needs nothing but to be written: no state waits for it.
    pub(crate) fn is_plain(&self) -> bool {
        self.phase == Phase::Open && !self.paused
    }

    /// Appends a slot and returns its number.
    pub(crate) fn push_slot(&mut self, slot: Slot<P::Kind>) -> u64 {
        let number = self.next_slot();
        self.slots.push_back(slot);
        number
    }

    /// Number of the slot that is pushed next.
    pub(crate) fn next_slot(&self) -> u64 {
        self.first_slot + self.slots.len() as u64
    }

    /// Where the slot with this number stands in the queue; 0 is the oldest.
    pub(crate) fn position(&self, slot: u64) -> Option<usize> {
        let position = usize::try_from(slot.checked_sub(self.first_slot)?).ok()?;
        (position < self.slots.len()).then_some(position)
    }

    /// Moves what has arrived at the head of the queue to the output. Returns whether anything moved
    /// or a request was finished.
    pub(crate) fn advance(&mut self) -> bool {
        let mut moved = false;
        while let Some(head) = self.slots.front_mut() {
            if !head.done && head.stash.is_empty() {
                break;
            }
            self.stashed -= head.stash.len();
            moved = true;
            head.stash.drain_to(&mut self.output);
            if !head.done {
                break;
            }
            let bytes = head.bytes;
            self.slots.pop_front();
            self.first_slot += 1;
            if bytes > 0 {
                self.learn(bytes);
            }
        }
        if self.slots.is_empty() && self.slots.capacity() > FIRST_WINDOW {
            self.slots = VecDeque::new();
        }
        moved
    }

    /// Remembers the size of a reply: quick to grow, slow to shrink.
    fn learn(&mut self, bytes: usize) {
        let last = self.estimate.unwrap_or(0);
        self.estimate = Some(bytes.max(last - last / 8));
    }

    /// The connection to `server` that must carry the next request, because it carries others. Those of
    /// another lane were late: the session has left that lane since.
    pub(crate) fn bound_to(&self, server: usize, lane: Lane) -> Option<ConnectionId> {
        let bound = |affinity: &&Affinity| {
            affinity.server == server && affinity.lane == lane && affinity.outstanding > 0
        };
        self.affinity
            .iter()
            .find(bound)
            .map(|affinity| affinity.connection)
    }

    /// Notes that one more request went out on `connection`.
    pub(crate) fn bind(&mut self, server: usize, lane: Lane, connection: ConnectionId) {
        match self
            .affinity
            .iter_mut()
            .find(|affinity| affinity.connection == connection)
        {
            Some(affinity) => affinity.outstanding += 1,
            None => self.affinity.push(Affinity {
                server,
                lane,
                connection,
                outstanding: 1,
            }),
        }
    }

    /// Notes that one request on `connection` has ended.
    pub(crate) fn unbind(&mut self, connection: ConnectionId) {
        let Some(position) = self
            .affinity
            .iter()
            .position(|affinity| affinity.connection == connection)
        else {
            return;
        };
        self.affinity[position].outstanding -= 1;
        if self.affinity[position].outstanding == 0 {
            self.affinity.swap_remove(position);
        }
    }
}
