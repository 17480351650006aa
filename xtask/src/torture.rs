//! `cargo xtask torture`: servers fail in every way, and every reply is checked.

use crate::bench::build_released;
use crate::run::{cargo, run};

/// Builds the proxy and the torture test with the release profile, and runs the test with these arguments.
///
/// # Errors
///
/// When an argument is invalid, a program does not build, a reply was wrong, misordered or missing, or the
/// proxy's memory or descriptors grew.
pub(crate) fn torture(words: &[&str]) -> Result<(), String> {
    let built = build_released(&["nuthatch"], &["nuthatch"])?;
    let nuthatch = built.first().ok_or("cargo built no nuthatch")?;
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "nuthatch-bench"]);
    command.args(["--example", "torture", "--", "--nuthatch"]);
    run(command.arg(nuthatch).args(words))
}
