//! Lints: configurations that are valid, and that users of such proxies regret. Each finding has its place in the file,
//! figures, the consequence and what to do. Only `nuthatch check` looks for them.
//!
//! [`LINTS`] is the table: the command, the tests and `docs/check.md` are driven by it.

mod failing;
mod placement;
mod process;
mod row;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write;

use super::checked::Checked;
use super::file::ReadPool;
use super::report::{Position, Problem};
use super::secrets::without_userinfo;
pub use row::Lint;
use row::{Check, Evidence, Subject, Subjects};

/// What a lint found.
#[derive(Debug)]
pub struct Finding {
    /// The lint's name.
    pub lint: &'static str,
    /// The pool, if it is in one.
    pub pool: Option<String>,
    /// Where it is.
    pub position: Position,
    /// What was found, with figures.
    pub evidence: String,
    /// What happens if it is left as it is; empty where the evidence says so.
    pub consequence: &'static str,
    /// What to do; empty where the evidence says so.
    pub cure: String,
}

/// The table, in the order of the manual.
pub static LINTS: &[Lint] = &[
    placement::CRC32_WITH_KETAMA,
    placement::UNNAMED_SERVERS,
    placement::WEIGHT_ROUNDED_AWAY,
    placement::WEIGHTS_WITHOUT_EFFECT,
    placement::SAME_ADDRESS,
    failing::NO_TIMEOUT,
    failing::MODULA_WITH_EJECTION,
    failing::EJECTION_OF_THE_ONLY_SERVER,
    failing::REMAP_SERVES_OLD_VALUES,
    failing::FAILURE_LIMIT_OF_ONE,
    failing::RETRY_BELOW_FAILURE_LIMIT,
    failing::RETRY_TIMEOUT_BELOW_TIMEOUT,
    failing::FAILOVER_TO_SAME_SERVERS,
    process::TOO_FEW_DESCRIPTORS,
    process::TOO_FEW_SERVER_CONNECTIONS,
    WARNED_AT_START,
];

const WARNED_AT_START: Lint = Lint {
    name: "warned-at-start",
    finds: "Anything else that `nuthatch -t` and the log at start warn of: settings that have no effect, or another one \
            than a reader may expect.",
    consequence: "",
    cure: "",
    check: Check::Start,
};

/// Looks for everything in the table. `descriptors` is how many the process may open.
pub(super) fn look(checked: &Checked, descriptors: u64) -> Vec<Finding> {
    let config = &checked.config;
    let named = checked.pools.iter().map(|read| (&read.name, read));
    let read: HashMap<&String, &ReadPool> = named.collect();
    let mut pools = Vec::with_capacity(config.pools.len());
    for pool in &config.pools {
        if let Some(read) = read.get(&pool.settings.name) {
            pools.push(Subject { read, pool, config });
        }
    }
    let subjects = Subjects {
        pools,
        config,
        descriptors,
    };
    let mut findings = Vec::new();
    for lint in LINTS {
        let found = match lint.check {
            Check::Pool(check) => subjects.pools.iter().flat_map(check).collect(),
            Check::Whole(check) => check(&subjects),
            Check::Start => warned(checked),
        };
        findings.extend(found.into_iter().map(|it| finding(lint, it)));
    }
    findings.sort_by(|a, b| order(&a.position).cmp(&order(&b.position)));
    findings
}

fn order(position: &Position) -> (&str, usize, usize) {
    (&position.source.name, position.line, position.column)
}

/// What is warned of at start, but for what a lint says with figures.
fn warned(checked: &Checked) -> Vec<Evidence> {
    let told = |it: &&super::report::Warning| !it.has_lint;
    let warnings = checked.warnings.iter().filter(told);
    let evidence = warnings.map(|warning| Evidence {
        pool: None,
        position: warning.position.clone(),
        text: warning.message.clone(),
        cure: None,
    });
    evidence.collect()
}

/// What a lint found, as it is told.
fn finding(lint: &Lint, found: Evidence) -> Finding {
    let cure = found.cure.unwrap_or_else(|| lint.cure.into());
    Finding {
        lint: lint.name,
        pool: found.pool,
        position: found.position,
        // Names and addresses may hold a password.
        evidence: without_userinfo(&found.text),
        consequence: lint.consequence,
        cure: without_userinfo(&cure),
    }
}

impl Finding {
    /// The finding as a problem, which shows its place in the file; `label` is `warning` or `error`.
    pub fn shown(&self, label: &str) -> Problem {
        let pool = match &self.pool {
            Some(pool) => format!("pool `{pool}`: "),
            None => String::new(),
        };
        let message = format!("{label}[{}]: {pool}{}", self.lint, self.evidence);
        let mut problem = Problem::at(&self.position, message);
        for help in [self.consequence, &self.cure] {
            if !help.is_empty() {
                problem = problem.help(help);
            }
        }
        problem
    }
}

/// The text of `docs/check.md`.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for lint in LINTS {
        let _ = writeln!(
            page,
            "| [`{0}`](#{0}) | {1} |",
            lint.name,
            first_sentence(lint.finds)
        );
    }
    for lint in LINTS {
        let _ = writeln!(page, "\n## {}\n\n{}", lint.name, lint.finds);
        for (title, text) in [("Consequence", lint.consequence), ("Cure", lint.cure)] {
            if !text.is_empty() {
                let _ = writeln!(page, "\n{title}: {text}.");
            }
        }
    }
    page
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

const HEAD: &str = "\
<!-- Generated from the table of lints: `nuthatch docs check` prints this page. -->
# nuthatch check

`nuthatch check FILE` reports all errors of a configuration file, each with its line and what was expected. If there is none, it
looks for lints: settings that are valid, and that users of such proxies regret. Each has its place in the file, figures
that were computed for this file, the consequence and the cure:

```
n.yml:3:3: warning[crc32-with-ketama]: pool `p`: `crc32` has 32768 values, and `one` gets 100.0% of the keys; 2 of 3 servers get none
 3 |   hash: crc32
   |   ^^^^
  = nearly all keys are on one server, and the others are idle
  = `hash: crc32a` spreads the keys, but moves them; `nuthatch ring diff` tells how many
```

Lints are warnings: the exit status stays 0. `--deny LINT` makes one an error, `--deny all` all of them, and the exit status is 1
then, as for errors of the file; 2 means that the arguments are wrong. `FILE` can be `-` for standard input. `--json` prints one object
with everything. Nothing else looks for lints: not `nuthatch -t`, and not the proxy when it starts.

| lint | finds |
|---|---|
";
