//! The manual page of the settings, generated from their table.

use std::fmt::Write;

use hashkit::Distribution;

use super::kind::Kind;
use super::table::{Absent, Only, Origin, Scope, Setting, of};

/// The text of `docs/configuration.md`.
pub fn configuration() -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n## Settings of a pool\n\n");
    overview(&mut page, Scope::Pool);
    of(Scope::Pool).for_each(|setting| section(&mut page, setting));
    page.push_str(GLOBAL);
    overview(&mut page, Scope::Global);
    of(Scope::Global).for_each(|setting| section(&mut page, setting));
    page.push_str(TAIL);
    limits(&mut page);
    page
}

const HEAD: &str = "\
<!-- Generated from the table of settings: `nuthatch docs configuration` prints this page. -->
# Configuration

Nuthatch reads twemproxy's configuration file unchanged: YAML, one mapping per pool.

```yaml
sessions:
  listen: 127.0.0.1:22121
  redis: true
  servers:
    - 127.0.0.1:6379:1 one
    - 127.0.0.1:6380:1 two
```

Every value is read as plain text: `redis_auth: 0123` is four characters. `nuthatch check FILE`, or
`nuthatch -t -c FILE`, checks a file and reports all of its errors at once, each with its line and what was expected.

Settings marked *ours* are unknown to twemproxy, which refuses a file that has them. To keep a file that
twemproxy can still start from, put them into a second file of the same form, the overlay, and name it with
`--overlay FILE`:

```yaml
sessions:
  cross_shard: error
nuthatch:
  workers: auto
```

An overlay may contain only our own settings, and only for pools of the configuration file.

## In an editor

`nuthatch schema` prints a JSON Schema of the configuration file, and `nuthatch schema --overlay` one of the overlay. Editors show
descriptions, names and mistakes with it while a file is written; with the language server for YAML, say in the first line where it
is:

```yaml
# yaml-language-server: $schema=nuthatch.schema.json
```

A schema cannot say everything: `nuthatch check` has the last word.
";

const GLOBAL: &str = "
## Settings of the whole process

They are under the reserved top-level key `nuthatch:`. (A mapping with that name and a `listen` is a normal
pool.) Each but `admin_token` can also be given as a flag or in the environment. The order of precedence is: flag, environment,
overlay, file, default.

";

const TAIL: &str = "
## Order

Servers and pools are sorted by name: shorter names first, then byte by byte, as in twemproxy. The order of lines in the file does not matter.
";

fn limits(page: &mut String) {
    let most = Distribution::default().max_weights();
    let lower = |kind: &&Distribution| kind.max_weights() < most;
    let lower: Vec<String> = Distribution::ALL
        .iter()
        .filter(lower)
        .map(|kind| {
            format!(
                "{} with `distribution: {}`",
                kind.max_weights(),
                kind.name()
            )
        })
        .collect();
    let _ = writeln!(
        page,
        "\n## Limits\n\nA file has at most 4 MiB. Numbers are at most 2147483647. The weights of a pool add up \
         to at most\n{most} ({}). The path of a unix socket has at most 107 bytes.",
        lower.join(", ")
    );
}

fn overview(page: &mut String, scope: Scope) {
    page.push_str("| setting | value | default | |\n|---|---|---|---|\n");
    for setting in of(scope) {
        let (name, value, default) = (setting.name, value(&setting.kind), default(setting));
        let _ = writeln!(
            page,
            "| [`{name}`](#{name}) | {value} | {default} | {} |",
            remarks(setting)
        );
    }
}

fn section(page: &mut String, setting: &Setting) {
    let _ = writeln!(page, "\n### {}\n\n{}", setting.name, setting.doc);
    if let Some(choices) = choices(setting) {
        let _ = writeln!(page, "\n{choices}");
    }
    if let Some(outside) = &setting.outside {
        let _ = writeln!(
            page,
            "\nFlag `--{}={}`, environment variable `{}`.",
            outside.flag, outside.argument, outside.env
        );
    }
}

/// The names that a setting's value can have, as a sentence.
pub(super) fn choices(setting: &Setting) -> Option<String> {
    let Kind::Choice { names, abouts, .. } = &setting.kind else {
        return None;
    };
    let one = |(name, about)| match about {
        "" => format!("`{name}`"),
        about => format!("`{name}` ({about})"),
    };
    let choices: Vec<String> = names().into_iter().zip(abouts()).map(one).collect();
    Some(format!("One of {}.", choices.join(", ")))
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "`true` or `false`".into(),
        Kind::Integer { min, max, unit: "" } => format!("number, {min} to {max}"),
        Kind::Integer { min, max, unit } => format!("{unit}, {min} to {max}"),
        Kind::Bytes { .. } => "bytes; `k`, `m`, `g` may follow".into(),
        Kind::Choice { .. } => "name".into(),
        Kind::Text => "text".into(),
        Kind::HashTag => "two characters".into(),
        Kind::Listen => "address".into(),
        Kind::HostPort => "`host:port`".into(),
        Kind::Hosts => "names of hosts".into(),
        Kind::Networks => "networks".into(),
        Kind::Servers => "list of servers, or where they are found".into(),
        Kind::Nodes => "list of `host:port`".into(),
        Kind::Replicas => "lists of `host:port`, by servers".into(),
        Kind::Commands => "list of commands".into(),
        Kind::Guardrails => "list of guardrails".into(),
        Kind::Users => "list of users".into(),
        Kind::Mapping { .. } => "mapping".into(),
        Kind::Workers => "number, or `auto`".into(),
        Kind::Release => "version".into(),
    }
}

fn default(setting: &Setting) -> String {
    match setting.absent {
        Absent::Required => "required".into(),
        Absent::Nothing => "none".into(),
        Absent::Value(text) => format!("`{text}`"),
        Absent::Choice(name) => format!("`{}`", name()),
        Absent::Computed(words) => words.into(),
    }
}

fn remarks(setting: &Setting) -> String {
    let ours = (setting.origin == Origin::Nuthatch).then_some("ours");
    let only = setting.only.map(|only| match only {
        Only::Redis => "Redis pools only",
        Only::Memcached => "memcached pools only",
    });
    let remarks: Vec<&str> = ours.into_iter().chain(only).collect();
    remarks.join("; ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Set `BLESS=1` to write the page instead of comparing it.
    #[test]
    fn the_page_in_the_repository_is_fresh() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(page.parent().expect("a folder")).expect("the folder");
            fs::write(&page, super::configuration()).expect("the page");
        }
        let there = fs::read_to_string(&page).unwrap_or_default();
        assert!(
            there == super::configuration(),
            "docs/configuration.md is stale: run the tests with BLESS=1, or \
             `nuthatch docs configuration > docs/configuration.md`"
        );
    }
}
