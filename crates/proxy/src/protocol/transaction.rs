//! Transactions: requests of one client that a server executes together, with nobody else's in between.
//!
//! The proxy holds them until the client ends the transaction, and sends them then as one block on a connection that
//! clients share.

use super::decision::Decider;
use crate::settings::TransactionLimits;

/// What the engine asks about transactions. A protocol that has none implements nothing of it.
pub(crate) trait Transactions: Decider {
    /// The request that begins a block. Its reply is dropped.
    const BEGIN: &'static [u8] = b"";

    /// The request that ends it, whose reply is the client's.
    const END: &'static [u8] = b"";

    /// Requests that show whether a connection takes transactions, see [`crate::servers::trial`].
    const TRIAL: &'static [u8] = b"";

    /// Whether a transaction whose keys belong to several servers is split, and each server executes its part.
    fn splits_transactions(&self) -> bool {
        false
    }

    /// How much a transaction may hold.
    fn transaction_limits(&self) -> TransactionLimits {
        TransactionLimits::default()
    }

    /// Whether a server's reply of this kind is a short status, as it is to each request that is queued there.
    fn is_status(_kind: Self::Kind) -> bool {
        false
    }

    /// Whether a reply to [`Transactions::END`] shows that the transaction is over. `start` is empty if it did not come
    /// in one piece.
    fn ends_transaction(_kind: Self::Kind, _start: &[u8]) -> bool {
        true
    }

    /// What the client asked to watch is not watched, so that its next transaction will not be executed.
    fn refuse_watch(_client: &mut Self::Client) {}

    /// Appends the reply to a transaction that is not executed as what it depends on may have changed.
    fn watch_failed(_client: &Self::Client, _out: &mut Vec<u8>) {}

    /// The reply to a request to watch keys.
    const WATCHED: &'static [u8] = b"";

    /// Appends the error for a request to watch more than may be.
    fn too_many_watched(_out: &mut Vec<u8>) {}

    /// A request of the client's transaction was not accepted: the transaction will not be executed.
    fn abort(_client: &mut Self::Client) {}

    /// Appends the error for a request with which a transaction would have too many commands or bytes.
    fn transaction_too_large(&self, _out: &mut Vec<u8>) {}

    /// The request that ends what is watched.
    const UNWATCH: &'static [u8] = b"";

    /// Whether an error line tells that a transaction was not executed as one of its requests was not accepted.
    fn is_aborted(_line: &[u8]) -> bool {
        false
    }

    /// Appends the error for a transaction whose keys are served by the failover pool now.
    fn transaction_elsewhere(_out: &mut Vec<u8>) {}

    /// Appends the error for a transaction whose keys are not all at one server any more.
    fn transaction_apart(_out: &mut Vec<u8>) {}

    /// Appends the error for a transaction that its server does not support, as it has said in this line.
    fn transaction_refused(_line: &[u8], _out: &mut Vec<u8>) {}
}
