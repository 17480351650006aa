//! Circles that are allowed, each with its reason.

/// Modules of one crate that may name each other in a circle. For all others they count as one module.
pub(super) struct Exception {
    /// The crate's name in `cargo xtask tidy --graph`.
    pub(super) tree: &'static str,
    /// The modules' names in code: `crate::engine`.
    pub(super) modules: &'static [&'static str],
    /// Why the circle is allowed.
    pub(super) reason: &'static str,
}

/// All exceptions.
pub(super) const EXCEPTIONS: [Exception; 0] = [];
