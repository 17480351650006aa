//! The whole proxy before real servers, driven by real clients: one module for each theme.

mod backpressure;
mod bad_input;
mod clients;
mod cross_shard;
mod daemon;
mod database;
mod debian;
mod documents;
mod drop_in;
mod ejection;
mod exporters;
mod failover;
mod failure;
mod fake;
mod handshake;
mod hostile_clients;
mod hostile_servers;
mod many;
mod memcached;
mod overload;
mod policy;
mod rig;
mod server_errors;
mod sockets;
mod stats;
mod tool;
