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
pub(super) const EXCEPTIONS: [Exception; 0] = [];
