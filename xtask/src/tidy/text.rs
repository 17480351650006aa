//! House rules for files as text.

use super::files::ProjectFile;
use super::finding::Finding;

/// Maximum lines of a Rust file.
const LONGEST_FILE: usize = 600;

/// Directories of one machine; split up, so that this file passes its own rule.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

/// Hosts of package registries, which a mirror or a proxy may replace.
const REGISTRY_HOSTS: [&str; 5] = [
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("proxy.golang", ".org"),
];

/// The rules for every file, and for Rust files.
pub(super) fn check(file: &ProjectFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.is_rust() {
        findings.extend(length(file));
        findings.extend(introduction(file));
    }
    // Cargo writes the registry's name into its lock file.
    if file.path != "Cargo.lock" && !file.path.ends_with("/Cargo.lock") {
        findings.extend(machine_and_registry_names(file));
    }
    findings
}

/// The changelog has a section for unreleased changes.
pub(super) fn changelog(files: &[ProjectFile]) -> Option<Finding> {
    let path = "CHANGELOG.md";
    let Some(file) = files.iter().find(|file| file.path == path) else {
        return Some(Finding::new(path, "is missing"));
    };
    let has_section = file
        .text
        .lines()
        .any(|line| matches!(line.trim_end(), "## Unreleased" | "## [Unreleased]"));
    (!has_section).then(|| Finding::new(path, "has no section `## Unreleased`"))
}

/// Every manifest uses the workspace's lints, including `unsafe_code = "forbid"`.
pub(super) fn lints_inherited(files: &[ProjectFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| file.path.starts_with("crates/") || file.path.starts_with("xtask/"))
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .filter(|file| !file.text.contains("[lints]\nworkspace = true"))
        .map(|file| Finding::new(&file.path, "does not take the lints of the workspace"))
        .collect()
}

fn length(file: &ProjectFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    let says =
        format!("has {lines} lines; at most {LONGEST_FILE} are allowed, 150 to 350 are better");
    (lines > LONGEST_FILE).then(|| Finding::new(&file.path, says))
}

fn introduction(file: &ProjectFile) -> Option<Finding> {
    let belongs_to_a_crate = file.path.starts_with("crates/") || file.path.starts_with("xtask/");
    let introduced = file.text.trim_start().starts_with("//!");
    (belongs_to_a_crate && !introduced)
        .then(|| Finding::new(&file.path, "does not begin with `//!`: what is it for?"))
}

fn machine_and_registry_names(file: &ProjectFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for path in MACHINE_PATHS
            .iter()
            .filter(|path| names_directory(line, path))
        {
            let says = format!("names a directory of one machine ({path})");
            findings.push(Finding::on_line(file, index + 1, says));
        }
        for host in REGISTRY_HOSTS.iter().filter(|host| line.contains(*host)) {
            let says = format!("names the registry {host}");
            findings.push(Finding::on_line(file, index + 1, says));
        }
    }
    findings
}

/// Whether an absolute path begins here; `../work/` and `at/home/` are not absolute.
fn names_directory(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let file = ProjectFile::new(path, text);
        check(&file)
            .into_iter()
            .map(|f| f.at + " " + &f.says)
            .collect()
    }

    #[test]
    fn a_file_has_at_most_six_hundred_lines() {
        let lines = |count| "//! Doc.\n".repeat(count);
        assert_eq!(findings("crates/a/src/a.rs", &lines(600)), [""; 0]);
        assert!(findings("crates/a/src/a.rs", &lines(601))[0].contains("601 lines"));
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(findings("crates/a/src/a.rs", "//! Doc.\n"), [""; 0]);
        assert_eq!(findings("crates/a/src/a.rs", "fn main() {}\n").len(), 1);
        assert_eq!(findings("fuzz/targets/a.rs", "#![no_main]\n"), [""; 0]);
    }

    #[test]
    fn names_of_machines_and_registries_are_found() {
        let homes = format!(
            "see {}me/x\n{}\n",
            "/ho",
            concat!("https://pypi", ".org/simple")
        );
        let found = findings("docs/a.md", &homes);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("docs/a.md:1") && found[1].starts_with("docs/a.md:2"));
        assert_eq!(
            findings("docs/a.md", &format!("../wo{}\n", "rk/x")),
            [""; 0]
        );
        assert_eq!(
            findings("Cargo.lock", concat!("github.com/crates", ".io-index")),
            [""; 0]
        );
    }

    #[test]
    fn the_changelog_needs_its_open_section() {
        let with = |text: &str| changelog(&[ProjectFile::new("CHANGELOG.md", text)]);
        assert_eq!(with("# Changelog\n\n## Unreleased\n"), None);
        assert!(with("# Changelog\n\n## 1.0.0\n").is_some());
        assert!(changelog(&[]).unwrap().says.contains("missing"));
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let bare = ProjectFile::new("crates/a/Cargo.toml", "[package]\n");
        let good = ProjectFile::new("crates/b/Cargo.toml", "[lints]\nworkspace = true\n");
        let found = lints_inherited(&[bare, good]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].at, "crates/a/Cargo.toml");
    }
}
