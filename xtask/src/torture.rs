//! `cargo xtask torture`: servers that fail in every way, and every reply checked.

use crate::bench::build_released;
use crate::run::{cargo, run};

/// Builds the proxy and the torture as they are released, and runs the torture with these words.
///
/// # Errors
///
/// When a word makes no sense, a program does not build, a reply was wrong, misordered or missing, or
/// the proxy's memory or descriptors grew.
pub(crate) fn torture(words: &[&str]) -> Result<(), String> {
    let built = build_released(&["nuthatch"], &["nuthatch"])?;
    let nuthatch = built.first().ok_or("cargo built no nuthatch")?;
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "nuthatch-bench"]);
    command.args(["--example", "torture", "--", "--nuthatch"]);
    run(command.arg(nuthatch).args(words))
}
