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
    since: Time,
    within: Duration,
    /// How many there were at first.
    total: usize,
}

impl Leaving {
    /// From `since` on, these are closed within a time.
    pub(super) fn new(clients: Vec<SessionId>, since: Time, within: Duration) -> Self {
        Self {
            total: clients.len(),
            waiting: clients.into(),
            since,
            within,
        }
    }

    /// When the next client is to be closed, if one is left.
    pub(super) fn due(&self) -> Option<Time> {
        let closed = self.total - self.waiting.len();
        if self.waiting.is_empty() {
            return None;
        }
        let part = closed as f64 / self.total as f64;
        Some(self.since + self.within.mul_f64(part))
    }

    /// The next client that is to be closed at `now`.
    pub(super) fn next(&mut self, now: Time) -> Option<SessionId> {
        self.due().filter(|due| *due <= now)?;
        self.waiting.pop_front()
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
        let mut leaving = Leaving::new(ids.clone(), at(10), Duration::from_secs(8));
        assert_eq!((leaving.due(), leaving.next(at(9))), (Some(at(10)), None));
        assert_eq!(leaving.next(at(10)), Some(ids[0]));
        assert_eq!((leaving.due(), leaving.next(at(11))), (Some(at(12)), None));
        let late: Vec<_> = std::iter::from_fn(|| leaving.next(at(15))).collect();
        assert_eq!(late, ids[1..3]);
        assert_eq!(leaving.next(at(100)), Some(ids[3]));
        assert_eq!((leaving.due(), leaving.next(at(100))), (None, None));
        assert_eq!(Leaving::new(Vec::new(), at(0), Duration::ZERO).due(), None);
    }
}
