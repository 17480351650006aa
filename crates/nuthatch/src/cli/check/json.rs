//! What `check --json` prints: one object, whether the file is sound or not.

use serde_json::{Value, json};

use super::super::invocation::CheckOptions;
use crate::config::lints::Finding;
use crate::config::{Config, PoolConfig, Position, Problem, Report, shown_name};

/// A file without problems, and what the lints found.
pub(super) fn sound(options: &CheckOptions, config: &Config, findings: &[Finding]) -> String {
    let lint = |finding: &Finding| {
        let mut value = json!({
            "lint": finding.lint,
            "denied": options.denies(finding.lint),
            "pool": finding.pool,
        });
        place(&mut value, Some(&finding.position));
        value["evidence"] = finding.evidence.clone().into();
        value["consequence"] = finding.consequence.into();
        value["cure"] = finding.cure.clone().into();
        value
    };
    let pool = |pool: &PoolConfig| {
        json!({
            "pool": pool.settings.name,
            "protocol": pool.protocol(),
            "servers": pool.settings.servers.len(),
            "listen": pool.listen.text(),
        })
    };
    let denied = findings.iter().any(|finding| options.denies(finding.lint));
    text(json!({
        "file": shown_name(&options.conf_file),
        "ok": !denied,
        "problems": [],
        "lints": findings.iter().map(lint).collect::<Vec<Value>>(),
        "pools": config.pools.iter().map(pool).collect::<Vec<Value>>(),
    }))
}

/// A file with problems.
pub(super) fn refused(options: &CheckOptions, report: &Report) -> String {
    let problem = |problem: &Problem| {
        let mut value = json!({});
        place(&mut value, problem.position.as_ref());
        value["message"] = problem.message.clone().into();
        value["help"] = problem.help.clone().into();
        value
    };
    text(json!({
        "file": shown_name(&options.conf_file),
        "ok": false,
        "problems": report.problems().iter().map(problem).collect::<Vec<Value>>(),
        "lints": [],
        "pools": [],
    }))
}

fn place(value: &mut Value, position: Option<&Position>) {
    if let Some(position) = position {
        value["file"] = position.source.name.clone().into();
        value["line"] = position.line.into();
        value["column"] = position.column.into();
    }
}

fn text(value: Value) -> String {
    // Values of this type can always be written.
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}
