//! The properties of a command: the columns of the table.

use std::fmt;

use crate::arg::Arg;

/// One command, or one subcommand of a container such as OBJECT.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Lower case; a subcommand is `container|sub`, as Redis writes it in its error replies.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arity: Arity,
    /// Which arguments are keys.
    pub keys: Keys,
    /// How the proxy handles it.
    pub action: Action,
    /// Properties used by routing, retrying and logging.
    pub flags: Flags,
    /// Subcommands, if it is a container whose subcommands differ. See [`Command::resolve`].
    pub subs: &'static [Command],
}

/// Whether a request's first word shows that it comes from an HTTP client (`POST`, `Host:`). Redis closes
/// such a connection without a reply, so that no web page can smuggle commands in a request's body.
pub fn is_cross_protocol(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

impl Command {
    /// A row that is not in the table: it is forwarded to the server of its keys, and counts as one that may change its
    /// connection. `arity` is as in the `COMMAND` reply of Redis, and beyond the first key.
    pub const fn forwarded(name: &'static str, arity: Arity, keys: Keys, is_read: bool) -> Self {
        let flags = match is_read {
            true => Flags::READONLY,
            false => Flags::WRITE,
        };
        Self {
            name,
            arity,
            keys,
            action: Action::Forward,
            flags,
            subs: &[],
        }
    }

    /// The subcommand that the request names, if this is a container with rows for subcommands; otherwise the
    /// command itself. (A container's own action is [`Why::Subcommand`].)
    pub fn resolve(&'static self, text: &[u8], args: &[Arg]) -> &'static Command {
        let Some(sub) = args.get(1).and_then(|arg| arg.bytes(text)) else {
            return self;
        };
        let asked = |row: &&Command| row.sub_name().as_bytes().eq_ignore_ascii_case(sub);
        self.subs.iter().find(asked).unwrap_or(self)
    }

    /// Whether it ends a transaction, or what its connection was used for: EXEC, DISCARD, RESET and QUIT.
    pub fn is_end(&self) -> bool {
        matches!(
            self.action,
            Action::Transaction(Transaction::Exec | Transaction::Discard)
                | Action::Local(LocalCommand::Quit | LocalCommand::Reset)
        )
    }

    /// The part of [`name`](Self::name) after the `|`, or all of it.
    pub fn sub_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, sub)| sub)
    }

    /// The index of the only key, for commands that always have exactly one in a fixed position. Lets common
    /// commands skip the general [`Command::keys`].
    pub const fn single_key(&self) -> Option<usize> {
        match self.keys {
            Keys::Range { first, last, .. } if last > 0 && first == last as u8 => {
                Some(first as usize)
            }
            _ => None,
        }
    }

    /// Whether it changes nothing but data, whatever its arguments: nothing of the connection that it is sent on, such
    /// as its database, user, version of the protocol or name, or whether it answers. Only such commands may be in a
    /// transaction on a connection that clients share.
    pub const fn changes_only_data(&self) -> bool {
        self.flags.contains(Flags::ONLY_DATA)
    }

    /// First key, last key and step as in the `COMMAND` reply of Redis; zeros if there is no such range.
    pub fn key_range(&self) -> (i64, i64, i64) {
        match self.keys {
            Keys::None | Keys::Streams => (0, 0, 0),
            Keys::Range { first, last, step } => (first.into(), last.into(), step.into()),
            Keys::Counted { dest: 0, .. } => (0, 0, 0),
            Keys::Counted { dest, .. } => (dest.into(), dest.into(), 1),
            Keys::Sort | Keys::SortReadOnly | Keys::Store { .. } => (1, 1, 1),
            Keys::Migrate => (3, 3, 1),
        }
    }

    /// Whether [`key_range`](Self::key_range) does not describe all keys (`movablekeys` in Redis).
    pub fn has_movable_keys(&self) -> bool {
        !matches!(self.keys, Keys::None | Keys::Range { .. })
    }
}

/// How many arguments a command takes, including its name (and its subcommand's name).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly this many.
    Exact(u8),
    /// This many or more.
    AtLeast(u8),
    /// Between the first and the second number.
    Between(u8, u8),
    /// The name and one or more pairs.
    Pairs,
}

impl Arity {
    /// Whether a request of `args` arguments, the name included, has the right number.
    pub const fn check(self, args: usize) -> bool {
        match self {
            Self::Exact(n) => args == n as usize,
            Self::AtLeast(n) => args >= n as usize,
            Self::Between(low, high) => args >= low as usize && args <= high as usize,
            Self::Pairs => args >= 3 && args % 2 == 1,
        }
    }

    /// As in the `COMMAND` reply of Redis: the number, or minus the minimum.
    pub const fn as_redis(self) -> i64 {
        match self {
            Self::Exact(n) => n as i64,
            Self::AtLeast(n) | Self::Between(n, _) => -(n as i64),
            Self::Pairs => -3,
        }
    }
}

/// Positions of the keys. Indices count from the command's name, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// No keys.
    None,
    /// Every `step`-th argument from `first` to `last`; a negative `last` counts from the end, -1 being the
    /// last argument.
    Range {
        /// Index of the first key.
        first: u8,
        /// Index of the last key.
        last: i8,
        /// Distance between keys; 2 where values stand between them.
        step: u8,
    },
    /// As many keys as argument `count_at` says, starting at `first`.
    Counted {
        /// Index of another key before the counted ones, where the result is stored; 0 if there is none.
        dest: u8,
        /// Index of the number of keys.
        count_at: u8,
        /// Index of the first counted key.
        first: u8,
        /// Distance between keys.
        step: u8,
        /// Which error texts Redis uses for an invalid number.
        wording: Wording,
    },
    /// XREAD and XREADGROUP: the first half of the arguments after the word STREAMS.
    Streams,
    /// SORT: argument 1, and the argument after the last STORE. Patterns may name further keys, which cannot be
    /// told from the request; see [`Command::key_patterns`].
    Sort,
    /// GEORADIUS and similar: argument 1, and the argument after the last STORE or STOREDIST.
    Store {
        /// Index of the first possible option.
        from: u8,
    },
    /// MIGRATE: argument 3, or if that is empty the arguments after the word KEYS.
    Migrate,
    /// SORT_RO: argument 1, and patterns as for SORT.
    SortReadOnly,
}

/// Error texts of Redis for an invalid number of keys, by family of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// EVAL and the like.
    Script,
    /// FCALL.
    Function,
    /// ZUNION, ZINTERSTORE and the like.
    Union,
    /// SINTERCARD and the like.
    Card,
    /// LMPOP and ZMPOP.
    Pop,
    /// All others, which say "invalid numkeys value".
    Plain,
}

/// How the proxy handles a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Forwarded to the server that owns its first key.
    Forward,
    /// Waits for other clients: sent to the server of all of its keys, over a connection of its own.
    Wait,
    /// Waits until replicas have acknowledged what the client has written: sent to every server that it has written to.
    Acknowledged,
    /// Has no key; forwarded to the server that the word `placeholder` hashes to (nutcracker 0.5.0).
    Placeholder,
    /// Split by server if it has several keys, and the replies are joined.
    Split(Join),
    /// Answered by the proxy.
    Local(LocalCommand),
    /// About the keys of all servers; their replies are joined.
    Keyspace(Keyspace),
    /// About the scripts and functions that servers know: to every server.
    Scripts(Scripts),
    /// Administers servers, or the proxy's clients, so the pool must allow it.
    Admin(Admin),
    /// FLUSHALL and FLUSHDB: destroys the data of every server, so the pool must allow it.
    Flush,
    /// Publishes to a channel, subscribes to channels, or asks about subscriptions.
    PubSub(PubSub),
    /// Begins, guards or ends a transaction.
    Transaction(Transaction),
    /// Refused with an error reply.
    Unsupported(Why),
}

/// A command that administers servers, or the proxy's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// It is sent to every server: CONFIG SET, CONFIG RESETSTAT, CONFIG REWRITE.
    EveryServer,
    /// It is about one server, so that only a pool of one serves it: SAVE, SHUTDOWN, REPLICAOF, DEBUG ...
    OnlyServer,
    /// CLIENT KILL: closes clients of the proxy.
    Kill,
    /// CLIENT PAUSE: has requests of the proxy's clients wait.
    Pause,
    /// CLIENT UNPAUSE: ends that.
    Unpause,
    /// HOTKEYS START, STOP and RESET: the proxy counts keys itself.
    HotKeys,
}

/// A command about the scripts that servers know, or about the libraries of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// SCRIPT LOAD.
    Load,
    /// SCRIPT EXISTS.
    Exist,
    /// SCRIPT FLUSH.
    Flush,
    /// FUNCTION LOAD.
    LoadLibrary,
    /// FUNCTION DELETE.
    DeleteLibrary,
    /// FUNCTION LIST.
    ListLibraries,
    /// FUNCTION STATS.
    LibraryStatistics,
    /// FUNCTION FLUSH: destroys what every client's functions are, so the pool must allow it.
    FlushLibraries,
    /// FUNCTION RESTORE: the same.
    RestoreLibraries,
    /// SCRIPT KILL and FUNCTION KILL: ends what keeps a server busy.
    Kill,
    /// FUNCTION DUMP.
    DumpLibraries,
    /// SCRIPT SHOW.
    Show,
}

/// A command of publish and subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PubSub {
    /// PUBLISH and SPUBLISH: to the server that the channel's name hashes to.
    Publish,
    /// SUBSCRIBE, PSUBSCRIBE and SSUBSCRIBE.
    Subscribe(Channels),
    /// UNSUBSCRIBE, PUNSUBSCRIBE and SUNSUBSCRIBE.
    Unsubscribe(Channels),
    /// PUBSUB CHANNELS and SHARDCHANNELS: which channels there are, of all servers.
    Names,
    /// PUBSUB NUMSUB and SHARDNUMSUB: how many clients are subscribed to each of some channels.
    Subscribers(Channels),
    /// PUBSUB NUMPAT: how many patterns clients are subscribed to.
    Patterns,
}

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Channels.
    Plain,
    /// Patterns of their names.
    Pattern,
    /// Shard channels.
    Shard,
}

/// A command about all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyspace {
    /// DBSIZE: how many there are.
    Size,
    /// KEYS: the names of those that match.
    Names,
    /// RANDOMKEY: the name of one.
    Random,
    /// SCAN: their names, a few at a time.
    Scan,
}

/// How the replies to the fragments of one request are joined into one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Arrays, whose elements are put into the order of the keys (MGET).
    Array,
    /// Integers, which are added (DEL, UNLINK, TOUCH, EXISTS).
    Sum,
    /// `+OK` from every server (MSET).
    Ok,
    /// Integers, of which the least counts (MSETEX).
    Least,
}

/// Commands that the proxy answers itself, because they concern the client's own connection, or it can answer
/// for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the command of that name
pub enum LocalCommand {
    Acl,
    Auth,
    Client,
    Command,
    Config,
    Echo,
    Hello,
    /// HELP of any container.
    Help,
    HotKeys,
    Info,
    Lastsave,
    Latency,
    Memory,
    Module,
    Ping,
    Quit,
    Reset,
    Role,
    Select,
    Slowlog,
    Time,
}

/// Commands of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the command of that name
pub enum Transaction {
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It concerns all keys, which are spread over all servers.
    Keyspace,
    /// Moves keys between numbered databases, of which a pool has one.
    Database,
    /// Administers one server.
    Admin,
    /// Communication between replicas.
    Replication,
    /// About Redis Cluster, which a pool is not.
    Cluster,
    /// It searches an index that a server has of its own keys only.
    Search,
    /// It changes the state of a server connection, which clients share.
    Connection,
    /// A container command without a subcommand that is known.
    Subcommand,
    /// Everything else.
    Other,
}

impl Why {
    /// A phrase that completes "unsupported command 'x': ...".
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Keyspace => "it concerns all keys, which are spread over several servers",
            Self::Database => {
                "it moves keys between databases of one server, and a pool may have several"
            }
            Self::Admin => "servers are administered directly, not through the proxy",
            Self::Replication => "replication is between servers, not through the proxy",
            Self::Cluster => "the pool is not a Redis Cluster",
            Self::Search => "a search index covers the keys of one server only",
            Self::Connection => "it changes a server connection that other clients share",
            Self::Subcommand => "unknown subcommand",
            Self::Other => "it has no key that tells which server to ask",
        }
    }
}

impl Why {
    /// Whether the reason is that there may be several servers. A pool of one serves the command.
    pub const fn is_several_servers(self) -> bool {
        matches!(self, Self::Keyspace | Self::Database | Self::Search)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

/// A set of properties of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// No properties.
    pub const NONE: Self = Self(0);
    /// May change data. Scripts and functions have it too, because their effect is unknown.
    pub const WRITE: Self = Self(1);
    /// Only reads, so it may be sent again.
    pub const READONLY: Self = Self(2);
    /// One of the 137 commands that nutcracker 0.5.0 knows. With keys on several servers it goes to the first
    /// key's server, as there.
    pub const LEGACY: Self = Self(4);
    /// Its arguments may hold a password: not to be logged.
    pub const SENSITIVE: Self = Self(8);
    /// Waits for other clients if it has the option BLOCK. See [`Command::blocks`].
    pub const BLOCK_OPTION: Self = Self(16);
    /// Its reply is a number, a status or a word, whatever the key's value. See [`Command::has_small_reply`].
    pub const SMALL_REPLY: Self = Self(32);
    /// Runs a script or a function, which says what it likes: its errors are its own, and it may take as long as one
    /// with [`Flags::LONG_WORK`].
    pub const SCRIPT: Self = Self(64);
    /// Its work depends on what its keys hold, and neither the request nor the reply tells how long it is: it may keep
    /// a server busy for milliseconds though both are short. No such command has [`Flags::SMALL_REPLY`].
    pub const LONG_WORK: Self = Self(128);
    /// See [`Command::changes_only_data`]. A row without it counts as one that may change its connection.
    pub const ONLY_DATA: Self = Self(256);

    /// Whether all properties of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any property of `other` is in this set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The union of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
