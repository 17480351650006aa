//! What a protocol implements: its grammar, the decision what becomes of a request, splitting and joining, its
//! reports of the pool, and the handshakes with servers. A pool has one protocol, chosen when it is built; the engine is compiled for each.
//!
//! The traits build on each other: [`grammar::Grammar`], [`decision::Decider`], [`transaction::Transactions`],
//! [`authenticating::Authenticating`], [`guarding::Guarding`], [`fanout::FanOut`], [`greeting::Greeting`], [`waiting::Waiting`] and [`subscribing::Subscribing`]. No method's result depends on which ones were called before: what later calls need of a
//! request is in its [`decision::Decision`].

pub(crate) mod authenticating;
pub(crate) mod channel;
pub(crate) mod decision;
pub(crate) mod fanout;
pub(crate) mod grammar;
pub(crate) mod greeting;
pub(crate) mod guarding;
pub(crate) mod memcached;
pub(crate) mod pending_join;
pub(crate) mod redirect;
pub(crate) mod redis;
pub(crate) mod report;
pub(crate) mod subscribing;
pub(crate) mod transaction;
pub(crate) mod waiting;

/// Everything that the engine asks of a protocol.
pub(crate) trait Protocol:
    fanout::FanOut
    + authenticating::Authenticating
    + guarding::Guarding
    + report::Report
    + subscribing::Subscribing
    + transaction::Transactions
    + waiting::Waiting
{
    /// Whether servers may have replicas that are read. Where they have none, requests pay nothing for that.
    const HAS_REPLICAS: bool;

    /// The protocol of a pool with this plan.
    fn new(plan: &std::sync::Arc<crate::share::PoolPlan>) -> Self;
}
