//! A real server behind a relay.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use nuthatch_bench::faults::{Fault, Relay};
use nuthatch_bench::load::Protocol;
use testkit::{Server, free_port};

/// A server that faults happen to.
#[derive(Debug)]
pub(crate) struct FaultyServer {
    server: Server,
    relay: Relay,
}

impl FaultyServer {
    /// Puts a relay in front of `server`. `hits` counts the connections that faults affect.
    pub(crate) fn new(
        server: Server,
        protocol: Protocol,
        seed: u64,
        hits: &Arc<AtomicU64>,
    ) -> Self {
        let relay = Relay::start(server.addr(), free_port(), protocol, seed, Arc::clone(hits));
        Self { server, relay }
    }

    /// The port that the proxy connects to.
    pub(crate) fn port(&self) -> u16 {
        self.relay.port()
    }

    /// Makes it fail.
    pub(crate) fn break_by(&mut self, fault: Fault) {
        self.relay.set(Some(fault));
        match fault {
            Fault::Kill => drop(self.server.kill()),
            Fault::Freeze => self.server.stop(),
            _ => {}
        }
    }

    /// Ends its fault.
    pub(crate) fn heal(&mut self, fault: Fault) {
        match fault {
            Fault::Kill => self.server.restart(),
            Fault::Freeze => self.server.cont(),
            _ => {}
        }
        self.relay.set(None);
    }
}
