//! A pool at work in one worker. [`Engine`] is one type whose methods are spread over the files below by subject; its
//! state is in the types that it consists of. It is generic over the protocol, so that the loop over requests is
//! compiled for each protocol and never branches on it. [`crate::Pool`] is its public interface.
//!
//! What holds whenever a call of the shell returns:
//!
//! - A request that wants a reply has one slot in its session's order, and the slot is completed exactly once.
//! - A request that was sent has one entry in its connection's queue, until its reply has ended or the connection
//!   has.
//! - A session that was held back and may go on is on the ready list: whatever completes a request, writes output or
//!   frees memory reports it (`Clients::settle`, `Clients::note_progress`), or the session would wait for ever.
//! - No request is routed by an outdated plan or by outdated health: both are compared before a request is routed.
//!
//! Reading order, each file using only those before it:
//!
//! 1. `state`: what the engine consists of.
//! 2. `trace`: whose doing an event is, and what is logged at the levels above the default.
//! 3. `hot_keys`: requests that are counted by their keys.
//! 4. `access`: requests that the access log tells of.
//! 5. `health`: which servers are in use; failures, probes, and the return of servers.
//! 6. `answers`: replies and error lines that the proxy makes itself, and the joining of fragments' replies.
//! 7. `listening`: subscriber connections, and what servers send on them.
//! 8. `subscribing`: clients that subscribe, and leave.
//! 9. `reports`: what clients are told of the pool and of each other.
//! 10. `upgrades`: sessions that ask for a newer version of the protocol.
//! 11. `users` and `plans`: how a new plan takes effect.
//! 12. `pacing`: sessions whose requests keep a server busy for long.
//! 13. `keeping`: requests that are kept until they are answered, where they may be sent elsewhere.
//! 14. `reads`: reads that go to replicas.
//! 15. `sending`: a request to one server, and what happens when it cannot be sent or is lost.
//! 16. `noting`: what is noted of requests until they are answered.
//! 17. `leases`: connections that one session has, and what ends that.
//! 18. `waits`: requests that wait at their server for other clients.
//! 19. `failover`: a request to a server of the failover pool.
//! 20. `fanout`: a request to several servers.
//! 21. `large_split`: the same for one of very many keys.
//! 22. `acknowledged`: requests that wait for replicas of the servers.
//! 23. `administering`: requests that administer servers, over connections of their own.
//! 24. `pausing`: requests that wait for the end of a pause, or for reads at replicas.
//! 25. `asking`: requests about the clients of all workers.
//! 26. `watches`: the keys that a transaction depends on.
//! 27. `holding`: the requests of a transaction, until it is executed.
//! 28. `transactions`: their execution: they are sent as one.
//! 29. `guarding` and `authenticating`: requests that the guardrails of the pool refuse, and clients that say who they are.
//! 30. `requests`: one whole request: what is decided for it, and how that is carried out.
//! 31. `intake`: bytes to requests, and sessions that are resumed.
//! 32. `endings`: server connections that end, and what happens to their requests.
//! 33. `handshakes`: server connections until they carry requests.
//! 34. `quiet`: replies that the clients of quiet requests do not want.
//! 35. `redirects`: requests that servers of a Redis Cluster send elsewhere.
//! 36. `replies`: bytes of servers to replies, each delivered to the request it answers.
//! 37. `memory`: `max_memory`.
//! 38. `clock`: what is due because time has passed.
//! 39. `departures`: the clients before the end of the process.
//! 40. `census`: clients as operators see them.
//! 41. `calls`: the calls that the shell may make.

mod access;
mod acknowledged;
mod administering;
mod answers;
mod asking;
mod authenticating;
mod calls;
mod census;
mod clock;
mod departures;
mod endings;
mod failover;
mod fanout;
mod guarding;
mod handshakes;
mod health;
mod holding;
mod hot_keys;
mod intake;
mod keeping;
mod large_split;
mod leases;
mod listening;
mod memory;
mod noting;
mod pacing;
mod pausing;
mod plans;
mod quiet;
mod reads;
mod redirects;
mod replies;
mod reports;
mod requests;
mod sending;
mod state;
mod subscribing;
mod trace;
mod transactions;
mod upgrades;
mod users;
mod waits;
mod watches;

pub(crate) use state::Engine;
pub use state::WorkerContext;
