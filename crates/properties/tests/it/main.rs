//! The properties, driven by what proptest makes up.

mod memcached_parsers;
mod pool;
mod redis_parsers;
