//! External programs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories of system administration programs, which a user's PATH often lacks.
const ALSO: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A program found on this machine.
#[derive(Debug, Clone)]
pub struct Tool {
    path: PathBuf,
}

impl Tool {
    /// Looks for `name` on PATH and in the system's sbin directories.
    pub fn find(name: &str) -> Option<Tool> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(ALSO.iter().map(PathBuf::from))
            .map(|dir| dir.join(name))
            .find(|file| is_executable(file))
            .map(|path| Tool { path })
    }

    /// The path of the program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that runs it.
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let shell = Tool::find("sh").expect("every unix has sh");
        assert!(
            shell
                .command()
                .args(["-c", "exit 0"])
                .status()
                .unwrap()
                .success()
        );
        assert!(Tool::find("no-such-program-anywhere").is_none());
    }
}
