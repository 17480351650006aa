//! The replies that arrive on a connection, each with the request that it answers.

use std::time::Duration;

use super::Connection;
use crate::id::SessionId;
use crate::limits::{MAX_REDIRECT_LINE, SLOW_AT_ONCE};
use crate::metrics::{ServerCounters, ServerMetric};
use crate::protocol::Protocol;
use crate::protocol::grammar::{BadReply, Mark, Scan};
use crate::servers::queue::{InFlight, ReplyTo, Slow};
use crate::servers::samples::Sample;
use crate::time::Time;

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
    /// So many bytes of a reply to a transaction that comes before the one that counts.
    Before(usize),
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

/// What is noted of the requests that are answered in one read.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Those that were slow.
    pub(crate) slow: Vec<Slow>,
    /// Those that are counted by their keys, or are to be logged.
    pub(crate) samples: Vec<Ended>,
}

/// A request that was counted or is to be logged, and was answered.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) sample: Sample,
    pub(crate) request: InFlight,
    /// When it was written, if it was to its end.
    pub(crate) written: Option<Time>,
    pub(crate) is_error: bool,
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
    /// Scans what `data`, which is not empty, begins with: a reply to the oldest request, or a push frame. The
    /// request is taken off the queue when its reply ends.
    ///
    /// # Errors
    ///
    /// When it is no reply, or none is due.
    #[inline(always)]
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
        // Most replies are to a slot.
        if !matches!(oldest.reply_to, ReplyTo::Slot(_)) {
            return self.next_other_reply(data, marks, tally);
        }
        self.take_reply(data, None, tally)
    }

    /// Whether some of the requests that are answered now may have taken that long.
    pub(crate) fn may_be_slow(&self, limit: Duration) -> bool {
        let oldest = self.queue.oldest();
        oldest.is_some_and(|oldest| oldest.queued + limit <= self.last_read())
    }

    /// The same as [`Connection::next_reply`]; notes what is to be known of a request if this ends its reply: that it took
    /// that long, or is counted by its keys.
    #[inline(never)]
    pub(crate) fn next_noted_reply(
        &mut self,
        data: &[u8],
        marks: &mut Vec<u64>,
        tally: &mut Tally,
        (limit, noted): (Duration, &mut Option<Box<Noted>>),
    ) -> Result<Found<P::Kind>, BadReply> {
        let number = self.queue.number_of_oldest();
        // Most are neither slow nor counted.
        if limit == Duration::MAX && !self.queue.is_sampled(number) {
            return self.next_reply(data, marks, tally);
        }
        let oldest = self.queue.oldest_noted();
        let found = self.next_reply(data, marks, tally)?;
        let Found::Reply {
            len, kind, entry, ..
        } = &found
        else {
            return Ok(found);
        };
        let (is_over, noted) = (kind.is_some(), noted.get_or_insert_default());
        let sample = self.queue.note_reply(number, *len, is_over);
        noted.samples.extend(sample.map(|sample| Ended {
            sample,
            request: *entry,
            written: oldest.map(|oldest| oldest.written),
            is_error: kind.is_some_and(P::is_error_kind),
        }));
        let is_slow =
            |it: &Slow| it.request.is_measured() && it.request.queued + limit <= self.last_read();
        if is_over
            && noted.slow.len() < SLOW_AT_ONCE
            && let Some(oldest) = oldest.filter(is_slow)
        {
            noted.slow.push(oldest);
        }
        Ok(found)
    }

    #[inline(never)]
    fn next_other_reply(
        &mut self,
        data: &[u8],
        marks: &mut Vec<u64>,
        tally: &mut Tally,
    ) -> Result<Found<P::Kind>, BadReply> {
        let oldest = self.queue.oldest().ok_or(BadReply)?;
        if oldest.expects_before() {
            return self.drop_reply_before(data, tally);
        }
        let may_be_joined = matches!(
            oldest.reply_to,
            ReplyTo::Fragment(..) | ReplyTo::Redirected(_)
        );
        let marks = may_be_joined.then_some(marks);
        let found = self.take_reply(data, marks, tally)?;
        if let Found::Reply {
            entry,
            kind: Some(_),
            ..
        } = &found
            && !entry.is_measured()
        {
            self.queue.exclude(entry.class);
        }
        Ok(found)
    }

    /// Takes a reply to the oldest request, or a part of it.
    #[inline(always)]
    fn take_reply(
        &mut self,
        data: &[u8],
        marks: Option<&mut Vec<u64>>,
        tally: &mut Tally,
    ) -> Result<Found<P::Kind>, BadReply> {
        let oldest = self.queue.oldest().ok_or(BadReply)?;
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

    /// When the bytes were read that are looked at.
    fn last_read(&self) -> Time {
        self.heard.unwrap_or(self.opened)
    }

    /// Drops a reply that comes before the one that counts: that to MULTI, or to a command that is queued. Whatever it
    /// says, the reply to EXEC says it, too.
    #[cold]
    fn drop_reply_before(
        &mut self,
        data: &[u8],
        tally: &mut Tally,
    ) -> Result<Found<P::Kind>, BadReply> {
        let is_trial = self.queue.oldest().is_some_and(|it| it.mark == Mark::Trial);
        let begins = P::is_between_replies(&self.scanner);
        let scan = P::scan(&mut self.scanner, data, None)?;
        let (len, kind) = match scan {
            Scan::Complete { len, kind } => (len, Some(kind)),
            Scan::Partial => (data.len(), None),
        };
        self.note_redirect(begins, &data[..len], kind.is_some());
        if is_trial {
            self.trial.note(&data[..len], kind.map(P::is_error_kind));
        } else if kind.is_some_and(|kind| !P::is_status(kind) && !P::is_error_kind(kind)) {
            return Err(BadReply);
        }
        if kind.is_some() {
            self.queue.end_reply_before();
        }
        tally.bytes += len as i64;
        Ok(Found::Before(len))
    }

    /// Keeps the first error line that says that a transaction belongs elsewhere, as it comes, piece by piece.
    fn note_redirect(&mut self, begins: bool, piece: &[u8], is_over: bool) {
        let line = &mut self.redirect_before;
        let is_known = line.ends_with(b"\n");
        let goes_on = if begins {
            piece.starts_with(b"-")
        } else {
            !line.is_empty()
        };
        if is_known || !goes_on {
            return;
        }
        line.extend_from_slice(&piece[..piece.len().min(MAX_REDIRECT_LINE)]);
        if line.len() > MAX_REDIRECT_LINE || (is_over && P::redirect(line).is_none()) {
            line.clear();
        }
    }

    #[cold]
    fn drop_push(&mut self, data: &[u8]) -> Result<Found<P::Kind>, BadReply> {
        let len = match P::scan(&mut self.scanner, data, None)? {
            Scan::Complete { len, .. } => len,
            Scan::Partial => data.len(),
        };
        match self.pushed.add(len, self.last_read()) {
            true => Ok(Found::Push(len)),
            false => Err(BadReply),
        }
    }

    /// Adds a batch of replies, those of one read, to what is counted and measured of the server.
    pub(crate) fn count(&mut self, tally: &Tally) {
        tally.count(&self.counters);
        let now = self.last_read();
        self.queue.record(&self.latency, now);
    }
}

impl Tally {
    /// Adds it to the counters of the server.
    pub(crate) fn count(&self, counters: &ServerCounters) {
        let add = |metric, by| counters.add(metric, by);
        add(ServerMetric::Responses, self.replies);
        add(ServerMetric::ResponseBytes, self.bytes);
        add(ServerMetric::OutQueue, -self.sent.0);
        add(ServerMetric::OutQueueBytes, -self.sent.1);
        if self.unsent.0 > 0 {
            counters.note_requests(self.unsent.0, self.unsent.1);
        }
    }

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
