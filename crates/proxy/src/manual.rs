//! Pages of the manual that are made from the tables of commands.

use crate::protocol::{memcached, redis};

/// What becomes of each command of Redis and Valkey: the text of `docs/redis.md`.
pub fn redis_commands() -> String {
    redis::manual::page()
}

/// What becomes of each command of memcached: the text of `docs/memcached.md`.
pub fn memcached_commands() -> String {
    memcached::manual::page()
}
