//! The Redis protocol: what becomes of each command, and how replies are joined.
//!
//! `state` is the protocol with a pool's settings; `grammar`, `decision`, `fanout` and `greeting` implement the
//! traits of a protocol for it. What is remembered of a client is in `client`, with `replies` and `in_force`.

mod auth;
mod client;
mod client_command;
mod decision;
mod fanout;
mod grammar;
mod greeting;
mod handshake;
mod hello;
mod in_force;
mod introspect;
mod join;
mod local;
mod miss;
mod recent;
mod refusal;
mod replies;
mod request;
mod state;
mod transaction;

pub(crate) use state::Redis;
