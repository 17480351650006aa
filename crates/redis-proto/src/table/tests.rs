//! The table as a whole: nutcracker's commands, and the consistency of its columns.

use super::*;
use crate::command::{Action, Arity, Flags, Join, Keys};
use crate::request::{RequestLimits, RequestParser};

/// Names, and the number of arguments after them.
type Class = (fn(usize) -> bool, &'static str);

/// The arity classes of nutcracker 0.5.0 with its 137 names.
const NUTCRACKER: [Class; 10] = [
    (|n| n == 0, "ping quit command"),
    (
        |n| n == 1,
        "auth decr dump get getdel hgetall hkeys hlen hvals incr llen persist pttl scard smembers strlen ttl \
         type zcard",
    ),
    (
        |n| n == 2,
        "append decrby expire expireat getbit getset hexists hget hstrlen incrby incrbyfloat lindex move \
         pexpire pexpireat rpoplpush setnx sismember zrank zrevrank zscore",
    ),
    (
        |n| n == 3,
        "getrange hincrby hincrbyfloat hsetnx lrange lrem lset ltrim psetex setbit setex setrange smove zcount \
         zincrby zlexcount zremrangebylex zremrangebyrank zremrangebyscore",
    ),
    (|n| n == 4, "linsert lmove"),
    (
        |n| n >= 1,
        "bitcount bitfield bitpos copy exists geoadd geodist geohash geopos georadius georadiusbymember \
         geosearch geosearchstore getex hdel hmget hmset hrandfield hscan hset lpop lpos lpush lpushx pfadd \
         pfcount pfmerge restore rpop rpush rpushx sadd sdiff sdiffstore set sinter sinterstore smismember sort \
         spop srandmember srem sscan sunion sunionstore zadd zdiff zdiffstore zinter zinterstore zmscore \
         zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrem zrevrange \
         zrevrangebylex zrevrangebyscore zscan zunion zunionstore",
    ),
    (|n| n >= 1, "mget del unlink touch"),
    (|n| n >= 2 && n % 2 == 0, "mset"),
    (|n| n >= 3, "eval evalsha"),
    (|_| true, "lolwut"),
];

/// Commands whose arity differs from nutcracker's, and why.
const OTHER_ARITY: [(&str, &str); 3] = [
    (
        "ping quit command auth",
        "answered by the proxy as Redis answers them",
    ),
    (
        "expire expireat pexpire pexpireat zrank zrevrank",
        "Redis has since given them options",
    ),
    (
        "eval evalsha zunion zinter zdiff zunionstore zinterstore zdiffstore",
        "as Redis, because the keys are found by their number",
    ),
];

#[test]
fn the_137_names_of_nutcracker_keep_their_arity() {
    let mut names = 0;
    for (accepts, class) in NUTCRACKER {
        for name in class.split_whitespace() {
            names += 1;
            let command = lookup(name.as_bytes()).unwrap_or_else(|| panic!("{name}"));
            assert!(command.flags.contains(Flags::LEGACY), "{name}");
            if OTHER_ARITY
                .iter()
                .any(|(names, _)| names.split(' ').any(|other| other == name))
            {
                continue;
            }
            for args in 0..9 {
                assert_eq!(
                    command.arity.check(args + 1),
                    accepts(args),
                    "{name} with {args}"
                );
            }
        }
    }
    assert_eq!(names, 137);
    let legacy = all()
        .iter()
        .filter(|command| command.flags.contains(Flags::LEGACY));
    assert_eq!(legacy.count(), 137);
}

#[test]
fn every_name_is_found_in_any_case() {
    for command in all() {
        let name = command.name;
        assert_eq!(name, name.to_ascii_lowercase());
        for spelt in [name.to_owned(), name.to_ascii_uppercase()] {
            assert_eq!(lookup(spelt.as_bytes()).map(|found| found.name), Some(name));
        }
    }
    for unknown in [
        "",
        "g",
        "gett",
        "get ",
        "\0get",
        "xinfo|stream",
        &"x".repeat(1000),
    ] {
        assert!(lookup(unknown.as_bytes()).is_none(), "{unknown}");
    }
}

/// Commands newer than the Redis release that the tests may find installed.
#[test]
fn what_came_after_redis_7_0_is_known() {
    let releases = [
        ("Redis 7.2", "waitaof"),
        (
            "Redis 7.4",
            "hexpire hexpireat hexpiretime hpersist hpexpire hpexpireat hpexpiretime hpttl httl",
        ),
        (
            "Redis 8.0",
            "hgetdel hgetex hsetex vadd vcard vdim vemb vgetattr vinfo vlinks vrandmember",
        ),
        (
            "Redis 8.0",
            "vrem vsetattr vsim json.set ts.add bf.add cf.add cms.merge topk.add tdigest.add",
        ),
        ("Redis 8.2", "vismember xackdel xdelex"),
        (
            "Redis 8.4",
            "delex digest msetex vrange ft.hybrid trimslots",
        ),
        ("Redis 8.6", "hotkeys xcfgset xidmprecord"),
        ("Redis 8.8", "arget arset armset argrep increx xnack"),
        (
            "Redis 8.10",
            "backup blmovem himport lmovem sdiffcard sunioncard ts.nrange ts.read",
        ),
        (
            "Redis 8.12",
            "bitrangeintarray bzmove saddex sexpire spersist spttl zmove zmovemember",
        ),
        ("Valkey 8 and 9", "commandlog clusterscan delifeq"),
        ("Valkey 9.2", "phcard phdelprefix phget phmset phscan phset"),
    ];
    for (release, names) in releases {
        for name in names.split(' ') {
            assert!(lookup(name.as_bytes()).is_some(), "{name} of {release}");
        }
    }
}

#[test]
fn names_are_unique_and_rarely_collide() {
    let mut names: Vec<_> = all().iter().map(|command| command.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().len());
    let at_home = |command: &&Command| {
        ALL.get(usize::from(INDEX[hash(command.name.as_bytes())]))
            .is_some_and(|found| found.name == command.name)
    };
    assert!(all().iter().filter(at_home).count() * 100 > all().len() * 85);
}

#[test]
fn every_forwarded_command_has_a_key_from_its_least_arity_on() {
    for command in all()
        .iter()
        .flat_map(|command| [command].into_iter().chain(command.subs))
    {
        if !matches!(command.action, Action::Forward | Action::Split(_)) {
            continue;
        }
        let least = match command.arity {
            Arity::Exact(n) | Arity::AtLeast(n) | Arity::Between(n, _) => n.into(),
            Arity::Pairs => 3,
        };
        let first = match command.keys {
            Keys::Range { first, .. } => first.into(),
            Keys::Counted { count_at, .. } => usize::from(count_at),
            Keys::Sort | Keys::SortReadOnly | Keys::Store { .. } => 1,
            Keys::Streams => 3,
            Keys::None | Keys::Migrate => panic!("{} has no fixed key", command.name),
        };
        assert!(first < least, "{}", command.name);
    }
}

#[test]
fn what_may_take_long_is_forwarded_and_never_passes_for_small() {
    let long = Flags::LONG_WORK.with(Flags::SCRIPT);
    let rows = all().iter();
    let rows = rows.flat_map(|command| [command].into_iter().chain(command.subs));
    let names: Vec<_> = rows
        .filter(|command| command.flags.intersects(long))
        .inspect(|command| {
            assert!(
                !command.flags.contains(Flags::SMALL_REPLY),
                "{}",
                command.name
            );
            assert_eq!(command.action, Action::Forward, "{}", command.name);
        })
        .map(|command| command.name)
        .collect();
    for name in "sort zunionstore sinter sintercard bitcount bitop linsert eval fcall".split(' ') {
        assert!(names.contains(&name), "{name}");
    }
    for name in "get set mget lrange hgetall smembers incr del".split(' ') {
        assert!(!names.contains(&name), "{name}");
    }
}

#[test]
fn flags_and_actions_fit_together() {
    for command in all() {
        let name = command.name;
        let (writes, reads) = (
            command.flags.contains(Flags::WRITE),
            command.flags.contains(Flags::READONLY),
        );
        match command.action {
            Action::Forward | Action::Split(_) | Action::Placeholder => {
                assert!(writes != reads, "{name} either writes or only reads");
            }
            Action::Keyspace(_) => assert!(reads && !writes, "{name}"),
            Action::Flush | Action::Wait => assert!(writes, "{name}"),
            Action::Local(_)
            | Action::Acknowledged
            | Action::PubSub(_)
            | Action::Scripts(_)
            | Action::Admin(_)
            | Action::Transaction(_)
            | Action::Unsupported(_) => {
                assert!(!writes && !reads, "{name}");
            }
        }
        assert!(
            command
                .subs
                .iter()
                .all(|sub| sub.name.starts_with(&format!("{name}|")))
        );
    }
    let split = |name: &str| lookup(name.as_bytes()).map(|command| command.action);
    assert_eq!(split("mget"), Some(Action::Split(Join::Array)));
    assert_eq!(split("mset"), Some(Action::Split(Join::Ok)));
    assert_eq!(split("msetex"), Some(Action::Split(Join::Least)));
    for name in ["del", "unlink", "touch", "exists"] {
        assert_eq!(split(name), Some(Action::Split(Join::Sum)), "{name}");
    }
}

#[test]
fn the_commands_around_a_transaction_are_told_apart() {
    use crate::command::Transaction::{Discard, Exec, Multi, Unwatch, Watch};
    for (name, command, least) in [
        ("multi", Multi, 1),
        ("exec", Exec, 1),
        ("discard", Discard, 1),
        ("watch", Watch, 2),
        ("unwatch", Unwatch, 1),
    ] {
        let row = lookup(name.as_bytes()).unwrap();
        assert_eq!(row.action, Action::Transaction(command), "{name}");
        assert!(
            row.arity.check(least) && !row.arity.check(least - 1),
            "{name}"
        );
        assert_eq!(row.arity.check(least + 1), command == Watch, "{name}");
        assert_eq!(row.keys == Keys::None, command != Watch, "{name}");
    }
    let others = |row: &&Command| matches!(row.action, Action::Transaction(_));
    assert_eq!(all().iter().filter(others).count(), 5);
}

#[test]
fn subcommands_are_resolved() {
    let rows = [
        ("OBJECT encoding k", "object|encoding"),
        ("xinfo STREAM k FULL", "xinfo|stream"),
        ("xinfo help", "xinfo|help"),
        ("xinfo nonsense", "xinfo"),
        ("memory", "memory"),
        ("client setname x", "client|setname"),
        ("get k", "get"),
    ];
    for (line, expected) in rows {
        let mut parser = RequestParser::default();
        parser
            .parse(&RequestLimits::default(), format!("{line}\n").as_bytes())
            .unwrap();
        let text = parser.inline().unwrap();
        let command = lookup(parser.args()[0].bytes(text).unwrap()).unwrap();
        assert_eq!(command.resolve(text, parser.args()).name, expected);
    }
}
