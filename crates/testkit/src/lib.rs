//! Real servers, proxies and clients for tests; never part of the product.
//!
//! Everything started here listens on loopback (or on a unix socket in a temporary directory), is killed when
//! its guard is dropped, and dies with the test process even if that is killed. A tool that is not installed
//! is `None`:
//!
//! ```no_run
//! let Some(server) = testkit::redis() else {
//!     testkit::skip!("redis-server is not installed");
//! };
//! let mut client = server.client();
//! client.send(b"PING\r\n");
//! assert_eq!(client.line(), b"+PONG\r\n");
//! ```
//!
//! Everything here panics with the reason when something goes wrong, which fails the test.

mod certificates;
mod client;
mod cluster;
mod endpoint;
mod port;
mod process;
mod proxy;
mod server;
mod skip;
mod tool;

pub use certificates::{Authority, Certificate};
pub use client::Client;
pub use cluster::{Cluster, has_numbered_databases};
pub use endpoint::Endpoint;
pub use port::free_port;
pub use process::{Process, eventually};
pub use proxy::{Proxy, nutcracker, nuthatch};
pub use rustix::process::Signal;
pub use server::{
    Server, memcached, memcached_unix, memcached_with, redis, redis_at, redis_unix, redis_with,
};
pub use skip::{in_ci, skipped};
pub use tool::Tool;
