//! What workers have counted of keys, and its sum.

use std::sync::Arc;

use super::largest::{Large, Largest};
use super::order::HotKeyOrder;
use super::space_saving::{Counted, Summary};
use crate::limits::HOT_KEYS_PERIOD;
use crate::time::Time;

/// The keys that count most in a pool, of all its workers. What is counted are sampled requests: in each of the numbers,
/// one stands for as many as [`HotKeyOrder::sample`] says.
#[derive(Debug, Clone)]
pub struct HotKeys {
    /// Which requests are counted.
    pub order: HotKeyOrder,
    /// From when on they were counted.
    pub since: Time,
    /// Until when: now, or when the session ended.
    pub until: Time,
    /// Keys of sampled requests, each as often as it was in one.
    pub requests: u64,
    /// Bytes of those requests and of their replies.
    pub bytes: u64,
    /// The keys with most requests, those first.
    pub by_requests: Vec<Counted>,
    /// The keys with most bytes in requests and replies, those first.
    pub by_bytes: Vec<Counted>,
    /// The keys with the largest requests or replies, those first.
    pub largest: Vec<Large>,
}

/// What one worker has counted in a time.
#[derive(Debug)]
pub(crate) struct Period {
    pub(crate) since: Time,
    pub(crate) until: Time,
    pub(crate) requests: Summary,
    pub(crate) bytes: Summary,
    pub(crate) largest: Vec<Large>,
}

/// What one worker tells: the time that is under way and the one before it, if there is one.
#[derive(Debug)]
pub(crate) struct Published {
    /// That of the order.
    pub(crate) number: u64,
    pub(crate) periods: Vec<Arc<Period>>,
}

impl HotKeys {
    /// Adds up what the workers tell, with at most so many keys of each kind.
    pub(crate) fn sum(
        order: &HotKeyOrder,
        told: impl Iterator<Item = Arc<Published>>,
        most: usize,
        now: Time,
    ) -> Self {
        let told: Vec<_> = told.filter(|it| it.number == order.number).collect();
        // Of a worker that has had no request since, the setting's counts are outdated.
        let is_recent = |it: &&Arc<Period>| now.since(it.until) <= HOT_KEYS_PERIOD * 2;
        let periods = told.iter().flat_map(|it| &it.periods);
        let periods: Vec<&Arc<Period>> = periods
            .filter(|it| order.session.is_some() || is_recent(it))
            .collect();
        let summed = |of: fn(&Period) -> &Summary| {
            let summaries: Vec<&Summary> = periods.iter().map(|it| of(it)).collect();
            Summary::merge(&summaries, most)
        };
        let (by_requests, requests) = summed(|period| &period.requests);
        let (by_bytes, bytes) = summed(|period| &period.bytes);
        let (since, until) = match &order.session {
            Some(session) => (session.started, session.end(now)),
            None => (periods.iter().map(|it| it.since).min().unwrap_or(now), now),
        };
        Self {
            order: order.clone(),
            since,
            until,
            requests,
            bytes,
            by_requests,
            by_bytes,
            largest: Largest::merge(periods.iter().flat_map(|it| &it.largest), most),
        }
    }
}
