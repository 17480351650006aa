//! How much memory a session takes.

use super::Session;
use crate::protocol::Protocol;

impl<P: Protocol> Session<P> {
    /// Bytes of memory that its buffers occupy. It walks all of them.
    pub(crate) fn held(&self) -> usize {
        let intake = self.intake.as_ref().map_or(0, |intake| intake.footprint());
        let backlog = self.backlog.as_ref().map_or(0, |it| it.footprint());
        let split = self.split.as_ref().map_or(0, |split| split.footprint());
        let transaction = self.transaction.as_ref().map_or(0, |it| it.footprint());
        let watch = self.watch.as_ref().map_or(0, |it| it.footprint());
        let transaction = transaction + watch;
        let own_writes = self.own_writes.as_ref().map_or(0, |it| it.footprint());
        let requests = intake + split + transaction + backlog + own_writes;
        self.output.footprint() + self.order.footprint() + requests
    }
}
