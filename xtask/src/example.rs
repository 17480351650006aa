//! `cargo xtask torture`, `cargo xtask chaos` and `cargo xtask attack`: programs that start the real proxy and load it.

use crate::bench::build_released;
use crate::run::{cargo, run};

/// Builds an example of the benchmarks with the release profile, and runs it with these arguments. The proxy
/// is built too, unless the arguments name one, or need none.
///
/// # Errors
///
/// When a program does not build, or the example fails: an argument is invalid, or what it checks does not hold.
pub(crate) fn example(name: &str, words: &[&str]) -> Result<(), String> {
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "nuthatch-bench"]);
    command.args(["--example", name, "--"]);
    if needs_proxy(words) {
        let built = build_released(&["nuthatch"], &["nuthatch"])?;
        let nuthatch = built.first().ok_or("cargo built no nuthatch")?;
        command.arg("--nuthatch").arg(nuthatch);
    }
    run(command.args(words))
}

/// `torture --sentinel N`: so many failovers by real Sentinels while clients check every reply, and how long each took.
///
/// # Errors
///
/// When a reply is wrong, a key has moved, or a failover takes longer than the Sentinels' own.
pub(crate) fn failovers(count: &str) -> Result<(), String> {
    if !count
        .parse()
        .is_ok_and(|count: u32| (1..=10_000).contains(&count))
    {
        return Err(format!("'{count}' is no number of failovers"));
    }
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", "nuthatch", "--test", "it"]);
    command.args(["sentinel::failovers", "--", "--nocapture"]);
    command.env("NUTHATCH_FAILOVERS", count);
    run(&mut command)
}

fn needs_proxy(words: &[&str]) -> bool {
    let without = ["--nuthatch", "--list", "--help", "-h"];
    !words.iter().any(|word| without.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_built_unless_there_is_one_or_none_is_needed() {
        assert!(needs_proxy(&[]) && needs_proxy(&["--only", "huge"]));
        for words in [&["--nuthatch", "/bin/true"][..], &["--list"], &["--help"]] {
            assert!(!needs_proxy(words), "{words:?}");
        }
    }
}
