//! Requests that a server of a Redis Cluster has sent elsewhere, until they are answered.
//!
//! Those of one client for one hash slot form a row: the first is sent or waits for its time, and the others wait for it.
//! So they are executed in the order in which the client has sent them, wherever the slot goes meanwhile. A row is as long
//! as what its client had outstanding when the first was sent elsewhere: its later requests wait unparsed.

use std::collections::{BTreeMap, VecDeque};

use super::kept::Kept;
use super::leases::Wait;
use super::queue::{InFlight, ReplyTo};
use crate::id::{ServerId, SessionId};
use crate::limits::{ASK_FOR_MAP_EVERY, MAX_MOVING_SLOTS, SLOT_MOVES_FOR, SWEEP_REDIRECTS_EVERY};
use crate::settings::Address;
use crate::time::Time;

/// A client, and a hash slot.
pub(crate) type RowKey = (SessionId, u16);

/// All of them, of one worker.
#[derive(Debug, Default)]
pub(crate) struct Redirects {
    rows: BTreeMap<RowKey, Row>,
    /// The rows whose first request is sent, by its number.
    sent: BTreeMap<u64, RowKey>,
    next_number: u64,
    /// No row is due before this: a lower bound.
    earliest: Option<Time>,
    /// Clients whose next request is ready to be sent, and waits until they have no rows.
    behind: Vec<SessionId>,
    /// Slots that are being moved, as a node said, and until when that counts.
    moving: Vec<(u16, Time)>,
    asked_for_map: Option<Time>,
}

#[derive(Debug)]
struct Row {
    first: First,
    requests: VecDeque<Redirected>,
}

/// How the first request of a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// It is sent, as this number.
    Sent(u64),
    /// It is to be sent then.
    Due(Time),
}

/// A request that was sent elsewhere.
#[derive(Debug)]
pub(crate) struct Redirected {
    /// As it was queued, with its reply going where the client waits for it.
    pub(crate) request: InFlight,
    pub(crate) kept: Kept,
    pub(crate) to: Target,
    /// What its server has answered last, and which that was.
    pub(crate) line: Box<[u8]>,
    pub(crate) server: ServerId,
    /// What it waits for at its server, if it does.
    pub(crate) wait: Option<Box<Wait>>,
}

/// Where a request is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// To the server that has its slot by then.
    Owner,
    /// To the one with this address.
    At(Address),
    /// The same, which executes it though it does not have the slot yet.
    Asked(Address),
}

impl Redirected {
    pub(crate) fn key(&self) -> RowKey {
        (self.request.session, self.kept.slot)
    }
}

impl Redirects {
    /// Whether there are none, and nobody waits for them.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.behind.is_empty()
    }

    /// A request is to be sent at `due`, behind those of its row.
    pub(crate) fn add(&mut self, redirected: Redirected, due: Time) {
        let key = redirected.key();
        match self.rows.get_mut(&key) {
            Some(row) => row.requests.push_back(redirected),
            None => self.put_first(redirected, First::Due(due)),
        }
    }

    /// A request that was the first of its row is to be sent (once more) at `due`.
    pub(crate) fn put_back(&mut self, redirected: Redirected, due: Time) {
        self.put_first(redirected, First::Due(due));
    }

    /// The first request of a row was sent, as the number that [`Redirects::next_number`] gave.
    pub(crate) fn put_sent(&mut self, redirected: Redirected, number: u64) {
        self.sent.insert(number, redirected.key());
        self.put_first(redirected, First::Sent(number));
    }

    fn put_first(&mut self, redirected: Redirected, first: First) {
        if let First::Due(due) = first {
            self.note_due(due);
        }
        let row = self.rows.entry(redirected.key()).or_insert_with(|| Row {
            first,
            requests: VecDeque::new(),
        });
        row.first = first;
        row.requests.push_front(redirected);
    }

    /// The number of the request that is sent now.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Where the reply to a request that was sent goes.
    pub(crate) fn reply_to(&self, number: u64) -> Option<ReplyTo> {
        let row = self.rows.get(self.sent.get(&number)?)?;
        row.requests.front().map(|first| first.request.reply_to)
    }

    /// Takes a request that was sent: it is answered, or lost. The next one of its row is due at once.
    pub(crate) fn take_sent(&mut self, number: u64) -> Option<Redirected> {
        let key = self.sent.remove(&number)?;
        self.take_first(key)
    }

    /// Takes the first request of a row, if it is due.
    pub(crate) fn take_due(&mut self, key: RowKey, now: Time) -> Option<Redirected> {
        match self.rows.get(&key)?.first {
            First::Due(due) if due <= now => self.take_first(key),
            First::Due(_) | First::Sent(_) => None,
        }
    }

    fn take_first(&mut self, key: RowKey) -> Option<Redirected> {
        let row = self.rows.get_mut(&key)?;
        let first = row.requests.pop_front();
        row.first = First::Due(Time::ZERO);
        if row.requests.is_empty() {
            self.rows.remove(&key);
        } else {
            self.note_due(Time::ZERO);
        }
        first
    }

    /// A later request of that client for that slot was executed. Takes those of the row that this concerns, which cannot be
    /// executed before it any more. One that is sent may have been: it is marked, and not sent once more.
    pub(crate) fn take_overtaken(
        &mut self,
        key: RowKey,
        is_concerned: impl Fn(&Redirected) -> bool,
    ) -> VecDeque<Redirected> {
        let Some(row) = self.rows.get_mut(&key) else {
            return VecDeque::new();
        };
        let mut all = std::mem::take(&mut row.requests);
        if matches!(row.first, First::Sent(_))
            && let Some(mut sent) = all.pop_front()
        {
            sent.kept.is_overtaken |= is_concerned(&sent);
            row.requests.push_back(sent);
        }
        let (overtaken, others): (_, VecDeque<_>) = all.into_iter().partition(is_concerned);
        row.requests.extend(others);
        if row.requests.is_empty() {
            self.rows.remove(&key);
        }
        overtaken
    }

    /// The rows whose first request is due.
    pub(crate) fn due(&mut self, now: Time) -> Vec<RowKey> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        self.earliest = None;
        let mut keys = Vec::new();
        let mut next = None;
        for (key, row) in &self.rows {
            match row.first {
                First::Due(due) if due <= now => keys.push(*key),
                First::Due(due) => next = earlier(next, due),
                First::Sent(_) => {}
            }
        }
        if !self.rows.is_empty() {
            next = earlier(next, now + SWEEP_REDIRECTS_EVERY);
        }
        self.earliest = next;
        keys
    }

    /// When something is due, at the earliest.
    pub(crate) fn deadline(&self) -> Option<Time> {
        if self.behind.iter().any(|id| !self.has_row_of(*id)) {
            return Some(Time::ZERO);
        }
        self.earliest.filter(|_| !self.rows.is_empty())
    }

    /// Whether a client has requests that were sent elsewhere.
    pub(crate) fn has_row_of(&self, id: SessionId) -> bool {
        let rows = (id, u16::MIN)..=(id, u16::MAX);
        self.rows.range(rows).next().is_some()
    }

    /// The client's next request waits until it has no rows ([`Redirects::take_free`]).
    pub(crate) fn wait_behind(&mut self, id: SessionId) {
        if !self.behind.contains(&id) {
            self.behind.push(id);
        }
    }

    /// Takes the clients that waited, and have no rows any more.
    pub(crate) fn take_free(&mut self) -> Vec<SessionId> {
        let behind = std::mem::take(&mut self.behind);
        let (behind, free) = behind.into_iter().partition(|id| self.has_row_of(*id));
        self.behind = behind;
        free
    }

    fn note_due(&mut self, due: Time) {
        self.earliest = earlier(self.earliest, due);
    }

    /// What waits for its time is to be tried at once: other servers are known now.
    pub(crate) fn hurry(&mut self) {
        for row in self.rows.values_mut() {
            if let First::Due(due) = &mut row.first {
                *due = Time::ZERO;
            }
        }
        if !self.rows.is_empty() {
            self.note_due(Time::ZERO);
        }
    }

    /// Drops the rows of clients that have left.
    pub(crate) fn drop_rows(&mut self, is_gone: impl Fn(SessionId) -> bool) {
        let is_there = |key: &RowKey| !is_gone(key.0);
        self.rows.retain(|key, _| is_there(key));
        self.sent.retain(|_, key| is_there(key));
    }

    /// A node said that a key of this slot is elsewhere already, though the slot is not.
    pub(crate) fn note_moving(&mut self, slot: u16, now: Time) {
        self.moving
            .retain(|(known, until)| *known != slot && now < *until);
        if self.moving.len() == MAX_MOVING_SLOTS {
            self.moving.remove(0);
        }
        self.moving.push((slot, now + SLOT_MOVES_FOR));
    }

    /// Whether this slot is being moved, as far as is known.
    pub(crate) fn is_moving(&self, slot: u16, now: Time) -> bool {
        let mut moving = self.moving.iter();
        moving.any(|(known, until)| *known == slot && now < *until)
    }

    /// Whether the servers are to be asked now for the map of slots: not if they were just now.
    pub(crate) fn may_ask_for_map(&mut self, now: Time) -> bool {
        let next = self.asked_for_map.map(|asked| asked + ASK_FOR_MAP_EVERY);
        let may = next.is_none_or(|next| next <= now);
        if may {
            self.asked_for_map = Some(now);
        }
        may
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let requests = self.rows.values().flat_map(|row| &row.requests);
        let bytes = |it: &Redirected| size_of::<Redirected>() + it.kept.footprint() + it.line.len();
        requests.map(bytes).sum()
    }
}

fn earlier(known: Option<Time>, due: Time) -> Option<Time> {
    Some(known.map_or(due, |known| known.min(due)))
}
