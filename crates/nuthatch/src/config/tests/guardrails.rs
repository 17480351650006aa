//! The list of what a pool's requests may not do.

use proxy::settings::GuardrailSettings;

use super::{lines, load_text};

/// A pool with this list of guardrails, which begins in line 4.
fn with(redis: bool, guardrails: &str) -> String {
    format!("a:\n  listen: 127.0.0.1:1\n  redis: {redis}\n{guardrails}\n  servers: [h:1:1]\n")
}

fn guardrails(redis: bool, text: &str) -> Vec<GuardrailSettings> {
    let config = load_text(&with(redis, text)).expect(text);
    config.pools[0].settings.guardrails.clone()
}

#[test]
fn guardrails_deny_and_limit() {
    let list = "  guardrails:\n  - {deny: [KEYS, 'Config|Set', client kill, debug], max_rate: 1000000}\n  - prefix: 'user:'\n    \
                max_value: 64K\n    max_rate: '5'\n  - {prefix: 12, max_value: 1}";
    let expected = [
        GuardrailSettings {
            deny: ["keys", "config|set", "client|kill", "debug"]
                .map(Into::into)
                .to_vec(),
            max_rate: Some(1_000_000),
            ..GuardrailSettings::default()
        },
        GuardrailSettings {
            prefix: Some("user:".into()),
            max_value: Some(64 << 10),
            max_rate: Some(5),
            ..GuardrailSettings::default()
        },
        GuardrailSettings {
            prefix: Some("12".into()),
            max_value: Some(1),
            ..GuardrailSettings::default()
        },
    ];
    assert_eq!(guardrails(true, list), expected);
    assert_eq!(guardrails(true, "  guardrails: []"), []);
    assert_eq!(guardrails(true, ""), []);
    let list = "  guardrails: [{deny: [flush_all, mg]}]";
    assert_eq!(
        guardrails(false, list)[0].deny,
        ["flush_all", "mg"].map(Box::from)
    );
}

#[test]
fn a_command_that_the_pool_adds_can_be_denied() {
    let list =
        "  commands: [{name: mymodule.get, arity: 2}]\n  guardrails: [{deny: [MyModule.Get]}]";
    assert_eq!(guardrails(true, list)[0].deny, ["mymodule.get".into()]);
}

/// Lists of a Redis pool with one mistake at the `^`, which is not part of them, and what is said of it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "guardrails: ^x",
        "setting `guardrails` is not a list of guardrails",
    ),
    ("guardrails: [^x]", "a guardrail must be a mapping"),
    (
        "guardrails: [^{prefix: x}]",
        "a guardrail must deny or limit something",
    ),
    (
        "guardrails: [^{}]",
        "a guardrail must deny or limit something",
    ),
    (
        "guardrails: [{deny: ^keys}]",
        "`deny` of a guardrail must be a list of commands",
    ),
    (
        "guardrails: [{deny: ^[]}]",
        "`deny` of a guardrail must be a list of commands",
    ),
    (
        "guardrails: [{deny: [^[keys]]}]",
        "`deny` of a guardrail must be a list of commands",
    ),
    (
        "guardrails: [{deny: [^flush_all]}]",
        "`flush_all` is no command of Redis",
    ),
    (
        "guardrails: [{deny: [^config|foo]}]",
        "`config|foo` is no command of Redis",
    ),
    (
        "guardrails: [{deny: [get, ^EXEC]}]",
        "`exec` cannot be denied",
    ),
    (
        "guardrails: [{prefix: ^'', max_rate: 1}]",
        "`prefix` of a guardrail must be one word",
    ),
    (
        "guardrails: [{max_rate: ^0}]",
        "`max_rate` of a guardrail cannot be `0`",
    ),
    (
        "guardrails: [{max_rate: ^1000001}]",
        "`max_rate` of a guardrail cannot be `1000001`",
    ),
    (
        "guardrails: [{max_value: ^0}]",
        "`max_value` of a guardrail cannot be `0`",
    ),
    (
        "guardrails: [{max_value: ^1mb}]",
        "`max_value` of a guardrail cannot be `1mb`",
    ),
    (
        "guardrails: [{max_rate: 1, ^maxvalue: 1}]",
        "`maxvalue` is unknown in a guardrail",
    ),
    (
        "guardrails: [{max_rate: 1, ^max_rate: 1}]",
        "`max_rate` is given twice",
    ),
    (
        "guardrails: [{prefix: a, max_rate: 1}, ^{prefix: a, deny: [get]}]",
        "pool `a` has two guardrails for `a`",
    ),
    (
        "guardrails: [{max_rate: 1}, ^{deny: [get]}]",
        "pool `a` has two guardrails without a prefix",
    ),
];

#[test]
fn each_mistake_is_named_where_it_stands() {
    let long = format!(
        "guardrails: [{{max_rate: 1, prefix: ^{}}}]",
        "x".repeat(251)
    );
    for (list, expected) in MISTAKES
        .iter()
        .chain(&[(&*long, "`prefix` of a guardrail cannot be `xxx")])
    {
        let column = 3 + list.find('^').expect(list);
        let text = with(true, &format!("  {}", list.replace('^', "")));
        let report = load_text(&text).expect_err(list);
        let found = lines(&report);
        assert_eq!(found.len(), 1, "{list}: {found:#?}");
        let expected = format!("n.yml:4:{column}: {expected}");
        assert!(found[0].starts_with(&expected), "{list}: {}", found[0]);
        assert!(report.to_string().contains("\n  = "), "{report}");
    }
}

#[test]
fn commands_are_those_of_the_protocol_and_there_is_a_most() {
    let report = load_text(&with(false, "  guardrails: [{deny: [keys, mn, get]}]"));
    let found = lines(&report.expect_err("of Redis"));
    let expected = [
        "n.yml:4:24: `keys` is no command of memcached",
        "n.yml:4:30: `mn` cannot be denied",
    ];
    assert_eq!(found, expected);
    let list = |count: usize| {
        let items = (0..count).map(|number| format!("{{prefix: x{number}, max_rate: 1}}"));
        format!("  guardrails: [{}]", items.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(guardrails(true, &list(16)).len(), 16);
    let report = load_text(&with(true, &list(17))).expect_err("too many");
    assert_eq!(lines(&report), ["n.yml:4:15: pool `a` has 17 guardrails"]);
}
