//! The properties, driven by what proptest makes up.

#[cfg(feature = "config")]
mod config;
mod memcached_parsers;
mod pool;
mod redis_parsers;
