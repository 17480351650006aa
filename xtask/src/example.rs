//! `cargo xtask torture`, `cargo xtask chaos` and `cargo xtask attack`: programs that start the real proxy and load it.

use std::process::Command;

use crate::run::{cargo, root, run, target_directory};

/// Among the arguments of an example: asks for the profile `dev`.
const DEV: &str = "--dev";

/// Builds an example of the benchmarks and runs it with these arguments. The proxy is built too, unless the
/// arguments name one, or need none. Both are built with the release profile, or with `--dev` as tests are: with
/// debug assertions and checks of overflow, and without the minutes that the optimisation of whole programs takes.
///
/// # Errors
///
/// When a program does not build, or the example fails: an argument is invalid, or what it checks does not hold.
pub(crate) fn example(name: &str, words: &[&str]) -> Result<(), String> {
    let (profile, folder) = match words.contains(&DEV) {
        true => ("dev", "debug"),
        false => ("release", "release"),
    };
    let words: Vec<&str> = words.iter().copied().filter(|word| *word != DEV).collect();
    let mut build = cargo();
    // The whole workspace: its features are those of `cargo test`, so nothing is built again for other features.
    build.args(["build", "--quiet", "--workspace", "--profile", profile]);
    build.args(["--example", name]);
    let needs_proxy = needs_proxy(&words);
    if needs_proxy {
        build.args(["--bin", "nuthatch"]);
    }
    run(&mut build)?;
    let folder = target_directory()?.join(folder);
    let mut command = Command::new(folder.join("examples").join(name));
    if needs_proxy {
        command.arg("--nuthatch").arg(folder.join("nuthatch"));
    }
    run(command.current_dir(root()).args(words))
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
