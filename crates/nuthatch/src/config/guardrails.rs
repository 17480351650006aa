//! The list of what a pool's requests may not do.

use proxy::limits::{MAX_DENIED, MAX_GUARDRAILS, MAX_PREFIX, MAX_RATE};
use proxy::settings::GuardrailSettings;

use super::fields::{Fields, Items};
use super::kind::{Kind, expected};
use super::node::{Content, Node};
use super::number::bytes;
use super::report::{Findings, Position, Problem};
use super::table::ours::VALUE_MAX;
use super::types::GuardrailLine;

/// What a guardrail may say of itself.
pub(super) const KEYS: [&str; 4] = ["prefix", "deny", "max_value", "max_rate"];

const ITEMS: Items = Items {
    noun: "guardrail",
    keys: &KEYS,
    kind: Kind::Guardrails,
    most: MAX_GUARDRAILS,
};

/// Reads the guardrails of `owner` ("pool `alpha`"); `None` if anything is wrong with them, which has been reported.
pub(super) fn read_guardrails(
    list: &Node,
    items: &[Node],
    owner: &str,
    findings: &mut Findings,
) -> Option<Vec<GuardrailLine>> {
    let name = |line: &GuardrailLine| match &line.settings.prefix {
        Some(prefix) => format!("for `{prefix}`"),
        None => "without a prefix".to_owned(),
    };
    ITEMS.read((list, items), owner, findings, read_guardrail, name)
}

fn read_guardrail(fields: &Fields<'_>, findings: &mut Findings) -> Option<GuardrailLine> {
    let mut note = |problem: Problem| {
        findings.problems.push(problem);
    };
    let prefix = prefix(fields).map_err(&mut note).ok();
    let denied = denied(fields).map_err(&mut note).ok();
    let max_value = max_value(fields).map_err(&mut note).ok();
    let max_rate = fields.number("max_rate", 1..=i64::from(MAX_RATE));
    let max_rate = max_rate.map_err(&mut note).ok();
    let (deny, positions) = denied?;
    let settings = GuardrailSettings {
        prefix: prefix?,
        deny,
        max_value: max_value?,
        max_rate: max_rate?.and_then(|rate| u32::try_from(rate).ok()),
    };
    let is_anything =
        !settings.deny.is_empty() || settings.max_value.is_some() || settings.max_rate.is_some();
    if !is_anything {
        let message = "a guardrail must deny or limit something";
        let problem = Problem::at(fields.position(""), message);
        note(problem.help(expected(&Kind::Guardrails)));
    }
    Some(GuardrailLine {
        settings,
        positions,
    })
}

fn prefix(fields: &Fields<'_>) -> Result<Option<Box<str>>, Problem> {
    match fields.text("prefix")? {
        Some(prefix) if prefix.len() > MAX_PREFIX => {
            let help = format!("expected at most {MAX_PREFIX} bytes");
            Err(fields.cannot_be("prefix", prefix, help))
        }
        prefix => Ok(prefix.map(Into::into)),
    }
}

type Denied = (Vec<Box<str>>, Vec<Position>);

fn denied(fields: &Fields<'_>) -> Result<Denied, Problem> {
    let Some(node) = fields.value("deny") else {
        return Ok(Denied::default());
    };
    let wrong = |position: &Position| {
        let message = "`deny` of a guardrail must be a list of commands";
        Problem::at(position, message).help(expected(&Kind::Guardrails))
    };
    let Content::List(items) = &node.content else {
        return Err(wrong(&node.position));
    };
    if items.is_empty() || items.len() > MAX_DENIED {
        let help = format!("expected from 1 to {MAX_DENIED} commands");
        return Err(wrong(&node.position).help(help));
    }
    let mut found = Denied::default();
    for item in items {
        match &item.content {
            Content::Text(name) if !name.is_empty() => {
                let name = name.to_ascii_lowercase().replace(' ', "|");
                found.0.push(name.into());
                found.1.push(item.position.clone());
            }
            _ => return Err(wrong(&item.position)),
        }
    }
    Ok(found)
}

fn max_value(fields: &Fields<'_>) -> Result<Option<u64>, Problem> {
    let Some(text) = fields.text("max_value")? else {
        return Ok(None);
    };
    match bytes(text, VALUE_MAX) {
        Ok(bytes) if bytes > 0 => Ok(Some(bytes)),
        _ => {
            let help = format!(
                "expected a number of bytes from 1 to {VALUE_MAX}; k, m and g may follow it"
            );
            Err(fields.cannot_be("max_value", text, help))
        }
    }
}
