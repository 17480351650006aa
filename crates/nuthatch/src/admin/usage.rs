//! What the process uses of the system, beyond what is looked at once a second.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// How many descriptors are open, as far as Linux tells.
pub(super) fn open_descriptors() -> Option<usize> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them lists the others.
    Some(listed.saturating_sub(1))
}

/// How many may be open; `None` if there is no limit.
pub(super) fn max_descriptors() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
