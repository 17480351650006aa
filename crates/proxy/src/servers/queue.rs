//! The requests on one server connection: their bytes until they are written, and an entry for each until it is
//! answered.
//!
//! Servers answer in the order of the requests, and replies name no request. So an entry must stay in the queue
//! until its reply has ended, even if nobody wants the reply any more; removing one early would shift all later
//! replies by one.

use std::collections::VecDeque;
use std::time::Duration;

use crate::flow::buffer::Rope;
use crate::id::SessionId;
use crate::latency::{Class, ServerLatency};
use crate::limits::{KEEP_IN_FLIGHT, KEEP_OUTPUT, MAX_CONNECTION_BYTES, MAX_IN_FLIGHT};
use crate::protocol::grammar::{Mark, Unwanted};
use crate::servers::kept::{Kept, KeptRequests};
use crate::servers::notes::Notes;
use crate::servers::samples::{Sample, Samples};
use crate::servers::writes::Writes;
use crate::slow_log::Note;
use crate::time::Time;

/// A request (or a fragment of one) that was queued for a server and is not answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    pub(crate) session: SessionId,
    pub(crate) reply_to: ReplyTo,
    /// See [`InFlight::bytes`]. Requests are bounded to less than 4 GiB by the parsers; there are many of these.
    size: u32,
    /// When it was queued: the deadline follows from it.
    pub(crate) queued: Time,
    pub(crate) class: Class,
    /// What is special about its reply.
    pub(crate) mark: Mark,
    /// Replies that come before the one that counts, and are dropped: to MULTI, and to each command of the transaction
    /// until EXEC.
    before: u16,
}

impl InFlight {
    /// The same with its reply going there.
    pub(crate) fn with_reply_to(self, reply_to: ReplyTo) -> Self {
        Self { reply_to, ..self }
    }

    /// Its size on the wire, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.size as usize
    }

    /// Whether its latency is measured: it is a client's, and waits for nobody but the server.
    #[inline]
    pub(super) fn is_measured(&self) -> bool {
        !matches!(
            self.reply_to,
            ReplyTo::Leased
                | ReplyTo::Unblock(_)
                | ReplyTo::Trial
                | ReplyTo::Load
                | ReplyTo::Proxy
                | ReplyTo::Follower
        )
    }

    /// Whether the next reply is one that comes before the one that counts.
    #[inline]
    pub(super) fn expects_before(&self) -> bool {
        self.before > 0
    }
}

/// A slow request that was found when its reply ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slow {
    pub(crate) request: InFlight,
    pub(crate) written: Time,
    pub(crate) note: Note,
}

/// Where a reply is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplyTo {
    /// The session's slot with this number.
    Slot(u64),
    /// The same, after the replies that come before the one that counts.
    Later(u64),
    /// The session's slot, unless its client does not want this reply.
    Quiet(u64, Unwanted),
    /// A fragment of the request in a slot: the slot's number, and the fragment's.
    Fragment(u64, u32),
    /// Nowhere any more: the request was answered with an error for being late. The session's pin still counts it.
    Forgotten {
        /// It was a [`ReplyTo::Follower`].
        follows: bool,
    },
    /// The session's slot with this number, or nowhere if the client wants no reply. With the reply the lease of the
    /// connection ends.
    Last(Option<u64>),
    /// It tells whether the session's transaction, which waits for it, may be sent on this connection.
    Trial,
    /// Where the request says that was sent elsewhere as this number, which is kept with others of its kind
    /// ([`crate::servers::redirects`]).
    Redirected(u64),
    /// Nowhere: the client asked for no reply.
    Nobody,
    /// Nowhere: it is a request of the proxy that loads a script for whoever runs it, so it is sent though its client has
    /// left.
    Load,
    /// Where the wait says, which is kept with the lease of the connection.
    Leased,
    /// To the proxy, which has asked a server to end a wait; the number is its own for it.
    Unblock(u64),
    /// Nowhere: it is a request of the proxy, or the wait for its reply was cancelled.
    Proxy,
    /// Nowhere: it is a request of the proxy that caps the TTL of what the request before it writes. It must be sent
    /// whenever that one is.
    Follower,
}

impl ReplyTo {
    /// Whether the client expects no reply, so that there is no slot.
    pub(crate) fn is_silent(self) -> bool {
        matches!(
            self,
            ReplyTo::Nobody | ReplyTo::Follower | ReplyTo::Load | ReplyTo::Last(None)
        )
    }

    /// Whether it must be sent with the request before it, late or not.
    fn follows(self) -> bool {
        matches!(
            self,
            ReplyTo::Follower | ReplyTo::Forgotten { follows: true }
        )
    }
}

/// The requests on one connection, in order. Two independent borders divide the entries:
///
/// ```text
///  (removed) │ forgotten: failed as late ...  │ waiting: a client wants the reply ...
///  (removed) │ sent: wholly written ... │ the next one, partly written │ unsent ...
/// ```
#[derive(Debug, Default)]
pub(crate) struct RequestQueue {
    /// Bytes to be written, once the connection is ready.
    output: Rope,
    /// Requests whose replies have not ended, oldest first.
    entries: VecDeque<InFlight>,
    /// How many of them (from the front) are wholly written.
    sent: usize,
    writes: Writes,
    notes: Notes,
    samples: Samples,
    kept: KeptRequests,
    /// How many bytes of the next one are written.
    sent_of_next: usize,
    /// Unwritten bytes of requests that were answered before they were wholly written, as a server may do with an
    /// error. They are still written: the server expects them.
    answered_early: usize,
    /// How many of the entries (from the front) were late, and are failed or are exempt as their reply is under way.
    forgotten: usize,
}

/// So many requests, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
}

impl RequestQueue {
    /// Appends a request, whose bytes `write` appends. Returns how many bytes it has.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        session: SessionId,
        reply_to: ReplyTo,
        class: Class,
        queued: Time,
        write: impl FnOnce(&mut Rope),
    ) -> usize {
        let before = self.output.len();
        write(&mut self.output);
        let bytes = self.output.len() - before;
        self.entries.push_back(InFlight {
            session,
            reply_to,
            size: u32::try_from(bytes).unwrap_or(u32::MAX),
            queued,
            class,
            mark: Mark::None,
            before: 0,
        });
        bytes
    }

    /// The request that was pushed last consists of several, with so many replies before the one that counts.
    pub(crate) fn expect_before(&mut self, replies: u16) {
        let Some(last) = self.entries.back_mut() else {
            return;
        };
        last.before = replies;
        if let ReplyTo::Slot(slot) = last.reply_to {
            last.reply_to = ReplyTo::Later(slot);
        }
    }

    /// One of those replies to the oldest request has ended.
    pub(super) fn end_reply_before(&mut self) {
        let Some(oldest) = self.entries.front_mut() else {
            return;
        };
        oldest.before = oldest.before.saturating_sub(1);
        if let (0, ReplyTo::Later(slot)) = (oldest.before, oldest.reply_to) {
            oldest.reply_to = ReplyTo::Slot(slot);
        }
    }

    /// What is special about the reply to the request that was pushed last.
    pub(crate) fn mark(&mut self, mark: Mark) {
        let Some(last) = self.entries.back_mut() else {
            return;
        };
        last.mark = mark;
        if let (ReplyTo::Slot(slot), Some(unwanted)) = (last.reply_to, mark.unwanted()) {
            last.reply_to = ReplyTo::Quiet(slot, unwanted);
        }
    }

    /// The reply to the oldest request is passed on from now on, if the request was quiet.
    pub(crate) fn pass_on_oldest(&mut self) {
        if let Some(oldest) = self.entries.front_mut()
            && let ReplyTo::Quiet(slot, _) = oldest.reply_to
        {
            oldest.reply_to = ReplyTo::Slot(slot);
        }
    }

    /// What is to be written.
    pub(crate) fn output(&self) -> &Rope {
        &self.output
    }

    /// Requests that have not been answered.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no request is unanswered.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The requests that have not been answered, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &InFlight> {
        self.entries.iter()
    }

    /// Whether there is room for a further request, where at most `most` may be unanswered.
    pub(crate) fn has_room(&self, most: usize) -> bool {
        self.entries.len() < most.min(MAX_IN_FLIGHT) && self.output.len() < MAX_CONNECTION_BYTES
    }

    /// Notes that `count` bytes of the output were written at `now`; returns the requests that are thereby wholly
    /// written.
    pub(crate) fn written(&mut self, count: usize, now: Time) -> Amount {
        let whole = self.take_written(count);
        if whole.requests > 0 {
            self.writes.note(self.sent, now);
        }
        whole
    }

    fn take_written(&mut self, count: usize) -> Amount {
        let is_all = count == self.output.len();
        self.output.consume_keeping(count, KEEP_OUTPUT);
        if is_all {
            return self.note_all_written(count);
        }
        let early = count.min(self.answered_early);
        self.answered_early -= early;
        let mut left = count - early;
        let mut whole = Amount::default();
        while let Some(next) = self.entries.get(self.sent) {
            let missing = next.bytes() - self.sent_of_next;
            if left < missing {
                self.sent_of_next += left;
                break;
            }
            left -= missing;
            self.sent += 1;
            self.sent_of_next = 0;
            whole.requests += 1;
            whole.bytes += next.bytes();
        }
        whole
    }

    /// The last `count` bytes of the output were written, and with them every request to its end.
    fn note_all_written(&mut self, count: usize) -> Amount {
        let whole = Amount {
            requests: self.entries.len() - self.sent,
            bytes: self.sent_of_next + count - self.answered_early,
        };
        self.sent = self.entries.len();
        self.sent_of_next = 0;
        self.answered_early = 0;
        whole
    }

    /// The oldest request, if it has at least begun to be written, so that what the server sends can be its reply.
    pub(crate) fn begun(&self) -> Option<&InFlight> {
        let begun = self.sent > 0 || self.sent_of_next > 0;
        self.entries.front().filter(|_| begun)
    }

    /// The oldest request, written or not.
    pub(crate) fn oldest(&self) -> Option<&InFlight> {
        self.entries.front()
    }

    /// The `count` requests that were wholly written last, oldest first.
    pub(super) fn latest_written(
        &self,
        count: usize,
    ) -> impl DoubleEndedIterator<Item = &InFlight> {
        self.entries
            .range(self.sent.saturating_sub(count)..self.sent)
    }

    /// What the request that was pushed last is called.
    pub(crate) fn note(&mut self, note: Note) {
        let number = self.writes.taken() + self.entries.len() as u64 - 1;
        self.notes.add(number, note);
    }

    /// The request that was pushed last.
    pub(crate) fn newest(&self) -> Option<&InFlight> {
        self.entries.back()
    }

    /// The request that was pushed last is counted by its keys, or is to be logged.
    pub(crate) fn sample(&mut self, sample: Sample) {
        let number = self.writes.taken() + self.entries.len() as u64 - 1;
        self.samples.add(number, sample);
    }

    /// The request that was pushed last is kept until it is answered, with its bytes if there is room for them and they are
    /// not there already.
    pub(crate) fn keep(&mut self, mut kept: Kept) {
        let Some(last) = self.entries.back() else {
            return;
        };
        let bytes = last.bytes();
        if kept.request.is_none() && self.kept.has_room(bytes) {
            kept.request = Some(self.output.last(bytes));
        }
        let number = self.writes.taken() + self.entries.len() as u64 - 1;
        self.kept.add(number, kept);
    }

    /// Takes what is kept of the request with this number; what is kept of earlier ones is dropped.
    pub(crate) fn take_kept(&mut self, number: u64) -> Option<Kept> {
        self.kept.take(number)
    }

    /// The clients of the kept requests that are not answered, with the hash slots of their keys.
    pub(crate) fn kept_slots(&self) -> impl Iterator<Item = (SessionId, u16)> {
        let oldest = self.writes.taken();
        self.kept.iter().filter_map(move |(number, kept)| {
            let index = usize::try_from(number.checked_sub(oldest)?).ok()?;
            Some((self.entries.get(index)?.session, kept.slot))
        })
    }

    /// Bytes of memory of the kept requests.
    pub(crate) fn kept_footprint(&self) -> usize {
        self.kept.footprint()
    }

    /// Whether some of the requests are.
    #[inline]
    pub(crate) fn has_samples(&self) -> bool {
        !self.samples.is_empty()
    }

    /// Those that are, with what is kept of each.
    pub(crate) fn sampled(&self) -> impl Iterator<Item = (&InFlight, &Sample)> {
        let oldest = self.writes.taken();
        let samples = self.samples.iter();
        samples.filter_map(move |(number, sample)| {
            let index = usize::try_from(number.checked_sub(oldest)?).ok()?;
            Some((self.entries.get(index)?, sample))
        })
    }

    /// None of them is any more.
    pub(crate) fn forget_samples(&mut self) {
        self.samples.forget();
    }

    /// Whether the request with this number, the oldest, is one of them.
    pub(super) fn is_sampled(&self, number: u64) -> bool {
        self.samples.oldest().is_some_and(|oldest| oldest <= number)
    }

    /// The number of the oldest request.
    pub(crate) fn number_of_oldest(&self) -> u64 {
        self.writes.taken()
    }

    /// So many bytes of the reply to the request with this number have come, which was the oldest; returns it if it is
    /// counted and these are the last.
    pub(super) fn note_reply(
        &mut self,
        number: u64,
        bytes: usize,
        is_over: bool,
    ) -> Option<Sample> {
        self.samples.note_reply(number, bytes, is_over)
    }

    /// The oldest request as it is logged if it is slow; none if it is not wholly written.
    pub(super) fn oldest_noted(&mut self) -> Option<Slow> {
        let request = *self.entries.front().filter(|_| self.sent > 0)?;
        let note = self.notes.of(self.writes.taken()).unwrap_or_default();
        Some(Slow {
            request,
            written: self.writes.oldest(),
            note,
        })
    }

    /// The request that was just taken off is not to be measured.
    pub(super) fn exclude(&mut self, class: Class) {
        self.writes.exclude(class);
    }

    /// The replies of one read were looked at, which came at `now`: records how long their requests took at the server.
    pub(super) fn record(&mut self, latency: &ServerLatency, now: Time) {
        self.writes.record(latency, now);
        self.notes.drop_before(self.writes.taken());
        self.kept.drop_before(self.writes.taken());
    }

    /// Takes the oldest request off the queue; returns it, and whether it was wholly written.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<(InFlight, bool)> {
        let entry = self.entries.pop_front()?;
        self.forgotten = self.forgotten.saturating_sub(1);
        let whole = self.sent > 0;
        if whole {
            self.sent -= 1;
            self.writes.take(entry.class);
        } else {
            self.writes.pass_over();
            self.answered_early += entry.bytes() - self.sent_of_next;
            self.sent_of_next = 0;
        }
        if self.entries.is_empty() {
            self.shrink();
        }
        Some((entry, whole))
    }

    #[inline(never)]
    fn shrink(&mut self) {
        if self.entries.capacity() > KEEP_IN_FLIGHT {
            self.entries = VecDeque::new();
        }
    }

    /// The oldest request that is not forgotten.
    pub(crate) fn oldest_waiting(&self) -> Option<&InFlight> {
        self.entries.get(self.forgotten)
    }

    /// Whether the server owes a reply that is late: one that will be dropped, or one that is being passed on.
    pub(crate) fn owes_forgotten(&self) -> bool {
        self.forgotten > 0
    }

    /// Marks the next request that has waited for `timeout` as forgotten, and returns it as it was. The oldest one
    /// is passed over if its reply is being passed on (`mid_reply`): failing it now would cost the client its
    /// connection.
    pub(crate) fn forget_late(
        &mut self,
        now: Time,
        timeout: Duration,
        mid_reply: bool,
    ) -> Option<InFlight> {
        loop {
            let entry = self.entries.get_mut(self.forgotten)?;
            if entry.queued + timeout > now {
                return None;
            }
            // Nobody waits for a script to be loaded, but it must be.
            let is_load = entry.reply_to == ReplyTo::Load;
            let skip = is_load || (self.forgotten == 0 && mid_reply);
            self.forgotten += 1;
            if !skip {
                let late = *entry;
                entry.reply_to = ReplyTo::Forgotten {
                    follows: late.reply_to.follows(),
                };
                return Some(late);
            }
        }
    }

    /// The requests that are wholly written, and those that are not.
    pub(crate) fn amounts(&self) -> (Amount, Amount) {
        let sum = |entries: &mut dyn Iterator<Item = &InFlight>| {
            entries.fold(Amount::default(), |sum, entry| Amount {
                requests: sum.requests + 1,
                bytes: sum.bytes + entry.bytes(),
            })
        };
        let sent = sum(&mut self.entries.iter().take(self.sent));
        (sent, sum(&mut self.entries.iter().skip(self.sent)))
    }

    /// Requests of which nothing has been written.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = &InFlight> {
        self.entries.iter().skip(self.first_unsent())
    }

    /// Drops the requests of which nothing has been written and whose session `is_gone`, but for those that load scripts,
    /// which others rely on. A follower of a request that
    /// stays is kept, too: a written request must not lose its TTL cap.
    pub(crate) fn drop_unsent(&mut self, is_gone: impl Fn(SessionId) -> bool) -> Amount {
        let first = self.first_unsent();
        let begun = match self.entries.get(self.sent) {
            Some(next) if self.sent_of_next > 0 => next.bytes() - self.sent_of_next,
            _ => 0,
        };
        let mut kept = Rope::new();
        kept.take_from(&mut self.output, self.answered_early + begun);
        let (mut index, mut late) = (0, 0);
        let mut dropped = Amount::default();
        // Whether the entry before this one stays.
        let mut stays = true;
        let mut all_stay = Vec::with_capacity(self.entries.len());
        self.entries.retain(|entry| {
            let follows = entry.reply_to.follows() && stays;
            // The answer to the latter tells that the wait of another connection has ended.
            let is_for_others = matches!(entry.reply_to, ReplyTo::Load | ReplyTo::Unblock(_));
            stays = index < first || follows || is_for_others || !is_gone(entry.session);
            if index >= first && stays {
                kept.take_from(&mut self.output, entry.bytes());
            } else if !stays {
                self.output.consume(entry.bytes());
                dropped.requests += 1;
                dropped.bytes += entry.bytes();
                late += usize::from(index < self.forgotten);
            }
            index += 1;
            all_stay.push(stays);
            stays
        });
        self.output = kept;
        self.kept.renumber(self.writes.taken(), &all_stay);
        self.notes.forget();
        self.samples.forget();
        self.forgotten -= late;
        dropped
    }

    fn first_unsent(&self) -> usize {
        self.sent + usize::from(self.sent_of_next > 0)
    }
}

#[cfg(test)]
mod tests;
