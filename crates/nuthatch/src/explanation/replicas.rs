//! Whether a read of the key may go to a replica.

use proxy::settings::ReadFrom;
use proxy::{KeyDestination, PoolPlan};
use serde_json::{Value, json};

/// The replicas that are read of the server that requests go to, and by which rule; `None` if they are not read, or there are
/// none.
fn read(plan: &PoolPlan, now: KeyDestination) -> Option<(&'static str, Vec<&str>)> {
    let KeyDestination::Server(Some(index)) = now else {
        return None;
    };
    let rule = match plan.settings.reads.as_ref()?.from {
        ReadFrom::Replica => "replica",
        ReadFrom::PreferReplica => "prefer_replica",
        ReadFrom::Zone => "zone",
        ReadFrom::Fastest => "fastest",
    };
    let replicas = plan.replicas.iter().filter(|replica| replica.of == index);
    let names: Vec<&str> = replicas.map(|it| it.server.share.name()).collect();
    (!names.is_empty()).then_some((rule, names))
}

/// The same in words.
pub(super) fn text(plan: &PoolPlan, now: KeyDestination) -> Option<String> {
    let (rule, names) = read(plan, now)?;
    let names = names.join(", ");
    Some(format!(
        "may go to its replicas {names} (`read_from: {rule}`)"
    ))
}

/// The same for programs.
pub(super) fn json(plan: &PoolPlan, now: KeyDestination) -> Option<Value> {
    let (rule, names) = read(plan, now)?;
    Some(json!({ "read_from": rule, "replicas": names }))
}
