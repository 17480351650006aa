//! Compares the command table with what others publish: the npm package `@ioredis/commands`, which lists the commands of
//! Redis 8.12.

#![allow(clippy::unwrap_used)] // a panic is how these tests fail

use std::collections::BTreeSet;
use std::path::Path;

use redis_proto::command::{
    self, Action, Arity, Command, Flags, RequestPolicy, ResponsePolicy, Why,
};
use serde_json::Value;

/// Where `cargo xtask setup` installs the package, from the root of the workspace.
const PUBLISHED: &str = "target/clients/node/node_modules/@ioredis/commands/built/commands.json";

/// What differs on purpose. Each of them must be needed.
const EXCUSES: [(&str, &str); 1] = [(
    "backup",
    "a container, whose subcommands take no arguments in that release; others are counted by their own rows",
)];

#[test]
fn the_table_has_every_published_command() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(PUBLISHED);
    let Ok(text) = std::fs::read_to_string(&path) else {
        testkit::skip!("@ioredis/commands is not installed (cargo xtask setup)");
    };
    let published: Value = serde_json::from_str(&text).unwrap();
    let published = published.as_object().unwrap();
    assert!(published.len() > 290, "only {} commands", published.len());
    let mut found = Differences::default();
    for (name, theirs) in published {
        let Some(ours) = command::lookup(name.as_bytes()) else {
            found.add(name, "is unknown".into());
            continue;
        };
        found.compare(ours, theirs);
        let subs = theirs.get("subcommands").and_then(Value::as_object);
        for (sub, theirs) in subs.into_iter().flatten() {
            let name = format!("{name}|{sub}");
            match ours.subs.iter().find(|row| row.name == name) {
                Some(ours) => found.compare(ours, theirs),
                None if is_refused_whatever_follows(ours) && range(theirs) == (0, 0, 0) => {}
                None => found.add(&name, "is unknown".into()),
            }
        }
    }
    found.finish();
}

#[derive(Default)]
struct Differences {
    lines: Vec<String>,
    excused: BTreeSet<&'static str>,
}

impl Differences {
    fn add(&mut self, name: &str, says: String) {
        let excuses = EXCUSES.iter().flat_map(|(names, _)| names.split(' '));
        match excuses.into_iter().find(|excused| *excused == name) {
            Some(excused) => drop(self.excused.insert(excused)),
            None => self.lines.push(format!("{name} {says}")),
        }
    }

    fn compare(&mut self, ours: &Command, theirs: &Value) {
        let name = ours.name;
        if ours.key_range() != range(theirs) {
            let (ours, theirs) = (ours.key_range(), range(theirs));
            self.add(name, format!("has keys {theirs:?}, here {ours:?}"));
        }
        // The arity of nutcracker's commands is nutcracker's; a range cannot be expressed in Redis's form.
        let own_arity =
            ours.flags.contains(Flags::LEGACY) || matches!(ours.arity, Arity::Between(..));
        let arity = theirs["arity"].as_i64().unwrap();
        if !own_arity && ours.arity.as_redis() != arity {
            self.add(name, format!("has arity {arity}, here {:?}", ours.arity));
        }
        let (request, response) = ours.policies();
        let policies = (
            request.map(RequestPolicy::tip),
            response.map(ResponsePolicy::tip),
        );
        let published = |name: &str, field: &str| {
            let policy = theirs.get(field)?.as_str()?;
            Some(format!("{name}_policy:{policy}"))
        };
        let (request, response) = (
            published("request", "requestPolicy"),
            published("response", "responsePolicy"),
        );
        if policies != (request.as_deref(), response.as_deref()) {
            self.add(
                name,
                format!("has policies {request:?} and {response:?}, here {policies:?}"),
            );
        }
        let is_forwarded = matches!(ours.action, Action::Forward | Action::Split(_));
        for (word, flag) in [("write", Flags::WRITE), ("readonly", Flags::READONLY)] {
            let flags = theirs["flags"].as_array().unwrap();
            let theirs = flags.iter().any(|flag| flag == word);
            if is_forwarded && theirs && !ours.flags.contains(flag) {
                self.add(name, format!("is {word}"));
            }
        }
    }

    fn finish(&self) {
        assert_eq!(self.lines.join("\n"), "");
        let excuses = EXCUSES.iter().flat_map(|(names, _)| names.split(' '));
        let unused: Vec<_> = excuses
            .filter(|name| !self.excused.contains(name))
            .collect();
        assert!(unused.is_empty(), "excuses for nothing: {unused:?}");
    }
}

/// Whether every subcommand of it is refused for the same reason, so that only HELP needs a row.
fn is_refused_whatever_follows(container: &Command) -> bool {
    matches!(container.action, Action::Unsupported(why) if why != Why::Subcommand)
}

fn range(theirs: &Value) -> (i64, i64, i64) {
    let number = |name: &str| theirs[name].as_i64().unwrap();
    (number("keyStart"), number("keyStop"), number("step"))
}
