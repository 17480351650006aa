//! One client: what it has sent, which replies it is to get, and whether it may send further requests.

mod connections;
mod ending;
mod memory;
mod pacing;
mod pushing;
mod reading;
mod reading_replicas;
mod splitting;
mod traffic;
mod transaction;

use std::ops::Range;

use super::backlog::Backlog;
use super::holds::{Hold, Holds};
use super::intake::Intake;
use super::large_split::LargeSplit;
use super::order::{CutOff, Expected, Joined, Order, Retry};
use super::own_writes::OwnWrites;
use super::pace::Pace;
use super::phase::{Phase, Reading};
use super::pinned::PinnedConnections;
use super::read_rate::ReadRate;
use super::subscriber::Subscriber;
use super::transaction::Transaction;
use super::turn::Turn;
use super::watch::Watch;
use crate::cause::Cause;
use crate::client_info::Traffic;
use crate::flow::buffer::{Chunk, Rope};
use crate::flow::spares::Spares;
use crate::id::{ConnectionId, ServerId};
use crate::limits::{LARGE_WINDOW, MAX_WINDOW, WINDOW_BYTES};
use crate::protocol::Protocol;
use crate::protocol::pending_join::PendingJoin;
use crate::time::Time;

/// One client connection.
pub(crate) struct Session<P: Protocol> {
    /// The client as log lines name it: its address.
    name: Box<str>,
    /// What the protocol remembers of the client.
    client: P::Client,
    /// Requests that wait for a reply.
    order: Order<P>,
    /// Outstanding requests whose replies are dropped (noreply). They have no slot, but count for the window.
    silent: usize,
    /// Number of the first slot after the last request that may have changed data: from here on reads may be retried.
    /// Kept only with `retry_reads`.
    unchanged_from: u64,
    /// Replies on their way to the client.
    output: Rope,
    /// The beginning of a request that is incomplete.
    intake: Option<Box<Intake<P>>>,
    /// A request of very many keys that is being split.
    split: Option<Box<LargeSplit<P>>>,
    /// A transaction that it has begun, or that waits to be sent.
    transaction: Option<Box<Transaction>>,
    /// The keys that it watches.
    watch: Option<Box<Watch>>,
    /// Input that is not parsed yet, because the session was full or held back.
    backlog: Option<Box<Backlog>>,
    /// Connections with outstanding requests of this session; unused while servers have one connection each.
    pinned: PinnedConnections,
    leases: Vec<ConnectionId>,
    /// What it has written lately and has at replicas, in pools where those are read.
    own_writes: Option<Box<OwnWrites>>,
    /// To which servers it has written, a bit for each index of their ids that may be that of several.
    written: u64,
    phase: Phase,
    holds: Holds,
    /// How many requests it may have outstanding; set once that may be fewer than usual.
    pace: Option<Box<Pace>>,
    turn: Turn,
    reading: Reading,
    /// How fast it reads its replies; measured only while it must read.
    read_rate: Option<ReadRate>,
    lists: Lists,
    /// It is subscribed to channels, or is about to be.
    subscriber: Option<Subscriber>,
    /// When it last sent a request (or the first byte of one) or read a reply: idle and request time-outs start here.
    since: Time,
    /// Since when it has had replies to read and has read nothing, as far as that was looked at.
    unread_since: Option<Time>,
    /// When it has connected.
    opened: Time,
    traffic: Traffic,
}

/// On which lists of the engine the session is, so that it is on each only once.
#[derive(Debug, Clone, Copy, Default)]
struct Lists {
    /// Sessions that may be resumed.
    ready: bool,
    /// Sessions with new output.
    flush: bool,
}

impl<P: Protocol> Session<P> {
    pub(crate) fn new(name: Box<str>, client: P::Client, now: Time) -> Self {
        Self {
            name,
            client,
            order: Order::default(),
            silent: 0,
            unchanged_from: 0,
            output: Rope::new(),
            intake: None,
            split: None,
            transaction: None,
            watch: None,
            backlog: None,
            pinned: PinnedConnections::default(),
            leases: Vec::new(),
            own_writes: None,
            written: 0,
            phase: Phase::Open,
            holds: Holds::default(),
            pace: None,
            turn: Turn::default(),
            reading: Reading::On,
            read_rate: None,
            lists: Lists::default(),
            subscriber: None,
            since: now,
            unread_since: None,
            opened: now,
            traffic: Traffic::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn client(&self) -> &P::Client {
        &self.client
    }

    pub(crate) fn client_mut(&mut self) -> &mut P::Client {
        &mut self.client
    }

    /// When it last did something.
    pub(crate) fn last_active(&self) -> Time {
        self.since
    }

    /// Bytes that wait unparsed.
    pub(crate) fn unparsed(&self) -> usize {
        self.backlog.as_ref().map_or(0, |it| it.len())
    }

    /// Whether nothing of it is outstanding, neither at a server nor as a reply that waits for its turn.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.order.is_empty() && self.silent == 0
    }
}

/// What the client sends.
impl<P: Protocol> Session<P> {
    /// Whether input of the client is parsed; otherwise it is dropped.
    #[inline]
    pub(crate) fn accepts_input(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Leaving | Phase::Ended)
    }

    /// Whether a further request may be accepted now: it is not held back, and its window has room in number, in
    /// replies that may be large, and in bytes.
    #[inline]
    pub(crate) fn may_accept(&self) -> bool {
        self.may_accept_under(self.holds)
    }

    /// The same where these are the reasons to hold it back.
    #[inline]
    fn may_accept_under(&self, holds: Holds) -> bool {
        let outstanding = self.outstanding();
        if holds != Holds::NONE && self.is_held_back(holds, outstanding) {
            return false;
        }
        outstanding < MAX_WINDOW
            && self.order.large() < LARGE_WINDOW
            && self.expected() < WINDOW_BYTES
    }

    /// Whether it may accept a request, or go on with one that is being split.
    pub(crate) fn may_go_on(&self) -> bool {
        self.may_accept_under(self.holds.without(Hold::Splitting))
    }

    /// Requests that are outstanding, whether a reply is wanted or not.
    #[inline]
    pub(crate) fn outstanding(&self) -> usize {
        self.order.len() + self.silent
    }

    /// How many of them it may have.
    fn window(&self) -> usize {
        self.pace.as_ref().map_or(MAX_WINDOW, |pace| pace.window())
    }

    /// Whether it is held back, or its window is narrow and full.
    #[cold]
    #[inline(never)]
    fn is_held_back(&self, holds: Holds, outstanding: usize) -> bool {
        holds.block(outstanding == 0) || outstanding >= self.window()
    }

    /// Most sessions have no narrow window, which must cost them nothing: so it counts as a reason to hold them back.
    fn follow_pace(&mut self) {
        match self.window() < MAX_WINDOW {
            true => self.holds.add(Hold::Narrow),
            false => self.holds.remove(Hold::Narrow),
        }
    }

    /// Whether a session that was full may be resumed: only when half of its window is free. Otherwise each reply
    /// would let in one request, and each request would cost a write of its own.
    fn may_resume(&self) -> bool {
        let outstanding = self.outstanding();
        self.may_go_on()
            && (outstanding == 0
                || (outstanding <= self.window() / 2
                    && self.order.large() <= LARGE_WINDOW / 2
                    && self.expected() <= WINDOW_BYTES / 2))
    }

    /// Bytes of replies that are unread or to come, by the estimate of their size.
    #[inline]
    fn expected(&self) -> usize {
        self.output.len() + self.order.expected()
    }

    /// A request is complete, or the session is resumed: time-outs start again.
    pub(crate) fn restart_timer(&mut self, now: Time) {
        self.since = now;
    }

    /// Keeps an incomplete request.
    pub(crate) fn keep_intake(&mut self, intake: Box<Intake<P>>) {
        self.intake = Some(intake);
    }

    /// Takes the incomplete request, to continue with it.
    #[inline]
    pub(crate) fn take_intake(&mut self) -> Option<Box<Intake<P>>> {
        self.intake.take()
    }

    /// Whether a request is incomplete.
    pub(crate) fn is_mid_request(&self) -> bool {
        self.intake.is_some()
    }

    /// Whether input waits unparsed.
    #[inline]
    pub(crate) fn has_backlog(&self) -> bool {
        self.backlog.is_some()
    }

    /// Appends to the backlog, if there is one; returns whether it did.
    #[inline]
    pub(crate) fn add_to_backlog(&mut self, chunk: &Chunk, range: Range<usize>) -> bool {
        match &mut self.backlog {
            Some(backlog) => backlog.push(chunk, range),
            None => return false,
        }
        true
    }

    /// Puts the rest of a piece of input at the front of the backlog.
    pub(crate) fn put_back(&mut self, text: &[u8], chunk: &Chunk, range: Range<usize>) {
        let backlog = self.backlog.get_or_insert_default();
        backlog.put_back(text, chunk, range);
    }

    /// The same for a request that was collected piece by piece.
    pub(crate) fn put_back_gathered(&mut self, text: Rope, chunk: &Chunk, range: Range<usize>) {
        let backlog = self.backlog.get_or_insert_default();
        backlog.put_back_gathered(text, chunk, range);
    }

    /// Takes the next piece of the backlog.
    pub(crate) fn take_backlog(&mut self) -> Option<(Chunk, Range<usize>)> {
        let backlog = self.backlog.as_mut()?;
        let piece = backlog.take();
        if backlog.len() == 0 {
            self.backlog = None;
        }
        piece
    }

    /// Whether the client is to be read, where its backlog may have `most` bytes.
    pub(crate) fn wants_read(&self, most: usize) -> bool {
        let has_room = |backlog: &Backlog| backlog.len() < most;
        match self.phase {
            Phase::Open | Phase::Leaving => {
                !self.is_held_for_memory() && self.backlog.as_deref().is_none_or(has_room)
            }
            Phase::Ended => false,
            // It is read and dropped, so that a client that writes before it reads gets to reading.
            Phase::Quitting { .. } | Phase::Broken => true,
        }
    }

    /// If the backlog is full, the client is not read until there is room.
    #[inline]
    pub(crate) fn stop_reading(&mut self, most: usize) {
        if self.backlog.is_some() && !self.wants_read(most) {
            self.reading = Reading::Stopped;
        }
    }

    /// Holds the session back.
    pub(crate) fn hold(&mut self, why: Hold) {
        self.holds.add(why);
        if why == Hold::Memory {
            self.reading = Reading::Stopped;
        }
    }

    /// Lifts that hold.
    pub(crate) fn release(&mut self, why: Hold) {
        self.holds.remove(why);
    }

    /// Whether it is held back because memory is short.
    pub(crate) fn is_held_for_memory(&self) -> bool {
        self.holds.has(Hold::Memory)
    }

    /// It has requests on a draining connection: further ones wait until nothing is outstanding.
    pub(crate) fn hold_until_drained(&mut self) {
        if !self.is_idle() {
            self.hold(Hold::UntilDrained);
        }
    }

    /// Lifts the holds until nothing is outstanding, if nothing is.
    #[inline]
    pub(crate) fn release_if_drained(&mut self) {
        if self.holds != Holds::NONE && self.is_idle() {
            self.release(Hold::UntilDrained);
            self.release(Hold::UntilIdle);
        }
    }

    /// Whether there may be something to do when it is resumed: a backlog, or input that was not read.
    fn waits(&self) -> bool {
        self.backlog.is_some() || self.split.is_some() || self.reading == Reading::Stopped
    }

    /// Puts the session on the ready list, if it may be resumed and is not on it; returns whether it did.
    pub(crate) fn list_if_ready(&mut self) -> bool {
        let is_added = self.waits() && !self.lists.ready && self.may_resume();
        self.lists.ready |= is_added;
        is_added
    }

    /// The same for one that was just resumed and may go on without waiting for half of its window.
    pub(crate) fn list_again(&mut self) -> bool {
        let is_added = self.waits() && self.may_go_on() && !self.lists.ready;
        self.lists.ready |= is_added;
        is_added
    }

    /// It has been taken off that list and is resumed at `now`. Time-outs start again, as it was the proxy that let
    /// its input wait.
    pub(crate) fn resume(&mut self, now: Time) {
        self.lists.ready = false;
        // A request that has come since it was listed may have to be over first.
        if self.is_idle() {
            self.release(Hold::UntilIdle);
        }
        self.release(Hold::UntilNextTurn);
        self.release_if_drained();
        self.turn.renew(now);
        if let Some(pace) = &mut self.pace {
            pace.note_room(now);
            self.follow_pace();
        }
        self.since = now;
    }

    /// The proxy has answered, refused or passed over a request by itself, with a reply of so many bytes. If that
    /// ends its turn, it is held back and put on the list for the next one; returns whether it was.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        if !self.turn.spend(bytes) || self.holds.has(Hold::UntilNextTurn) {
            return false;
        }
        self.hold(Hold::UntilNextTurn);
        !std::mem::replace(&mut self.lists.ready, true)
    }
}

/// Replies to the client.
impl<P: Protocol> Session<P> {
    /// Opens the slot of a request; returns its number.
    #[inline(always)]
    pub(crate) fn open_slot(&mut self, expected: Expected<P::Kind>) -> u64 {
        self.order.open(expected)
    }

    /// Whether the request in the slot with this number still waits for its reply.
    pub(crate) fn is_open(&self, slot: u64) -> bool {
        self.order.is_open(slot)
    }

    /// Answers the request being handled, behind the replies to earlier ones; returns whether the output grew.
    pub(crate) fn answer(&mut self, reply: &[u8]) -> bool {
        let is_next = self.order.is_empty();
        match is_next {
            true => self.output.extend(reply),
            false => self.order.open_answered(reply),
        }
        is_next
    }

    /// Whether an unanswered request has a fragment for this server.
    pub(crate) fn has_fragment_at(&self, server: ServerId) -> bool {
        self.order.has_fragment_at(server)
    }

    /// A request was sent whose reply will be dropped.
    pub(crate) fn note_silent(&mut self) {
        self.silent += 1;
    }

    /// One of those has ended.
    pub(crate) fn end_silent(&mut self) {
        self.silent = self.silent.saturating_sub(1);
    }

    /// Adds a piece of the reply in a slot, the last one if `last`. Returns whether the output grew or a request was
    /// completed.
    #[inline(always)]
    pub(crate) fn deliver(
        &mut self,
        slot: u64,
        chunk: &Chunk,
        range: Range<usize>,
        last: bool,
        spares: &mut Spares,
    ) -> bool {
        if self.output.is_empty() && self.order.is_next(slot) {
            self.output.start_with_spare(spares, chunk, &range);
        }
        self.order
            .deliver(slot, chunk, range, last, &mut self.output)
    }

    /// Completes a request with a reply made by the proxy. Returns as [`Session::deliver`].
    pub(crate) fn fill(&mut self, slot: u64, reply: &[u8]) -> bool {
        self.order.fill(slot, reply, &mut self.output)
    }

    /// Adds a piece of a fragment's reply.
    pub(crate) fn deliver_fragment(
        &mut self,
        to: (u64, u32),
        piece: (&Chunk, Range<usize>),
        kind: Option<P::Kind>,
        marks: &mut Vec<u64>,
        is_nested: bool,
    ) -> Joined {
        self.order
            .deliver_fragment(to, piece, kind, marks, is_nested)
    }

    /// A fragment has failed; returns whether the join may go on.
    pub(crate) fn fail_fragment(&mut self, slot: u64, fragment: u32, cause: &Cause) -> bool {
        self.order.fail_fragment(slot, fragment, cause)
    }

    /// Takes what is collected for a split request, to join it. Either [`Session::put_joined`] or [`Session::fill`]
    /// follows.
    pub(crate) fn take_join(&mut self, slot: u64) -> Option<PendingJoin<P::Kind>> {
        self.order.take_join(slot)
    }

    /// Adds a piece of a joined reply; it is complete unless there is a `rest`. Returns as [`Session::deliver`].
    pub(crate) fn put_joined(
        &mut self,
        slot: u64,
        piece: Rope,
        rest: Option<PendingJoin<P::Kind>>,
    ) -> bool {
        self.order.put_joined(slot, piece, rest, &mut self.output)
    }

    /// Completes a split request with an error, when nothing of a joined reply was passed on. Returns as
    /// [`Session::deliver`].
    pub(crate) fn put_failed(&mut self, slot: u64, line: Rope) -> bool {
        self.order.put_failed(slot, line, &mut self.output)
    }

    /// The reply in a slot has broken off. If part of it has gone to the output, nothing may follow: the session
    /// ends.
    pub(crate) fn cut_off(&mut self, slot: u64) -> CutOff {
        let cut = self.order.cut_off(slot);
        if cut == CutOff::PartlySent {
            self.phase = Phase::Broken;
            self.order.clear();
            self.drop_input();
        }
        cut
    }

    /// A request that may change data goes to a server: reads before it are not retried any more.
    pub(crate) fn note_change(&mut self) {
        self.unchanged_from = self.order.next();
    }

    /// Takes the bytes for a retry of the read in a slot, if nothing of its reply has arrived and only reads came
    /// after it: a read must not see a later write of its own client.
    pub(crate) fn take_retry(&mut self, slot: u64) -> Option<Retry> {
        let retry = self.order.take_retry(slot);
        retry.filter(|_| slot >= self.unchanged_from)
    }

    /// Replies on their way to the client.
    pub(crate) fn output(&self) -> &Rope {
        &self.output
    }

    /// Puts it on the list of sessions with new output; returns whether it was not on it.
    #[inline]
    pub(crate) fn list_for_flush(&mut self) -> bool {
        !std::mem::replace(&mut self.lists.flush, true)
    }

    /// It has been taken off that list.
    pub(crate) fn unlist_for_flush(&mut self) {
        self.lists.flush = false;
    }

    /// Whether nothing depends on its progress: it is not ending, not held back, and has no input that waits.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.phase == Phase::Open && !self.waits() && !self.holds.has(Hold::UntilDrained)
    }
}

/// How fast it reads its replies.
impl<P: Protocol> Session<P> {
    /// Bytes of replies that the client has not read yet.
    #[inline]
    pub(crate) fn unread(&self) -> usize {
        self.output.len() + self.order.stashed()
    }

    /// Whether the client has so many unread replies that no further request of it is accepted.
    #[inline]
    pub(crate) fn is_over_limit(&self) -> bool {
        self.unread() >= WINDOW_BYTES
    }

    /// Whether it accepts nothing further and is to be closed when it has read its output.
    fn must_read_last_replies(&self) -> bool {
        !self.accepts_input() && !self.output.is_empty()
    }

    /// Whether it must read its replies at a minimum rate, or be closed.
    pub(crate) fn must_read(&self) -> bool {
        self.is_over_limit() || self.must_read_last_replies()
    }

    /// Counts bytes that were received from the client or written to it.
    #[inline]
    fn note_moved(&mut self, bytes: usize) {
        if self.read_rate.is_some() {
            let is_below = !self.must_read();
            let rate = self.read_rate.iter_mut();
            rate.for_each(|rate| rate.note(bytes, is_below));
        }
    }

    /// Drops all input that is not handled.
    fn drop_input(&mut self) {
        self.backlog = None;
        self.split = None;
        self.holds.remove(Hold::Splitting);
        self.intake = None;
    }
}
