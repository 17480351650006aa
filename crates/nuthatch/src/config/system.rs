//! What a check asks of the system besides the configuration itself.

use super::address::{Resolve, resolve_by_system};
use crate::tls::{ReadFile, read_file};

/// What a check asks of the system.
#[derive(Clone, Copy)]
pub struct System<'s> {
    /// Finds the addresses of hosts to listen on.
    pub resolve: Resolve<'s>,
    /// Reads the files that settings name, such as certificates.
    pub read: ReadFile<'s>,
}

/// The system that the process runs on. It may block.
pub(super) const REAL: System<'static> = System {
    resolve: &resolve_by_system,
    read: &read_file,
};
