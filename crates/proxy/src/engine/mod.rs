//! A pool at work in one worker: passes things on between the types that hold them. Generic over the protocol,
//! so that nothing is asked twice; [`crate::Pool`] is its door.
//!
//! Reading order, each file using only those before it:
//!
//! 1. `state`: the parts that there are, each with a state of its own.
//! 2. `health`: which servers are in use; failures, probes, and the return of servers.
//! 3. `answers`: what clients are told by the proxy itself, and fragments' replies joined.
//! 4. `upgrades`: sessions that ask for a newer version of the protocol.
//! 5. `plans`: what changes with a further plan.
//! 6. `sending`: a request to one server.
//! 7. `failover`: a request to a server of the failover pool.
//! 8. `fanout`: a request to several servers.
//! 9. `requests`: what becomes of a whole request.
//! 10. `intake`: bytes to requests, and sessions that go on.
//! 11. `endings`: connections that end, and what it means for their requests.
//! 12. `handshakes`: connections until they carry requests.
//! 13. `replies`: replies to sessions.
//! 14. `memory`: `max_memory`.
//! 15. `clock`: what happens because time has passed.
//! 16. `calls`: what the shell may ask.

mod answers;
mod calls;
mod clock;
mod endings;
mod failover;
mod fanout;
mod handshakes;
mod health;
mod intake;
mod memory;
mod plans;
mod replies;
mod requests;
mod sending;
mod state;
mod upgrades;

pub(crate) use state::Engine;
pub use state::WorkerContext;
