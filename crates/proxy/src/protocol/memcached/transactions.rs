//! memcached has no transactions.

use super::Memcached;
use crate::protocol::transaction::Transactions;

impl Transactions for Memcached {}
