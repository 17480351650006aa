//! The configuration file as a JSON Schema (draft 2020-12), for editors and other tools. It is made from the table of
//! settings.
//!
//! A schema judges a file after a YAML parser has read it, when `0x10` and `16` are the same number and anchors are gone.
//! So it lets pass some of what the proxy refuses. It refuses nothing that the proxy takes, but for a text that is written
//! `~` or `null`: for YAML that is no value, which is a mistake nearly always.

use proxy::acl::MAX_PASSWORDS;
use proxy::limits::{
    MAX_COMMANDS, MAX_DENIED, MAX_GUARDRAILS, MAX_RATE, MAX_REPLICAS, MAX_USER_NAME, MAX_USERS,
};
use proxy::settings::LONGEST_COMMAND;
use serde_json::{Map, Value, json};

use super::commands::{KEYS, LARGEST};
use super::docs::choices;
use super::file::RESERVED;
use super::guardrails;
use super::kind::{Kind, Part, WORKERS_MAX};
use super::servers::MOST_NODES;
use super::source;
use super::table::ours::{CLUSTER, VALUE_MAX};
use super::table::theirs::{LISTEN, REDIS, SERVERS};
use super::table::{Absent, Only, Origin, Scope, Setting, of};
use super::users;

mod patterns;

/// The schema of a configuration file, or of an overlay.
pub fn json_schema(overlay: bool) -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": if overlay { "Overlay of Nuthatch" } else { "Configuration of Nuthatch" },
        "description": "Pools by name, and the settings of the whole process under `nuthatch`.",
        // An overlay may be empty.
        "type": if overlay { json!(["object", "null"]) } else { json!("object") },
        "propertyNames": { "minLength": 1 },
        "properties": { RESERVED: reserved(overlay) },
        "additionalProperties": { "$ref": "#/$defs/pool" },
        "$defs": {
            "pool": if overlay { overlaid_pool() } else { pool() },
            "process": process(),
        },
    });
    if !overlay {
        // Some pool is there: not every mapping lacks the setting that makes it one.
        let is_no_pool = json!({ "not": { "required": [LISTEN.name] } });
        schema["not"] = json!({ "additionalProperties": is_no_pool });
    }
    schema
}

/// What stands under the reserved key: with a `listen` it is a pool of that name. In an overlay it can be both.
fn reserved(overlay: bool) -> Value {
    if overlay {
        let ours = of(Scope::Global).chain(of(Scope::Pool).filter(is_ours));
        return mapping("Settings of the whole process.", ours);
    }
    json!({
        "if": { "type": "object", "required": [LISTEN.name] },
        "then": { "$ref": "#/$defs/pool" },
        "else": { "$ref": "#/$defs/process" },
    })
}

fn process() -> Value {
    mapping("Settings of the whole process.", of(Scope::Global))
}

fn pool() -> Value {
    let is_required = |setting: &&Setting| matches!(setting.absent, Absent::Required);
    let required: Vec<&str> = of(Scope::Pool)
        .filter(is_required)
        .map(|setting| setting.name)
        .filter(|name| *name != SERVERS.name)
        .collect();
    let is_redis = json!({
        "properties": { REDIS.name: { "enum": [true, "true"] } },
        "required": [REDIS.name],
    });
    let about = "A pool. What has neither `listen` nor `servers` is there for pools to be made of it (`<<: *name`).";
    let mut pool = mapping(about, of(Scope::Pool));
    pool["if"] = json!({
        "anyOf": [
            { "required": [LISTEN.name] },
            { "required": [SERVERS.name] },
            { "required": [CLUSTER.name] },
        ],
    });
    pool["then"] = json!({
        "required": required,
        "oneOf": [{ "required": [SERVERS.name] }, { "required": [CLUSTER.name] }],
        "if": is_redis,
        "then": { "properties": none_of(Only::Memcached) },
        "else": { "properties": none_of(Only::Redis) },
    });
    pool
}

/// An overlay has settings of our own only. Which protocol a pool speaks is in the other file.
fn overlaid_pool() -> Value {
    let about = "Settings for a pool of the configuration file that twemproxy does not have.";
    mapping(about, of(Scope::Pool).filter(is_ours))
}

fn is_ours(setting: &&Setting) -> bool {
    setting.origin == Origin::Nuthatch
}

/// The settings that only the pools of one protocol have, each as not allowed.
fn none_of(only: Only) -> Value {
    let settings = of(Scope::Pool).filter(|setting| setting.only == Some(only));
    settings
        .map(|setting| (setting.name.to_owned(), Value::Bool(false)))
        .collect::<Map<_, _>>()
        .into()
}

/// A mapping that has these settings and no others.
fn mapping(about: &str, settings: impl Iterator<Item = &'static Setting>) -> Value {
    let property = |setting: &'static Setting| (setting.name.to_owned(), property(setting));
    let properties: Map<String, Value> = settings.map(property).collect();
    json!({
        "description": about,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(setting: &Setting) -> Value {
    let mut property = json!({ "description": description(setting) });
    if let Some(default) = default(setting) {
        property["default"] = default;
    }
    if let (Some(property), Value::Object(value)) = (property.as_object_mut(), value(&setting.kind))
    {
        property.extend(value);
    }
    property
}

fn description(setting: &Setting) -> String {
    let mut text = without_links(setting.doc);
    if let Some(choices) = choices(setting) {
        text += &format!("\n\n{choices}");
    }
    if let Absent::Computed(words) = setting.absent {
        text += &format!("\n\nDefault: {words}.");
    }
    if setting.scope == Scope::Pool && setting.origin == Origin::Nuthatch {
        text += "\n\nNot a setting of twemproxy's.";
    }
    text
}

/// Links of the manual lead to its other pages, which an editor does not have: only their words remain.
fn without_links(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once("](") {
        let Some(((head, words), (_, tail))) = before.rsplit_once('[').zip(link.split_once(')'))
        else {
            break;
        };
        text += head;
        text += words;
        rest = tail;
    }
    text + rest
}

/// The default in the form that a YAML parser gives to it.
fn default(setting: &Setting) -> Option<Value> {
    let text = setting.default_text()?;
    Some(match setting.kind {
        Kind::Bool => json!(text == "true"),
        _ => match text.parse::<u64>() {
            Ok(number) => json!(number),
            Err(_) => json!(text),
        },
    })
}

/// What a value of this kind may be. Quotes make no difference to the proxy: `"400"` is a number, too.
fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "enum": [true, false, "true", "false"] }),
        Kind::Integer { min, max, .. } => integer(*min, *max),
        Kind::Bytes { min, max } => bytes(*min, *max),
        Kind::Choice { names, .. } => choice(&names()),
        Kind::Text => text(),
        // Two characters may be a number for YAML: `12`, `00`, `-1`.
        Kind::HashTag => either(
            text_like(&patterns::hash_tag()),
            json!({ "type": "integer", "minimum": -9, "maximum": 99 }),
        ),
        Kind::Listen => text_like(&patterns::listen()),
        Kind::HostPort => text_like(&patterns::host_port()),
        // A name may look like a number.
        Kind::Hosts => either(
            text_like(&patterns::hosts()),
            json!({ "type": ["number", "boolean"] }),
        ),
        Kind::Networks => text_like(&patterns::networks()),
        Kind::Servers => servers(),
        Kind::Nodes => json!({
            "type": "array",
            "items": { "type": "string", "pattern": r"^[^/ ]+:[0-9]+$" },
            "minItems": 1,
            "maxItems": MOST_NODES,
            "uniqueItems": true,
        }),
        Kind::Replicas => json!({
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "items": { "type": "string", "pattern": r"^ *[^/ ]+:[0-9]+( +[^ ]+)? *$" },
                "maxItems": MAX_REPLICAS + 1,
                "uniqueItems": true,
            },
        }),
        Kind::Commands => json!({
            "type": "array",
            "items": command(),
            "maxItems": MAX_COMMANDS,
        }),
        Kind::Guardrails => json!({
            "type": "array",
            "items": guardrail(),
            "maxItems": MAX_GUARDRAILS,
        }),
        Kind::Users => json!({
            "type": "array",
            "items": user(),
            "minItems": 1,
            "maxItems": MAX_USERS,
        }),
        Kind::Mapping { parts, .. } => mapping_of(parts),
        Kind::Workers => either(integer(1, WORKERS_MAX), json!({ "const": "auto" })),
        Kind::Release => text_like(&patterns::release()),
    }
}

fn mapping_of(parts: &[Part]) -> Value {
    let property = |part: &Part| (part.name.to_owned(), value(&part.kind));
    let properties: Map<String, Value> = parts.iter().map(property).collect();
    let required = parts.iter().filter(|part| part.is_required);
    let required: Vec<&str> = required.map(|part| part.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn servers() -> Value {
    let listed = json!({
        "type": "array",
        "items": text_like(&patterns::server()),
        "minItems": 1,
        "uniqueItems": true,
    });
    let [file, sentinel, shards, user, password, srv, dns, port] = source::KEYS;
    let words =
        |most: usize| json!({ "type": "array", "items": text(), "minItems": 1, "maxItems": most });
    let in_file = json!({
        "type": "object",
        "properties": { file: text() },
        "required": [file],
        "additionalProperties": false,
    });
    let by_sentinel = json!({
        "type": "object",
        "properties": {
            sentinel: words(source::SEEDS_MAX),
            shards: words(source::SHARDS_MAX),
            user: text(),
            password: text(),
        },
        "required": [sentinel, shards],
        "dependentRequired": { user: [password] },
        "additionalProperties": false,
    });
    let by_service = json!({
        "type": "object",
        "properties": { srv: text() },
        "required": [srv],
        "additionalProperties": false,
    });
    let by_name = json!({
        "type": "object",
        "properties": { dns: text(), port: integer(1, u64::from(u16::MAX)) },
        "required": [dns, port],
        "additionalProperties": false,
    });
    json!({ "anyOf": [listed, in_file, by_sentinel, by_service, by_name] })
}

fn command() -> Value {
    let limit = LARGEST.unsigned_abs();
    let count = integer(1, limit);
    let [name, arity, first, last, step, access] = KEYS;
    let properties = json!({
        name: text_like(&patterns::command(LONGEST_COMMAND)),
        arity: {
            "anyOf": [
                { "type": "integer", "minimum": -LARGEST, "maximum": LARGEST },
                { "type": "string", "pattern": patterns::signed(2, limit) },
            ],
            "not": { "enum": [-1, 0, 1] },
        },
        first: count,
        last: {
            "anyOf": [
                { "type": "integer", "minimum": -LARGEST, "maximum": LARGEST },
                { "type": "string", "pattern": patterns::signed(1, limit) },
            ],
            "not": { "const": 0 },
        },
        step: count,
        access: { "enum": ["read", "write"], "default": "write" },
    });
    json!({
        "type": "object",
        "properties": properties,
        "required": [name, arity],
        "additionalProperties": false,
    })
}

fn user() -> Value {
    let [name, password, acl] = users::KEYS;
    let digest = json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" });
    let properties = json!({
        name: { "type": "string", "pattern": "^[!-~]+$", "maxLength": MAX_USER_NAME },
        password: { "oneOf": [digest, { "type": "array", "items": digest, "maxItems": MAX_PASSWORDS }] },
        acl: text(),
    });
    json!({
        "type": "object",
        "properties": properties,
        "required": [name],
        "additionalProperties": false,
    })
}

fn guardrail() -> Value {
    let [prefix, deny, max_value, max_rate] = guardrails::KEYS;
    let limits = [deny, max_value, max_rate].map(|key| json!({ "required": [key] }));
    let properties = json!({
        prefix: text(),
        deny: { "type": "array", "items": text(), "minItems": 1, "maxItems": MAX_DENIED },
        max_value: bytes(1, VALUE_MAX),
        max_rate: integer(1, u64::from(MAX_RATE)),
    });
    json!({
        "type": "object",
        "properties": properties,
        "anyOf": limits,
        "additionalProperties": false,
    })
}

/// One of these names. A parser of YAML 1.1 takes some for booleans.
fn choice(names: &[&'static str]) -> Value {
    let mut values: Vec<Value> = names.iter().map(|name| json!(name)).collect();
    if names.contains(&"off") {
        values.push(json!(false));
    }
    json!({ "enum": values })
}

fn integer(min: u64, max: u64) -> Value {
    either(
        json!({ "type": "integer", "minimum": min, "maximum": max }),
        json!({ "type": "string", "pattern": patterns::integer(min, max) }),
    )
}

fn bytes(min: u64, max: u64) -> Value {
    either(
        json!({ "type": "integer", "minimum": min, "maximum": max }),
        json!({ "type": "string", "pattern": patterns::bytes(min, max) }),
    )
}

/// Any text that is not empty. YAML reads some as numbers (`0123`).
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"], "minLength": 1 })
}

fn text_like(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn either(one: Value, other: Value) -> Value {
    json!({ "anyOf": [one, other] })
}
