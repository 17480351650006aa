//! Properties that hold for every input, as functions that panic if they do not. The fuzz targets and the
//! tests here use the same functions, which only use the public interface of the crates.

mod chance;
#[cfg(feature = "config")]
pub mod config;
pub mod memcached_parsers;
pub mod pool;
pub mod redis_parsers;
