//! Settings of a pool that concern reads from replicas.

use std::time::Duration;

use super::super::choice::{Choice, choices};
use super::super::typed::{MILLISECONDS, REPLICAS as REPLICA_LISTS, TEXT};
use super::super::types::{ReadPolicy, ReplicasOf};
use super::row::{Absent, AnyRow, Row, rows};

choices!(
    ReadPolicy, "rule for reads",
    "master" => Master, "replica" => Replica, "prefer_replica" => PreferReplica, "zone" => Zone, "fastest" => Fastest
);

rows! {
    READ_FROM: ReadPolicy = Row::our_choice(
        "read_from",
        "Which servers get the requests that change nothing. `master`: those that get the writes. `replica`: replicas of those, and \
         where none is in use the request is answered with an error. `prefer_replica`: a replica, and the master where none is in \
         use. `zone`: one in the `zone` of the proxy, be it a replica or the master, and where there is none as with \
         `prefer_replica`. `fastest`: whichever has answered fastest lately. Replicas are those of `replicas`, of the `cluster`, or \
         those that Sentinels tell. What is read there may be old. See [replicas.md](replicas.md).",
    )
    .only_redis();

    READ_YOUR_WRITES: Duration = Row::ours(
        "read_your_writes",
        MILLISECONDS,
        Absent::Value("1000"),
        "With `read_from`: for how long a client's reads go to the master after the client has written there, so that it finds what it \
         wrote: as long as replicas may be behind. A write of a client also waits until its reads at replicas are answered, as they could \
         find what it is about to write. 0 switches both off.",
    )
    .only_redis();

    ZONE: String = Row::ours(
        "zone",
        TEXT,
        Absent::Nothing,
        "With `read_from: zone`: the name of the zone that the proxy is in, as the servers call it (`availability-zone` of Valkey 8.1), or \
         as `replicas` do.",
    )
    .only_redis();

    REPLICAS: Vec<ReplicasOf> = Row::ours(
        "replicas",
        REPLICA_LISTS,
        Absent::Nothing,
        "With `read_from`: for servers that are listed in `servers`, by their names, their replicas: `host:port` each, at most 16. The \
         name of a zone may follow it; an entry with the address of the server itself tells the zone of that. They get reads \
         only, with the login and the database of their server. Replicas of a `cluster`, and those that Sentinels watch, are found \
         out.\n\n```yaml\n  servers:\n    - 10.0.0.1:6379:1 one\n  read_from: prefer_replica\n  replicas:\n    one: \
         [10.0.1.1:6379, 10.0.2.1:6379]\n```",
    )
    .only_redis();
}
