//! What answers no request, and goes to the client between two replies.

use super::Order;
use crate::flow::buffer::Rope;
use crate::protocol::fanout::FanOut;

impl<P: FanOut> Order<P> {
    /// Where something goes that answers no request: to the output; or, while a part of the oldest reply is there, behind
    /// that reply, wherever it is. `write` appends it. Returns whether the output grew.
    pub(crate) fn insert(&mut self, output: &mut Rope, write: impl FnOnce(&mut Rope)) -> bool {
        let is_empty = self.is_empty();
        let first = self.first;
        let oldest = self.get(first).filter(|_| !is_empty);
        match oldest.filter(|slot| slot.bytes != slot.stash.len()) {
            None => {
                write(output);
                true
            }
            Some(slot) => {
                let behind = &mut slot.extra.get_or_insert_default().behind;
                let before = behind.len();
                write(behind);
                let added = behind.len() - before;
                self.stashed += added;
                false
            }
        }
    }
}
