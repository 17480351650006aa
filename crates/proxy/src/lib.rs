//! The whole proxy, without I/O: bytes and a time go in, bytes and a deadline come out.
//!
//! # The life of a request
//!
//! 1. The shell reads a client's bytes into a [`Chunk`] and hands them to [`Pool::handle_session_data`].
//!    The session's parser finds whole requests; only an incomplete one is copied.
//! 2. Each request takes the next slot of its session's order queue. What the proxy answers itself
//!    (PING, HELLO, errors) fills its slot at once.
//! 3. The key is mapped to a server; a request with keys of several servers becomes fragments, one
//!    per server, whose replies are joined in the slot.
//! 4. The request's bytes go to the end of a server connection's output, and an entry (session, slot,
//!    fragment) to the end of its in-flight queue. The shell learns through [`Pool::poll_flush`] that
//!    there is something to write, once per connection however much was added.
//! 5. Replies are matched with the in-flight queue in order ([`Pool::handle_connection_data`]). A reply
//!    whose slot is next in its client's order goes straight to the client's output; any other waits
//!    in its slot; one whose client has left is dropped.
//! 6. When a server connection ends, each of its requests gets the protocol's error line in its slot.
//!
//! # Rules for the shell
//!
//! After any call, and before it sleeps, the shell drains [`Pool::poll_action`], [`Pool::poll_flush`]
//! and [`Pool::poll_event`], and arranges to call [`Pool::handle_timeout`] at [`Pool::poll_deadline`].
//! Nothing in here knows a socket, a clock, a thread or a file.

mod access;
mod added_rows;
mod address;
mod cause;
mod client_info;
mod clients;
mod connection_budget;
mod departure;
mod engine;
mod event;
mod failed_logins;
mod flow;
mod guardrails;
mod health_record;
pub mod hot_keys;
mod id;
pub mod latency;
pub mod limits;
mod login;
pub mod manual;
mod memcached_acl;
pub mod metrics;
mod pool;
mod process;
mod protocol;
mod question;
mod rate_limit;
mod reads;
mod release;
mod routes;
mod sampling;
mod script_memory;
mod security;
mod servers;
pub mod settings;
mod share;
mod slot_map;
pub mod slow_log;
mod subscriptions;
mod time;
mod users;

/// Rules of access, in the syntax of Redis's ACL.
pub mod acl {
    pub use redis_proto::acl::{
        Acl, AclError, AclProblem, Digest, MAX_PASSWORDS, RedisCommands, Vocabulary, digest,
    };
}

pub use access::{AccessRecord, Outcome};
pub use added_rows::users_with;
pub use cause::Cause;
pub use client_info::{AboutClient, ClientGroup, ClientInfo, ClientKind, Doing, Traffic};
pub use connection_budget::ConnectionBudget;
pub use departure::Departure;
pub use engine::WorkerContext;
pub use event::{
    ClientWait, Event, EventFields, Level, Limit, LogRecord, Subscription, Trace, UserEvent,
};
pub use flow::buffer::{Chunk, Rope};
pub use flow::log_limit::LogLimit;
pub use flow::memory::Memory;
pub use flow::outbox::{Action, Flush};
pub use health_record::HealthRecord;
pub use id::{ConnectionId, SessionId};
pub use login::{Login, LoginList, ServerLogins};
pub use memcached_acl::{MemcachedCommands, memcached_users};
pub use pool::{Pool, tls_required, too_many_clients};
pub use process::{Place, Process, Usage};
pub use question::Question;
pub use release::{NoRelease, Release};
pub use routes::explain::{KeyDestination, KeyRoute, key_route};
pub use security::Security;
pub use share::{
    Endpoint, FailoverPool, PlanError, PlannedReplica, PlannedServer, PoolPlan, PoolShare,
    ServerShare,
};
pub use slot_map::SlotMap;
pub use time::Time;
pub use users::{DEFAULT_USER, User, Users};
