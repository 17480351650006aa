//! `cargo xtask setup`: everything that tests use besides Rust.
//!
//! What cannot be installed is named and nothing fails: the tests that need it
//! say SKIPPED (and fail in CI).

use crate::{clients, packages};

/// Installs what is absent, where permitted, and says what stays absent.
pub(crate) fn run() {
    let mut absent = packages::install();
    absent.extend(clients::install());
    if absent.is_empty() {
        println!("setup: everything that the tests use is here");
        return;
    }
    println!("setup: not here, so the tests that use them will say SKIPPED:");
    for line in &absent {
        println!("  {line}");
    }
}
