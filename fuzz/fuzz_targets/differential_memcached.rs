//! Checks `versus::TestServer::play` against a real memcached with the fuzzer's inputs.
#![no_main]

use std::sync::LazyLock;

use testkit::{Endpoint, Server};
use versus::TestServer;

/// One server for all inputs; it dies with this process.
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    testkit::memcached_unix(&[]).expect("memcached is installed: cargo xtask setup")
});

static TEST_SERVER: LazyLock<TestServer> = LazyLock::new(|| match SERVER.endpoint() {
    Endpoint::Unix(path) => TestServer::memcached(path),
    Endpoint::Tcp(_) => unreachable!("a unix socket was asked for"),
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    TEST_SERVER.play(data);
});
