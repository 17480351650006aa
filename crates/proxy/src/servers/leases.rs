//! Leased connections: each belongs to one session at a time. What would hold up or disturb the requests of others goes
//! there: a request that waits for other clients, or state of the connection that a session depends on.
//!
//! ```text
//!  opened ──▶ held by a session ── given back, clean ──▶ idle ──▶ held by another ...
//!                 │      ▲                                └── for `LEASED_IDLE` ──▶ closed
//!                 │      └── wait over ──┐
//!                 ├── a request waits ───┴── its client does not any more ──▶ cancelled ── reply ──▶ given back
//!                 └── not clean, lost, its server ejected, another plan, unused for `lease_idle_timeout` ──▶ closed
//! ```
//!
//! A session's list of leases (`clients/session.rs`) has exactly those that are in force: whatever ends one takes it off.

use std::time::Duration;

use crate::id::{ConnectionId, SessionId};
use crate::limits::{CANCEL_AGAIN, CANCEL_WITHIN, LEASED_IDLE};
use crate::protocol::decision::Version;
use crate::protocol::waiting::Takes;
use crate::servers::queue::ReplyTo;
use crate::time::Time;

/// The leased connections of one server.
#[derive(Debug, Default)]
pub(super) struct LeasedConnections {
    all: Vec<ConnectionId>,
    /// Those that nobody holds, the one given back last at the end.
    idle: Vec<(ConnectionId, Version, u32)>,
}

impl LeasedConnections {
    /// A connection was opened.
    pub(super) fn add(&mut self, id: ConnectionId) {
        self.all.push(id);
    }

    /// It has ended, or takes no further session.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.all.retain(|known| *known != id);
        self.idle.retain(|(known, ..)| *known != id);
    }

    /// How many there are, held or not.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Takes one that nobody holds: the one that was used last, so that others become old and are closed.
    pub(super) fn take_idle(&mut self, version: Version, database: u32) -> Option<ConnectionId> {
        let is = |(_, has, at): &(_, Version, u32)| *has == version && *at == database;
        let position = self.idle.iter().rposition(is)?;
        Some(self.idle.remove(position).0)
    }

    /// One that nobody holds, whatever its version is: the one that was used longest ago.
    pub(super) fn oldest_idle(&self) -> Option<ConnectionId> {
        self.idle.first().map(|(id, ..)| *id)
    }

    /// Nobody holds it any more.
    pub(super) fn give_back(&mut self, id: ConnectionId, version: Version, database: u32) {
        self.idle.push((id, version, database));
    }
}

/// Who has a leased connection, and what it is used for.
#[derive(Debug)]
pub(crate) struct Lease {
    holder: Option<SessionId>,
    /// Since when it is as it is: held, or held by nobody.
    since: Time,
    /// For how long it may be held without being used.
    unused: Option<Duration>,
    /// Something may be left on it that its next holder must not find.
    is_unclean: bool,
    /// The server's number of the connection (CLIENT ID), by which its wait can be ended.
    number: Option<u64>,
    wait: Option<Box<Wait>>,
}

/// A request that waits at its server for other clients.
#[derive(Debug)]
pub(crate) struct Wait {
    /// Where its reply goes.
    pub(crate) reply_to: ReplyTo,
    /// Its keys.
    pub(crate) keys: WaitKeys,
    /// What its reply takes from the server's data.
    pub(crate) takes: Takes,
    cancel: Option<Cancel>,
    /// When the connection is closed if there is no reply; without it never.
    limit: Option<Time>,
    /// The beginning of the reply, if that comes in pieces or was cancelled.
    start: Vec<u8>,
}

/// The keys of a request that waits.
#[derive(Debug)]
pub(crate) enum WaitKeys {
    /// None, as the request is about the server itself: whether that is in use does not matter.
    None,
    /// These, if any.
    Known(Vec<Box<[u8]>>),
    /// So many that they are not kept, of which this is the first.
    Many(Box<[u8]>),
}

impl WaitKeys {
    /// The first.
    pub(crate) fn first(&self) -> &[u8] {
        match self {
            Self::Known(keys) => keys.first().map_or(&[], |key| key),
            Self::Many(first) => first,
            Self::None => &[],
        }
    }
}

/// The client of a wait does not wait any more, and the server is told so.
#[derive(Debug, Clone, Copy)]
struct Cancel {
    /// The connection is closed then.
    until: Time,
    /// When the server is told again, if it had not begun to wait when it was told.
    again: Option<Time>,
}

/// What is due for a leased connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseDue {
    /// It was not used for too long.
    Unused,
    /// Its server is to be told again that a wait is over.
    CancelAgain,
    /// Its server has not ended a wait in time.
    CancelLate,
    /// Its server has not answered within the limit.
    Late,
}

impl Wait {
    pub(crate) fn new(reply_to: ReplyTo, keys: WaitKeys, takes: Takes) -> Self {
        Self {
            reply_to,
            keys,
            takes,
            cancel: None,
            limit: None,
            start: Vec::new(),
        }
    }

    /// The same that must be answered by then.
    pub(crate) fn until(self, limit: Time) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Whether its client does not wait any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_some()
    }

    /// Keeps the beginning of a reply that somebody may not wait for, up to `most` bytes.
    pub(crate) fn keep(&mut self, bytes: &[u8], most: usize) {
        let room = most.saturating_sub(self.start.len());
        self.start.extend(bytes.iter().take(room));
    }

    /// What was kept.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start
    }
}

impl Lease {
    /// The lease of a connection that is opened for this session, which may hold it for so long without using it.
    pub(super) fn new(holder: SessionId, unused: Option<Duration>, now: Time) -> Self {
        Self {
            holder: Some(holder),
            since: now,
            unused,
            is_unclean: false,
            number: None,
            wait: None,
        }
    }

    /// The session that has it.
    pub(crate) fn holder(&self) -> Option<SessionId> {
        self.holder
    }

    pub(super) fn hold(&mut self, holder: SessionId, now: Time) {
        (self.holder, self.since) = (Some(holder), now);
    }

    /// Nobody has it from now on.
    pub(crate) fn release(&mut self, now: Time) {
        (self.holder, self.since) = (None, now);
    }

    /// The server has told its number of the connection.
    pub(crate) fn set_number(&mut self, number: u64) {
        self.number = Some(number);
    }

    pub(crate) fn number(&self) -> Option<u64> {
        self.number
    }

    /// It is closed when it is given back.
    pub(crate) fn mark_unclean(&mut self) {
        self.is_unclean = true;
    }

    /// Whether its session has left without giving it back, and nothing is to be cancelled.
    pub(super) fn is_left(&self) -> bool {
        self.is_unclean && self.holder.is_none() && self.wait.is_none()
    }

    pub(super) fn is_clean(&self) -> bool {
        !self.is_unclean && self.wait.is_none()
    }

    /// The request that was queued last waits for other clients.
    pub(crate) fn begin_wait(&mut self, wait: Wait) {
        self.wait = Some(Box::new(wait));
    }

    pub(crate) fn wait(&self) -> Option<&Wait> {
        self.wait.as_deref()
    }

    pub(crate) fn wait_mut(&mut self) -> Option<&mut Wait> {
        self.wait.as_deref_mut()
    }

    /// The wait has ended.
    pub(crate) fn end_wait(&mut self) -> Option<Box<Wait>> {
        self.wait.take()
    }

    /// The client of the wait does not wait any more. `is_gone`: it gets no reply, either.
    pub(crate) fn cancel(&mut self, is_gone: bool, now: Time) {
        if let Some(wait) = &mut self.wait {
            if is_gone {
                wait.reply_to = ReplyTo::Proxy;
            }
            wait.cancel.get_or_insert(Cancel {
                until: now + CANCEL_WITHIN,
                again: None,
            });
        }
    }

    /// The server was told that the wait is over.
    pub(crate) fn note_told(&mut self) {
        if let Some(cancel) = self.cancel_mut() {
            cancel.again = None;
        }
    }

    /// The server had nothing to end yet: the request was still on its way, or its reply is.
    pub(crate) fn tell_again(&mut self, now: Time) {
        if let Some(cancel) = self.cancel_mut() {
            cancel.again = Some(now + CANCEL_AGAIN);
        }
    }

    /// The server cannot be told: the connection is closed at once.
    pub(crate) fn give_up(&mut self, now: Time) {
        if let Some(cancel) = self.cancel_mut() {
            (cancel.until, cancel.again) = (now, None);
        }
    }

    fn cancel_mut(&mut self) -> Option<&mut Cancel> {
        self.wait.as_mut()?.cancel.as_mut()
    }

    /// When something is due, and what. `is_used`: requests are outstanding on the connection.
    pub(crate) fn due(&self, is_used: bool) -> Option<(Time, LeaseDue)> {
        match (&self.wait, self.holder) {
            (Some(wait), _) => {
                let Some(cancel) = wait.cancel else {
                    return wait.limit.map(|limit| (limit, LeaseDue::Late));
                };
                match cancel.again {
                    Some(again) if again < cancel.until => Some((again, LeaseDue::CancelAgain)),
                    _ => Some((cancel.until, LeaseDue::CancelLate)),
                }
            }
            _ if is_used => None,
            (None, Some(_)) => Some((self.since + self.unused?, LeaseDue::Unused)),
            (None, None) => Some((self.since + LEASED_IDLE, LeaseDue::Unused)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Table;

    #[test]
    fn the_connection_used_last_is_used_first_and_none_of_another_version() {
        let mut ids = Table::<ConnectionId, ()>::new();
        let [one, two, three] = [(); 3].map(|()| ids.insert_with(|_| ()));
        let mut leased = LeasedConnections::default();
        [one, two, three].iter().for_each(|id| leased.add(*id));
        leased.give_back(one, Version::Base, 0);
        leased.give_back(two, Version::Base, 0);
        leased.give_back(three, Version::Resp3, 0);
        assert_eq!(leased.oldest_idle(), Some(one));
        assert_eq!(leased.take_idle(Version::Base, 1), None);
        assert_eq!(leased.take_idle(Version::Base, 0), Some(two));
        leased.remove(one);
        assert_eq!(leased.take_idle(Version::Base, 0), None);
        assert_eq!((leased.len(), leased.oldest_idle()), (2, Some(three)));
    }

    #[test]
    fn a_wait_has_no_end_but_one_that_was_cancelled_has() {
        let mut sessions = Table::<SessionId, ()>::new();
        let now = Time::from_micros(5);
        let holder = sessions.insert_with(|_| ());
        assert_eq!(Lease::new(holder, None, now).due(false), None);
        let unused = Duration::from_secs(60);
        let mut lease = Lease::new(holder, Some(unused), now);
        assert_eq!(lease.due(true), None);
        assert_eq!(lease.due(false), Some((now + unused, LeaseDue::Unused)));
        lease.begin_wait(Wait::new(
            ReplyTo::Slot(0),
            WaitKeys::Known(Vec::new()),
            Takes::Nothing,
        ));
        assert_eq!(lease.due(true), None);
        lease.cancel(true, now);
        assert_eq!(
            lease.due(true),
            Some((now + CANCEL_WITHIN, LeaseDue::CancelLate))
        );
        lease.tell_again(now);
        assert_eq!(
            lease.due(true),
            Some((now + CANCEL_AGAIN, LeaseDue::CancelAgain))
        );
        lease.note_told();
        lease.tell_again(now + (CANCEL_WITHIN - Duration::from_micros(1)));
        assert_eq!(
            lease.due(true),
            Some((now + CANCEL_WITHIN, LeaseDue::CancelLate))
        );
        assert!(!lease.is_clean() && lease.end_wait().is_some() && lease.is_clean());
    }
}
