//! Clients that are closed one after the other before the proxy ends.

use std::collections::VecDeque;
use std::time::Duration;

use crate::id::SessionId;
use crate::time::Time;

/// Clients that are to be closed evenly over a time. Those that are busy when it is their turn are closed at the next
/// moment at which nothing of theirs is outstanding.
#[derive(Debug)]
pub(crate) struct Leaving {
    waiting: VecDeque<SessionId>,
    /// Clients that have just connected: closed when the time is over, as their first request is on its way.
    new: Vec<SessionId>,
    since: Time,
    within: Duration,
    /// How many were waiting at first.
    total: usize,
}

impl Leaving {
    /// From `since` on, these are closed within a time; those that are `new` at its end.
    pub(super) fn new(
        clients: Vec<SessionId>,
        new: Vec<SessionId>,
        since: Time,
        within: Duration,
    ) -> Self {
        Self {
            total: clients.len(),
            waiting: clients.into(),
            new,
            since,
            within,
        }
    }

    /// When the next client is to be closed, if one is left.
    pub(super) fn due(&self) -> Option<Time> {
        if self.waiting.is_empty() {
            return (!self.new.is_empty()).then(|| self.since + self.within);
        }
        let closed = self.total - self.waiting.len();
        let part = closed as f64 / self.total as f64;
        Some(self.since + self.within.mul_f64(part))
    }

    /// The next client that is to be closed at `now`.
    pub(super) fn next(&mut self, now: Time) -> Option<SessionId> {
        self.due().filter(|due| *due <= now)?;
        self.waiting.pop_front().or_else(|| self.new.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Table;

    #[test]
    fn clients_are_closed_evenly_over_the_time() {
        let mut table = Table::new();
        let ids: Vec<SessionId> = (0..4).map(|_| table.insert_with(|_| ())).collect();
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut leaving = Leaving::new(ids.clone(), Vec::new(), at(10), Duration::from_secs(8));
        assert_eq!((leaving.due(), leaving.next(at(9))), (Some(at(10)), None));
        assert_eq!(leaving.next(at(10)), Some(ids[0]));
        assert_eq!((leaving.due(), leaving.next(at(11))), (Some(at(12)), None));
        let late: Vec<_> = std::iter::from_fn(|| leaving.next(at(15))).collect();
        assert_eq!(late, ids[1..3]);
        assert_eq!(leaving.next(at(100)), Some(ids[3]));
        assert_eq!((leaving.due(), leaving.next(at(100))), (None, None));
        assert_eq!(leaving_of(&[], &[]).due(), None);
    }

    #[test]
    fn who_has_just_connected_is_closed_at_the_end() {
        let mut table = Table::new();
        let ids: Vec<SessionId> = (0..3).map(|_| table.insert_with(|_| ())).collect();
        let mut leaving = leaving_of(&ids[..1], &ids[1..]);
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        assert_eq!(leaving.next(at(0)), Some(ids[0]));
        assert_eq!((leaving.due(), leaving.next(at(7))), (Some(at(8)), None));
        let rest: Vec<_> = std::iter::from_fn(|| leaving.next(at(8))).collect();
        assert_eq!((rest.len(), leaving.due()), (2, None));
    }

    fn leaving_of(clients: &[SessionId], new: &[SessionId]) -> Leaving {
        Leaving::new(
            clients.into(),
            new.into(),
            Time::ZERO,
            Duration::from_secs(8),
        )
    }
}
