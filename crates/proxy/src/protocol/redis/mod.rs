//! The Redis protocol: what becomes of each command, and how replies are joined.
//!
//! `state` is the protocol with a pool's settings; `grammar`, `decision`, `fanout` and `greeting` implement the
//! traits of a protocol for it. What is remembered of a client is in `client`, with `replies`, `in_force` and `cross_shard`. `report` tells of the pool;
//! what the proxy answers itself begins in `local`.

mod acl;
mod auth;
mod client;
mod client_command;
mod client_list;
mod commands;
mod config;
mod cross_shard;
mod decision;
mod fanout;
mod grammar;
mod greeting;
mod handshake;
mod hello;
mod help;
mod in_force;
mod introspect;
mod join;
mod local;
mod miss;
mod own;
mod recent;
mod refusal;
mod replies;
mod report;
mod request;
mod state;
mod tracking;
mod transaction;

pub(crate) use state::Redis;
