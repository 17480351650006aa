//! Commands that are not forwarded: those the proxy answers itself, and those it refuses.

use super::row::*;

/// About the client's own connection, or about the pool as a whole.
pub(super) const LOCAL: &[Command] = &[
    local("auth", Between(2, 3), LocalCommand::Auth)
        .legacy()
        .flag(Flags::SENSITIVE),
    local("echo", Exact(2), LocalCommand::Echo),
    write("flushall", AtLeast(1), Keys::None).action(Action::Flush),
    write("flushdb", AtLeast(1), Keys::None).action(Action::Flush),
    local("hello", AtLeast(1), LocalCommand::Hello).flag(Flags::SENSITIVE),
    local("info", AtLeast(1), LocalCommand::Info),
    local("lastsave", Exact(1), LocalCommand::Lastsave),
    read("lolwut", AtLeast(1), Keys::None)
        .action(Action::Placeholder)
        .legacy(),
    local("ping", Between(1, 2), LocalCommand::Ping).legacy(),
    local("quit", AtLeast(1), LocalCommand::Quit).legacy(),
    local("reset", Exact(1), LocalCommand::Reset),
    local("role", Exact(1), LocalCommand::Role),
    local("select", Exact(2), LocalCommand::Select),
    local("time", Exact(1), LocalCommand::Time),
];

/// Keys are given where a command has any, for callers that ask for them.
pub(super) const ROWS: &[Command] = &[
    transaction("discard", Exact(1), Transaction::Discard),
    transaction("exec", Exact(1), Transaction::Exec),
    transaction("multi", Exact(1), Transaction::Multi),
    transaction("unwatch", Exact(1), Transaction::Unwatch),
    transaction("watch", AtLeast(2), Transaction::Watch).keyed(EVERY),
    refuse("blmove", Exact(6), Why::Blocking).keyed(TWO),
    refuse("blmovem", AtLeast(6), Why::Blocking).keyed(TWO),
    refuse("blmpop", AtLeast(5), Why::Blocking).keyed(counted(2, Wording::Pop)),
    refuse("blpop", AtLeast(3), Why::Blocking).keyed(range(1, -2, 1)),
    refuse("brpop", AtLeast(3), Why::Blocking).keyed(range(1, -2, 1)),
    refuse("brpoplpush", Exact(4), Why::Blocking).keyed(TWO),
    refuse("bzmpop", AtLeast(5), Why::Blocking).keyed(counted(2, Wording::Pop)),
    refuse("bzpopmax", AtLeast(3), Why::Blocking).keyed(range(1, -2, 1)),
    refuse("bzpopmin", AtLeast(3), Why::Blocking).keyed(range(1, -2, 1)),
    refuse("wait", Exact(3), Why::Blocking),
    refuse("waitaof", Exact(4), Why::Blocking),
    refuse("psubscribe", AtLeast(2), Why::PubSub),
    refuse("publish", Exact(3), Why::PubSub),
    refuse("pubsub", AtLeast(2), Why::PubSub).with(PUBSUB),
    refuse("punsubscribe", AtLeast(1), Why::PubSub),
    refuse("spublish", Exact(3), Why::PubSub).keyed(KEY),
    refuse("ssubscribe", AtLeast(2), Why::PubSub).keyed(EVERY),
    refuse("subscribe", AtLeast(2), Why::PubSub),
    refuse("sunsubscribe", AtLeast(1), Why::PubSub).keyed(EVERY),
    refuse("unsubscribe", AtLeast(1), Why::PubSub),
    refuse("function", AtLeast(2), Why::Script).with(FUNCTION),
    refuse("script", AtLeast(2), Why::Script).with(SCRIPT),
    refuse("clusterscan", AtLeast(2), Why::Keyspace),
    refuse("dbsize", Exact(1), Why::Keyspace),
    refuse("keys", Exact(2), Why::Keyspace),
    refuse("randomkey", Exact(1), Why::Keyspace),
    refuse("scan", AtLeast(2), Why::Keyspace),
    refuse("move", Exact(3), Why::Database).keyed(KEY).legacy(),
    refuse("swapdb", Exact(3), Why::Database),
    refuse("backup", AtLeast(2), Why::Admin).with(BACKUP),
    refuse("bgrewriteaof", Exact(1), Why::Admin),
    refuse("bgsave", AtLeast(1), Why::Admin),
    refuse("bless", AtLeast(2), Why::Admin),
    refuse("commandlog", AtLeast(2), Why::Admin).with(COMMANDLOG),
    refuse("debug", AtLeast(2), Why::Admin).with(DEBUG),
    refuse("failover", AtLeast(1), Why::Admin),
    refuse("hotkeys", AtLeast(2), Why::Admin).with(HOTKEYS),
    refuse("migrate", AtLeast(6), Why::Admin)
        .keyed(Keys::Migrate)
        .flag(Flags::SENSITIVE),
    refuse("monitor", Exact(1), Why::Admin),
    refuse("pfdebug", Exact(3), Why::Admin).keyed(SUB_KEY),
    refuse("pfselftest", Exact(1), Why::Admin),
    refuse("save", Exact(1), Why::Admin),
    refuse("sentinel", AtLeast(2), Why::Admin).with(SENTINEL),
    refuse("shutdown", AtLeast(1), Why::Admin),
    refuse("psync", AtLeast(3), Why::Replication),
    refuse("replconf", AtLeast(1), Why::Replication),
    refuse("replicaof", Exact(3), Why::Replication),
    refuse("slaveof", Exact(3), Why::Replication),
    refuse("sync", Exact(1), Why::Replication),
    refuse("xidmprecord", Exact(5), Why::Replication).keyed(KEY),
    refuse("asking", Exact(1), Why::Cluster),
    refuse("cluster", AtLeast(2), Why::Cluster).with(CLUSTER),
    refuse("readonly", Exact(1), Why::Cluster),
    refuse("readwrite", Exact(1), Why::Cluster),
    refuse("restore-asking", AtLeast(4), Why::Cluster).keyed(KEY),
    refuse("sflush", AtLeast(3), Why::Cluster),
    refuse("trimslots", AtLeast(5), Why::Cluster),
    refuse("himport", AtLeast(2), Why::Connection),
    refuse("ft._list", AtLeast(1), Why::Search),
    refuse("ft.aggregate", AtLeast(1), Why::Search),
    refuse("ft.aliasadd", AtLeast(1), Why::Search),
    refuse("ft.aliasdel", AtLeast(1), Why::Search),
    refuse("ft.aliaslist", AtLeast(1), Why::Search),
    refuse("ft.aliasupdate", AtLeast(1), Why::Search),
    refuse("ft.alter", AtLeast(1), Why::Search),
    refuse("ft.config", AtLeast(1), Why::Search),
    refuse("ft.create", AtLeast(1), Why::Search),
    refuse("ft.cursor", AtLeast(1), Why::Search),
    refuse("ft.dictadd", AtLeast(1), Why::Search),
    refuse("ft.dictdel", AtLeast(1), Why::Search),
    refuse("ft.dictdump", AtLeast(1), Why::Search),
    refuse("ft.dropindex", AtLeast(1), Why::Search),
    refuse("ft.explain", AtLeast(1), Why::Search),
    refuse("ft.explaincli", AtLeast(1), Why::Search),
    refuse("ft.hybrid", AtLeast(1), Why::Search),
    refuse("ft.info", AtLeast(1), Why::Search),
    refuse("ft.profile", AtLeast(1), Why::Search),
    refuse("ft.search", AtLeast(1), Why::Search),
    refuse("ft.spellcheck", AtLeast(1), Why::Search),
    refuse("ft.syndump", AtLeast(1), Why::Search),
    refuse("ft.synupdate", AtLeast(1), Why::Search),
    refuse("ft.tagvals", AtLeast(1), Why::Search),
    refuse("ts.mget", AtLeast(1), Why::Search),
    refuse("ts.mrange", AtLeast(1), Why::Search),
    refuse("ts.mrevrange", AtLeast(1), Why::Search),
    refuse("ts.queryindex", AtLeast(1), Why::Search),
    refuse("ts.querylabels", AtLeast(1), Why::Search),
];

const FUNCTION: &[Command] = &[help("function|help")];

const SCRIPT: &[Command] = &[help("script|help")];

const PUBSUB: &[Command] = &[help("pubsub|help")];

const CLUSTER: &[Command] = &[help("cluster|help")];

const DEBUG: &[Command] = &[help("debug|help")];

const COMMANDLOG: &[Command] = &[help("commandlog|help")];

const HOTKEYS: &[Command] = &[help("hotkeys|help")];

const BACKUP: &[Command] = &[help("backup|help")];

const SENTINEL: &[Command] = &[help("sentinel|help")];
