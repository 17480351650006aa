//! The process that was replaced by this one, as long as it still has clients.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::message::Report;

/// What is known of it.
#[derive(Debug)]
pub(crate) struct OldProcess {
    pid: u32,
    clients: AtomicU64,
    server_connections: AtomicU64,
    has_ended: AtomicBool,
}

impl OldProcess {
    pub(super) fn new(pid: u32) -> Self {
        Self {
            pid,
            clients: AtomicU64::new(0),
            server_connections: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Clients that it still has.
    pub(crate) fn clients(&self) -> u64 {
        self.clients.load(Ordering::Relaxed)
    }

    /// Connections to servers that it still has, besides those of this process.
    pub(crate) fn server_connections(&self) -> u64 {
        self.server_connections.load(Ordering::Relaxed)
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    pub(super) fn note(&self, report: Report) {
        self.clients.store(report.clients, Ordering::Relaxed);
        self.server_connections
            .store(report.server_connections, Ordering::Relaxed);
    }

    pub(super) fn note_end(&self) {
        self.note(Report {
            clients: 0,
            server_connections: 0,
        });
        self.has_ended.store(true, Ordering::Release);
    }
}
