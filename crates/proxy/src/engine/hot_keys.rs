//! Requests that are counted by their keys.

use std::sync::Arc;

use super::state::Engine;
use crate::hot_keys::{Collector, KeyName};
use crate::id::ConnectionId;
use crate::latency::Class;
use crate::protocol::Protocol;
use crate::servers::connection::replies::Ended;
use crate::servers::samples::Sample;
use crate::slow_log::Note;

impl<P: Protocol> Engine<P> {
    /// Counts as the current plan says.
    pub(super) fn follow_hot_keys(&mut self) {
        let (seed, now) = (self.context.seed, self.now);
        let order = self.plans.own().hot_keys.as_ref();
        match (order, &mut self.hot_keys) {
            (Some(order), Some(collector)) => collector.follow(order, seed, now),
            (Some(order), none) => {
                *none = Some(Box::new(Collector::new(Arc::clone(order), seed, now)));
            }
            (None, Some(_)) => {
                self.hot_keys = None;
                self.plans.pool().tell_hot_keys(self.context.worker, None);
            }
            (None, None) => {}
        }
    }

    /// Whether the keys of a request that is sent now are to be counted.
    pub(super) fn is_sampled(&mut self) -> bool {
        let now = self.now;
        let collector = self.hot_keys.as_mut();
        collector.is_some_and(|collector| collector.is_next(now))
    }

    /// Counts the request that was queued last on a connection for these keys, and its reply when that comes; logs it then, if
    /// it has a name for that.
    pub(super) fn sample_request(
        &mut self,
        keys: Vec<Arc<KeyName>>,
        logged: Option<Note>,
        connection: ConnectionId,
    ) {
        if keys.is_empty() && logged.is_none() {
            return;
        }
        let Some(connection) = self.roster.get_mut(connection) else {
            return;
        };
        let queue = connection.queue_mut();
        let Some((class, bytes)) = queue.newest().map(|it| (it.class, it.bytes())) else {
            return;
        };
        queue.sample(Sample {
            keys: keys.clone(),
            logged,
            class,
            reply_bytes: 0,
        });
        self.count_keys(&keys, class, bytes);
    }

    /// Counts the keys of a request of so many bytes, whose reply is not measured.
    pub(super) fn count_keys(&mut self, keys: &[Arc<KeyName>], class: Class, bytes: usize) {
        if let Some(collector) = self.hot_keys.as_mut().filter(|_| !keys.is_empty()) {
            collector.count(keys, class, bytes, self.now);
        }
    }

    /// Counts the replies to requests that are counted.
    pub(super) fn count_replies(&mut self, ended: &[Ended]) {
        if let Some(collector) = self.hot_keys.as_mut() {
            let samples = ended.iter().map(|ended| &ended.sample);
            for sample in samples.filter(|sample| !sample.keys.is_empty()) {
                collector.count_reply(&sample.keys, sample.class, sample.reply_bytes, self.now);
            }
        }
    }

    /// Tells what was counted, if that is due.
    pub(super) fn publish_due_hot_keys(&mut self) {
        let collector = self.hot_keys.as_ref();
        let due = collector.and_then(|collector| collector.publish_at());
        if due.is_some_and(|due| due <= self.now) {
            self.publish_hot_keys();
        }
    }

    /// Tells what was counted until now, if anything was since that was told.
    pub(super) fn publish_hot_keys(&mut self) {
        let collector = self.hot_keys.as_mut();
        if let Some(collector) = collector.filter(|it| it.publish_at().is_some()) {
            let told = collector.publish(self.now);
            let pool = self.plans.pool();
            pool.tell_hot_keys(self.context.worker, Some(told));
        }
    }
}
