//! Messages of channels, which answer no request.

use std::ops::Range;

use super::Session;
use crate::clients::holds::Hold;
use crate::flow::buffer::{Chunk, Rope};
use crate::flow::spares::Spares;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Session<P> {
    /// Whether it is subscribed to channels, or is about to be.
    pub(crate) fn is_subscriber(&self) -> bool {
        self.subscriber.is_some()
    }

    /// It has asked for subscriptions: nothing further is accepted until it is answered.
    pub(crate) fn begin_subscribing(&mut self) {
        self.subscriber.get_or_insert_default();
        self.hold(Hold::UntilIdle);
    }

    /// It is told what has become of that; it has subscriptions now, or not.
    pub(crate) fn end_subscribing(&mut self, is_subscriber: bool) {
        self.release(Hold::UntilIdle);
        match is_subscriber {
            true => drop(self.subscriber.get_or_insert_default()),
            false => self.subscriber = None,
        }
    }

    /// Adds a message, which never lands within a reply; `start` replaces its first byte. Returns whether the output
    /// grew.
    pub(crate) fn push(
        &mut self,
        start: Option<u8>,
        chunk: &Chunk,
        range: Range<usize>,
        spares: &mut Spares,
    ) -> bool {
        // Nothing may follow what it gets last.
        if !self.accepts_input() || range.is_empty() {
            return false;
        }
        if self.output.is_empty() && self.order.is_empty() {
            self.output.start_with_spare(spares, chunk, &range);
        }
        self.order
            .insert(&mut self.output, |out: &mut Rope| match start {
                None => out.push(chunk, range),
                Some(byte) => {
                    out.extend(&[byte]);
                    out.push(chunk, range.start + 1..range.end);
                }
            })
    }

    /// Whether it is too far behind with reading at `now`, after a message.
    pub(crate) fn is_too_slow(&mut self, now: Time) -> bool {
        let unread = self.unread();
        let subscriber = self.subscriber.as_mut();
        subscriber.is_some_and(|it| it.is_too_slow(unread, now))
    }
}
