//! `cargo xtask mutants`: small faults put into the core one by one; its tests and properties must notice.

use crate::run::{self, at_root};

/// Pinned, so that a new release cannot break an old commit.
const CARGO_MUTANTS: &str = "27.1.0";

/// Seeds that the simulator plays against each fault. Nearly every fault that it notices at all it notices
/// in fewer.
const SEEDS: &str = "300";

/// How long the tests of a fault may take, in seconds: several times of what they take without one. A fault
/// that makes them run for ever is noticed by that.
const PATIENCE: &str = "60";

/// Puts faults into the crate `proxy`, all of them or the shard that the words name, and prints which of them
/// its tests did not notice. What is left alone and why stands in `.cargo/mutants.toml`, what survives and
/// why in `crates/proxy/tests/mutants.md`.
///
/// # Errors
/// When the tool cannot be had, or a fault was not noticed.
pub(crate) fn mutants(words: &[&str]) -> Result<(), String> {
    let tool = run::installed("cargo-mutants", CARGO_MUTANTS)?;
    let mut command = at_root(&tool.to_string_lossy());
    command.args(["mutants", "--package", "proxy", "--profile", "mutants"]);
    // The properties of a pool are tests of the core, too; those of configuration files would build the
    // binary for each fault.
    command.args(["--test-package", "proxy", "--test-package", "properties"]);
    command.arg("--no-default-features");
    // The tests have just passed, or will be run by whoever wants to know.
    command.args(["--baseline", "skip", "--timeout", PATIENCE]);
    command.args(["--jobs", "1", "--output", "target"]);
    // A shard is a fair sample of all files, and what they depend on is built once for all shards.
    command.args(["--sharding", "round-robin"]);
    command.env("CARGO_TARGET_DIR", run::root().join("target/mutants"));
    command.env("NUTHATCH_SIM_SEEDS", SEEDS);
    run::run(command.args(words))
}
