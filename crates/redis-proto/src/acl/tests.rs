//! Rules of access, and what they allow.

use proptest::prelude::*;

use super::*;
use crate::command::lookup;
use crate::request::{Progress, RequestLimits, RequestParser};

fn acl(rules: &str) -> Acl {
    let mut acl = Acl::new(true);
    acl.add(rules, &RedisCommands(&|_| false)).expect("rules");
    acl
}

/// Checks a request, given as words with blanks between them.
fn check(rules: &str, request: &str) -> Result<(), Denied> {
    let permissions = Permissions::new(&acl(rules), std::iter::empty());
    let mut text = Vec::new();
    let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
    crate::encode::command(&mut text, &words);
    let mut parser = RequestParser::default();
    let parsed = parser.parse(&RequestLimits::default(), &text);
    assert!(
        matches!(parsed, Ok(Progress::Complete { .. })),
        "{parsed:?}"
    );
    let command = lookup(words[0]).expect("a command");
    let command = command.resolve(&text, parser.args());
    permissions.check(command, &text, parser.args(), &mut Vec::new())
}

#[test]
fn the_last_rule_that_covers_a_command_counts() {
    for (rules, allowed, denied) in [
        ("allkeys +@all", "flushall", None),
        ("allkeys +@read", "get a", Some("set a b")),
        ("allkeys +@all -@dangerous", "set a b", Some("flushall")),
        (
            "allkeys -@all +@write +@read -set",
            "get a",
            Some("set a b"),
        ),
        (
            "allkeys +config -config|set",
            "config get a",
            Some("config set a b"),
        ),
        (
            "allkeys -config +config|get",
            "config get a",
            Some("config set a b"),
        ),
        ("allkeys +GET", "GET a", Some("info")),
        ("allkeys +@all reset allkeys +ping", "ping", Some("get a")),
        ("allkeys +get nocommands +set", "set a b", Some("get a")),
        ("", "auth a", Some("ping")),
        ("", "quit", Some("acl whoami")),
    ] {
        assert_eq!(check(rules, allowed), Ok(()), "{rules}: {allowed}");
        if let Some(denied) = denied {
            let found = check(rules, denied);
            assert!(
                matches!(found, Err(Denied::Command(_))),
                "{rules}: {denied}"
            );
        }
    }
    assert_eq!(
        check("", "config set a b"),
        Err(Denied::Command("config|set"))
    );
}

#[test]
fn every_key_must_match_a_pattern() {
    let rules = "+@all ~cart:* ~exact %R~ro:* %W~wo:*";
    for request in [
        "get cart:1",
        "mget cart:1 exact ro:1",
        "mset cart:1 a wo:1 b",
        "get ro:",
        "exists wo:1 ro:1",
        "set wo:1 x",
        "set cart:1 x get",
        "bitfield ro:1 get u8 0",
        "keys *",
        "ping",
        "sort cart:1 by nosort",
        "xread count 1 streams ro:1 cart:1 0 0",
        "copy ro:1 wo:1",
        "getdel cart:x",
        "zunionstore wo:1 2 ro:1 cart:1",
        // Refused for another reason, by whoever finds its keys.
        "lmpop x other",
    ] {
        assert_eq!(check(rules, request), Ok(()), "{request}");
    }
    for request in [
        "get Cart:1",
        "get cart",
        "mget cart:1 other",
        "mset cart:1 a other b",
        "set ro:1 x",
        "get wo:1",
        "set wo:1 x get",
        "bitfield ro:1 set u8 0 1",
        "copy wo:1 ro:1",
        "exists other",
        "xread streams ro:1 other 0 0",
        "zunionstore ro:1 1 ro:1",
        "object encoding other",
    ] {
        assert_eq!(check(rules, request), Err(Denied::Key), "{request}");
    }
    let by = "sort cart:1 by weight_*";
    assert_eq!(check(rules, by), Err(Denied::SortPattern));
    assert_eq!(check("+@all allkeys -info", by), Ok(()));
    assert_eq!(check("+@all", "get a"), Err(Denied::Key));
}

#[test]
fn channels_match_and_patterns_of_them_are_the_same() {
    let rules = "+@all allkeys &news:* &x";
    for request in [
        "publish news:1 hi",
        "subscribe news:1 x",
        "ssubscribe news:",
        "psubscribe news:*",
        "unsubscribe other",
        "pubsub channels",
    ] {
        assert_eq!(check(rules, request), Ok(()), "{request}");
    }
    for request in [
        "publish y hi",
        "spublish y hi",
        "subscribe x y",
        "psubscribe news:1*",
    ] {
        assert_eq!(check(rules, request), Err(Denied::Channel), "{request}");
    }
}

#[test]
fn scripts_need_a_rule_of_their_own_where_not_everything_is_allowed() {
    let eval = "eval return 1 k";
    assert_eq!(check("+@all allkeys allchannels", eval), Ok(()));
    for rules in [
        "+@all allkeys",
        "+@all ~k allchannels",
        "+@all -info allkeys allchannels",
        "+@slow ~k",
    ] {
        assert_eq!(check(rules, eval), Err(Denied::Command("eval")), "{rules}");
    }
    for rules in [
        "+@all +eval allkeys",
        "+@scripting ~k",
        "+@all -info +@scripting allkeys",
    ] {
        assert_eq!(check(rules, eval), Ok(()), "{rules}");
    }
    assert_eq!(
        check("+@all +@scripting ~k", "eval x 1 other"),
        Err(Denied::Key)
    );
}

#[test]
fn what_is_wrong_with_a_rule_is_told_without_it() {
    let problem = |rules: &str| {
        Acl::new(true)
            .add(rules, &RedisCommands(&|name| name == "my.get"))
            .unwrap_err()
    };
    for (rules, number, expected) in [
        ("on foo", 2, AclProblem::Syntax),
        ("+nosuch", 1, AclProblem::UnknownCommand("nosuch".into())),
        (
            "+config|nosuch",
            1,
            AclProblem::UnknownCommand("config|nosuch".into()),
        ),
        ("-@nosuch", 1, AclProblem::UnknownCategory("@nosuch".into())),
        ("+select|0", 1, AclProblem::FirstArgument),
        (">secret", 1, AclProblem::PlainPassword),
        ("<secret", 1, AclProblem::RemovedPassword),
        ("#abc", 1, AclProblem::Digest),
        ("(+get ~a)", 1, AclProblem::Selector),
        ("~* ~a", 2, AclProblem::Useless),
        ("&* &a", 2, AclProblem::Useless),
        ("~", 1, AclProblem::PatternLength),
        ("%~a", 1, AclProblem::Syntax),
        ("%Ra", 1, AclProblem::Syntax),
    ] {
        let found = problem(rules);
        assert_eq!(
            found,
            AclError {
                number,
                problem: expected
            },
            "{rules}"
        );
        let told = format!("{} {}", found.problem, found.problem.help());
        assert!(!told.contains("secret"), "{told}");
    }
    assert_eq!(
        Acl::new(true).add("+my.get", &RedisCommands(&|name| name == "my.get")),
        Ok(())
    );
    let digests = |count: u32| -> String {
        (0..count)
            .map(|number| format!("#{number:064x} "))
            .collect()
    };
    assert_eq!(acl(&digests(8)).passwords.len(), 8);
    assert_eq!(problem(&digests(9)).problem, AclProblem::TooMany);
    let patterns: String = (0..65).map(|number| format!("~{number} ")).collect();
    assert_eq!(problem(&patterns).problem, AclProblem::TooMany);
}

#[test]
fn a_user_is_told_as_redis_tells_it() {
    let user = acl("~cart:* %R~Ro:* &news:* +@read +set -get");
    assert_eq!(user.commands_text(), "-@all +@read +set -get");
    assert_eq!(user.keys_text(), "~cart:* %R~Ro:*");
    assert_eq!(user.channels_text(), "&news:*");
    let whole = Acl::unlimited();
    assert_eq!(whole.commands_text(), "+@all");
    assert_eq!(whole, acl("nopass allkeys allchannels allcommands"));
    assert!(Permissions::new(&whole, std::iter::empty()).is_whole());
    let digest = "7e".repeat(32);
    let shown = format!("{:?}", acl(&format!("#{digest}")));
    assert!(!shown.contains("7e"), "{shown}");
}

proptest! {
    /// What a user tells of itself makes the same user.
    #[test]
    fn any_rules_are_read(rules in "([+-](@?[a-z]{1,9}|get|config\\|get|@read)|[~&]\\PC{0,4}|%[RWx]~.|[#>(!<].{0,3}|on|off|reset|nopass|allkeys| ){0,6}") {
        let mut user = Acl::new(true);
        let added = user.add(&rules, &RedisCommands(&|_| false));
        let told = [user.commands_text(), user.keys_text(), user.channels_text()].join(" ");
        if added.is_ok() {
            let again = acl(&told);
            prop_assert_eq!(again.commands_text(), user.commands_text());
            prop_assert_eq!(again.keys_text(), user.keys_text());
            prop_assert_eq!(again.channels_text(), user.channels_text());
        }
    }
}
