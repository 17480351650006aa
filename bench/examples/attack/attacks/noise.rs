//! Requests that are refused, and of which a log could become full.

use std::time::Duration;

use crate::case::{Case, Limit};
use crate::flood::Flood;
use crate::rig::{MEMCACHED, REDIS, Setup};

/// Bytes of log that are allowed for each period that has begun.
const LOG_BYTES: u64 = 64 << 10;
const PERIOD: Duration = Duration::from_secs(3);

pub(super) fn cases(time: Duration) -> Vec<Case> {
    let with_password = Setup {
        has_password: true,
        ..REDIS
    };
    let periods = time.as_nanos().div_ceil(PERIOD.as_nanos());
    let limit = Limit::Log(LOG_BYTES * u64::try_from(periods).unwrap_or(u64::MAX));
    let case = |name: &str, setup, round: String, every| Case {
        attack: "log",
        name: name.into(),
        setup,
        limit,
        strike: Box::new(move |rig, until| {
            let flood = Flood {
                address: rig.address,
                round: round.as_bytes(),
                every,
                clients: 1,
            };
            flood.run(until)
        }),
    };
    let often = Duration::from_millis(3);
    vec![
        case(
            "200 x z each 3 ms, no AUTH",
            with_password,
            "z\n".repeat(200),
            often,
        ),
        case("200 x z each 3 ms", REDIS, "z\n".repeat(200), often),
        case(
            "200 x z each 3 ms, memcached",
            MEMCACHED,
            "z\n".repeat(200),
            often,
        ),
        case(
            "3,000 x MONITOR at once",
            REDIS,
            "MONITOR\r\n".repeat(3_000),
            // Once: the next round would begin after the end.
            Duration::from_secs(3_600),
        ),
    ]
}
