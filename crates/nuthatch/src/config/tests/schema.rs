//! The schema takes what the loader takes, and refuses what a schema can refuse. Whatever tests load is checked, too
//! ([`super::load_texts`]).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::super::kind::Kind;
use super::super::schema::json_schema;
use super::super::table::{Only, Scope, Setting, of};
use super::super::{Input, Overrides, System, load_inputs};

static CONFIGURATION: LazyLock<Validator> = LazyLock::new(|| validator(false));
static OVERLAY: LazyLock<Validator> = LazyLock::new(|| validator(true));

fn validator(overlay: bool) -> Validator {
    let schema = json_schema(overlay);
    jsonschema::draft202012::meta::validate(&schema).expect("a schema of draft 2020-12");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// What was loaded is in order for the schema, too.
pub(super) fn assert_takes(text: &str, overlay: bool) {
    let validator = if overlay { &OVERLAY } else { &CONFIGURATION };
    for is_new in [true, false] {
        let instance = read(text, is_new).unwrap_or_else(|reason| panic!("{reason}:\n{text}"));
        let errors: Vec<String> = validator
            .iter_errors(&instance)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\n{text}");
    }
}

/// What a parser of YAML 1.2 makes of a file.
fn instance(text: &str) -> Result<Value, String> {
    read(text, true)
}

/// What a YAML parser makes of a file. In YAML 1.1 `off` and other words are booleans, too.
fn read(text: &str, is_new: bool) -> Result<Value, String> {
    let options = serde_saphyr::options! { strict_booleans: is_new };
    let text = text.trim_start_matches('\u{feff}');
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

#[test]
fn the_examples_are_in_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let text = fs::read_to_string(entry.expect("a file").path()).expect("text");
        assert_takes(&text, false);
        count += 1;
    }
    assert!(count > 0);
}

/// Values that some settings take and others do not.
const VALUES: &[&str] = &[
    "''",
    "x",
    "'{}'",
    "$$",
    "é",
    "€",
    "'{'",
    "true",
    "'false'",
    "yes",
    "off",
    "auto",
    "'auto'",
    "0",
    "00",
    "7",
    "007",
    "'7'",
    "12",
    "'07'",
    "-1",
    "+1",
    "1.5",
    "1k",
    "'1k'",
    "1K",
    "2m",
    "1t",
    "1kb",
    "k",
    "400ms",
    "99999999999",
    "99999999999g",
    "10.0.0.0/8",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.1.2.3, fd00::/8 unix",
    "256.0.0.0",
    "7.0.15",
    "7.0",
    "7.0.15.1",
    "7.0.x",
    "70000.0.0",
    "7..0",
    "localhost",
    "127.0.0.1:1",
    "\"::1:1\"",
    "\"[::1]:1\"",
    "h:01",
    "h:0",
    "h:65535",
    "h:65536",
    "\":1\"",
    "http://h:1",
    "/run/s",
    "/run/s 0660",
    "/run/s 1777",
    "/run/s -1",
    "/run/s rw",
    "\"/run/s \"",
    "\"/run/s  0660\"",
    "/run/my s 0660",
    "a.example b:80,[::1]:9",
    "a.example/b",
    "','",
    "h:1:1",
    "h:1:1 n",
    "[h:1:1]",
    "[]",
    "[h:1:1, 'i:2:3 n', '/s:1', '/a b:2 m', '::1:1:1']",
    "['h:1:1 a b']",
    "['h:1:1  n']",
    "['h:1:1 ']",
    "[h:1]",
    "[h:1:0]",
    "[h:1:2147483648]",
    "[h:65536:1]",
    "['/s:1:1']",
    "['/s :1']",
    "['/s:1 :n']",
    "['/a b:1']",
    "['h:1 n:1:1']",
    "['redis://h:1:1']",
    "[[h]]",
    "[{a: b}]",
    "[h:1:1, h:1:1]",
    "{}",
    "{a: b}",
    "[{name: x.y, arity: 2}]",
    "[{name: x, arity: '-3', first: 1, last: -1, step: '1', access: read}]",
    "[{name: x}]",
    "[{arity: 2}]",
    "[{name: x, arity: 1}]",
    "[{name: x, arity: '01'}]",
    "[{name: x, arity: 128}]",
    "[{name: x, arity: '128'}]",
    "[{name: x, arity: +2}]",
    "[{name: x, arity: two}]",
    "[{name: x, arity: 2, first: 0}]",
    "[{name: x, arity: 2, step: '0'}]",
    "[{name: x, arity: 2, last: 0}]",
    "[{name: x, arity: 2, access: rw}]",
    "[{name: x, arity: 2, more: 1}]",
    "[{name: a b, arity: 2}]",
    "[{name: 'a|b', arity: 2}]",
    "[{name: '', arity: 2}]",
];

/// Values that a YAML parser takes for something else than is written, so that a schema cannot refuse them.
const HIDDEN: &[&str] = &["+1", "7.0", "[{name: x, arity: +2}]"];

/// The same for one setting: these are one character, but `07` is the same number, and two.
const HIDDEN_IN_HASH_TAG: &[&str] = &["0", "7", "007"];

/// What is wrong with a value only because of something else in the file.
const ELSEWHERE: [&str; 4] = [
    "there is no pool",
    "pool `p` cannot be its own failover",
    "`read_from` needs `replicas`",
    "`read_from: zone` needs `zone`",
];

#[test]
fn it_agrees_with_the_loader_on_every_setting() {
    let (mut taken, mut refused) = (0, 0);
    let mut differences = Vec::new();
    for setting in of(Scope::Pool).chain(of(Scope::Global)) {
        let more = more_values(&setting.kind);
        for value in VALUES
            .iter()
            .copied()
            .chain(more.iter().map(String::as_str))
        {
            let text = file_with(setting, value);
            let is_taken = is_taken_by_loader(&text);
            let instance = instance(&text).unwrap_or_else(|reason| panic!("{reason}:\n{text}"));
            let in_order = CONFIGURATION.is_valid(&instance);
            let is_hidden = HIDDEN.contains(&value)
                || setting.name == "hash_tag" && HIDDEN_IN_HASH_TAG.contains(&value);
            if in_order != is_taken && (is_taken || !is_hidden) {
                let says = if is_taken { "takes" } else { "refuses" };
                differences.push(format!("the loader {says} `{}: {value}`", setting.name));
            }
            let count = if is_taken { &mut taken } else { &mut refused };
            *count += 1;
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(
        taken > 500 && refused > 2_000,
        "{taken} taken, {refused} refused"
    );
}

/// Names of choices, and what is just inside and just outside of a range, as a number and in quotes.
fn more_values(kind: &Kind) -> Vec<String> {
    let (min, max) = match kind {
        Kind::Choice { names, .. } => return names().into_iter().map(str::to_owned).collect(),
        Kind::Integer { min, max, .. } | Kind::Bytes { min, max } => (*min, *max),
        Kind::Workers => (1, super::super::kind::WORKERS_MAX),
        _ => return Vec::new(),
    };
    let ends = [("", 0), ("k", 10), ("M", 20), ("g", 30)];
    let edges = ends.iter().flat_map(|(end, shift)| {
        let max = max >> shift;
        let near = [
            min,
            max.saturating_sub(1),
            max,
            max + 1,
            max * 10,
            max / 10 + 1,
        ];
        near.map(|number| format!("{number}{end}"))
    });
    let edges: Vec<String> = edges.collect();
    let quoted = edges.iter().map(|edge| format!("'0{edge}'"));
    quoted.chain(edges.clone()).collect()
}

/// A file with one pool and this value.
fn file_with(setting: &Setting, value: &str) -> String {
    let mut lines = vec![
        ("listen", "127.0.0.1:7777"),
        ("servers", "[other:1:1]"),
        ("auto_eject_hosts", "true"),
    ];
    if setting.only == Some(Only::Redis) {
        lines.push(("redis", "true"));
    }
    if setting.scope == Scope::Pool {
        lines.retain(|(name, _)| *name != setting.name);
        lines.push((setting.name, value));
    }
    let lines = lines
        .iter()
        .map(|(name, value)| format!("  {name}: {value}\n"));
    let mut text = format!("p:\n{}", lines.collect::<String>());
    if setting.scope == Scope::Global {
        text += &format!("nuthatch:\n  {}: {value}\n", setting.name);
    }
    text
}

fn is_taken_by_loader(text: &str) -> bool {
    let file = Input::configuration("n.yml", text.into());
    let resolve = |_: &str, port| Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    let system = System {
        resolve: &resolve,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    let Err(report) = load_inputs(file, None, &Overrides::default(), system) else {
        return true;
    };
    let is_elsewhere = |message: &str| ELSEWHERE.iter().any(|it| message.starts_with(it));
    report.problems().iter().all(|it| is_elsewhere(&it.message))
}

const POOL: &str = "a:\n  listen: 127.0.0.1:1\n  servers: [h:1:1]\n";

#[test]
fn what_is_in_the_wrong_place_is_refused() {
    let with = |line: &str| format!("{POOL}{line}\n");
    let texts = [
        "".into(),
        "alpha".into(),
        "[a]".into(),
        "a: b".into(),
        "a:".into(),
        "redis: true".into(),
        "nuthatch: {workers: 2}".into(),
        "a: {redis: true}".into(),
        "a: {listen: '127.0.0.1:1'}".into(),
        "a: {servers: ['h:1:1']}".into(),
        format!("'': {{redis: true}}\n{POOL}"),
        with("  hahs: md5"),
        with("  workers: 2"),
        with("  redis_auth: x"),
        with("  redis: false\n  cross_shard: error"),
        with("  redis: true\n  max_value: 1m"),
        with("nuthatch: {redis: true}"),
        with("nuthatch: {wrokers: 2}"),
        with("nuthatch: 3"),
        with("nuthatch: {listen: '127.0.0.1:2', servers: ['h:1:1'], workers: 2}"),
        with("b: {listen: '127.0.0.1:2'}"),
    ];
    for text in texts {
        assert!(!is_taken_by_loader(&text), "{text}");
        let instance = instance(&text).unwrap_or_else(|reason| panic!("{reason}:\n{text}"));
        assert!(!CONFIGURATION.is_valid(&instance), "{text}");
    }
    assert_takes(&with("nuthatch: {workers: 2}"), false);
    assert_takes(
        &with("nuthatch: {listen: '127.0.0.1:2', servers: ['h:1:1']}"),
        false,
    );
}

#[test]
fn an_overlay_has_settings_of_ours_only() {
    for (text, expected) in [
        ("", true),
        ("a: {cross_shard: error}", true),
        ("nuthatch: {workers: 2}", true),
        ("a: {timeout: 3}", false),
        ("a: {listen: '127.0.0.1:1'}", false),
        ("a: {workers: 3}", false),
        ("nuthatch: {wrokers: 2}", false),
    ] {
        let instance = instance(text).expect("YAML");
        assert_eq!(OVERLAY.is_valid(&instance), expected, "{text}");
    }
}

#[test]
fn links_to_pages_are_left_out() {
    let schema = json_schema(false);
    let admin = &schema["$defs"]["process"]["properties"]["admin"];
    let description = admin["description"].as_str().expect("a description");
    assert!(
        description.contains("each shows: operations.md."),
        "{description}"
    );
    let all = schema.to_string();
    assert!(
        !all.contains("](") && !all.contains(".md#"),
        "a link is left"
    );
}
