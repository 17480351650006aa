//! Nuthatch: a sharding proxy for Redis, Valkey and memcached that replaces twemproxy.
//!
//! This crate is the shell around the core in `proxy`: only it knows sockets, threads, clocks, files and
//! YAML. It is a library so that its tests can reach it; the program is [`cli::main`].

mod acceptor;
mod access_log;
mod admin;
pub mod cli;
mod clients;
mod clock;
pub mod config;
mod connections;
mod control;
mod controller;
mod daemon;
mod dealing;
mod descriptors;
mod discovery;
mod explanation;
mod failure;
mod file_changes;
mod hot_keys;
mod live;
mod logger;
mod logins;
mod manual;
mod map_wanted;
mod memory_limit;
mod net;
mod pid_file;
mod pool;
pub mod program;
mod recent;
mod resolver;
pub mod ring_diff;
pub mod run;
mod secret_files;
mod signals;
mod slow_log;
mod standing;
mod stats;
mod supervisor;
mod tls;
mod upgrade;
mod usage;
mod worker;
