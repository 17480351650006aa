//! Kinds of values paired with Rust types: the type of a setting follows from its kind.

use std::time::Duration;

use hashkit::HashTag;
use proxy::Release;
use proxy::settings::CommandSettings;

use super::address::{ListenLine, ServerLine};
use super::choice::Choice;
use super::hosts::{HostPort, NamedHost};
use super::kind::{Kind, Value};
use super::number::NUMBER_MAX;
use super::report::Position;
use super::types::{GuardrailLine, ReplicasOf, Servers, UserLine, Workers};
use crate::net::Networks;

/// A kind of value that is read as a `T`.
pub(super) struct Typed<T> {
    /// The kind.
    pub(super) kind: Kind,
    /// Converts a value of that kind; it always succeeds.
    pub(super) read: fn(&Value) -> Option<T>,
}

/// `true` or `false`.
pub(super) const BOOL: Typed<bool> = Typed {
    kind: Kind::Bool,
    read: |value| match value {
        Value::Bool(value) => Some(*value),
        _ => None,
    },
};

/// A time.
pub(super) const MILLISECONDS: Typed<Duration> = Typed {
    kind: MILLIS,
    read: |value| number_of(value).map(Duration::from_millis),
};

/// A duration after which something ends; 0 means no limit.
pub(super) const TIME_LIMIT: Typed<Option<Duration>> = Typed {
    kind: MILLIS,
    read: |value| {
        let millis = number_of(value)?;
        Some((millis > 0).then(|| Duration::from_millis(millis)))
    },
};

/// Any text that is not empty.
pub(super) const TEXT: Typed<String> = Typed {
    kind: Kind::Text,
    read: |value| match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    },
};

/// Exactly two bytes.
pub(super) const HASH_TAG: Typed<HashTag> = Typed {
    kind: Kind::HashTag,
    read: |value| match value {
        Value::Tag(tag) => Some(*tag),
        _ => None,
    },
};

/// An address to listen on.
pub(super) const LISTEN: Typed<ListenLine> = Typed {
    kind: Kind::Listen,
    read: |value| match value {
        Value::Listen(line) => Some(line.clone()),
        _ => None,
    },
};

/// An address of TCP to listen on.
pub(super) const HOST_PORT: Typed<HostPort> = Typed {
    kind: Kind::HostPort,
    read: |value| match value {
        Value::HostPort(address) => Some(address.clone()),
        _ => None,
    },
};

/// Names of hosts.
pub(super) const HOSTS: Typed<Vec<NamedHost>> = Typed {
    kind: Kind::Hosts,
    read: |value| match value {
        Value::Hosts(hosts) => Some(hosts.clone()),
        _ => None,
    },
};

/// Networks.
pub(super) const NETWORKS: Typed<Networks> = Typed {
    kind: Kind::Networks,
    read: |value| match value {
        Value::Networks(networks) => Some(networks.clone()),
        _ => None,
    },
};

/// A sequence of servers, or where they are found.
pub(super) const SERVERS: Typed<Servers> = Typed {
    kind: Kind::Servers,
    read: |value| match value {
        Value::Servers(servers) => Some(servers.clone()),
        _ => None,
    },
};

/// A sequence of nodes of a cluster.
pub(super) const NODES: Typed<Vec<(ServerLine, Position)>> = Typed {
    kind: Kind::Nodes,
    read: |value| match value {
        Value::Nodes(nodes) => Some(nodes.clone()),
        _ => None,
    },
};

/// Replicas of servers.
pub(super) const REPLICAS: Typed<Vec<ReplicasOf>> = Typed {
    kind: Kind::Replicas,
    read: |value| match value {
        Value::Replicas(lists) => Some(lists.clone()),
        _ => None,
    },
};

/// A sequence of commands.
pub(super) const COMMANDS: Typed<Vec<CommandSettings>> = Typed {
    kind: Kind::Commands,
    read: |value| match value {
        Value::Commands(commands) => Some(commands.clone()),
        _ => None,
    },
};

/// A sequence of guardrails.
pub(super) const GUARDRAILS: Typed<Vec<GuardrailLine>> = Typed {
    kind: Kind::Guardrails,
    read: |value| match value {
        Value::Guardrails(lines) => Some(lines.clone()),
        _ => None,
    },
};

/// A sequence of users.
pub(super) const USERS: Typed<Vec<UserLine>> = Typed {
    kind: Kind::Users,
    read: |value| match value {
        Value::Users(lines) => Some(lines.clone()),
        _ => None,
    },
};

/// `auto`, or a number of workers.
pub(super) const WORKERS: Typed<Workers> = Typed {
    kind: Kind::Workers,
    read: |value| match value {
        Value::Workers(workers) => Some(*workers),
        _ => None,
    },
};

/// The number of a release of a server.
pub(super) const RELEASE: Typed<Release> = Typed {
    kind: Kind::Release,
    read: |value| match value {
        Value::Release(release) => Some(*release),
        _ => None,
    },
};

/// A number from 0 upwards.
pub(super) const fn number<N: TryFrom<u64>>(unit: &'static str) -> Typed<N> {
    integer(0, NUMBER_MAX, unit)
}

/// A number from `min` to `max`, which an `N` can hold. `unit` is its unit in words, or empty.
pub(super) const fn integer<N: TryFrom<u64>>(min: u64, max: u64, unit: &'static str) -> Typed<N> {
    Typed {
        kind: Kind::Integer { min, max, unit },
        read: |value| N::try_from(number_of(value)?).ok(),
    }
}

/// An amount of bytes from `min` to `max`.
pub(super) const fn bytes(min: u64, max: u64) -> Typed<u64> {
    Typed {
        kind: Kind::Bytes { min, max },
        read: number_of,
    }
}

/// One of the names of `T`'s values.
pub(super) const fn choice<T: Choice>() -> Typed<T> {
    Typed {
        kind: Kind::Choice {
            noun: T::NOUN,
            names: || T::ALL.iter().map(|choice| choice.name()).collect(),
            abouts: || T::ALL.iter().map(|choice| choice.about()).collect(),
        },
        read: |value| match value {
            Value::Choice(index) => T::ALL.get(*index).copied(),
            _ => None,
        },
    }
}

const MILLIS: Kind = Kind::Integer {
    min: 0,
    max: NUMBER_MAX,
    unit: "milliseconds",
};

fn number_of(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => Some(*number),
        _ => None,
    }
}
