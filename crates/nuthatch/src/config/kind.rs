//! The kinds of value that a setting can have, and how each is parsed.

use std::collections::BTreeMap;

use hashkit::HashTag;
use proxy::settings::CommandSettings;
use proxy::{NoRelease, Release};

use super::address::{ListenLine, ServerLine, listen};
use super::fault::Fault;
use super::hosts::{HOST_PORT_HELP, HOSTS_HELP, HostPort, NamedHost, host_port, named_hosts};
use super::nearest::only_near;
use super::number::{NotANumber, bytes, digits};
use super::report::Position;
use super::types::{GuardrailLine, ReplicasOf, Servers, UserLine, Workers};
use crate::net::Networks;

/// Maximum number of event loops; more than any machine can use.
pub(super) const WORKERS_MAX: u64 = 1024;

/// A kind of value.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// Decimal digits, for a number from `min` to `max`. `unit` is its unit in words, or empty.
    Integer {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
        /// The unit.
        unit: &'static str,
    },
    /// An amount of bytes: digits, and `k`, `m` or `g` for powers of 1024.
    Bytes {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// One of some names; `noun` says what they stand for.
    Choice {
        /// What the names stand for.
        noun: &'static str,
        /// The names.
        names: fn() -> Vec<&'static str>,
        /// What each means, in a few words; empty where the setting's description says it.
        abouts: fn() -> Vec<&'static str>,
    },
    /// Any text that is not empty.
    Text,
    /// Exactly two bytes.
    HashTag,
    /// An address to listen on.
    Listen,
    /// An address of TCP to listen on.
    HostPort,
    /// Names of hosts, with blanks or commas between them.
    Hosts,
    /// Networks, with blanks or commas between them.
    Networks,
    /// A sequence of servers, or where they are found.
    Servers,
    /// A sequence of nodes of a cluster.
    Nodes,
    /// Replicas of servers, by the names of those.
    Replicas,
    /// A sequence of commands.
    Commands,
    /// A sequence of guardrails.
    Guardrails,
    /// A sequence of users.
    Users,
    /// A mapping with settings of its own.
    Mapping {
        /// The settings.
        parts: &'static [Part],
        /// One that is complete.
        example: &'static str,
    },
    /// `auto`, or a number of workers.
    Workers,
    /// The number of a release of a server.
    Release,
}

/// A setting within a [`Kind::Mapping`].
#[derive(Debug)]
pub struct Part {
    /// Its key.
    pub name: &'static str,
    /// The kind of value, which is written as one text.
    pub kind: Kind,
    /// Whether it has to be there.
    pub is_required: bool,
}

/// What is given of a [`Kind::Mapping`].
#[derive(Debug, Clone, Default)]
pub(super) struct Parts(BTreeMap<&'static str, (Value, Position)>);

impl Parts {
    /// Adds a part.
    pub(super) fn add(&mut self, part: &Part, value: Value, position: Position) {
        self.0.insert(part.name, (value, position));
    }

    /// The value of a part, and where it stands.
    pub(super) fn get(&self, name: &str) -> Option<(&Value, &Position)> {
        self.0.get(name).map(|(value, position)| (value, position))
    }

    /// The text of a part.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)?.0 {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A parsed value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Integer`] and [`Kind::Bytes`].
    Number(u64),
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Choice`]: which of the names it is.
    Choice(usize),
    /// Of [`Kind::HashTag`].
    Tag(HashTag),
    /// Of [`Kind::Listen`].
    Listen(ListenLine),
    /// Of [`Kind::HostPort`].
    HostPort(HostPort),
    /// Of [`Kind::Hosts`].
    Hosts(Vec<NamedHost>),
    /// Of [`Kind::Networks`].
    Networks(Networks),
    /// Of [`Kind::Servers`].
    Servers(Servers),
    /// Of [`Kind::Nodes`], with the position of each.
    Nodes(Vec<(ServerLine, Position)>),
    /// Of [`Kind::Replicas`].
    Replicas(Vec<ReplicasOf>),
    /// Of [`Kind::Commands`].
    Commands(Vec<CommandSettings>),
    /// Of [`Kind::Guardrails`].
    Guardrails(Vec<GuardrailLine>),
    /// Of [`Kind::Users`].
    Users(Vec<UserLine>),
    /// Of [`Kind::Mapping`].
    Mapping(Parts),
    /// Of [`Kind::Workers`].
    Workers(Workers),
    /// Of [`Kind::Release`].
    Release(Release),
}

/// Parses a value of a kind that is written as one text. The text beside it is a warning.
pub(super) fn read_text(kind: &Kind, text: &str) -> Result<(Value, Option<String>), Fault> {
    let plain = |value| Ok((value, None));
    match kind {
        Kind::Bool => read_bool(text).map(|value| (Value::Bool(value), None)),
        Kind::Integer { min, max, unit } => {
            let help = integer_help(*min, *max, unit);
            plain(Value::Number(read_number(digits(text, *max), *min, help)?))
        }
        Kind::Bytes { min, max } => {
            let help =
                format!("expected a number of bytes from {min} to {max}; k, m and g may follow it");
            plain(Value::Number(read_number(bytes(text, *max), *min, help)?))
        }
        Kind::Choice { noun, names, .. } => read_choice(text, noun, &names()).and_then(plain),
        Kind::Text => plain(Value::Text(text.to_owned())),
        Kind::HashTag => read_tag(text).and_then(plain),
        Kind::Listen => listen(text).map(|(listen, warning)| (Value::Listen(listen), warning)),
        Kind::HostPort => host_port(text).and_then(|address| plain(Value::HostPort(address))),
        Kind::Hosts => named_hosts(text).and_then(|hosts| plain(Value::Hosts(hosts))),
        Kind::Networks => match text.parse() {
            Ok(networks) => plain(Value::Networks(networks)),
            Err(()) => Err(Fault::new("is not a list of networks", expected(kind))),
        },
        Kind::Servers => {
            let help =
                "expected one server per line, each after a dash: `- host:port:weight [name]`";
            Err(Fault::new("is not a list of servers", help))
        }
        Kind::Nodes => Err(Fault::new("is not a list of nodes", expected(kind))),
        Kind::Replicas => Err(Fault::new(
            "is no mapping of servers to their replicas",
            expected(kind),
        )),
        Kind::Commands => Err(Fault::new("is not a list of commands", expected(kind))),
        Kind::Guardrails => Err(Fault::new("is not a list of guardrails", expected(kind))),
        Kind::Users => Err(Fault::new("is not a list of users", expected(kind))),
        Kind::Mapping { .. } => Err(Fault::new("is not a mapping", expected(kind))),
        Kind::Release => match text.parse() {
            Ok(release) => plain(Value::Release(release)),
            Err(NoRelease) => Err(Fault::new("is not a version", expected(kind))),
        },
        Kind::Workers if text == "auto" => plain(Value::Workers(Workers::Auto)),
        Kind::Workers => {
            let help = format!("expected a number from 1 to {WORKERS_MAX}, or `auto`");
            let count = read_number(digits(text, WORKERS_MAX), 1, help)?;
            plain(Value::Workers(Workers::Count(
                usize::try_from(count).unwrap_or(1),
            )))
        }
    }
}

/// A value as text, the same for equal values.
pub(super) fn text_of(value: &Value, kind: &Kind) -> String {
    match (value, kind) {
        (Value::Choice(index), Kind::Choice { names, .. }) => {
            names().get(*index).copied().unwrap_or_default().to_owned()
        }
        (Value::Bool(on), _) => on.to_string(),
        (Value::Number(number), _) => number.to_string(),
        (Value::Choice(number), _) => number.to_string(),
        (Value::Text(text), _) => text.clone(),
        (Value::Tag(tag), _) => format!("{tag:?}"),
        (Value::Listen(listen), _) => listen.text().to_owned(),
        (Value::Servers(servers), _) => servers.to_string(),
        (Value::Nodes(nodes), _) => {
            let names = nodes.iter().map(|(node, _)| node.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        }
        (Value::Replicas(lists), _) => {
            let lists = lists.iter().map(ReplicasOf::text);
            lists.collect::<Vec<_>>().join(", ")
        }
        (Value::Commands(commands), _) => {
            let lines = commands.iter().map(|command| format!("{command:?}"));
            lines.collect::<Vec<_>>().join(", ")
        }
        (Value::Guardrails(rails), _) => {
            let lines = rails.iter().map(|rail| format!("[{}]", rail.text()));
            lines.collect::<Vec<_>>().join(", ")
        }
        (Value::Users(users), _) => {
            let lines = users.iter().map(|user| format!("[{}]", user.text()));
            lines.collect::<Vec<_>>().join(", ")
        }
        (Value::Mapping(given), Kind::Mapping { parts, .. }) => {
            let given = parts.iter().filter_map(|part| {
                let (value, _) = given.get(part.name)?;
                Some(format!("{}: {}", part.name, text_of(value, &part.kind)))
            });
            given.collect::<Vec<_>>().join(", ")
        }
        (Value::Mapping(given), _) => format!("{given:?}"),
        (Value::Workers(Workers::Auto), _) => "auto".to_owned(),
        (Value::Workers(Workers::Count(count)), _) => count.to_string(),
        (Value::Release(release), _) => release.to_string(),
        (Value::HostPort(address), _) => address.text.clone(),
        (Value::Hosts(hosts), _) => format!("{hosts:?}"),
        (Value::Networks(networks), _) => networks.to_string(),
    }
}

/// What a value of this kind looks like.
pub(super) fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "expected `true` or `false`".into(),
        Kind::Integer { min, max, unit } => integer_help(*min, *max, unit),
        Kind::Bytes { .. } => "expected a number of bytes; k, m and g may follow it".into(),
        Kind::Choice { names, .. } => format!("expected one of: {}", names().join(", ")),
        Kind::Text => "expected a text; remove the line to leave it unset".into(),
        Kind::HashTag => "expected two ASCII characters in quotes, such as \"{}\"".into(),
        Kind::Listen => "expected `host:port` or `/path/of/socket [mode]`".into(),
        Kind::HostPort => HOST_PORT_HELP.into(),
        Kind::Hosts => HOSTS_HELP.into(),
        Kind::Networks => "expected networks or addresses, such as `10.0.0.0/8 192.168.1.5`; `unix` are clients of a unix socket".into(),
        Kind::Servers => {
            "expected `- host:port:weight [name]` or `- /path/of/socket:weight [name]`, or `{file: PATH}`, or \
             `{sentinel: [host:port], shards: [name]}`, or `{srv: _redis._tcp.example.org}`, or `{dns: example.org, port: 6379}`"
                .into()
        }
        Kind::Nodes => "expected `- host:port`, such as `[10.0.0.1:6379, 10.0.0.2:6379]`".into(),
        Kind::Replicas => "expected `{one: [10.0.1.1:6379, 10.0.2.1:6379 zone-b]}`".into(),
        Kind::Commands => {
            "expected `- {name: module.get, arity: 2, first: 1, last: 1, step: 1, access: read}`"
                .into()
        }
        Kind::Guardrails => {
            "expected `- {prefix: \"user:\", deny: [keys, flushall], max_value: 1m, max_rate: 1000}`"
                .into()
        }
        Kind::Users => {
            "expected `- {name: app, password_sha256: DIGEST, acl: \"~cart:* +@read +@write\"}`".into()
        }
        Kind::Mapping { example, .. } => format!("expected `{example}`"),
        Kind::Workers => format!("expected a number from 1 to {WORKERS_MAX}, or `auto`"),
        Kind::Release => "expected three numbers with dots between them, such as 7.0.15".into(),
    }
}

fn read_bool(text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::new(
            "is not \"true\" or \"false\"",
            expected(&Kind::Bool),
        )),
    }
}

fn read_number(number: Result<u64, NotANumber>, min: u64, help: String) -> Result<u64, Fault> {
    match number {
        Ok(number) if number >= min => Ok(number),
        Ok(0) => Err(Fault::new("cannot be 0", help)),
        Ok(_) => Err(Fault::new("is too small", help)),
        Err(NotANumber::TooLarge) => Err(Fault::new("is too large", help)),
        Err(NotANumber::NotDigits) => Err(Fault::new("is not a number", help)),
    }
}

fn integer_help(min: u64, max: u64, unit: &str) -> String {
    let of = if unit.is_empty() {
        String::new()
    } else {
        format!(" of {unit}")
    };
    format!("expected a number{of} from {min} to {max}, in digits only")
}

fn read_choice(text: &str, noun: &str, names: &[&'static str]) -> Result<Value, Fault> {
    if let Some(index) = names.iter().position(|name| *name == text) {
        return Ok(Value::Choice(index));
    }
    let mut help = format!("expected one of: {}", names.join(", "));
    if let Some(near) = only_near(text, names.iter().copied()) {
        help = format!("did you mean `{near}`? {help}");
    }
    Err(Fault::new(format!("is not a valid {noun}: `{text}`"), help))
}

fn read_tag(text: &str) -> Result<Value, Fault> {
    match *text.as_bytes() {
        [open, close] => Ok(Value::Tag(HashTag { open, close })),
        _ => Err(Fault::new(
            "is not a valid hash tag string with two characters",
            expected(&Kind::HashTag),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_auto_or_a_number() {
        assert!(matches!(
            read_text(&Kind::Workers, "auto"),
            Ok((Value::Workers(Workers::Auto), None))
        ));
        assert!(matches!(
            read_text(&Kind::Workers, "4"),
            Ok((Value::Workers(Workers::Count(4)), None))
        ));
        for text in ["0", "1025", "-1", "Auto", "", "99999999999999999999"] {
            assert!(read_text(&Kind::Workers, text).is_err(), "{text}");
        }
        assert!(Workers::Auto.count() >= 1);
    }
}
