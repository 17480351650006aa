//! Which requests are counted by their keys, and who has asked for that.

use std::sync::Arc;
use std::time::Duration;

use crate::time::Time;

/// Which requests are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotKeyOrder {
    /// What was counted by an order of another number does not count for this one.
    pub(crate) number: u64,
    /// One in so many requests is counted; at least 1.
    pub sample: u32,
    /// The client's session that it belongs to; none if it follows from the setting `hot_keys`.
    pub session: Option<Session>,
}

/// A session of HOTKEYS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// When it began.
    pub started: Time,
    /// How many keys are shown.
    pub count: usize,
    /// When it ends by itself.
    pub(crate) ends: Option<Time>,
    /// When it was stopped.
    pub(crate) stopped: Option<Time>,
}

impl HotKeyOrder {
    /// The order of a plan with this number that follows one with `last`, where the setting says `sample`. The setting ends a
    /// session; without it a session goes on.
    pub(crate) fn next(
        last: Option<&Arc<Self>>,
        sample: Option<u32>,
        number: u64,
    ) -> Option<Arc<Self>> {
        let last = last.filter(|last| match sample {
            Some(sample) => last.session.is_none() && last.sample == sample,
            None => last.session.is_some(),
        });
        let new = |sample| {
            Arc::new(Self {
                number,
                sample,
                session: None,
            })
        };
        last.cloned().or_else(|| sample.map(new))
    }

    /// The order for a session in a plan with this number.
    pub(crate) fn of_session(session: Session, sample: u32, number: u64) -> Arc<Self> {
        Arc::new(Self {
            number,
            sample,
            session: Some(session),
        })
    }

    /// The same, whose session was stopped at `now`.
    pub(crate) fn stopped(&self, now: Time) -> Arc<Self> {
        let session = self.session.clone();
        let session = session.map(|session| Session {
            stopped: Some(session.end(now)),
            ..session
        });
        Arc::new(Self {
            session,
            ..self.clone()
        })
    }

    /// Whether requests are counted at `now`.
    pub fn is_active(&self, now: Time) -> bool {
        let session = self.session.as_ref();
        session.is_none_or(|it| it.stopped.is_none() && it.ends.is_none_or(|ends| now < ends))
    }
}

impl Session {
    /// One that begins now, and ends after `duration` if that is not over before.
    pub fn new(count: usize, duration: Option<Duration>, now: Time) -> Self {
        Self {
            started: now,
            count,
            ends: duration.map(|duration| now + duration),
            stopped: None,
        }
    }

    /// When it has ended; `now` if it has not.
    pub fn end(&self, now: Time) -> Time {
        let ends = [self.ends, self.stopped, Some(now)];
        ends.into_iter().flatten().min().unwrap_or(now)
    }
}
