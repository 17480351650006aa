//! The output of `cargo metadata`, reduced to what the rules need.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::run::{cargo, output_of};

/// The resolved packages of the workspace and of everything it depends on.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// By package id.
    pub(crate) packages: BTreeMap<String, Package>,
}

/// One package.
#[derive(Debug, Default, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// One of ours, not from a registry.
    pub(crate) is_ours: bool,
    /// Its licence expression, if it has one.
    pub(crate) license: Option<String>,
    /// Its dependencies, as declared in its manifest.
    pub(crate) declared: Vec<Declared>,
    /// Ids of the packages that its library and binaries link.
    pub(crate) links: Vec<String>,
    /// Names of its integration test files.
    pub(crate) test_targets: Vec<String>,
}

/// One line of a `[dependencies]` table.
#[derive(Debug, Default, Clone)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) is_dev: bool,
    /// It is a path within this project.
    pub(crate) is_local: bool,
}

impl Metadata {
    /// Runs cargo.
    ///
    /// # Errors
    ///
    /// When cargo fails or prints something unexpected.
    pub(crate) fn load() -> Result<Metadata, String> {
        let text = output_of(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
        Ok(Metadata::from_json(&value))
    }

    fn from_json(value: &Value) -> Metadata {
        let mut packages: BTreeMap<String, Package> = list(value, "packages")
            .map(|package| (text(package, "id"), package_from_json(package)))
            .collect();
        for node in list(&value["resolve"], "nodes") {
            if let Some(package) = packages.get_mut(&text(node, "id")) {
                package.links = normal_links(node);
            }
        }
        Metadata { packages }
    }

    /// How many packages there are.
    pub(crate) fn len(&self) -> usize {
        self.packages.len()
    }

    /// Our own packages.
    pub(crate) fn workspace_packages(&self) -> Vec<&Package> {
        self.packages.values().filter(|p| p.is_ours).collect()
    }

    /// Names of everything that `package` links, without itself.
    pub(crate) fn linked_with(&self, package: &Package) -> BTreeSet<&str> {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: Vec<&str> = package.links.iter().map(String::as_str).collect();
        while let Some(id) = waiting.pop() {
            if let Some(found) = self.packages.get(id)
                && seen.insert(id)
            {
                waiting.extend(found.links.iter().map(String::as_str));
            }
        }
        seen.iter()
            .map(|id| self.packages[*id].name.as_str())
            .collect()
    }
}

fn package_from_json(value: &Value) -> Package {
    Package {
        name: text(value, "name"),
        is_ours: value["source"].is_null(),
        license: value["license"].as_str().map(String::from),
        declared: list(value, "dependencies")
            .map(declared_from_json)
            .collect(),
        links: Vec::new(),
        test_targets: list(value, "targets")
            .filter(|target| list(target, "kind").any(|kind| kind == "test"))
            .map(|target| text(target, "name"))
            .collect(),
    }
}

fn declared_from_json(value: &Value) -> Declared {
    Declared {
        name: text(value, "name"),
        version: text(value, "req"),
        is_dev: value["kind"] == "dev",
        is_local: value["path"].is_string(),
    }
}

fn normal_links(node: &Value) -> Vec<String> {
    list(node, "deps")
        .filter(|dep| list(dep, "dep_kinds").any(|kind| kind["kind"].is_null()))
        .map(|dep| text(dep, "pkg"))
        .collect()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_leave_out_what_only_tests_and_build_scripts_use() {
        let value = serde_json::json!({
            "packages": [
                { "id": "a", "name": "a", "source": null,
                  "targets": [{ "kind": ["test"], "name": "sim" }],
                  "dependencies": [{ "name": "b", "req": "^1", "kind": null }] },
                { "id": "b", "name": "b", "source": "registry" },
                { "id": "c", "name": "c", "source": "registry" },
                { "id": "t", "name": "t", "source": "registry" },
            ],
            "resolve": { "nodes": [
                { "id": "a", "deps": [
                    { "pkg": "b", "dep_kinds": [{ "kind": null }] },
                    { "pkg": "t", "dep_kinds": [{ "kind": "dev" }] },
                ] },
                { "id": "b", "deps": [
                    { "pkg": "c", "dep_kinds": [{ "kind": null }, { "kind": "build" }] },
                ] },
            ] },
        });
        let metadata = Metadata::from_json(&value);
        let ours = metadata.workspace_packages();
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[0].test_targets, ["sim"]);
        assert_eq!(Vec::from_iter(metadata.linked_with(ours[0])), ["b", "c"]);
    }
}
