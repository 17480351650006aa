//! Licences of everything that the project links, tests or builds with.

use super::finding::Finding;
use super::metadata::{Metadata, Package};

/// Licences that are compatible with distributing an Apache-2.0 project.
const ALLOWED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks every package, including our own.
pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    metadata
        .packages
        .values()
        .filter_map(check_package)
        .collect()
}

fn check_package(package: &Package) -> Option<Finding> {
    let Some(expression) = &package.license else {
        return Some(Finding::new(&package.name, "states no licence"));
    };
    let says = format!("has the licence {expression}, which is not on the list");
    (!is_allowed(expression)).then(|| Finding::new(&package.name, says))
}

/// Whether an SPDX expression (or the older `A/B`) can be satisfied from the list.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) && rest.is_empty()
}

/// `A OR B OR ...`; AND binds tighter.
fn any_of(rest: &mut &[&str]) -> bool {
    let mut allowed = all_of(rest);
    while take(rest, "OR") {
        allowed |= all_of(rest);
    }
    allowed
}

fn all_of(rest: &mut &[&str]) -> bool {
    let mut allowed = one(rest);
    while take(rest, "AND") {
        allowed &= one(rest);
    }
    allowed
}

/// A licence with its exception, or an expression in parentheses.
fn one(rest: &mut &[&str]) -> bool {
    if take(rest, "(") {
        let allowed = any_of(rest);
        return take(rest, ")") && allowed;
    }
    let Some((name, after)) = rest.split_first() else {
        return false;
    };
    *rest = after;
    if take(rest, "WITH") {
        let exception = rest.first().copied().unwrap_or_default();
        *rest = rest.get(1..).unwrap_or_default();
        return ALLOWED.contains(&&*format!("{name} WITH {exception}"));
    }
    ALLOWED.contains(name)
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let found = rest.first() == Some(&word);
    if found {
        *rest = &rest[1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_says() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "GPL-2.0 AND GPL-3.0 OR Zlib",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR GPL-3.0) AND SSPL-1.0",
            "MIT WITH strange-exception",
            "(MIT",
            "MIT Apache-2.0",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn a_package_without_a_licence_is_found() {
        let package = Package {
            name: "mystery".into(),
            ..Package::default()
        };
        let metadata = Metadata {
            packages: [("mystery".into(), package)].into(),
        };
        assert_eq!(
            check(&metadata),
            [Finding::new("mystery", "states no licence")]
        );
    }

    #[test]
    fn a_licence_off_the_list_is_found() {
        let license = Some("AGPL-3.0".into());
        let package = Package {
            name: "viral".into(),
            license,
            ..Package::default()
        };
        assert!(check_package(&package).unwrap().says.contains("AGPL-3.0"));
    }
}
