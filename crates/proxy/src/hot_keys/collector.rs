//! What one worker counts of its requests.

use std::sync::Arc;

use super::key_name::KeyName;
use super::largest::{Largest, Within};
use super::order::HotKeyOrder;
use super::period::{Period, Published};
use super::space_saving::SpaceSaving;
use crate::latency::Class;
use crate::limits::{HOT_KEYS_COUNTED, HOT_KEYS_PERIOD, HOT_KEYS_PUBLISH_EVERY, LARGEST_KEYS};
use crate::sampling::Sampler;
use crate::time::Time;

/// Counts the keys of one in so many requests.
#[derive(Debug)]
pub(crate) struct Collector {
    order: Arc<HotKeyOrder>,
    sampler: Sampler,
    current: Counters,
    /// What was counted in the time before. A session has no such times: it counts from its beginning on.
    previous: Option<Arc<Period>>,
    /// When the counts are published, if anything was counted since that was done.
    publish_at: Option<Time>,
}

/// What was counted since some time.
#[derive(Debug)]
struct Counters {
    since: Time,
    requests: SpaceSaving,
    bytes: SpaceSaving,
    largest: Largest,
}

impl Collector {
    pub(crate) fn new(order: Arc<HotKeyOrder>, seed: u64, now: Time) -> Self {
        Self {
            sampler: Sampler::new(order.sample, seed),
            order,
            current: Counters::new(now),
            previous: None,
            publish_at: None,
        }
    }

    /// Goes by this order from now on. What was counted is kept if it counts for it, too.
    pub(crate) fn follow(&mut self, order: &Arc<HotKeyOrder>, seed: u64, now: Time) {
        match self.order.number == order.number {
            true => self.order = Arc::clone(order),
            false => *self = Self::new(Arc::clone(order), seed, now),
        }
    }

    /// A further request is sent at `now`; returns whether it is to be counted.
    #[inline]
    pub(crate) fn is_next(&mut self, now: Time) -> bool {
        self.sampler.is_next() && self.order.is_active(now)
    }

    /// Counts a request of so many bytes for these keys.
    pub(crate) fn count(&mut self, keys: &[Arc<KeyName>], class: Class, bytes: usize, now: Time) {
        self.begin_period(now);
        for key in keys {
            self.current.requests.add(key, 1, class);
        }
        self.count_bytes(keys, class, bytes, Within::Request, now);
    }

    /// Counts the reply to such a request.
    pub(crate) fn count_reply(
        &mut self,
        keys: &[Arc<KeyName>],
        class: Class,
        bytes: usize,
        now: Time,
    ) {
        self.count_bytes(keys, class, bytes, Within::Reply, now);
    }

    /// When [`Collector::publish`] is due.
    pub(crate) fn publish_at(&self) -> Option<Time> {
        self.publish_at
    }

    /// What was counted until now, for others to see.
    pub(crate) fn publish(&mut self, now: Time) -> Published {
        self.publish_at = None;
        let current = Arc::new(self.current.period(now));
        Published {
            number: self.order.number,
            periods: self.previous.iter().cloned().chain([current]).collect(),
        }
    }

    fn count_bytes(
        &mut self,
        keys: &[Arc<KeyName>],
        class: Class,
        bytes: usize,
        within: Within,
        now: Time,
    ) {
        let part = (bytes / keys.len().max(1)) as u64;
        for key in keys {
            self.current.bytes.add(key, part, class);
            self.current.largest.note(key, part, within);
        }
        self.publish_at.get_or_insert(now + HOT_KEYS_PUBLISH_EVERY);
    }

    /// Without a session, begins anew when the time is over.
    fn begin_period(&mut self, now: Time) {
        if self.order.session.is_some() || now < self.current.since + HOT_KEYS_PERIOD {
            return;
        }
        let last = std::mem::replace(&mut self.current, Counters::new(now));
        let is_recent = now < last.since + HOT_KEYS_PERIOD * 2;
        self.previous = is_recent.then(|| Arc::new(last.period(now)));
    }
}

impl Counters {
    fn new(now: Time) -> Self {
        Self {
            since: now,
            requests: SpaceSaving::new(HOT_KEYS_COUNTED),
            bytes: SpaceSaving::new(HOT_KEYS_COUNTED),
            largest: Largest::new(LARGEST_KEYS),
        }
    }

    fn period(&self, now: Time) -> Period {
        Period {
            since: self.since,
            until: now,
            requests: self.requests.summary(),
            bytes: self.bytes.summary(),
            largest: self.largest.entries().to_vec(),
        }
    }
}
