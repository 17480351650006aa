//! What holds for any input whatever, as functions that panic when it does not. The fuzz targets and the tests
//! here drive the same functions, which see the crates as anybody does, through what they export.

mod chance;
#[cfg(feature = "config")]
pub mod config;
pub mod memcached_parsers;
pub mod pool;
pub mod redis_parsers;
