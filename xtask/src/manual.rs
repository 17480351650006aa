//! `cargo xtask manual`: writes the manual pages and the shells' completions.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::run::{cargo, root, run};

/// Where they are written unless another folder is named, below the top directory. `crates/nuthatch/Cargo.toml` packs them from here.
const FOLDER: &str = "target/manual";

/// Writes them below `folder`.
///
/// # Errors
///
/// When what makes them does not build, or the folder cannot be written.
pub(crate) fn write(folder: Option<&str>) -> Result<(), String> {
    let folder = match folder {
        Some(folder) => {
            std::path::absolute(folder).map_err(|error| format!("{folder}: {error}"))?
        }
        None => emptied()?,
    };
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "nuthatch"]);
    command.args(["--example", "manual", "--"]);
    run(command.arg(&folder))?;
    println!("manual: {}", folder.display());
    Ok(())
}

/// Our own folder, without what an earlier commit has written there.
fn emptied() -> Result<PathBuf, String> {
    let folder = root().join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(format!("{FOLDER}: {error}")),
        _ => Ok(folder),
    }
}
