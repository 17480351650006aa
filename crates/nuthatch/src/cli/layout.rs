//! Default paths of the configuration, log and pid files.
//!
//! nutcracker itself only has `conf/nutcracker.yml`. Debian's package adds paths of its own for
//! configuration, log and pid file, and its service starts the program without any option, so a replacement
//! of its binary needs them too.

use std::path::{Path, PathBuf};

/// The candidate files.
#[derive(Debug, Clone)]
pub struct Layout {
    /// nutcracker's own configuration file, relative to the working directory.
    conf: PathBuf,
    /// The configuration file of Debian's package.
    debian_conf: PathBuf,
    debian_log: PathBuf,
    debian_pid: PathBuf,
}

/// The files to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    /// The configuration.
    pub(super) conf: PathBuf,
    /// The log; standard error when there is none.
    pub(super) log: Option<PathBuf>,
    /// The pid file, if one is to be written.
    pub(super) pid: Option<PathBuf>,
}

impl Layout {
    /// The layout of a system with root directory `root` and working directory `work`.
    pub fn new(root: &Path, work: &Path) -> Self {
        Self {
            conf: work.join("conf/nutcracker.yml"),
            debian_conf: root.join("etc/nutcracker/nutcracker.yml"),
            debian_log: root.join("var/log/nutcracker/nutcracker.log"),
            debian_pid: root.join("run/nutcracker/nutcracker.pid"),
        }
    }

    /// The layout of this system.
    pub fn system() -> Self {
        Self::new(Path::new("/"), Path::new(""))
    }

    /// The files to use when no configuration is named: nutcracker's if it exists or Debian's does not. With
    /// Debian's configuration come its log and pid file, but only where the package has created their
    /// directories, and the pid file only for daemons, as in the package.
    pub(super) fn files(&self, daemonize: bool) -> Files {
        if self.conf.exists() || !self.debian_conf.exists() {
            return Files {
                conf: self.conf.clone(),
                log: None,
                pid: None,
            };
        }
        let usable = |file: &PathBuf| {
            file.parent()
                .is_some_and(Path::is_dir)
                .then(|| file.clone())
        };
        Files {
            conf: self.debian_conf.clone(),
            log: usable(&self.debian_log),
            pid: usable(&self.debian_pid).filter(|_| daemonize),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn touch(file: &Path) {
        fs::create_dir_all(file.parent().expect("a folder")).expect("the folder");
        fs::write(file, "").expect("the file");
    }

    #[test]
    fn nutcrackers_file_comes_first_then_debians() {
        let temp = tempfile::tempdir().expect("a folder");
        let (root, work) = (temp.path().join("root"), temp.path().join("work"));
        let layout = Layout::new(&root, &work);
        let own = Files {
            conf: work.join("conf/nutcracker.yml"),
            log: None,
            pid: None,
        };
        assert_eq!(
            layout.files(true),
            own,
            "nothing is there: for the error message"
        );

        touch(&root.join("etc/nutcracker/nutcracker.yml"));
        let mut debian = Files {
            conf: root.join("etc/nutcracker/nutcracker.yml"),
            log: None,
            pid: None,
        };
        assert_eq!(layout.files(true), debian);

        touch(&root.join("var/log/nutcracker/x"));
        touch(&root.join("run/nutcracker/x"));
        debian.log = Some(root.join("var/log/nutcracker/nutcracker.log"));
        assert_eq!(layout.files(false), debian);
        debian.pid = Some(root.join("run/nutcracker/nutcracker.pid"));
        assert_eq!(layout.files(true), debian);

        touch(&own.conf);
        assert_eq!(layout.files(true), own);
    }
}
