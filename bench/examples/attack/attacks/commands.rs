//! Short requests that the proxy answers by itself, as many as it takes.

use std::time::Duration;

use crate::case::{Case, Limit};
use crate::flood::Flood;
use crate::rig::{MEMCACHED, REDIS, Setup};

/// By how much the bystander's 99th percentile may rise.
const LIMIT: Limit = Limit::P99(Duration::from_millis(5));

/// Bytes of one round: 7,000 times COMMAND, which is what one read of the proxy may take.
const ROUND_BYTES: usize = 63_000;

/// Clients where several send.
const CLIENTS: usize = 4;

pub(super) fn cases() -> Vec<Case> {
    let with_password = Setup {
        has_password: true,
        ..REDIS
    };
    vec![
        case("COMMAND once a second", REDIS, "COMMAND\r\n", 1),
        case("COMMAND", REDIS, "COMMAND\r\n", CLIENTS),
        case("COMMAND LIST", REDIS, "COMMAND LIST\r\n", CLIENTS),
        case("PING", REDIS, "PING\r\n", CLIENTS),
        case("HELLO before AUTH", with_password, "HELLO\r\n", CLIENTS),
        case("memcached stats", MEMCACHED, "stats\r\n", CLIENTS),
        case("memcached empty lines", MEMCACHED, "\n", CLIENTS),
        case("memcached z", MEMCACHED, "z\n", CLIENTS),
    ]
}

/// One client sends a round each second, several send without a pause.
fn case(name: &str, setup: Setup, request: &'static str, clients: usize) -> Case {
    let every = Duration::from_secs(u64::from(clients == 1));
    Case {
        attack: "command",
        name: name.into(),
        setup,
        limit: LIMIT,
        strike: Box::new(move |rig, until| {
            let round = request.repeat(ROUND_BYTES / request.len());
            let flood = Flood {
                address: rig.address,
                round: round.as_bytes(),
                every,
                clients,
            };
            flood.run(until)
        }),
    }
}
