//! Servers: their health, their connections, and what is in flight on them.

pub(crate) mod connection;
pub(crate) mod health;
pub(crate) mod server;
