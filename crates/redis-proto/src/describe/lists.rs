//! What Redis 7.0 says of its commands, and later versions of those that came after it, as lists of names: what is not
//! in the table of commands because no request depends on it.

/// Flags, and which commands have them. Whether a command that has a key writes or reads is in its row.
pub(super) const FLAGS: &[(&str, &str)] = &[
    (
        "write",
        "function|delete function|flush function|load function|restore bzmove blmove blmovem blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin move swapdb migrate pfdebug \
     restore-asking",
    ),
    ("readonly", "lolwut dbsize keys randomkey scan"),
    (
        "denyoom",
        "function|load function|restore bless|set phmset phset saddex zmove zmovemember bzmove arinsert armset arring arset vadd vsetattr json.arrappend json.arrinsert json.merge json.mset json.numincrby \
     json.nummultby json.numpowby json.set json.strappend json.toggle ts.add ts.alter ts.create ts.createrule \
     ts.decrby ts.incrby ts.madd bf.add bf.insert bf.loadchunk bf.madd bf.reserve cf.add cf.addnx cf.insert \
     cf.insertnx cf.loadchunk cf.reserve cms.incrby cms.initbydim cms.initbyprob cms.merge topk.add topk.incrby \
     topk.reserve tdigest.add tdigest.create tdigest.merge ft.sugadd hexpire hexpireat hgetex hincrby hincrbyfloat \
     hmset hpexpire hpexpireat hset hsetex hsetnx linsert lmove lmovem lpush lpushx lset rpoplpush rpush rpushx \
     sadd sdiffstore sinterstore sunionstore zadd zdiffstore zincrby zinterstore zrangestore zunionstore geoadd \
     georadius georadiusbymember geosearchstore xadd xsetid xgroup|create xgroup|createconsumer copy restore sort \
     blmove blmovem brpoplpush pfdebug restore-asking append decr decrby getset incr incrby incrbyfloat increx mset \
     msetex msetnx psetex set setex setnx setrange bitfield bitop setbit pfadd pfmerge",
    ),
    (
        "admin",
        "acl|delrole acl|digest acl|getrole acl|roles acl|deluser acl|dryrun acl|getuser acl|list acl|load acl|log acl|save acl|setrole acl|setuser acl|users \
     client|kill client|list client|no-evict client|pause client|unblock client|unpause config|get config|resetstat \
     config|rewrite config|set latency|doctor latency|graph latency|histogram latency|history latency|latest \
     latency|reset module|list module|load module|loadex module|unload slowlog|get slowlog|len slowlog|reset backup \
     bgrewriteaof bgsave commandlog debug failover hotkeys monitor pfdebug pfselftest save shutdown psync replconf \
     replicaof slaveof sync trimslots commandlog|help hotkeys|help backup|help",
    ),
    (
        "pubsub",
        "psubscribe publish punsubscribe spublish ssubscribe subscribe sunsubscribe unsubscribe pubsub|channels \
     pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub",
    ),
    (
        "noscript",
        "function|delete function|dump function|flush function|kill function|list \
     function|load function|restore function|stats acl|delrole acl|digest acl|getrole acl|roles script|debug script|exists script|flush script|kill script|load acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|list acl|load acl|log acl|save acl|setrole \
     acl|setuser acl|users acl|whoami client|caching client|capa client|getname client|getredir client|id \
     client|import-source client|info client|kill client|list client|maint_notifications client|no-evict \
     client|no-touch client|pause client|reply client|setinfo client|setname client|tracking client|trackinginfo \
     client|unblock client|unpause config|get config|resetstat config|rewrite config|set latency|doctor \
     latency|graph latency|histogram latency|history latency|latest latency|reset module|list module|load \
     module|loadex module|unload eval eval_ro evalsha evalsha_ro fcall fcall_ro auth hello quit reset role discard \
     exec multi unwatch watch blmove blmovem blpop brpop brpoplpush bzpopmax bzpopmin wait psubscribe punsubscribe \
     ssubscribe subscribe sunsubscribe unsubscribe backup bgrewriteaof bgsave commandlog debug failover hotkeys \
     monitor save shutdown psync replconf replicaof slaveof sync himport commandlog|help hotkeys|help backup|help",
    ),
    (
        "blocking",
        "bzmove xread xreadgroup blmove blmovem blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin waitaof",
    ),
    (
        "loading",
        "acl|delrole acl|digest acl|getrole acl|roles command acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save \
     acl|setrole acl|setuser acl|users acl|whoami client|caching client|capa client|getname client|getredir \
     client|help client|id client|import-source client|info client|kill client|list client|maint_notifications \
     client|no-evict client|no-touch client|pause client|reply client|setinfo client|setname client|tracking \
     client|trackinginfo client|unblock client|unpause command|count command|docs command|getkeys \
     command|getkeysandflags command|help command|info command|list config|get config|help config|resetstat \
     config|rewrite config|set latency|doctor latency|graph latency|help latency|histogram latency|history \
     latency|latest latency|reset memory|help module|help slowlog|get slowlog|help slowlog|len slowlog|reset \
     object|help xgroup|help xinfo|help auth echo hello info lastsave quit reset role select time discard exec \
     multi unwatch watch psubscribe publish punsubscribe spublish ssubscribe subscribe sunsubscribe unsubscribe \
     debug monitor shutdown replconf readonly readwrite function|help script|help pubsub|channels pubsub|help \
     pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub cluster|help",
    ),
    (
        "stale",
        "acl|delrole acl|digest acl|getrole acl|roles script|load command acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save \
     acl|setrole acl|setuser acl|users acl|whoami client|caching client|capa client|getname client|getredir \
     client|help client|id client|import-source client|info client|kill client|list client|maint_notifications \
     client|no-evict client|no-touch client|pause client|reply client|setinfo client|setname client|tracking \
     client|trackinginfo client|unblock client|unpause command|count command|docs command|getkeys \
     command|getkeysandflags command|help command|info command|list config|get config|help config|resetstat \
     config|rewrite config|set latency|doctor latency|graph latency|help latency|histogram latency|history \
     latency|latest latency|reset memory|help module|help slowlog|get slowlog|help slowlog|len slowlog|reset \
     object|help xgroup|help xinfo|help eval eval_ro evalsha evalsha_ro fcall fcall_ro auth echo hello info \
     lastsave quit reset role select time discard exec multi unwatch watch psubscribe publish punsubscribe spublish \
     ssubscribe subscribe sunsubscribe unsubscribe debug failover monitor shutdown replconf replicaof slaveof \
     readonly readwrite function|help script|help pubsub|channels pubsub|help \
     pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub cluster|help",
    ),
    (
        "skip_monitor",
        "eval eval_ro evalsha evalsha_ro fcall fcall_ro",
    ),
    ("skip_slowlog", "exec"),
    ("asking", "restore-asking"),
    (
        "fast",
        "bless|clear bless|get bless|set phcard phexists phget phmget phmset phset saddex sexpire sexpireat sexpiretime spersist spexpire \
     spexpireat spexpiretime spttl sttl arcount arget arlen arnext vcard vdim vgetattr vismember hdel hexists hexpire hexpireat hexpiretime hget \
     hgetdel hgetex hincrby hincrbyfloat hlen hmget hmset hpersist hpexpire hpexpireat hpexpiretime hpttl hset \
     hsetex hsetnx hstrlen httl llen lpop lpush lpushx rpop rpush rpushx sadd scard sismember smismember smove spop \
     srem zadd zcard zcount zincrby zlexcount zmscore zpopmax zpopmin zrank zrem zrevrank zscore xack xadd \
     xautoclaim xclaim xdel xlen xsetid exists expire expireat expiretime persist pexpire pexpireat pexpiretime \
     pttl renamenx touch ttl type unlink auth echo hello lastsave lolwut ping quit reset role select time discard \
     multi unwatch watch bzpopmax bzpopmin publish spublish dbsize move swapdb asking readonly readwrite append \
     decr decrby delex delifeq digest get getdel getex getset incr incrby incrbyfloat increx mget msetex setnx \
     strlen bitfield_ro getbit pfadd",
    ),
    ("no_auth", "auth hello quit reset"),
    (
        "no_mandatory_keys",
        "eval eval_ro evalsha evalsha_ro fcall fcall_ro",
    ),
    (
        "no_async_loading",
        "module|load module|loadex module|unload bgrewriteaof bgsave save psync replicaof slaveof sync",
    ),
    ("no_multi", "save shutdown psync sync"),
    (
        "allow_busy",
        "function|kill function|stats script|kill auth hello quit reset discard multi unwatch watch shutdown replconf",
    ),
];

/// Categories of access, and which commands are in them that no flag puts there.
pub(super) const CATEGORIES: &[(&str, &str)] = &[
    (
        "@keyspace",
        "object|encoding object|freq object|help object|idletime object|refcount copy del dump exists expire expireat \
     expiretime persist pexpire pexpireat pexpiretime pttl rename renamenx restore touch ttl type unlink flushall \
     flushdb clusterscan dbsize keys randomkey scan move swapdb migrate restore-asking",
    ),
    ("@read", ""),
    ("@write", ""),
    (
        "@set",
        "saddex sexpire sexpireat sexpiretime spersist spexpire spexpireat spexpiretime spttl sttl sadd scard sdiff sdiffcard sdiffstore sinter sintercard sinterstore sismember smembers smismember smove spop \
     srandmember srem sscan sunion sunioncard sunionstore sort sort_ro",
    ),
    (
        "@sortedset",
        "bzmove zmove zmovemember zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore zpopmax \
     zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank \
     zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore sort \
     sort_ro bzmpop bzpopmax bzpopmin",
    ),
    (
        "@list",
        "lindex linsert llen lmove lmovem lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop rpoplpush rpush \
     rpushx sort sort_ro blmove blmovem blmpop blpop brpop brpoplpush",
    ),
    (
        "@hash",
        "hdel hexists hexpire hexpireat hexpiretime hget hgetall hgetdel hgetex hincrby hincrbyfloat hkeys hlen hmget \
     hmset hpersist hpexpire hpexpireat hpexpiretime hpttl hrandfield hscan hset hsetex hsetnx hstrlen httl hvals",
    ),
    (
        "@string",
        "append decr decrby delex delifeq digest get getdel getex getrange getset incr incrby incrbyfloat increx lcs \
     mget mset msetex msetnx psetex set setex setnx setrange strlen substr",
    ),
    (
        "@bitmap",
        "bitrangeintarray bitcount bitfield bitfield_ro bitop bitpos getbit setbit",
    ),
    ("@hyperloglog", "pfdebug pfselftest pfadd pfcount pfmerge"),
    (
        "@geo",
        "geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch \
     geosearchstore",
    ),
    (
        "@stream",
        "xack xackdel xadd xautoclaim xcfgset xclaim xdel xdelex xlen xnack xpending xrange xread xreadgroup xrevrange \
     xsetid xtrim xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|help xgroup|setid \
     xinfo|consumers xinfo|groups xinfo|help xinfo|stream",
    ),
    ("@pubsub", ""),
    ("@admin", "lastsave role"),
    ("@fast", ""),
    ("@slow", ""),
    ("@blocking", ""),
    (
        "@dangerous",
        "restore sort sort_ro flushall flushdb info lastsave role keys swapdb migrate restore-asking",
    ),
    (
        "@connection",
        "command client|caching client|capa client|getname client|getredir client|help client|id client|import-source \
     client|info client|kill client|list client|maint_notifications client|no-evict client|no-touch client|pause \
     client|reply client|setinfo client|setname client|tracking client|trackinginfo client|unblock client|unpause \
     command|count command|docs command|getkeys command|getkeysandflags command|help command|info command|list auth \
     echo hello ping quit reset select wait asking readonly readwrite",
    ),
    ("@transaction", "discard exec multi unwatch watch"),
    (
        "@scripting",
        "function|delete function|dump function|flush function|kill function|list \
     function|load function|restore function|stats script|debug script|exists script|flush script|kill script|load eval eval_ro evalsha evalsha_ro fcall fcall_ro function|help script|help",
    ),
];

/// Tips for clients and proxies, beside the policies that [`Command::policies`](crate::Command::policies) tells.
pub(super) const TIPS: &[(&str, &str)] = &[
    (
        "nondeterministic_output_order",
        "function|list hgetall hkeys hvals sdiff sinter smembers sunion command command|docs command|info command|list module|list keys \
     phgetall",
    ),
    (
        "nondeterministic_output",
        "function|stats hrandfield hscan spop srandmember sscan zrandmember zscan xadd xautoclaim xclaim xpending xtrim client|info \
     client|list object|encoding object|freq object|idletime object|refcount xinfo|consumers dump pttl ttl lastsave \
     time migrate latency|doctor latency|graph latency|histogram latency|history latency|latest memory|doctor \
     memory|malloc-stats memory|stats info slowlog|get slowlog|len randomkey scan",
    ),
];

/// What is done with the keys, for each group of keys, where it is not plain reading (`RO access`) or updating (`RW update`).
pub(super) const KEYS: &[(&[&str], &str)] = &[
    (
        &["RW delete"],
        "hdel lrem ltrim srem zrem zremrangebylex zremrangebyrank zremrangebyscore xautoclaim xdel xtrim \
     xgroup|delconsumer xgroup|destroy",
    ),
    (
        &["RO"],
        "hexists hlen hstrlen llen scard sismember zcard xlen memory|usage object|encoding object|freq object|idletime \
     object|refcount exists touch type watch strlen",
    ),
    (
        &["RW access update"],
        "hincrby hincrbyfloat zincrby eval evalsha fcall move decr decrby getex getset incr incrby incrbyfloat setbit",
    ),
    (
        &["RW insert"],
        "hsetnx linsert lpush lpushx rpush rpushx sadd xgroup|create xgroup|createconsumer append pfadd",
    ),
    (
        &["RW access delete", "RW insert"],
        "lmove rpoplpush smove blmove brpoplpush",
    ),
    (
        &["RW access delete"],
        "lmpop lpop rpop spop zmpop zpopmax zpopmin blmpop blpop brpop bzmpop bzpopmax bzpopmin getdel",
    ),
    (
        &["OW update", "RO access"],
        "sdiffstore sunionstore zdiffstore zinterstore zrangestore zunionstore geosearchstore bitop",
    ),
    (&["RW update", "RO access"], "sinterstore"),
    (
        &["RO access", "OW update", "OW update"],
        "georadius georadiusbymember",
    ),
    (&["RO access"], "xreadgroup"),
    (&["RO access", "OW update"], "copy"),
    (&["RM delete"], "del unlink"),
    (&["RW access delete", "OW update"], "rename"),
    (&["RW access delete", "OW insert"], "renamenx"),
    (&["OW update"], "restore restore-asking mset psetex setex"),
    (&["RO access", "RO access", "OW update"], "sort"),
    (&["RO access", "RO access"], "sort_ro"),
    (&["not_key"], "spublish ssubscribe sunsubscribe"),
    (
        &["RW access delete", "RW access delete incomplete"],
        "migrate",
    ),
    (&["RW access"], "pfdebug pfcount"),
    (&["OW insert"], "msetnx setnx"),
    (&["RW access update variable_flags"], "set bitfield"),
    (&["RW access insert", "RO access"], "pfmerge"),
];

/// Whether a list has a name.
pub(super) fn has_word(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|other| other == name)
}
