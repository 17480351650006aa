//! Messages of channels to their subscribers, and subscribers that do not read them.

use std::ops::Range;

use super::Clients;
use crate::clients::ending::Ending;
use crate::event::{Event, Subscription};
use crate::flow::buffer::Chunk;
use crate::flow::outbox::{Flush, Outbox};
use crate::id::SessionId;
use crate::limits::WINDOW_BYTES;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Clients<P> {
    /// Adds a message, all of `range` of `chunk`, to what the client is to get. A client that is too far behind with
    /// reading is closed.
    pub(crate) fn push(
        &mut self,
        id: SessionId,
        chunk: &Chunk,
        range: Range<usize>,
        now: Time,
        outbox: &mut Outbox,
    ) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let start = P::message_start(session.client());
        let moved = session.push(start, chunk, range, &mut self.spares);
        let is_too_slow = session.is_too_slow(now);
        if moved && session.list_for_flush() {
            outbox.flush(Flush::Session(id));
        }
        if is_too_slow {
            self.close_subscriber(id, outbox);
        } else if session.unread() > WINDOW_BYTES {
            self.measure_reader(id, now);
        }
    }

    /// Closes a subscriber that cannot get what it is to get.
    pub(crate) fn close_subscriber(&mut self, id: SessionId, outbox: &mut Outbox) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        outbox.log(Event::Subscription(Subscription::Behind {
            client: session.name().into(),
            unread: session.unread(),
        }));
        self.counters.add(PoolMetric::SubscribersClosed, 1);
        self.close(id, Ending::Closed, outbox);
    }

    /// The subscribers that have left.
    pub(crate) fn take_subscribers_left(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.subscribers_left)
    }
}
