//! Finds out which servers a pool has and where they are, while it is served.
//!
//! Each pool whose servers are found has a thread of its own ([`Discovery`]), so that what one has to wait for delays no
//! other. The thread looks at its [`Source`] by time or when it is told to, and publishes what is new ([`Publisher`]).
//! Reloads publish, too: they change the settings of a pool and leave the servers that were found, while discovery changes
//! the servers and leaves the settings. They take turns ([`Turn`]).

mod asker;
mod cluster;
mod cluster_map;
mod dns;
mod dns_message;
mod found;
mod publisher;
mod reply;
mod sentinel;
mod sentinel_watch;
mod server_file;
mod server_names;

pub(crate) use cluster::Cluster;
pub(crate) use dns::NamedServers;
pub(crate) use found::Found;
pub(crate) use publisher::{Discovery, Publisher, Source, Turn};
pub(crate) use sentinel::Sentinels;
pub(crate) use server_file::ServerFile;
pub(crate) use server_names::{ServerNames, Terms};
