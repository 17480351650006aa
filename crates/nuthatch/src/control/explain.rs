//! `nuthatch ctl explain`. It needs the pools only, and so no call to the main thread.

use std::sync::Arc;

use serde_json::Value;

use super::message::{Answer, KeyName};
use super::servers::with_hint;
use crate::explanation::Explanation;
use crate::pool::PoolShare;
use crate::stats::Source;

/// Maximum pools in one answer: three rings are made for each of them.
const MOST_POOLS: usize = 64;

/// The answer: a text, and an array of one object for each pool.
pub(super) fn answer(source: &Source, name: &KeyName) -> Answer {
    let key = match name.bytes() {
        Ok(key) => key,
        Err(reason) => return Answer::refused(reason),
    };
    let in_force = source.directory.in_force();
    let pools = match asked_pools(&in_force.pools, name.pool.as_deref()) {
        Ok(pools) => pools,
        Err(reason) => return Answer::refused(reason),
    };
    let explain = |pool: &Arc<PoolShare>| {
        Explanation::of_served(pool.core(), &key, source.clock, &source.recent)
    };
    let all: Vec<Explanation> = pools.iter().map(explain).collect();
    let texts: Vec<String> = all.iter().map(Explanation::text).collect();
    let values: Vec<Value> = all.iter().map(Explanation::json).collect();
    Answer::done(texts.join("\n"), values)
}

fn asked_pools<'p>(
    pools: &'p [Arc<PoolShare>],
    asked: Option<&str>,
) -> Result<&'p [Arc<PoolShare>], String> {
    let Some(asked) = asked else {
        return match pools.len() {
            0..=MOST_POOLS => Ok(pools),
            count => Err(format!("there are {count} pools; name one with --pool")),
        };
    };
    match pools.iter().position(|pool| pool.name() == asked) {
        Some(at) => Ok(&pools[at..=at]),
        None => {
            let names = pools.iter().map(|pool| pool.name());
            Err(with_hint(
                format!("there is no pool '{asked}'"),
                asked,
                names,
            ))
        }
    }
}
