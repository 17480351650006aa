//! A real server (ACL DRYRUN, since Redis 7.0) allows and denies what the rules here allow and deny.

use redis_proto::acl::{Acl, Denied, Permissions, RedisCommands};
use redis_proto::{Command, Progress, RequestLimits, RequestParser, command, describe, encode};
use testkit::{Client, Server, redis};

/// Commands that need a rule of their own here; see [`Permissions`].
const SCRIPTS: [&str; 6] = [
    "eval",
    "eval_ro",
    "evalsha",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
];

fn server() -> Option<Server> {
    let server = redis()?;
    let dry = server.client().ask(&["ACL", "DRYRUN", "default", "ping"]);
    (dry == "+OK\r\n").then_some(server)
}

fn permissions(rules: &str) -> Permissions {
    let mut acl = Acl::new(true);
    acl.add(rules, &RedisCommands(&|_| false)).expect("rules");
    Permissions::new(&acl, std::iter::empty())
}

fn set_user(client: &mut Client, rules: &str) {
    let mut words = vec!["ACL", "SETUSER", "u", "reset", "on", "nopass"];
    words.extend(rules.split(' '));
    assert_eq!(client.ask(&words), "+OK\r\n", "{rules}");
}

/// Whether the server allows a request to the user; `None` if something else is wrong with it, or it has no such command.
fn asked(client: &mut Client, request: &[&str]) -> Option<bool> {
    let words = [&["ACL", "DRYRUN", "u"], request].concat();
    let reply = client.ask(&words);
    match reply.as_str() {
        "+OK\r\n" => Some(true),
        denied if denied.contains("has no permissions to") => Some(false),
        _ => None,
    }
}

fn found(permissions: &Permissions, request: &[&str]) -> Result<(), Denied> {
    let mut text = Vec::new();
    let words: Vec<&[u8]> = request.iter().map(|word| word.as_bytes()).collect();
    encode::command(&mut text, &words);
    let mut parser = RequestParser::default();
    let parsed = parser.parse(&RequestLimits::default(), &text);
    assert!(
        matches!(parsed, Ok(Progress::Complete { .. })),
        "{parsed:?}"
    );
    let row = command::lookup(words[0]).expect("a command");
    let row = row.resolve(&text, parser.args());
    permissions.check(row, &text, parser.args(), &mut Vec::new())
}

/// A request with this command, and as many arguments as it needs.
fn request(row: &Command) -> Vec<&'static str> {
    let mut words: Vec<&str> = row.name.split('|').collect();
    let least = usize::try_from(row.arity.as_redis().abs()).expect("it is positive");
    words.resize(least.max(words.len()), "1");
    words
}

#[test]
fn a_category_allows_the_same_commands() {
    let Some(server) = server() else {
        testkit::skip!("no server that knows ACL DRYRUN is installed");
    };
    let mut client = server.client();
    let rows: Vec<&Command> = command::all()
        .iter()
        .flat_map(|row| [row].into_iter().chain(row.subs))
        // Those of DEBUG are no commands of their own there.
        .filter(|row| !row.name.starts_with("debug|"))
        .collect();
    let (mut compared, mut differences) = (0, Vec::new());
    for category in describe::categories() {
        for rules in [
            format!("allkeys allchannels +{category}"),
            format!("allkeys allchannels +@all -{category}"),
        ] {
            let ours = permissions(&rules);
            set_user(&mut client, &rules);
            for row in rows.iter().filter(|row| !SCRIPTS.contains(&row.name)) {
                let request = request(row);
                let Some(theirs) = asked(&mut client, &request) else {
                    continue;
                };
                compared += 1;
                let ours = found(&ours, &request);
                if ours.is_ok() != theirs {
                    differences.push(format!("{rules}: {request:?} {ours:?}\n"));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.concat());
    assert!(compared > 5_000, "only {compared} requests were compared");
}

#[test]
fn keys_and_channels_are_allowed_alike() {
    let Some(server) = server() else {
        testkit::skip!("no server that knows ACL DRYRUN is installed");
    };
    let mut client = server.client();
    let patterns = [
        "~a*",
        "%R~a*",
        "%W~a*",
        "~a %W~b",
        "%R~a %W~b",
        "%W~a %R~b",
        "%R~[a-b]",
        "~?",
        "~\\*",
        "~b &a*",
        "&a &b*",
        "~a %R~b %W~c &[ab]",
        "%R~*",
        "%W~*",
        "%RW~a",
    ];
    let requests = "get a|get ab|get A|get *|set a 1|set a 1 get|set b 1 nx get|getset a 1|getdel a|getex a|append a 1\
        |exists a|exists a b|del a|del a b|unlink b|touch b|type b|ttl a|expire a 1|persist a|rename a b|renamenx b a|copy a b\
        |copy b a|mget a b|mset a 1 b 1|msetnx a 1 b 1|incr a|strlen a|setrange a 0 x|getrange a 0 1|lcs a b|bitfield a get u8 0\
        |bitfield a set u8 0 1|bitfield_ro a get u8 0|bitop and a b|bitcount a|pfadd a 1|pfcount a b|pfmerge a b\
        |lpush a 1|lpop a|lmove a b left left|rpoplpush a b|blpop a b 0|lmpop 2 a b left|blmpop 0 1 a left|lrange a 0 1|llen a\
        |sadd a 1|srem a 1|smove a b 1|spop a|sismember a 1|sinter a b|sinterstore a b|sunionstore b a|sintercard 2 a b|sdiffstore a b\
        |hset a f v|hget a f|hdel a f|hincrby a f 1|hsetnx a f v|hlen a|zadd a 1 m|zrem a m|zcard a|zincrby a 1 m|zrange a 0 1\
        |zrangestore a b 0 1|zunion 2 a b|zunionstore a 1 b|zinterstore b 2 a b|zdiffstore a 1 b|zmpop 2 a b min|bzpopmin a b 0\
        |geoadd a 1 1 m|geosearchstore a b frommember m byradius 1 m|georadius a 1 1 1 m|georadius a 1 1 1 m store b\
        |xadd a * f v|xlen a|xread streams a b 0 0|xreadgroup group g c streams a b > >|xgroup create a g $|xgroup destroy a g\
        |xinfo stream a|xautoclaim a g c 0 0|xtrim a maxlen 1|object encoding a|memory usage a|dump a|restore a 0 x|sort a\
        |sort a store b|sort_ro a|watch a b|eval x 1 a|eval_ro x 1 a|fcall f 2 a b|publish a x|publish ab x|spublish b x|subscribe a\
        |subscribe a b|psubscribe a*|psubscribe a|ssubscribe b|unsubscribe c|pubsub channels|keys *|scan 0|flushall|dbsize";
    let (mut compared, mut differences) = (0, Vec::new());
    for pattern in patterns {
        let rules = format!("{pattern} +@all +@scripting");
        let ours = permissions(&rules);
        set_user(&mut client, &rules);
        for request in requests.split('|') {
            let words: Vec<&str> = request.split(' ').collect();
            let Some(theirs) = asked(&mut client, &words) else {
                continue;
            };
            compared += 1;
            let ours = found(&ours, &words);
            if ours.is_ok() != theirs {
                differences.push(format!("{rules}: {request} {ours:?}\n"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.concat());
    assert!(compared > 1_500, "only {compared} requests were compared");
}
