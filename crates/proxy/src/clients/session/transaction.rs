//! A session's transaction.

use super::Session;
use crate::clients::holds::Hold;
use crate::clients::transaction::Transaction;
use crate::clients::watch::Watch;
use crate::protocol::Protocol;
use crate::protocol::pending_join::PendingJoin;

impl<P: Protocol> Session<P> {
    /// A transaction begins.
    pub(crate) fn begin_transaction(&mut self) {
        self.transaction = Some(Box::default());
    }

    /// Keys are watched there from now on.
    pub(crate) fn begin_watch(&mut self, watch: Watch) {
        self.watch = Some(Box::new(watch));
    }

    /// What it watches.
    pub(crate) fn watch(&self) -> Option<&Watch> {
        self.watch.as_deref()
    }

    /// The same, to add keys.
    pub(crate) fn watch_mut(&mut self) -> Option<&mut Watch> {
        self.watch.as_deref_mut()
    }

    /// It watches nothing any more.
    pub(crate) fn take_watch(&mut self) -> Option<Box<Watch>> {
        self.watch.take()
    }

    /// The transaction that was begun.
    pub(crate) fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_deref()
    }

    /// The same, to add requests.
    pub(crate) fn transaction_mut(&mut self) -> Option<&mut Transaction> {
        self.transaction.as_deref_mut()
    }

    /// Takes it, to send it or to drop it.
    pub(crate) fn take_transaction(&mut self) -> Option<Box<Transaction>> {
        let transaction = self.transaction.take()?;
        self.release(Hold::Trial);
        Some(transaction)
    }

    /// The reply to it, in this slot, is to be joined of those to its parts.
    pub(crate) fn expect_join(&mut self, slot: u64, join: PendingJoin<P::Kind>) {
        self.order.expect_join(slot, join);
    }

    /// Keeps it until it is known whether it may be sent; nothing after it is parsed meanwhile.
    pub(crate) fn await_trial(&mut self, transaction: Box<Transaction>) {
        self.transaction = Some(transaction);
        self.hold(Hold::Trial);
    }
}
