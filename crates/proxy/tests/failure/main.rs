//! What the core does when servers and clients fail, and when: a pool without a network is driven step by
//! step, and every deadline is met to the microsecond.

mod about;
mod ahead;
mod alone;
mod answer;
mod clients;
mod connect;
mod cross_shard;
mod eject;
mod failover;
mod handshake;
mod joins;
mod levels;
mod local;
mod memory;
mod miss;
mod odd;
mod plan_health;
mod plans;
mod pools;
mod probe;
mod refusal;
mod release;
mod replies;
mod retry;
mod silent;
mod stage;
mod stats;
mod turns;
mod unauthenticated;
mod unheard;
mod window;
mod words;
