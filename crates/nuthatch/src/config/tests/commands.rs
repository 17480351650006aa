//! The list of commands that a pool knows beyond the table.

use proxy::settings::{CommandSettings, ProtocolSettings};

use super::{lines, load_text};

/// A pool with this list of commands, which begins in line 4.
fn with(redis: bool, commands: &str) -> String {
    format!("a:\n  listen: 127.0.0.1:1\n  redis: {redis}\n{commands}\n  servers: [h:1:1]\n")
}

fn commands(text: &str) -> Vec<CommandSettings> {
    let config = load_text(&with(true, text)).expect(text);
    match &config.pools[0].settings.protocol {
        ProtocolSettings::Redis(redis) => redis.commands.clone(),
        ProtocolSettings::Memcached(_) => panic!("it is a Redis pool"),
    }
}

fn command(name: &str, arity: i16, keys: (u8, i8, u8), is_read: bool) -> CommandSettings {
    CommandSettings {
        name: name.to_owned(),
        arity,
        first: keys.0,
        last: keys.1,
        step: keys.2,
        is_read,
    }
}

#[test]
fn commands_say_where_their_keys_are() {
    let list = "  commands:\n  - {name: MyModule.Get, arity: 2, access: read}\n  - name: my-module.copy\n    arity: -4\n    \
                first: 2\n    last: -1\n    step: 2\n    access: write\n  - {name: x, arity: -127, first: 3, last: 126}";
    assert_eq!(
        commands(list),
        [
            command("mymodule.get", 2, (1, 1, 1), true),
            command("my-module.copy", -4, (2, -1, 2), false),
            command("x", -127, (3, 126, 1), false),
        ]
    );
    assert_eq!(commands("  commands: []"), []);
    assert_eq!(commands(""), []);
}

/// Lists with one mistake at the `^`, which is not part of them, and what is said of it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "commands: ^x",
        "setting `commands` is not a list of commands",
    ),
    (
        "commands: ^{a: b}",
        "setting `commands` cannot be a mapping",
    ),
    ("commands: [^x]", "a command must be a mapping"),
    ("commands: [^{arity: 2}]", "`name` of a command is missing"),
    ("commands: [^{name: x}]", "`arity` of a command is missing"),
    (
        "commands: [{name: x, arity: ^two}]",
        "`arity` of a command cannot be `two`",
    ),
    (
        "commands: [{name: x, arity: ^+2}]",
        "`arity` of a command cannot be `+2`",
    ),
    (
        "commands: [{name: x, arity: ^1}]",
        "a command without arguments has no key",
    ),
    (
        "commands: [{name: x, arity: ^128}]",
        "`arity` of a command cannot be `128`",
    ),
    (
        "commands: [{name: x, arity: ^[2]}]",
        "`arity` of a command must be one word",
    ),
    (
        "commands: [{name: ^'', arity: 2}]",
        "`name` of a command must be one word",
    ),
    (
        "commands: [{name: ^a b, arity: 2}]",
        "`a b` is no name of a command",
    ),
    (
        "commands: [{name: ^a|b, arity: 2}]",
        "`a|b` is no name of a command",
    ),
    (
        "commands: [{name: ^Get, arity: 2}]",
        "the command `Get` is known already",
    ),
    (
        "commands: [{name: ^shutdown, arity: 2}]",
        "the command `shutdown` is known already",
    ),
    (
        "commands: [{name: ^POST, arity: 2}]",
        "the command `POST` is known already",
    ),
    (
        "commands: [{name: x, arity: 2, first: ^2}]",
        "a command of 2 arguments has no key at index 2",
    ),
    (
        "commands: [{name: x, arity: 2, first: ^0}]",
        "`first` of a command cannot be `0`",
    ),
    (
        "commands: [{name: x, arity: 3, first: 2, last: ^1}]",
        "`last` is before `first` (2)",
    ),
    (
        "commands: [{name: x, arity: -2, first: 1, last: ^-2}]",
        "`last` is before `first` (1)",
    ),
    (
        "commands: [{name: x, arity: 2, step: ^0}]",
        "`step` of a command cannot be `0`",
    ),
    (
        "commands: [{name: x, arity: 2, access: ^rw}]",
        "`access` of a command cannot be `rw`",
    ),
    (
        "commands: [{name: x, arity: 2, ^acess: read}]",
        "`acess` is unknown in a command",
    ),
    (
        "commands: [{name: x, arity: 2, ^arity: 3}]",
        "`arity` is given twice",
    ),
    (
        "commands: [{name: x, arity: 2}, ^{name: X, arity: 3}]",
        "pool `a` has two commands `x`",
    ),
];

#[test]
fn each_mistake_is_named_where_it_stands() {
    let long = format!("commands: [{{name: ^{}, arity: 2}}]", "x".repeat(65));
    for (list, expected) in MISTAKES.iter().chain(&[(&*long, "`xxx")]) {
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
fn there_is_a_most_and_memcached_has_none() {
    let list = |count: usize| {
        let items = (0..count).map(|number| format!("{{name: x{number}, arity: 2}}"));
        format!("  commands: [{}]", items.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(commands(&list(256)).len(), 256);
    let report = load_text(&with(true, &list(257))).expect_err("too many");
    assert_eq!(lines(&report), ["n.yml:4:13: pool `a` has 257 commands"]);
    let report = load_text(&with(false, &list(1))).expect_err("of a memcached pool");
    let message = "n.yml:4:3: setting `commands` is only valid for a redis pool";
    assert_eq!(lines(&report), [message]);
}
