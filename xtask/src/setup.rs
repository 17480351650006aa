//! `cargo xtask setup`: installs everything that tests use besides Rust.
//!
//! What cannot be installed is listed, without failing: the tests that need it print SKIPPED (and fail in
//! CI).

use crate::{libraries, packages};

/// Installs what is missing, if permitted, and prints what remains missing.
pub(crate) fn run() {
    let mut absent = packages::install();
    absent.extend(libraries::install());
    if absent.is_empty() {
        println!("setup: everything that the tests use is installed");
        return;
    }
    println!("setup: missing, so the tests that use them will print SKIPPED:");
    for line in &absent {
        println!("  {line}");
    }
}
