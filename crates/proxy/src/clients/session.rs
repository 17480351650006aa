//! One client: what it has sent and not been answered, in order.

use std::collections::VecDeque;
use std::ops::Range;

use crate::clients::backlog::Backlog;
use crate::engine::Retry;
use crate::flow::buffer::{Chunk, Rope};
use crate::flow::stash::Stash;
use crate::id::ConnectionId;
use crate::limits::{LARGE_WINDOW, MAX_WINDOW, WINDOW_BYTES};
use crate::protocol::{Body, Join, Lane, Protocol};
use crate::time::Time;

/// One client connection.
pub(crate) struct Session<P: Protocol> {
    /// The client as log lines name it: its address.
    pub(crate) name: Box<str>,
    /// What the protocol remembers of the client.
    pub(crate) client: P::Client,
    /// Requests that owe a reply, oldest first.
    pub(crate) slots: VecDeque<Slot<P::Kind>>,
    /// Number of the oldest slot; slots are numbered for ever.
    pub(crate) first_slot: u64,
    /// How many of them may have a large reply.
    large: usize,
    /// Requests at servers whose replies are dropped (noreply).
    pub(crate) silent: usize,
    /// Number of the first slot behind the last request that may have changed something; kept only where
    /// lost reads are sent again.
    pub(crate) unchanged_from: u64,
    /// Replies on their way to the client.
    pub(crate) output: Rope,
    /// Bytes of replies that wait in slots.
    pub(crate) stashed: usize,
    /// Recent size of replies that may be large, for the window.
    estimate: usize,
    /// The beginning of a request that is not whole yet.
    pub(crate) intake: Option<Box<Intake<P>>>,
    /// What was read and not looked at, because the window was full.
    backlog: Option<Box<Backlog>>,
    /// Whether it reads its replies fast enough, while many of them wait.
    pub(crate) watch: Option<Watch>,
    /// Connections that carry something of this session; unused while servers have one connection each.
    pub(crate) affinity: Vec<Affinity>,
    pub(crate) phase: Phase,
    /// Takes no further request until nothing is outstanding.
    pub(crate) barrier: bool,
    /// Is not read because it holds too much while memory is short.
    pub(crate) held_back: bool,
    /// Has refused reading, so that the shell must be told when it wants it again.
    pub(crate) stopped: bool,
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
    /// Nothing further is looked at; what was accepted is answered. `linger` as in `Action::CloseSession`.
    Quitting { linger: bool },
    /// A reply broke off in the middle: nothing may follow it.
    Broken,
}

/// How much a client that leaves many replies unread has moved, of them or of further requests, since it was
/// last judged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watch {
    pub(crate) moved: usize,
    /// It has been below its bound since.
    pub(crate) was_below: bool,
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
    /// The reply may be large, for all that is known of the request.
    pub(crate) may_be_large: bool,
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
            may_be_large: false,
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
            may_be_large: !join.kind.is_small(),
            join: Some(join),
            ..Self::waiting()
        }
    }
}

impl<P: Protocol> Session<P> {
    pub(crate) fn new(name: Box<str>, client: P::Client, now: Time) -> Self {
        Self {
            name,
            client,
            slots: VecDeque::new(),
            first_slot: 0,
            large: 0,
            silent: 0,
            unchanged_from: 0,
            output: Rope::new(),
            stashed: 0,
            estimate: 0,
            intake: None,
            backlog: None,
            watch: None,
            affinity: Vec::new(),
            phase: Phase::Open,
            barrier: false,
            held_back: false,
            stopped: false,
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
        outstanding < MAX_WINDOW && self.large < LARGE_WINDOW && self.expected() < WINDOW_BYTES
    }

    /// Whether a session that was full may go on: not before half of its window is free, so that under
    /// pressure requests still move in batches, not each in the place of the last reply.
    pub(crate) fn may_resume(&self) -> bool {
        let outstanding = self.slots.len() + self.silent;
        self.may_take()
            && (outstanding == 0
                || (outstanding <= MAX_WINDOW / 2
                    && self.large <= LARGE_WINDOW / 2
                    && self.expected() <= WINDOW_BYTES / 2))
    }

    /// Bytes of replies that wait or are to come, by what is known of their size.
    fn expected(&self) -> usize {
        self.unread().saturating_add(self.large * self.estimate)
    }

    /// Bytes of replies that the client has not taken yet.
    pub(crate) fn unread(&self) -> usize {
        self.output.len() + self.stashed
    }

    /// Whether so many replies wait for the client that it gets no further ones.
    pub(crate) fn is_over(&self) -> bool {
        self.unread() >= WINDOW_BYTES
    }

    /// Whether it gets nothing further, and is to be closed when it has read what waits for it.
    pub(crate) fn must_read_its_last(&self) -> bool {
        !self.takes_input() && !self.output.is_empty()
    }

    /// Whether it must read, or be closed.
    pub(crate) fn must_read(&self) -> bool {
        self.is_over() || self.must_read_its_last()
    }

    /// Whether input waits unparsed.
    pub(crate) fn has_backlog(&self) -> bool {
        self.backlog.is_some()
    }

    /// Appends to what waits unparsed, if anything does; says whether.
    pub(crate) fn add_to_backlog(&mut self, chunk: &Chunk, range: Range<usize>) -> bool {
        match &mut self.backlog {
            Some(backlog) => backlog.push(chunk, range),
            None => return false,
        }
        true
    }

    /// Puts the rest of a piece of input before all that waits unparsed.
    pub(crate) fn put_back(&mut self, text: &[u8], chunk: &Chunk, range: Range<usize>) {
        let backlog = self.backlog.get_or_insert_default();
        backlog.put_back(text, chunk, range);
    }

    /// Takes the next piece of what waits unparsed.
    pub(crate) fn take_backlog(&mut self) -> Option<(Chunk, Range<usize>)> {
        let backlog = self.backlog.as_mut()?;
        let piece = backlog.take();
        if backlog.len() == 0 {
            self.backlog = None;
        }
        piece
    }

    /// Forgets all input that is not a whole request.
    pub(crate) fn drop_input(&mut self) {
        self.backlog = None;
        self.intake = None;
    }

    /// Whether the client is to be read, where `most` bytes of its input may wait unparsed.
    pub(crate) fn wants_read(&self, most: usize) -> bool {
        let has_room = |backlog: &Backlog| backlog.len() < most;
        match self.phase {
            Phase::Open => !self.held_back && self.backlog.as_deref().is_none_or(has_room),
            Phase::Ended => false,
            // What comes is dropped, so that the client can finish sending.
            Phase::Quitting { .. } | Phase::Broken => true,
        }
    }

    /// Notes that so many bytes have come from the client, or gone to it.
    pub(crate) fn note_moved(&mut self, bytes: usize) {
        let is_below = !self.must_read();
        if let Some(watch) = &mut self.watch {
            watch.moved = watch.moved.saturating_add(bytes);
            watch.was_below |= is_below;
        }
    }

    /// Bytes of memory that its buffers take. It walks all of them.
    pub(crate) fn held(&self) -> usize {
        let slots = self.slots.iter().map(Slot::footprint);
        let slots = slots.sum::<usize>() + self.slots.capacity() * size_of::<Slot<P::Kind>>();
        let intake = self.intake.as_ref().map_or(0, |intake| intake.footprint());
        let backlog = self
            .backlog
            .as_ref()
            .map_or(0, |backlog| backlog.footprint());
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
        self.phase == Phase::Open && self.backlog.is_none() && !self.stopped
    }

    /// Appends a slot and returns its number.
    pub(crate) fn push_slot(&mut self, slot: Slot<P::Kind>) -> u64 {
        let number = self.next_slot();
        self.large += usize::from(slot.may_be_large);
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
            let (bytes, may_be_large) = (head.bytes, head.may_be_large);
            self.slots.pop_front();
            self.first_slot += 1;
            if may_be_large {
                self.large -= 1;
                if bytes > 0 {
                    self.learn(bytes);
                }
            }
        }
        if self.slots.is_empty() && self.slots.capacity() > LARGE_WINDOW {
            self.slots = VecDeque::new();
        }
        moved
    }

    /// Drops all slots: nothing more is answered.
    pub(crate) fn drop_slots(&mut self) {
        self.slots.clear();
        self.large = 0;
    }

    /// Remembers the size of a reply that might have been large: quick to grow, slow to shrink.
    fn learn(&mut self, bytes: usize) {
        self.estimate = bytes.max(self.estimate - self.estimate / 8);
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
