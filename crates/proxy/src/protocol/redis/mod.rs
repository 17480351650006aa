//! The Redis protocol: what becomes of each command, and how replies are joined.
//!
//! `state` is the protocol with a pool's settings; `grammar`, `decision` (with `by_key`), `fanout` and `greeting`
//! implement the traits of a protocol for it. What is remembered of a client is in `client`, with `replies`, `in_force` and
//! `cross_shard`. `report` tells of the pool; what the proxy answers itself begins in `local`; `scan` is SCAN over
//! several servers, `waiting` what waits for other clients.

mod acl;
mod admin;
mod auth;
mod by_key;
mod client;
mod client_command;
mod client_kill;
mod client_list;
mod client_pause;
mod commands;
mod config;
mod cross_shard;
mod decision;
mod exec;
mod extra;
mod fanout;
mod grammar;
mod greeting;
mod guarding;
mod handshake;
mod hello;
mod help;
mod hot_keys;
mod in_force;
mod introspect;
mod join;
mod libraries;
mod local;
pub(crate) mod login;
mod maintenance;
pub(crate) mod manual;
mod miss;
mod own;
mod parts;
mod permitting;
mod pubsub;
mod recent;
mod redirect;
mod refusal;
mod replies;
mod report;
mod request;
mod scan;
mod scripts;
mod slow_log;
mod state;
mod told;
mod tracking;
mod transaction;
mod waiting;
mod whole_pool;
mod workers;

pub(crate) use state::Redis;
