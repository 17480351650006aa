//! Containers: commands whose first argument names a subcommand, which determines the keys.

use super::row::*;

pub(super) const ROWS: &[Command] = &[
    container("acl", ACL).flag(Flags::SENSITIVE),
    container("bless", BLESS),
    container("client", CLIENT),
    local("command", AtLeast(1), LocalCommand::Command)
        .legacy()
        .with(COMMAND),
    container("config", CONFIG).flag(Flags::SENSITIVE),
    container("hotkeys", HOTKEYS),
    container("json.debug", JSON_DEBUG),
    container("latency", LATENCY),
    container("memory", MEMORY),
    container("module", MODULE),
    container("object", OBJECT),
    container("slowlog", SLOWLOG),
    container("commandlog", COMMANDLOG),
    container("xgroup", XGROUP),
    container("xinfo", XINFO),
];

const ACL: &[Command] = &[
    local("acl|cat", Between(2, 3), LocalCommand::Acl),
    refuse("acl|delrole", AtLeast(3), Why::Admin),
    refuse("acl|deluser", AtLeast(3), Why::Admin),
    refuse("acl|digest", Exact(2), Why::Admin),
    refuse("acl|dryrun", AtLeast(4), Why::Admin),
    refuse("acl|genpass", Between(2, 3), Why::Admin),
    refuse("acl|getrole", Exact(3), Why::Admin),
    local("acl|getuser", Exact(3), LocalCommand::Acl),
    help("acl|help"),
    refuse("acl|list", Exact(2), Why::Admin),
    refuse("acl|load", Exact(2), Why::Admin),
    refuse("acl|log", Between(2, 3), Why::Admin),
    refuse("acl|roles", Exact(2), Why::Admin),
    refuse("acl|save", Exact(2), Why::Admin),
    refuse("acl|setrole", AtLeast(3), Why::Admin),
    refuse("acl|setuser", AtLeast(3), Why::Admin),
    refuse("acl|users", Exact(2), Why::Admin),
    local("acl|whoami", Exact(2), LocalCommand::Acl),
];

const BLESS: &[Command] = &[
    write("bless|clear", Exact(4), SUB_KEY),
    read("bless|get", Exact(3), SUB_KEY),
    refuse("bless|scan", AtLeast(4), Why::Keyspace),
    write("bless|set", Exact(4), SUB_KEY),
];

const CLIENT: &[Command] = &[
    local("client|caching", Exact(3), LocalCommand::Client),
    local("client|capa", AtLeast(3), LocalCommand::Client),
    local("client|getname", Exact(2), LocalCommand::Client),
    local("client|getredir", Exact(2), LocalCommand::Client),
    help("client|help"),
    local("client|id", Exact(2), LocalCommand::Client),
    refuse("client|import-source", Exact(3), Why::Admin),
    local("client|info", Exact(2), LocalCommand::Client),
    admin("client|kill", AtLeast(3), Admin::Kill),
    local("client|list", AtLeast(2), LocalCommand::Client),
    local(
        "client|maint_notifications",
        AtLeast(3),
        LocalCommand::Client,
    ),
    local("client|no-evict", Exact(3), LocalCommand::Client),
    local("client|no-touch", Exact(3), LocalCommand::Client),
    admin("client|pause", AtLeast(3), Admin::Pause),
    local("client|reply", Exact(3), LocalCommand::Client),
    local("client|setinfo", Exact(4), LocalCommand::Client),
    local("client|setname", Exact(3), LocalCommand::Client),
    local("client|tracking", AtLeast(3), LocalCommand::Client),
    local("client|trackinginfo", Exact(2), LocalCommand::Client),
    local("client|unblock", Between(3, 4), LocalCommand::Client),
    admin("client|unpause", Exact(2), Admin::Unpause),
];

const COMMAND: &[Command] = &[
    local("command|count", Exact(2), LocalCommand::Command),
    local("command|docs", AtLeast(2), LocalCommand::Command),
    local("command|getkeys", AtLeast(3), LocalCommand::Command),
    local("command|getkeysandflags", AtLeast(3), LocalCommand::Command),
    help("command|help"),
    local("command|info", AtLeast(2), LocalCommand::Command),
    local("command|list", AtLeast(2), LocalCommand::Command),
];

const CONFIG: &[Command] = &[
    local("config|get", AtLeast(3), LocalCommand::Config),
    help("config|help"),
    admin("config|resetstat", Exact(2), Admin::EveryServer),
    admin("config|rewrite", Exact(2), Admin::EveryServer),
    admin("config|set", AtLeast(4), Admin::EveryServer).flag(Flags::SENSITIVE),
];

const JSON_DEBUG: &[Command] = &[
    help("json.debug|help"),
    read("json.debug|memory", AtLeast(3), SUB_KEY),
];

const LATENCY: &[Command] = &[
    local("latency|doctor", Exact(2), LocalCommand::Latency),
    local("latency|graph", Exact(3), LocalCommand::Latency),
    help("latency|help"),
    local("latency|histogram", AtLeast(2), LocalCommand::Latency),
    local("latency|history", Exact(3), LocalCommand::Latency),
    local("latency|latest", Exact(2), LocalCommand::Latency),
    local("latency|reset", AtLeast(2), LocalCommand::Latency),
];

const MEMORY: &[Command] = &[
    local("memory|doctor", Exact(2), LocalCommand::Memory),
    help("memory|help"),
    admin("memory|malloc-stats", Exact(2), Admin::OnlyServer),
    admin("memory|purge", Exact(2), Admin::OnlyServer),
    local("memory|stats", Exact(2), LocalCommand::Memory),
    read("memory|usage", AtLeast(3), SUB_KEY).long(),
];

const MODULE: &[Command] = &[
    help("module|help"),
    local("module|list", Exact(2), LocalCommand::Module),
    refuse("module|load", AtLeast(3), Why::Admin),
    refuse("module|loadex", AtLeast(3), Why::Admin),
    refuse("module|unload", Exact(3), Why::Admin),
];

const HOTKEYS: &[Command] = &[
    local("hotkeys|get", Exact(2), LocalCommand::HotKeys),
    help("hotkeys|help"),
    admin("hotkeys|reset", Exact(2), Admin::HotKeys),
    admin("hotkeys|start", AtLeast(2), Admin::HotKeys),
    admin("hotkeys|stop", Exact(2), Admin::HotKeys),
];

const COMMANDLOG: &[Command] = &[
    local("commandlog|get", Exact(4), LocalCommand::Slowlog),
    help("commandlog|help"),
    local("commandlog|len", Exact(3), LocalCommand::Slowlog),
    local("commandlog|reset", Exact(3), LocalCommand::Slowlog),
];

const SLOWLOG: &[Command] = &[
    local("slowlog|get", Between(2, 3), LocalCommand::Slowlog),
    help("slowlog|help"),
    local("slowlog|len", Exact(2), LocalCommand::Slowlog),
    local("slowlog|reset", Exact(2), LocalCommand::Slowlog),
];

const OBJECT: &[Command] = &[
    read("object|encoding", Exact(3), SUB_KEY),
    read("object|freq", Exact(3), SUB_KEY),
    help("object|help"),
    read("object|idletime", Exact(3), SUB_KEY),
    read("object|refcount", Exact(3), SUB_KEY),
];

const XGROUP: &[Command] = &[
    write("xgroup|create", AtLeast(5), SUB_KEY),
    write("xgroup|createconsumer", Exact(5), SUB_KEY),
    write("xgroup|delconsumer", Exact(5), SUB_KEY),
    write("xgroup|destroy", Exact(4), SUB_KEY),
    help("xgroup|help"),
    write("xgroup|setid", AtLeast(5), SUB_KEY),
];

const XINFO: &[Command] = &[
    read("xinfo|consumers", Exact(4), SUB_KEY),
    read("xinfo|groups", Exact(3), SUB_KEY),
    help("xinfo|help"),
    read("xinfo|stream", AtLeast(3), SUB_KEY),
];
