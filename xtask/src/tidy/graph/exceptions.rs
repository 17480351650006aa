//! Circles that are let be, each with its reason.

/// Modules of one crate that may name each other in a circle. Towards all others they count as one module.
pub(super) struct Exception {
    /// As `cargo xtask tidy --graph` calls it.
    pub(super) tree: &'static str,
    /// As code names them: `crate::engine`.
    pub(super) modules: &'static [&'static str],
    /// Why the circle stays.
    pub(super) reason: &'static str,
}

/// All of them.
pub(super) const EXCEPTIONS: [Exception; 2] = [
    Exception {
        tree: "bench",
        modules: &[
            "crate::load",
            "crate::load::client",
            "crate::load::drive",
            "crate::load::options",
            "crate::load::replies",
            "crate::load::tally",
            "crate::load::traffic",
        ],
        reason: "to be taken apart",
    },
    Exception {
        tree: "xtask",
        modules: &[
            "crate::bench",
            "crate::bench::contender",
            "crate::bench::hang",
            "crate::bench::load",
            "crate::bench::memory",
            "crate::bench::offer",
            "crate::bench::overload",
            "crate::bench::plot",
            "crate::bench::report",
            "crate::bench::rounds",
            "crate::bench::scale",
            "crate::bench::syscalls",
            "crate::bench::target",
            "crate::bench::workers",
        ],
        reason: "to be taken apart",
    },
];
