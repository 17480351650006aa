//! To which of several servers a command goes, and how their replies are joined, in the words in which Valkey tells
//! clients of it (request and response policies).

use super::facts::{Action, Command, Join, Keyspace, Scripts};

/// To which servers a command goes, where not to that of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the policy of that name
pub enum RequestPolicy {
    AllNodes,
    AllShards,
    MultiShard,
    Special,
}

/// How the replies of several servers become one, where they are not simply put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the policy of that name
pub enum ResponsePolicy {
    OneSucceeded,
    AllSucceeded,
    AggSum,
    AggMin,
    AggLogicalAnd,
    Special,
}

use RequestPolicy::{AllNodes, AllShards, MultiShard};
use ResponsePolicy::{AggLogicalAnd, AggMin, AggSum, AllSucceeded, OneSucceeded};

/// What a command does with several servers.
type Policies = (Option<RequestPolicy>, Option<ResponsePolicy>);

/// The policies of commands whose handling here does not tell them: the proxy answers these itself, or refuses them.
const OTHERS: &[(Policies, &str)] = &[
    (
        (Some(AllNodes), Some(AllSucceeded)),
        "acl|deluser acl|save acl|setuser client|setinfo client|setname commandlog|reset config|resetstat config|rewrite \
         config|set slowlog|reset",
    ),
    (
        (Some(AllNodes), Some(ResponsePolicy::Special)),
        "latency|doctor latency|graph latency|histogram latency|history latency|latest",
    ),
    (
        (Some(AllNodes), Some(AggSum)),
        "latency|reset slowlog|len commandlog|len",
    ),
    ((Some(AllNodes), None), "slowlog|get commandlog|get"),
    (
        (Some(AllShards), Some(ResponsePolicy::Special)),
        "info memory|doctor memory|malloc-stats memory|stats",
    ),
    ((Some(AllShards), Some(AllSucceeded)), "memory|purge ping"),
    ((Some(AllShards), Some(AggMin)), "wait waitaof"),
    (
        (Some(AllShards), None),
        "himport|discard himport|discardall himport|prepare",
    ),
    (
        (Some(RequestPolicy::Special), Some(ResponsePolicy::Special)),
        "bless|scan clusterscan hotkeys|get",
    ),
    (
        (Some(RequestPolicy::Special), None),
        "hotkeys|reset hotkeys|start hotkeys|stop",
    ),
    (
        (Some(AllShards), Some(OneSucceeded)),
        "function|kill script|kill",
    ),
];

impl Command {
    /// To which of several servers it goes, if not to that of its key, and how their replies are joined.
    pub fn policies(&self) -> (Option<RequestPolicy>, Option<ResponsePolicy>) {
        let (request, response) = match self.action {
            Action::Split(Join::Array) => (MultiShard, None),
            Action::Split(Join::Sum) => (MultiShard, Some(AggSum)),
            Action::Split(Join::Ok | Join::Least) => (MultiShard, Some(AllSucceeded)),
            Action::Keyspace(Keyspace::Size) => (AllShards, Some(AggSum)),
            Action::Keyspace(Keyspace::Names) => (AllShards, None),
            Action::Keyspace(Keyspace::Random) => (AllShards, Some(ResponsePolicy::Special)),
            Action::Keyspace(Keyspace::Scan) => {
                (RequestPolicy::Special, Some(ResponsePolicy::Special))
            }
            Action::Flush => (AllShards, Some(AllSucceeded)),
            Action::Scripts(Scripts::Load | Scripts::Flush) => (AllNodes, Some(AllSucceeded)),
            Action::Scripts(Scripts::Exist) => (AllShards, Some(AggLogicalAnd)),
            Action::Scripts(Scripts::LibraryStatistics) => {
                (AllShards, Some(ResponsePolicy::Special))
            }
            // Any server's answer will do, says Valkey: they are expected to be alike.
            Action::Scripts(Scripts::ListLibraries) => return (None, None),
            Action::Scripts(Scripts::Kill | Scripts::DumpLibraries | Scripts::Show) => {
                return self.other_policies();
            }
            Action::Scripts(_) => (AllShards, Some(AllSucceeded)),
            _ => return self.other_policies(),
        };
        (Some(request), response)
    }

    fn other_policies(&self) -> Policies {
        let is_in = |names: &str| names.split_ascii_whitespace().any(|name| name == self.name);
        let mut rows = OTHERS.iter();
        let row = rows.find(|(_, names)| is_in(names));
        row.map_or((None, None), |(policies, _)| *policies)
    }
}

impl RequestPolicy {
    /// As a tip of COMMAND.
    pub const fn tip(self) -> &'static str {
        match self {
            Self::AllNodes => "request_policy:all_nodes",
            Self::AllShards => "request_policy:all_shards",
            Self::MultiShard => "request_policy:multi_shard",
            Self::Special => "request_policy:special",
        }
    }
}

impl ResponsePolicy {
    /// As a tip of COMMAND.
    pub const fn tip(self) -> &'static str {
        match self {
            Self::OneSucceeded => "response_policy:one_succeeded",
            Self::AllSucceeded => "response_policy:all_succeeded",
            Self::AggSum => "response_policy:agg_sum",
            Self::AggMin => "response_policy:agg_min",
            Self::AggLogicalAnd => "response_policy:agg_logical_and",
            Self::Special => "response_policy:special",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_commands_whose_handling_tells_nothing() {
        let rows = crate::command::all().iter();
        let rows: Vec<_> = rows
            .flat_map(|row| [row].into_iter().chain(row.subs))
            .collect();
        for name in OTHERS
            .iter()
            .flat_map(|(_, names)| names.split_ascii_whitespace())
        {
            // The subcommands of what is refused as a whole have no rows.
            let Some(row) = rows.iter().find(|row| row.name == name) else {
                let container = name.split('|').next();
                assert!(rows.iter().any(|row| Some(row.name) == container), "{name}");
                continue;
            };
            assert_eq!(row.policies(), row.other_policies(), "{name}");
            assert_ne!(row.policies(), (None, None), "{name}");
        }
    }
}
