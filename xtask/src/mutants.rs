//! `cargo xtask mutants`: mutation testing of the core; its tests and properties must notice each mutant.

use crate::run::{self, at_root};

/// Pinned, so that a new release cannot break an old commit.
const CARGO_MUTANTS: &str = "27.1.0";

/// Seeds that the simulator runs against each mutant. Nearly every mutant that it can detect it detects with
/// fewer.
const SEEDS: &str = "300";

/// Time limit for the tests of a mutant, in seconds: several times the normal duration. A mutant that makes
/// them run without end counts as detected.
const TIME_LIMIT: &str = "60";

/// Mutates the crate `proxy`, everything or the shard given in the arguments, and prints the mutants that its
/// tests did not detect. `.cargo/mutants.toml` says what is excluded and why, `crates/proxy/tests/mutants.md`
/// which mutants survive and why.
///
/// # Errors
/// When the tool cannot be installed, or a mutant was not detected.
pub(crate) fn mutants(words: &[&str]) -> Result<(), String> {
    let tool = run::installed("cargo-mutants", CARGO_MUTANTS)?;
    let mut command = at_root(&tool.to_string_lossy());
    command.args(["mutants", "--package", "proxy", "--profile", "mutants"]);
    // The properties of a pool test the core too; those of configuration files would build the binary for
    // each mutant.
    command.args(["--test-package", "proxy", "--test-package", "properties"]);
    command.arg("--no-default-features");
    // The tests of the unchanged code are run separately.
    command.args(["--baseline", "skip", "--timeout", TIME_LIMIT]);
    command.args(["--jobs", "1", "--output", "target"]);
    // A shard is a fair sample of all files, and dependencies are built once for all shards.
    command.args(["--sharding", "round-robin"]);
    command.env("CARGO_TARGET_DIR", run::root().join("target/mutants"));
    command.env("NUTHATCH_SIM_SEEDS", SEEDS);
    run::run(command.args(words))
}
