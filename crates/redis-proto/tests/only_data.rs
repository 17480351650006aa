//! Plays every command that is said to change nothing but data inside a transaction on a real server, and compares what
//! the server says of the connection before and after.

#![allow(clippy::unwrap_used)] // a panic is how these tests fail

use redis_proto::command::{self, Command};
use testkit::Client;

/// One request for each command, with arguments that it accepts where [`SETUP`] was executed before.
const REQUESTS: &str = "
append s v; bitcount s; bitfield s get u8 0; bitfield_ro s get u8 0; bitop and d s s2; bitpos s 1; blmove l l2 left right 0;
blmpop 0 1 none left; blpop none 0; brpop none 0; brpoplpush none l 0; bzmpop 0 1 none min; bzpopmax none 0;
bzpopmin none 0; copy s d; dbsize; decr n; decrby n 2; del s; dump s; echo word;
eval \"redis.call('select',1) redis.call('set',KEYS[1],1) redis.setresp(3) return 1\" 1 s; eval_ro \"return 1\" 1 s;
evalsha e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 s; evalsha_ro e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 s;
exists s none; expire s 100; expireat s 9999999999; expiretime s; fcall only_data 1 s; fcall_ro only_data 1 s; flushall;
flushdb async; geoadd g 1 2 m2; geodist g m m; geohash g m; geopos g m; georadius g 0 0 9 km store d;
georadius_ro g 0 0 9 km; georadiusbymember g m 9 km; georadiusbymember_ro g m 9 km;
geosearch g frommember m byradius 9 km; geosearchstore d g frommember m byradius 9 km; get s; getbit s 1; getdel s;
getex s persist; getrange s 0 1; getset s v; hdel h f; hexists h f; hget h f; hgetall h; hincrby h n 1;
hincrbyfloat h n 1.5; hkeys h; hlen h; hmget h f; hmset h f v; hrandfield h; hscan h 0; hset h f v; hsetnx h f2 v;
hstrlen h f; hvals h; incr n; incrby n 2; incrbyfloat n 1.5; keys *; lastsave; lcs s s2; lindex l 0; linsert l before a b;
llen l; lmove l l2 left right; lmpop 1 l left; lolwut version 1; lpop l; lpos l a; lpush l x; lpushx l x; lrange l 0 -1;
lrem l 1 a; lset l 0 b; ltrim l 0 0; memory|usage s; mget s n; mset s 1 n 2; msetnx new 1 new2 2; object|encoding s;
object|freq s; object|idletime s; object|refcount s; persist s; pexpire s 9999; pexpireat s 9999999999999;
pexpiretime s; pfadd p x; pfcount p; pfmerge p2 p; ping; psetex s 9999 v; pttl s; publish channel message; randomkey;
rename s d; renamenx s d; restore d 0 none; rpop l; rpoplpush l l2; rpush l x; rpushx l x; sadd set x; scan 0; scard set;
sdiff set set2; sdiffstore d set set2; set s v; setbit s 1 1; setex s 100 v; setnx new v; setrange s 1 v; sinter set set2;
sintercard 2 set set2; sinterstore d set set2; sismember set a; smembers set; smismember set a; smove set set2 a;
sort l alpha store d; sort_ro l alpha; spop set; spublish channel message; srandmember set; srem set a; sscan set 0;
strlen s; substr s 0 1; sunion set set2; sunionstore d set set2; time; touch s; ttl s; type s; unlink s; wait 0 1;
xack x g 1-1; xadd x * f v; xautoclaim x g c 0 0; xclaim x g c 0 1-1; xdel x 1-1; xgroup|create x g2 $;
xgroup|createconsumer x g c; xgroup|delconsumer x g c; xgroup|destroy x g; xgroup|setid x g 0; xinfo|consumers x g;
xinfo|groups x; xinfo|stream x; xlen x; xpending x g; xrange x - +; xread block 0 streams none 0;
xreadgroup group g c block 0 streams x >; xrevrange x + -; xsetid x 9-9; xtrim x maxlen 0; zadd z 1 m; zcard z;
zcount z 0 1; zdiff 2 z z2; zdiffstore d 2 z z2; zincrby z 1 a; zinter 2 z z2; zintercard 2 z z2; zinterstore d 2 z z2;
zlexcount z - +; zmpop 1 z min; zmscore z a; zpopmax z; zpopmin z; zrandmember z; zrange z 0 -1; zrangebylex z - +;
zrangebyscore z 0 1; zrangestore d z 0 -1; zrank z a; zrem z a; zremrangebylex z - +; zremrangebyrank z 0 1;
zremrangebyscore z 0 1; zrevrange z 0 -1; zrevrangebylex z + -; zrevrangebyscore z 1 0; zrevrank z a; zscan z 0;
zscore z a; zunion 2 z z2; zunionstore d 2 z z2";

/// Commands that fail here: what they need cannot be written above.
const FAIL: [&str; 2] = ["restore", "object|freq"];

/// Keys of each type, a script and a function.
const SETUP: [&[&str]; 15] = [
    &["flushall"],
    &["mset", "s", "text", "s2", "text", "n", "1"],
    &["rpush", "l", "a", "b"],
    &["rpush", "l2", "a"],
    &["sadd", "set", "a", "b"],
    &["sadd", "set2", "a"],
    &["hset", "h", "f", "v"],
    &["zadd", "z", "1", "a", "2", "b"],
    &["zadd", "z2", "1", "a"],
    &["geoadd", "g", "1", "2", "m"],
    &["pfadd", "p", "x"],
    &["xadd", "x", "1-1", "f", "v"],
    &["xgroup", "create", "x", "g", "0"],
    &["script", "load", "return 1"],
    &["function", "load", "replace", FUNCTION],
];

const FUNCTION: &str = "#!lua name=only_data\nredis.register_function{function_name='only_data', callback=function() return 1 end, flags={'no-writes'}}";

#[test]
fn what_changes_only_data_leaves_a_connection_as_it_was() {
    let Some(server) = testkit::redis_unix(&[]) else {
        testkit::skip!("neither redis-server nor valkey-server is installed");
    };
    for version in ["2", "3"] {
        let (mut setup, mut client) = (server.client(), server.client());
        client.ask(&["hello", version]);
        let mut played = 0;
        for row in rows().filter(|row| row.changes_only_data()) {
            if !knows(&mut setup, row) {
                continue;
            }
            for words in SETUP {
                let reply = setup.ask(words);
                assert!(!reply.starts_with('-'), "{words:?}: {reply}");
            }
            let request = request_for(row);
            let before = state(&mut client);
            let reply = play(&mut client, &request);
            let succeeds = reply.starts_with("*1\r\n") && !reply[4..].starts_with('-');
            assert_eq!(succeeds, !FAIL.contains(&row.name), "{}: {reply}", row.name);
            assert_eq!(state(&mut client), before, "{}", row.name);
            played += 1;
        }
        assert!(played > 180, "{played}");
    }
}

/// The test above could not fail if this one did.
#[test]
fn what_changes_a_connection_is_seen_and_has_no_such_row() {
    let Some(server) = testkit::redis_unix(&[]) else {
        testkit::skip!("neither redis-server nor valkey-server is installed");
    };
    server.client().ask(&[
        "acl", "setuser", "other", "on", "nopass", "+@all", "~*", "&*",
    ]);
    for request in [
        "select 1",
        "hello 3",
        "auth other x",
        "client|setname me",
        "client|no-evict on",
        "client|tracking on",
        "subscribe c",
        "psubscribe c",
    ] {
        let words: Vec<&str> = request.split([' ', '|']).collect();
        let name = request.split(' ').next().unwrap();
        let row = rows().find(|row| row.name == name).unwrap();
        assert!(!row.changes_only_data(), "{name}");
        let mut client = server.client();
        let before = state(&mut client);
        let reply = play(&mut client, &words);
        assert!(reply.starts_with("*1\r\n"), "{request}: {reply}");
        // A subscriber may not ask.
        let is_subscriber = reply.contains("subscribe")
            && client
                .ask(&["client", "info"])
                .starts_with("-ERR Can't execute");
        let is_other = is_subscriber || state(&mut client) != before;
        assert!(is_other, "{request}");
    }
    for name in [
        "client|reply",
        "reset",
        "quit",
        "asking",
        "readonly",
        "monitor",
        "ssubscribe",
        "multi",
    ] {
        let row = rows().find(|row| row.name == name).unwrap();
        assert!(!row.changes_only_data(), "{name}");
    }
}

/// Every row, those of subcommands included.
fn rows() -> impl Iterator<Item = &'static Command> {
    let rows = command::all().iter();
    rows.flat_map(|row| [row].into_iter().chain(row.subs))
}

fn knows(client: &mut Client, row: &Command) -> bool {
    // What has subcommands is not a command of its own.
    let reply = client.ask(&["command", "info", row.name]);
    row.subs.is_empty() && reply != "*1\r\n*-1\r\n" && reply != "*1\r\n$-1\r\n"
}

fn request_for(row: &Command) -> Vec<&'static str> {
    let mut requests = REQUESTS.split(';').map(str::trim);
    let is_it = |request: &&str| request.split(' ').next() == Some(row.name);
    let request = requests.find(is_it);
    let request = request.unwrap_or_else(|| panic!("REQUESTS has none of {}", row.name));
    let (before, script, after) = match request.split('"').collect::<Vec<_>>()[..] {
        [before, script, after] => (before, Some(script), after),
        _ => (request, None, ""),
    };
    let (name, arguments) = before.split_once(' ').unwrap_or((before, ""));
    let mut words: Vec<&str> = name.split('|').collect();
    words.extend(arguments.split_ascii_whitespace());
    words.extend(script);
    words.extend(after.split_ascii_whitespace());
    words
}

/// Sends the request as the only one of a transaction; returns the reply to EXEC.
fn play(client: &mut Client, request: &[&str]) -> String {
    assert_eq!(client.ask(&["multi"]), "+OK\r\n");
    assert_eq!(client.ask(request), "+QUEUED\r\n", "{request:?}");
    client.ask(&["exec"])
}

/// What the server says of the connection, without numbers that every request changes; and that it still answers.
fn state(client: &mut Client) -> Vec<String> {
    let info = client.ask(&["client", "info"]);
    let kept = |field: &&str| {
        let name = field.split('=').next().unwrap();
        let names = "id addr laddr fd name flags db sub psub ssub multi user redir resp";
        names.split(' ').any(|kept| kept == name)
    };
    let info = info.lines().nth(1).unwrap_or_default();
    let fields: Vec<String> = info.split(' ').filter(kept).map(str::to_owned).collect();
    assert_eq!(client.ask(&["ping"]), "+PONG\r\n", "{info}");
    fields
}
