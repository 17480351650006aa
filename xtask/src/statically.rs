//! `cargo xtask static`: the program as one file that needs no library of the system.

use std::path::{Path, PathBuf};

use crate::example::example;
use crate::packages::{Need, install_programs};
use crate::run::{at_root, cargo, output_of, run, target_directory};

/// The compiler of the allocator, which is written in C, and what shows the parts of a program.
const NEEDS: [Need<'_>; 2] = [
    Need::new("musl-gcc", "musl-tools"),
    Need::new("readelf", "binutils"),
];

/// Builds it, and with `--check` also runs it under load with every reply verified.
///
/// # Errors
///
/// When it does not build, needs a library, or does not do what it should.
pub(crate) fn build(words: &[&str]) -> Result<(), String> {
    let is_check = match words {
        [] => false,
        ["--check"] => true,
        _ => return Err("static takes --check, or nothing".into()),
    };
    let absent = install_programs(&NEEDS);
    if !absent.is_empty() {
        return Err(format!("missing: {}", absent.join(", ")));
    }
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    run(at_root("rustup").args(["target", "add", &target]))?;
    let program = compile(&target)?;
    needs_no_library(&program)?;
    println!("static: {}", program.display());
    match is_check {
        true => check(&program),
        false => Ok(()),
    }
}

fn compile(target: &str) -> Result<PathBuf, String> {
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--package", "nuthatch"]);
    run(command.args(["--bin", "nuthatch", "--target", target]))?;
    Ok(target_directory()?.join(target).join("release/nuthatch"))
}

/// A program that needs libraries names what loads them.
fn needs_no_library(program: &Path) -> Result<(), String> {
    let mut readelf = at_root("readelf");
    readelf.args(["--program-headers", "--dynamic", "--wide"]);
    let parts = output_of(readelf.arg(program))?;
    match parts.contains("INTERP") || parts.contains("(NEEDED)") {
        true => Err(format!("{} needs libraries:\n{parts}", program.display())),
        false => Ok(()),
    }
}

/// Servers that fail, and names that are resolved while configurations change: its C library has a resolver of its own.
fn check(program: &Path) -> Result<(), String> {
    let program = program.to_string_lossy();
    for kind in [&["--minutes", "0.3"][..], &["--minutes", "0.3", "--reload"]] {
        example("torture", &[&["--nuthatch", &program], kind].concat())?;
    }
    Ok(())
}
