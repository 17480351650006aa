//! The generated pages of the manual.

use crate::config;

/// A page's name and what makes its text.
type Page = (&'static str, fn() -> String);

/// The pages, by the names that `nuthatch docs` knows; each is in `docs/`.
pub(crate) const PAGES: [Page; 4] = [
    ("configuration", config::docs::configuration),
    ("check", config::lints::page),
    ("redis", proxy::manual::redis_commands),
    ("memcached", proxy::manual::memcached_commands),
];

/// The text of a page; empty if there is none of that name.
pub(crate) fn page(name: &str) -> String {
    let page = PAGES.iter().find(|(known, _)| *known == name);
    page.map(|(_, text)| text()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Set `BLESS=1` to write the pages instead of comparing them.
    #[test]
    fn the_pages_in_the_repository_are_fresh() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for (name, text) in PAGES {
            let file = docs.join(format!("{name}.md"));
            if std::env::var_os("BLESS").is_some() {
                fs::write(&file, text()).expect("the page");
            }
            let there = fs::read_to_string(&file).unwrap_or_default();
            assert!(
                there == text(),
                "docs/{name}.md is stale: run the tests with BLESS=1, or `nuthatch docs {name} > docs/{name}.md`"
            );
        }
    }
}
