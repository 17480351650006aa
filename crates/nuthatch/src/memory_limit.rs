//! How much memory the process may use, for the default of `max_memory`.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups (cgroups) are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Half of the memory that the process may use: of the smallest limit of its control groups, or of the
/// machine's memory if that is smaller. 0 (no limit) if neither can be read.
pub(crate) fn half_of_memory() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = rustix::system::sysinfo();
    let machine = machine.totalram.saturating_mul(u64::from(machine.mem_unit));
    let limits = limits(Path::new(CGROUPS), &groups);
    limits.chain([machine]).min().unwrap_or_default() / 2
}

/// The limits of the groups in `groups` (in the format of `/proc/self/cgroup`) and of all their parent
/// groups, as found below `root`. A group without a limit has `max` (version 2) or a very large number
/// (version 1).
fn limits(root: &Path, groups: &str) -> impl Iterator<Item = u64> {
    let files = groups.lines().flat_map(|line| limit_files(root, line));
    let texts = files.filter_map(|file| fs::read_to_string(file).ok());
    texts.filter_map(|text| text.trim().parse().ok())
}

/// The files that may hold a limit for one group, given as `number:controllers:path`.
fn limit_files(root: &Path, line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
    else {
        return Vec::new();
    };
    let (root, name) = match controllers {
        "" => (root.to_owned(), "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            (root.join("memory"), "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let inner = Path::new(path.trim_start_matches('/'));
    // Inside a container the path may be missing; the root is then the container's own group.
    inner
        .ancestors()
        .map(|group| root.join(group).join(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn least(root: &Path, groups: &str) -> Option<u64> {
        limits(root, groups).min()
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_around_it_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let groups = "0::/system.slice/nuthatch.service\n";
        assert_eq!(least(root, groups), None);
        write(root, "system.slice/nuthatch.service/memory.max", "max\n");
        assert_eq!(least(root, groups), None);
        write(root, "system.slice/memory.max", "4000\n");
        assert_eq!(least(root, groups), Some(4_000));
        write(root, "system.slice/nuthatch.service/memory.max", "3000\n");
        assert_eq!(least(root, groups), Some(3_000));
        assert_eq!(least(root, "0::/other\n"), None);
        write(root, "memory.max", "2000\n");
        assert_eq!(least(root, "0::/../..\nnonsense\n"), Some(2_000));
    }

    #[test]
    fn version_1_shows_limits_below_its_controller() {
        let dir = tempfile::tempdir().unwrap();
        let groups = "5:cpu,memory:/docker/x\n4:pids:/docker/x\n0::/\n";
        write(dir.path(), "memory/docker/x/memory.limit_in_bytes", "700\n");
        write(dir.path(), "pids/docker/x/memory.limit_in_bytes", "5\n");
        assert_eq!(least(dir.path(), groups), Some(700));
    }

    #[test]
    fn there_is_memory_here() {
        assert!(half_of_memory() > 16 << 20);
    }
}
