//! How this process was started, so that another one can be started in the same way.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};

/// The file of the running program, whatever its path leads to by now.
const SELF: &str = "/proc/self/exe";

/// The command that started this process.
#[derive(Debug, Clone)]
pub(crate) struct StartedAs {
    /// Where the program was, links not followed: they may lead to another version later.
    pub(super) file: PathBuf,
    /// The name that it was called by.
    pub(super) name: OsString,
    pub(super) arguments: Vec<OsString>,
    is_simple_service: bool,
}

impl StartedAs {
    /// Of this process; to be called at its start, as its file may be replaced later.
    pub(crate) fn of_this_process() -> Self {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        Self {
            file: find(&name, env::var_os("PATH").as_deref()),
            name,
            arguments: arguments.collect(),
            is_simple_service: is_simple_service(),
        }
    }

    /// Whether systemd started it as a service of `Type=simple`, whose processes all end when this one does. With
    /// `Type=forking` systemd looks into the pid file for the next one.
    pub(crate) fn is_simple_service(&self) -> bool {
        self.is_simple_service
    }
}

fn is_simple_service() -> bool {
    let is_set = |name| env::var_os(name).is_some();
    // A shell of somebody's session has the first variable, too, but is not process 1.
    is_set("INVOCATION_ID") && !is_set("NOTIFY_SOCKET") && parent_id() == 1
}

/// Where the running program was found when it was called `name`.
fn find(name: &OsStr, path: Option<&OsStr>) -> PathBuf {
    let called = Path::new(name);
    let mut candidates: Vec<PathBuf> = Vec::new();
    match called.components().count() {
        0 => {}
        1 if !called.is_absolute() => {
            let folders = path.map(env::split_paths).into_iter().flatten();
            candidates.extend(folders.map(|folder| folder.join(called)));
        }
        _ => candidates.push(called.to_owned()),
    }
    let found = candidates.into_iter().find(|file| is_running(file));
    let found = found.and_then(|file| std::path::absolute(file).ok());
    found
        .or_else(|| env::current_exe().ok())
        .unwrap_or_default()
}

/// Whether this process runs that file: names lie.
fn is_running(file: &Path) -> bool {
    let identity = |file: &Path| {
        let meta = fs::metadata(file).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    identity(file).is_some_and(|it| identity(Path::new(SELF)) == Some(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_by_the_name_that_it_was_called_by() {
        let own = env::current_exe().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert_eq!(find(link.as_os_str(), None), link);
        let path = env::join_paths(["/no/such/folder".as_ref(), dir.path()]).unwrap();
        assert_eq!(find(OsStr::new("link"), Some(&path)), link);
        for lie in ["", "other", "/bin/sh", "./sh"] {
            assert_eq!(find(OsStr::new(lie), Some(&path)), own, "{lie}");
        }
    }
}
