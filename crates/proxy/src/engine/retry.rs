//! Pure reads that were lost with their connection are sent once more, within a budget: when much
//! fails, sending everything twice would make it worse.
//!
//! A read that is sent again comes after whatever its client has sent since. So it is sent again only
//! where that is reads and nothing else: no read may see a later write of its own client.

use std::ops::Range;

use super::Engine;
use super::dispatch::Asked;
use crate::cause::Cause;
use crate::clients::session::Slot;
use crate::id::SessionId;
use crate::limits::{MAX_RETRY_BYTES, RETRY_BUDGET, RETRY_COST};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::servers::connection::Place;
use crate::time::Time;

/// A request as it was sent, and where its key is.
#[derive(Debug)]
pub(crate) struct Retry {
    request: Box<[u8]>,
    key: Range<usize>,
}

impl Retry {
    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Self>() + self.request.len()
    }
}

impl<P: Protocol> Engine<P> {
    /// The slot of a request that is forwarded by `key`; a pure read keeps what a retry takes.
    pub(super) fn slot_with_retry(
        &mut self,
        asked: &Asked<'_, P>,
        key: Option<Range<usize>>,
    ) -> Slot<P::Kind> {
        let mut slot = Slot::waiting();
        if !self.settings.failure.retry_reads {
            return slot;
        }
        self.retry_budget = (self.retry_budget + 1).min(RETRY_BUDGET);
        let text = asked.source.text;
        if let Some(key) = key
            && text.len() <= MAX_RETRY_BYTES
            && self.protocol.is_pure_read(asked.parser, text)
        {
            slot.retry = Some(Box::new(Retry {
                request: text.into(),
                key,
            }));
        }
        slot
    }

    /// Notes that a request goes to servers, before it takes a slot: one that is no pure read keeps those
    /// before it from being sent again.
    pub(super) fn note_sent(&mut self, asked: &Asked<'_, P>) {
        if !self.settings.failure.retry_reads
            || self.protocol.is_pure_read(asked.parser, asked.source.text)
        {
            return;
        }
        if let Some(session) = self.sessions.get_mut(asked.id) {
            session.unchanged_from = session.next_slot();
        }
    }

    /// Sends the request in `slot` once more, if it is a read of whose reply nothing was seen. Returns
    /// whether it was.
    pub(super) fn retry(&mut self, id: SessionId, slot: u64, cause: &Cause, now: Time) -> bool {
        let hopeless = matches!(
            cause,
            Cause::Overloaded | Cause::Ejected | Cause::ShuttingDown
        );
        let Some(session) = self.sessions.get_mut(id) else {
            return false;
        };
        let overtaken = slot < session.unchanged_from;
        let Some(position) = session.position(slot) else {
            return false;
        };
        let entry = &mut session.slots[position];
        let Some(retry) = entry.retry.take() else {
            return false;
        };
        if hopeless || overtaken || entry.bytes > 0 || self.retry_budget < RETRY_COST {
            return false;
        }
        let server = self.route(&retry.request[retry.key.clone()], now);
        let Ok(connection) = self.usable_connection(id, server, now) else {
            return false;
        };
        self.retry_budget -= RETRY_COST;
        self.metrics.add(PoolMetric::Retries, 1);
        let is_borrowed = server.is_some_and(|server| self.is_borrowed(server));
        self.metrics
            .add(PoolMetric::Failovers, i64::from(is_borrowed));
        self.send(id, connection, Place::Slot(slot), now, |out| {
            out.extend(&retry.request)
        });
        true
    }
}
