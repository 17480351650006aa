//! Checks that links between the project's documents are valid.

use std::collections::{BTreeMap, BTreeSet};

use super::files::ProjectFile;
use super::finding::Finding;

/// Checks every relative link of every Markdown file, headings included.
pub(super) fn check(files: &[ProjectFile]) -> Vec<Finding> {
    let map = Map::of(files);
    files
        .iter()
        .filter(|file| file.is_markdown())
        .flat_map(|file| {
            let broken = links(&file.text).into_iter().filter_map(|(line, target)| {
                let problem = map.problem(&file.path, &target)?;
                let says = format!("the link to {target} is broken: {problem}");
                Some(Finding::on_line(file, line, says))
            });
            broken.collect::<Vec<_>>()
        })
        .collect()
}

/// Everything that links can point to.
struct Map {
    paths: BTreeSet<String>,
    anchors: BTreeMap<String, BTreeSet<String>>,
}

impl Map {
    fn of(files: &[ProjectFile]) -> Map {
        let documents = files.iter().filter(|file| file.is_markdown());
        Map {
            paths: files
                .iter()
                .flat_map(|file| with_directories(&file.path))
                .collect(),
            anchors: documents
                .map(|f| (f.path.clone(), anchors(&f.text)))
                .collect(),
        }
    }

    /// Why `target`, as written in the file `from`, is invalid.
    fn problem(&self, from: &str, target: &str) -> Option<String> {
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = match target.split_once('#') {
            Some((path, anchor)) => (path, Some(anchor)),
            None => (target, None),
        };
        let path = if path.is_empty() {
            from.to_string()
        } else {
            resolve(from, path)?
        };
        if !self.paths.contains(&path) {
            return Some(format!("there is no {path}"));
        }
        let (anchor, known) = (anchor?, self.anchors.get(&path)?);
        (!known.contains(anchor)).then(|| format!("{path} has no heading #{anchor}"))
    }
}

/// A path and every directory above it.
fn with_directories(path: &str) -> Vec<String> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let directories = ends.map(|at| path[..at].to_string());
    directories.chain([path.to_string()]).collect()
}

/// `target` relative to the top directory, or `None` if it is outside of the project (such links reach the
/// web interface of a hosting service).
fn resolve(from: &str, target: &str) -> Option<String> {
    let directory = from.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut parts: Vec<&str> = directory.split('/').filter(|p| !p.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Line number and target of each inline link outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code_spans(line);
        for (at, opening) in line.match_indices("](") {
            let rest = &line[at + opening.len()..];
            if let Some(end) = rest.find(')') {
                let target = rest[..end].split(' ').next().unwrap_or_default();
                found.push((number, target.trim_matches(['<', '>']).to_string()));
            }
        }
    }
    found
}

/// The lines outside of fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_fence = false;
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let is_fence = line.trim_start().starts_with("```");
        in_fence ^= is_fence;
        (!in_fence && !is_fence).then_some((number, line))
    })
}

fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The anchors of a document's headings, as code hosting services derive them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| slug(line.trim_start_matches('#').trim()))
        .map(|slug| {
            let count = seen.entry(slug.clone()).or_default();
            *count += 1;
            if *count == 1 {
                slug
            } else {
                format!("{slug}-{}", *count - 1)
            }
        })
        .collect()
}

fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(documents: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = documents
            .iter()
            .map(|(path, text)| ProjectFile::new(*path, *text))
            .collect();
        check(&files)
            .into_iter()
            .map(|f| f.at + " " + &f.says)
            .collect()
    }

    #[test]
    fn links_that_lead_somewhere() {
        let readme = "[a](docs/a.md) [b](docs/a.md#the-way-back-1) [c](docs) [d](#top)\n\
                      # Top\n[e](https://example.org/x) `[f](nowhere.md)`\n\
                      ```\n[g](nowhere.md)\n```\n[h](../../issues)\n";
        let page = "# The way back\n## The way back\n[up](../README.md \"title\")\n";
        assert_eq!(
            broken(&[("README.md", readme), ("docs/a.md", page)]),
            [""; 0]
        );
    }

    #[test]
    fn links_that_lead_nowhere() {
        let readme = "fine\n[a](docs/b.md)\n[b](docs/a.md#missing) [c](#gone)\n";
        let found = broken(&[("README.md", readme), ("docs/a.md", "# Here\n")]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("README.md:2") && found[0].contains("docs/b.md"));
        assert!(found[1].contains("#missing") && found[2].contains("#gone"));
    }

    #[test]
    fn headings_become_anchors() {
        let anchors = anchors("# What, why & `how`?\n```\n# not one\n```\n");
        assert_eq!(Vec::from_iter(anchors), ["what-why--how"]);
    }
}
