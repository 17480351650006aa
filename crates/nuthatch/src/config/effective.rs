//! The settings in force as they are shown: what was given, else defaults, and no secrets.

use proxy::settings::{CommandSettings, GuardrailSettings};
use serde_json::{Map, Value as Json, json};

use super::file::ReadPool;
use super::hosts::NamedHost;
use super::kind::{Kind, Part, Value, read_text};
use super::overrides::Overrides;
use super::secrets::MASK;
use super::table::globals::ADMIN_TOKEN;
use super::table::theirs::{REDIS, REDIS_AUTH};
use super::table::{Absent, Only, Scope, Setting, of};
use super::types::{ReplicasOf, Servers, UserLine, Workers, shown_replica};
use super::values::Values;

/// An object with the settings of the process (`nuthatch`) and of the pools, sorted by name as these are.
pub(super) fn effective(pools: &[&ReadPool], globals: &Values, overrides: &Overrides) -> Json {
    let global = |setting: &'static Setting| {
        let given = overrides.get(setting).or_else(|| globals.read_of(setting));
        (setting.name.to_owned(), shown(setting, given))
    };
    let globals: Map<String, Json> = of(Scope::Global).map(global).collect();
    let pool = |pool: &&ReadPool| (pool.name.clone(), Json::Object(of_pool(&pool.values)));
    let pools: Map<String, Json> = pools.iter().map(pool).collect();
    json!({ "nuthatch": globals, "pools": pools })
}

fn of_pool(values: &Values) -> Map<String, Json> {
    let other = match values.get(&REDIS) {
        true => Only::Memcached,
        false => Only::Redis,
    };
    let settings = of(Scope::Pool).filter(|setting| setting.only != Some(other));
    let shown = |setting: &'static Setting| {
        let value = shown(setting, values.read_of(setting));
        (setting.name.to_owned(), value)
    };
    settings.map(shown).collect()
}

fn shown(setting: &Setting, given: Option<&Value>) -> Json {
    if given.is_some() && [REDIS_AUTH.name, ADMIN_TOKEN.name].contains(&setting.name) {
        return MASK.into();
    }
    if let Some(given) = given {
        return json_of(&setting.kind, given);
    }
    let default = setting.default_text();
    let default = default.and_then(|text| read_text(&setting.kind, text).ok());
    match (default, setting.absent) {
        (Some((value, _)), _) => json_of(&setting.kind, &value),
        (None, Absent::Computed(words)) => words.into(),
        (None, _) => Json::Null,
    }
}

fn json_of(kind: &Kind, value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Choice(index) => match kind {
            Kind::Choice { names, .. } => names().get(*index).copied().into(),
            _ => Json::Null,
        },
        Value::Tag(tag) => String::from_utf8_lossy(&[tag.open, tag.close]).into(),
        Value::Listen(line) => line.text().into(),
        Value::HostPort(address) => address.text.as_str().into(),
        Value::Hosts(hosts) => hosts.iter().map(NamedHost::to_string).collect(),
        Value::Networks(networks) => networks.to_string().into(),
        Value::Servers(Servers::Listed(servers)) => {
            let line =
                |server: &super::address::ServerLine| format!("{} {}", server.pname, server.name);
            servers.iter().map(|(server, _)| line(server)).collect()
        }
        Value::Servers(Servers::Found(source)) => source.to_string().into(),
        Value::Nodes(nodes) => nodes.iter().map(|(node, _)| node.name.clone()).collect(),
        Value::Replicas(lists) => Json::Object(lists.iter().map(replicas).collect()),
        Value::Commands(commands) => commands.iter().map(command).collect(),
        Value::Users(lines) => lines.iter().map(user).collect(),
        Value::Guardrails(lines) => lines.iter().map(|it| guardrail(&it.settings)).collect(),
        Value::Mapping(given) => match kind {
            Kind::Mapping { parts, .. } => {
                let shown = |part: &Part| {
                    let value = given.get(part.name);
                    let value = value.map_or(Json::Null, |(value, _)| json_of(&part.kind, value));
                    (part.name.to_owned(), value)
                };
                Json::Object(parts.iter().map(shown).collect())
            }
            _ => Json::Null,
        },
        Value::Workers(Workers::Auto) => "auto".into(),
        Value::Workers(Workers::Count(count)) => (*count).into(),
        Value::Release(release) => release.to_string().into(),
    }
}

/// Rules may have passwords among them.
fn user(user: &UserLine) -> Json {
    let rules = user.rules.split_ascii_whitespace();
    let shown = rules.map(|rule| match rule.starts_with(['#', '>', '<', '!']) {
        true => MASK,
        false => rule,
    });
    let shown: Vec<&str> = shown.collect();
    let passwords: Vec<&str> = user.passwords.iter().map(|_| MASK).collect();
    json!({ "name": user.name, "password_sha256": passwords, "acl": shown.join(" ") })
}

fn replicas(list: &ReplicasOf) -> (String, Json) {
    let replicas = list.replicas.iter().map(shown_replica);
    (list.server.clone(), replicas.collect())
}

fn guardrail(guardrail: &GuardrailSettings) -> Json {
    json!({
        "prefix": guardrail.prefix,
        "deny": guardrail.deny,
        "max_value": guardrail.max_value,
        "max_rate": guardrail.max_rate,
    })
}

fn command(command: &CommandSettings) -> Json {
    json!({
        "name": command.name,
        "arity": command.arity,
        "first": command.first,
        "last": command.last,
        "step": command.step,
        "access": if command.is_read { "read" } else { "write" },
    })
}
