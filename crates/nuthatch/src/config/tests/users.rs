//! The list of users of a pool.

use std::sync::Arc;

use proxy::Users;

use super::{lines, load_text};

/// `printf %s secret | sha256sum`
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

/// A pool with this list of users, which begins in line 4; `SECRET` in it stands for a digest.
fn with(users: &str) -> String {
    let users = users.replace("SECRET", SECRET);
    format!("a:\n  listen: 127.0.0.1:1\n  redis: true\n  {users}\n  servers: [h:1:1]\n")
}

fn users(list: &str) -> Arc<Users> {
    let config = load_text(&with(list)).expect(list);
    let users = config.pools[0].settings.users.clone();
    users.expect("the pool has users")
}

#[test]
fn users_have_passwords_and_rules() {
    let list = "users: [{name: app, password_sha256: SECRET, acl: '~cart:* +@read'}, {name: open, acl: nopass allkeys +get}, \
                {name: two, password_sha256: [SECRET, SECRET]}, {name: in, acl: 'off #SECRET'}]";
    let users = users(list);
    let names: Vec<&str> = users.all().map(|user| user.name()).collect();
    assert_eq!(names, ["app", "in", "open", "two"]);
    for (name, password, is_right) in [
        ("app", "secret", true),
        ("app", "x", false),
        ("open", "x", true),
        ("two", "secret", true),
        ("in", "secret", false),
    ] {
        let found = users.authenticate(name.as_bytes(), password.as_bytes());
        assert_eq!(found.is_some(), is_right, "{name}");
    }
    let app = users.find(b"app").expect("it is there");
    assert_eq!(app.acl().keys_text(), "~cart:*");
    assert_eq!(app.acl().commands_text(), "-@all +@read");
    let config = load_text("a:\n  listen: 127.0.0.1:1\n  redis: true\n  servers: [h:1:1]\n");
    assert!(config.expect("valid").pools[0].settings.users.is_none());
}

#[test]
fn a_command_that_the_pool_adds_can_be_named() {
    let list = "commands: [{name: mymodule.get, arity: 2}]\n  users: [{name: a, acl: nopass +mymodule.get}]";
    let users = users(list);
    let user = users.find(b"a").expect("it is there");
    assert_eq!(user.acl().commands_text(), "-@all +mymodule.get");
}

/// Lists with one mistake at the `^`, which is not part of them, and what is said of it.
const MISTAKES: &[(&str, &str)] = &[
    ("users: ^x", "setting `users` is not a list of users"),
    ("users: [^x]", "a user must be a mapping"),
    ("users: [^{acl: nopass}]", "`name` of a user is missing"),
    (
        "users: [{name: ^'a b'}]",
        "`name` of a user cannot be `a b`",
    ),
    (
        "users: [{name: a, ^acls: x}]",
        "`acls` is unknown in a user",
    ),
    (
        "users: [{name: a, password_sha256: ^hunter2}]",
        "`password_sha256` of a user must be 64 hexadecimal digits, or a list of that",
    ),
    (
        "users: [{name: a, password_sha256: [SECRET, ^hunter2]}]",
        "`password_sha256` of a user must be 64 hexadecimal digits, or a list of that",
    ),
    (
        "users: [{name: a, acl: ^'+get >hunter2'}]",
        "rule 2 of `acl` of user `a` has a password that is not hashed",
    ),
    (
        "users: [{name: a, acl: ^+gte}]",
        "rule 1 of `acl` of user `a` names an unknown command: `gte`",
    ),
    (
        "users: [{name: a, acl: ^'on (+get ~a)'}]",
        "rule 2 of `acl` of user `a` is a selector, which is not supported",
    ),
    (
        "users: [{name: a, password_sha256: SECRET, acl: ^nopass}]",
        "user `a` has a password, and `nopass` in its `acl`",
    ),
    (
        "users: [{name: a}, ^{name: a}]",
        "pool `a` has two users `a`",
    ),
    ("^users: []", "`users` of pool `a` has no user"),
];

#[test]
fn each_mistake_is_named_where_it_stands_without_passwords() {
    for (list, expected) in MISTAKES {
        let before = &list[..list.find('^').expect(list)];
        let column = 3 + before.replace("SECRET", SECRET).len();
        let text = with(&list.replace('^', ""));
        let report = load_text(&text).expect_err(list);
        let found = lines(&report);
        assert_eq!(found.len(), 1, "{list}: {found:#?}");
        assert_eq!(found[0], format!("n.yml:4:{column}: {expected}"), "{list}");
        let told = report.to_string();
        assert!(told.contains("\n  = "), "{told}");
        assert!(
            !told.contains("hunter2") && !told.contains(SECRET),
            "{told}"
        );
    }
}

#[test]
fn users_and_the_password_of_twemproxy_exclude_each_other() {
    let text = with("redis_auth: x\n  users: [{name: a, acl: nopass}]");
    let report = load_text(&text).expect_err("both");
    let expected = "n.yml:5:3: `users` and `redis_auth` cannot both be set in pool `a`";
    assert_eq!(lines(&report), [expected]);
    assert!(report.to_string().contains("server_login"), "{report}");
}

#[test]
fn users_that_nobody_or_anybody_can_be_are_warned_of() {
    for (user, expected) in [
        ("{name: b}", "nobody can be user `b`"),
        ("{name: b, acl: nopass +get}", "anybody can be user `b`"),
        ("{name: b, acl: off}", ""),
        ("{name: default, acl: nopass +get}", ""),
        ("{name: b, password_sha256: SECRET}", ""),
    ] {
        let config = load_text(&with(&format!("users: [{user}]"))).expect(user);
        let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        match expected {
            "" => assert!(warnings.is_empty(), "{user}: {warnings:?}"),
            _ => assert!(warnings[0].contains(expected), "{user}: {warnings:?}"),
        }
    }
}

/// The same list in a memcached pool, from the third line on.
fn of_memcached(list: &str) -> String {
    let list = list.replace("SECRET", SECRET);
    format!("a:\n  listen: 127.0.0.1:1\n  users: {list}\n  servers: [h:1:1]\n")
}

#[test]
fn users_of_memcached_pools_have_rules_about_its_commands() {
    let list =
        "[{name: app, password_sha256: SECRET, acl: '~cart:* +@read +@write -incr +flush_all'}]";
    let config = load_text(&of_memcached(list)).expect(list);
    let users = config.pools[0].settings.users.clone();
    let users = users.expect("the pool has users");
    let app = users.find(b"app").expect("it is there");
    assert_eq!(
        app.acl().commands_text(),
        "-@all +@read +@write -incr +flush_all"
    );
    assert!(app.permissions().allows_name("set") && !app.permissions().allows_name("incr"));
    assert!(users.authenticate(b"app", b"secret").is_some());
}

/// Rules with one mistake that are right in a Redis pool, or nowhere: which it is, what is wrong, and what helps.
const MEMCACHED_MISTAKES: &[(&str, &str, &str)] = &[
    (
        "+mget",
        "1 of `acl` of user `a` names an unknown command: `mget`",
        "such as `+get`",
    ),
    (
        "+get -config|set",
        "2 of `acl` of user `a` names an unknown command: `config|set`",
        "such as `+get`",
    ),
    (
        "+@pubsub",
        "1 of `acl` of user `a` names an unknown category: `@pubsub`",
        "@read, @write and @admin",
    ),
    (
        "+get &news:*",
        "2 of `acl` of user `a` is about channels, which the protocol of the pool does not have",
        "remove it",
    ),
    (
        "allchannels",
        "1 of `acl` of user `a` is about channels, which the protocol of the pool does not have",
        "remove it",
    ),
    (
        "nonsense",
        "1 of `acl` of user `a` is no rule of Redis's ACL",
        "allkeys, allcommands",
    ),
];

#[test]
fn what_memcached_does_not_have_is_named_where_it_stands() {
    for (rules, expected, help) in MEMCACHED_MISTAKES {
        let before = "  users: [{name: a, password_sha256: SECRET, acl: ".replace("SECRET", SECRET);
        let list = format!("[{{name: a, password_sha256: SECRET, acl: '{rules}'}}]");
        let report = load_text(&of_memcached(&list)).expect_err(rules);
        let column = before.len() + 1;
        assert_eq!(
            lines(&report),
            [format!("n.yml:3:{column}: rule {expected}")]
        );
        assert!(report.to_string().contains(help), "{report}");
    }
}
