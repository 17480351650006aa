//! Runs other programs in the top directory of the project.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The directory that holds the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("xtask is a directory of the workspace")
        .to_path_buf()
}

/// A command that runs in the top directory.
pub(crate) fn at_root(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    at_root(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf, String> {
    let mut ask = cargo();
    ask.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&output_of(&mut ask)?)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    metadata["target_directory"]
        .as_str()
        .map(|path| Path::new(path).to_path_buf())
        .ok_or_else(|| "cargo metadata names no target directory".into())
}

/// A cargo tool of this version, installed below `target` if it is missing.
pub(crate) fn installed(tool: &str, version: &str) -> Result<PathBuf, String> {
    let home = root().join("target/tools");
    let program = home.join("bin").join(tool);
    if !program.exists() {
        let mut install = cargo();
        install.args(["install", tool, "--locked", "--version", version]);
        run(install.arg("--root").arg(&home))?;
    }
    Ok(program)
}

/// Prints the command, runs it, and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let shown = shown(command);
    println!("$ {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed ({status})")),
        Err(error) => Err(format!("`{shown}` did not start: {error}")),
    }
}

/// Prints the command and runs it; returns its standard error, which is also shown as it arrives.
pub(crate) fn errors_of(command: &mut Command) -> Result<String, String> {
    let shown = shown(command);
    println!("$ {shown}");
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{shown}` did not start: {error}"))?;
    let errors = child.stderr.take().expect("it was asked for above");
    let mut said = String::new();
    // Bytes that are not text are shown too.
    for line in BufReader::new(errors).split(b'\n') {
        let line = line.map_err(|error| format!("`{shown}`: {error}"))?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        said.push_str(&line);
        said.push('\n');
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(said),
        Ok(status) => Err(format!("`{shown}` failed ({status})")),
        Err(error) => Err(format!("`{shown}`: {error}")),
    }
}

/// Runs the command and returns its standard output.
pub(crate) fn output_of(command: &mut Command) -> Result<String, String> {
    let shown = shown(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{shown}` did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` failed ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` did not print text"))
}

/// Whether the command starts and succeeds; its output is discarded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether `program` is on PATH or in the system's sbin directories.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .any(|dir| dir.join(program).is_file())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command() {
        let error = run(at_root("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(
            error.contains("sh -c exit 3") && error.contains('3'),
            "{error}"
        );
        assert!(!succeeds(at_root("sh").args(["-c", "exit 3"])));
        assert!(output_of(&mut at_root("no-such-program")).is_err());
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
        assert!(is_installed("sh") && !is_installed("no-such-program"));
    }
}
