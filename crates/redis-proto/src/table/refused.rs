//! Commands that are not forwarded: those the proxy answers itself, and those it refuses.

use super::row::*;

/// About the client's own connection, or about the pool as a whole.
pub(super) const LOCAL: &[Command] = &[
    local("auth", Between(2, 3), LocalCommand::Auth)
        .legacy()
        .flag(Flags::SENSITIVE),
    keyspace("dbsize", Exact(1), Keyspace::Size).small(),
    local("echo", Exact(2), LocalCommand::Echo).only_data(),
    write("flushall", AtLeast(1), Keys::None).action(Action::Flush),
    write("flushdb", AtLeast(1), Keys::None).action(Action::Flush),
    local("hello", AtLeast(1), LocalCommand::Hello).flag(Flags::SENSITIVE),
    local("info", AtLeast(1), LocalCommand::Info),
    keyspace("keys", Exact(2), Keyspace::Names),
    local("lastsave", Exact(1), LocalCommand::Lastsave).only_data(),
    read("lolwut", AtLeast(1), Keys::None)
        .action(Action::Placeholder)
        .legacy(),
    local("ping", Between(1, 2), LocalCommand::Ping)
        .legacy()
        .only_data(),
    local("quit", AtLeast(1), LocalCommand::Quit).legacy(),
    keyspace("randomkey", Exact(1), Keyspace::Random).small(),
    local("reset", Exact(1), LocalCommand::Reset),
    local("role", Exact(1), LocalCommand::Role),
    keyspace("scan", AtLeast(2), Keyspace::Scan),
    local("select", Exact(2), LocalCommand::Select),
    local("time", Exact(1), LocalCommand::Time).only_data(),
];

/// Keys are given where a command has any, for callers that ask for them.
pub(super) const ROWS: &[Command] = &[
    transaction("discard", Exact(1), Transaction::Discard),
    transaction("exec", Exact(1), Transaction::Exec),
    transaction("multi", Exact(1), Transaction::Multi),
    transaction("unwatch", Exact(1), Transaction::Unwatch),
    transaction("watch", AtLeast(2), Transaction::Watch).keyed(EVERY),
    acknowledged("wait", Exact(3)),
    acknowledged("waitaof", Exact(4)),
    pubsub(
        "psubscribe",
        AtLeast(2),
        PubSub::Subscribe(Channels::Pattern),
    ),
    pubsub("publish", Exact(3), PubSub::Publish).small(),
    container("pubsub", PUBSUB),
    pubsub(
        "punsubscribe",
        AtLeast(1),
        PubSub::Unsubscribe(Channels::Pattern),
    ),
    pubsub("spublish", Exact(3), PubSub::Publish)
        .keyed(KEY)
        .small(),
    pubsub("ssubscribe", AtLeast(2), PubSub::Subscribe(Channels::Shard)).keyed(EVERY),
    pubsub("subscribe", AtLeast(2), PubSub::Subscribe(Channels::Plain)),
    pubsub(
        "sunsubscribe",
        AtLeast(1),
        PubSub::Unsubscribe(Channels::Shard),
    )
    .keyed(EVERY),
    pubsub(
        "unsubscribe",
        AtLeast(1),
        PubSub::Unsubscribe(Channels::Plain),
    ),
    container("function", FUNCTION),
    container("script", SCRIPT),
    refuse("clusterscan", AtLeast(2), Why::Keyspace),
    refuse("move", Exact(3), Why::Database).keyed(KEY).legacy(),
    refuse("swapdb", Exact(3), Why::Database),
    refuse("backup", AtLeast(2), Why::Admin).with(BACKUP),
    admin("bgrewriteaof", Exact(1), Admin::OnlyServer),
    admin("bgsave", AtLeast(1), Admin::OnlyServer),
    admin("debug", AtLeast(2), Admin::OnlyServer).with(DEBUG),
    refuse("failover", AtLeast(1), Why::Admin),
    refuse("migrate", AtLeast(6), Why::Admin)
        .keyed(Keys::Migrate)
        .flag(Flags::SENSITIVE),
    refuse("monitor", Exact(1), Why::Admin),
    refuse("pfdebug", Exact(3), Why::Admin).keyed(SUB_KEY),
    refuse("pfselftest", Exact(1), Why::Admin),
    admin("save", Exact(1), Admin::OnlyServer),
    refuse("sentinel", AtLeast(2), Why::Admin).with(SENTINEL),
    admin("shutdown", AtLeast(1), Admin::OnlyServer),
    refuse("psync", AtLeast(3), Why::Replication),
    refuse("replconf", AtLeast(1), Why::Replication),
    admin("replicaof", Exact(3), Admin::OnlyServer),
    admin("slaveof", Exact(3), Admin::OnlyServer),
    refuse("sync", Exact(1), Why::Replication),
    refuse("xidmprecord", Exact(5), Why::Replication).keyed(KEY),
    refuse("asking", Exact(1), Why::Cluster),
    refuse("cluster", AtLeast(2), Why::Cluster).with(CLUSTER),
    refuse("readonly", Exact(1), Why::Cluster),
    refuse("readwrite", Exact(1), Why::Cluster),
    refuse("restore-asking", AtLeast(4), Why::Cluster).keyed(KEY),
    refuse("sflush", AtLeast(3), Why::Cluster),
    refuse("trimslots", AtLeast(5), Why::Cluster),
    refuse("himport", AtLeast(2), Why::Connection).with(HIMPORT),
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

const FUNCTION: &[Command] = &[
    scripts("function|delete", Exact(3), Scripts::DeleteLibrary),
    lists("function|dump", Exact(2), Scripts::DumpLibraries),
    scripts("function|flush", Between(2, 3), Scripts::FlushLibraries),
    help("function|help"),
    scripts("function|kill", Exact(2), Scripts::Kill),
    lists("function|list", AtLeast(2), Scripts::ListLibraries),
    scripts("function|load", AtLeast(3), Scripts::LoadLibrary),
    scripts("function|restore", AtLeast(3), Scripts::RestoreLibraries),
    lists("function|stats", Exact(2), Scripts::LibraryStatistics),
];

const SCRIPT: &[Command] = &[
    refuse("script|debug", Exact(3), Why::Connection),
    scripts("script|exists", AtLeast(3), Scripts::Exist),
    scripts("script|flush", Between(2, 3), Scripts::Flush),
    help("script|help"),
    scripts("script|kill", Exact(2), Scripts::Kill),
    scripts("script|load", Exact(3), Scripts::Load),
    lists("script|show", Exact(3), Scripts::Show),
];

const HIMPORT: &[Command] = &[
    refuse("himport|discard", Exact(3), Why::Connection),
    refuse("himport|discardall", Exact(2), Why::Connection),
    refuse("himport|prepare", AtLeast(4), Why::Connection),
    refuse("himport|set", AtLeast(5), Why::Connection).keyed(SUB_KEY),
];

const PUBSUB: &[Command] = &[
    pubsub("pubsub|channels", Between(2, 3), PubSub::Names),
    help("pubsub|help"),
    pubsub("pubsub|numpat", Exact(2), PubSub::Patterns),
    pubsub(
        "pubsub|numsub",
        AtLeast(2),
        PubSub::Subscribers(Channels::Plain),
    ),
    pubsub("pubsub|shardchannels", Between(2, 3), PubSub::Names),
    pubsub(
        "pubsub|shardnumsub",
        AtLeast(2),
        PubSub::Subscribers(Channels::Shard),
    ),
];

const CLUSTER: &[Command] = &[help("cluster|help")];

const DEBUG: &[Command] = &[help("debug|help")];

const BACKUP: &[Command] = &[help("backup|help")];

const SENTINEL: &[Command] = &[help("sentinel|help")];
