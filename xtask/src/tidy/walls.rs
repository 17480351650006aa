//! Checks the allowed dependencies between crates ("walls").

use super::finding::Finding;
use super::metadata::{Metadata, Package};

/// What one of our crates may have in its manifest.
struct Wall {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// The crates below `nuthatch`, which decide but do no I/O: no socket, clock, thread or async runtime.
const BELOW: [Wall; 4] = [
    Wall {
        name: "hashkit",
        may_use: &["crc32fast", "md-5"],
    },
    Wall {
        name: "redis-proto",
        may_use: &["itoa", "memchr"],
    },
    Wall {
        name: "memcached-proto",
        may_use: &["itoa", "memchr"],
    },
    Wall {
        name: "proxy",
        may_use: &[
            "arc-swap",
            "hashkit",
            "itoa",
            "memcached-proto",
            "memchr",
            "redis-proto",
            "sha1",
            "sha2",
            "slab",
        ],
    },
];

/// Dependencies that are forbidden for crates without a full list.
const BARRED: [(&str, &[&str]); 2] = [
    // Parsing requests is the core's task.
    ("nuthatch", &["memcached-proto", "redis-proto"]),
    // It runs the proxy as a child process and uses it from outside.
    ("nuthatch-demo", &["nuthatch", "proxy"]),
];

/// Further dependencies that tests of the crates below `nuthatch` may use.
const BELOW_IN_TESTS: [&str; 4] = ["proptest", "serde_json", "tempfile", "testkit"];

/// Crates without restrictions.
const FREE: [&str; 7] = [
    "nuthatch",
    "nuthatch-bench",
    "nuthatch-demo",
    "properties",
    "testkit",
    "versus",
    "xtask",
];

/// Crates that are not part of the product: product crates may use them in tests only.
const FOR_TESTS: [&str; 3] = ["properties", "testkit", "versus"];

/// Packages (and families, with a trailing `*`) that open sockets, read clocks, start threads or run futures.
/// The crates below `nuthatch` must not link them, not even indirectly.
const RUNTIMES_AND_SOCKETS: [&str; 26] = [
    "async-*",
    "chrono",
    "clap*",
    "crossbeam*",
    "futures*",
    "getrandom",
    "glommio",
    "hyper*",
    "jiff",
    "mio",
    "monoio",
    "nix",
    "parking_lot*",
    "polling",
    "quanta",
    "rand",
    "rayon*",
    "rustix",
    "rustls*",
    "serde*",
    "signal-hook*",
    "smol",
    "socket2",
    "time",
    "tokio*",
    "tracing*",
];

/// Checks the walls, and that every dependency has a version.
pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let ours = metadata.workspace_packages();
    let mut findings = Vec::new();
    for package in ours {
        match BELOW.iter().find(|wall| wall.name == package.name) {
            Some(wall) => {
                findings.extend(check_direct(package, wall));
                findings.extend(check_indirect(metadata, package));
            }
            None => findings.extend(check_is_known(package)),
        }
        findings.extend(check_barred(package));
        findings.extend(check_never_ships(package));
        findings.extend(check_versions(package));
    }
    findings
}

fn check_direct(package: &Package, wall: &Wall) -> Vec<Finding> {
    package
        .declared
        .iter()
        .filter(|dependency| {
            let in_tests = dependency.is_dev && BELOW_IN_TESTS.contains(&&*dependency.name);
            !in_tests && !wall.may_use.contains(&&*dependency.name)
        })
        .map(|dependency| {
            let allowed = wall.may_use.join(", ");
            let name = &dependency.name;
            let says = format!("must not depend on {name}; it may only depend on: {allowed}");
            Finding::new(&package.name, says)
        })
        .collect()
}

fn check_indirect(metadata: &Metadata, package: &Package) -> Vec<Finding> {
    metadata
        .linked_with(package)
        .into_iter()
        .filter(|name| RUNTIMES_AND_SOCKETS.iter().any(|rule| matches(rule, name)))
        .map(|name| {
            let says = format!("is linked with {name}, which only the binary may use");
            Finding::new(&package.name, says)
        })
        .collect()
}

fn matches(rule: &str, name: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => name == rule,
    }
}

fn check_barred(package: &Package) -> Vec<Finding> {
    let barred = |name: &str| {
        let mut rules = BARRED.iter().filter(|(owner, _)| *owner == package.name);
        rules.any(|(_, names)| names.contains(&name))
    };
    package
        .declared
        .iter()
        .filter(|dependency| barred(&dependency.name))
        .map(|dependency| {
            let says = format!("must not depend on {}", dependency.name);
            Finding::new(&package.name, says)
        })
        .collect()
}

fn check_is_known(package: &Package) -> Option<Finding> {
    let says = "has no wall: add it to the table in xtask/src/tidy/walls.rs";
    (!FREE.contains(&&*package.name)).then(|| Finding::new(&package.name, says))
}

/// xtask is not part of the product either, and benches start servers as tests do.
fn check_never_ships(package: &Package) -> Vec<Finding> {
    if package.name == "xtask" {
        return Vec::new();
    }
    package
        .declared
        .iter()
        .filter(|dependency| FOR_TESTS.contains(&&*dependency.name) && !dependency.is_dev)
        .map(|dependency| {
            let says = format!("{} may only be a dev-dependency", dependency.name);
            Finding::new(&package.name, says)
        })
        .collect()
}

fn check_versions(package: &Package) -> Vec<Finding> {
    package
        .declared
        .iter()
        .filter(|dependency| !dependency.is_local && dependency.version.contains('*'))
        .map(|dependency| {
            let says = format!("names no version of {}: wildcards drift", dependency.name);
            Finding::new(&package.name, says)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Declared;
    use super::*;

    fn depends(name: &str, on: &[(&str, bool)]) -> Package {
        let declared = on.iter().map(|&(name, is_dev)| Declared {
            name: name.into(),
            version: "^1".into(),
            is_dev,
            is_local: false,
        });
        Package {
            name: name.into(),
            is_ours: true,
            declared: declared.collect(),
            ..Package::default()
        }
    }

    fn findings(packages: Vec<Package>) -> Vec<String> {
        let named = packages.into_iter().map(|p| (p.name.clone(), p));
        let metadata = Metadata {
            packages: named.collect(),
        };
        check(&metadata)
            .into_iter()
            .map(|f| f.at + " " + &f.says)
            .collect()
    }

    #[test]
    fn what_the_walls_let_in_is_in_order() {
        let proxy = depends("proxy", &[("slab", false), ("proptest", true)]);
        let binary = depends("nuthatch", &[("mio", false), ("testkit", true)]);
        assert_eq!(findings(vec![proxy, binary]), [""; 0]);
    }

    #[test]
    fn a_leaf_must_not_know_another_nor_a_socket() {
        let leaf = depends("hashkit", &[("redis-proto", false), ("mio", true)]);
        let found = findings(vec![leaf]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("redis-proto") && found[1].contains("mio"));
    }

    #[test]
    fn a_runtime_behind_an_allowed_crate_is_found() {
        let mut proxy = depends("proxy", &[("slab", false)]);
        proxy.links = vec!["slab".into()];
        let slab = Package {
            name: "slab".into(),
            links: vec!["tokio-util".into()],
            ..Package::default()
        };
        let tokio = Package {
            name: "tokio-util".into(),
            ..Package::default()
        };
        let found = findings(vec![proxy, slab, tokio]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("tokio-util"));
    }

    #[test]
    fn a_crate_without_a_wall_is_found() {
        assert!(findings(vec![depends("attic", &[])])[0].contains("has no wall"));
    }

    #[test]
    fn the_binary_does_not_parse_and_the_demo_does_not_look_inside() {
        let binary = depends("nuthatch", &[("redis-proto", false), ("mio", false)]);
        let demo = depends("nuthatch-demo", &[("redis-proto", false), ("proxy", true)]);
        let found = findings(vec![binary, demo]);
        assert_eq!(
            found,
            [
                "nuthatch must not depend on redis-proto",
                "nuthatch-demo must not depend on proxy"
            ]
        );
    }

    #[test]
    fn what_is_for_tests_never_ships() {
        for name in FOR_TESTS {
            let found = findings(vec![depends("nuthatch", &[(name, false)])]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains("dev-dependency"), "{found:?}");
            let in_tests = depends("nuthatch", &[(name, true)]);
            assert_eq!(findings(vec![in_tests]), [""; 0]);
        }
        let chores = depends("xtask", &[("testkit", false)]);
        assert_eq!(findings(vec![chores]), [""; 0]);
    }

    #[test]
    fn wildcard_versions_are_found() {
        let mut binary = depends("nuthatch", &[("mio", false)]);
        binary.declared[0].version = "*".into();
        assert!(findings(vec![binary.clone()])[0].contains("wildcards"));
        binary.declared[0].is_local = true;
        assert_eq!(findings(vec![binary]), [""; 0]);
    }
}
