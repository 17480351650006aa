//! How an explanation is written.

use std::fmt::Write;

use hashkit::Belongs;
use proxy::metrics::ServerMetric;
use proxy::settings::EjectPolicy;
use proxy::{KeyDestination, PlannedServer, PoolPlan};
use serde_json::{Value, json};

use super::escapes::{hex, key_text};
use super::explained::{Explanation, Running};
use super::placed::Placed;
use super::replicas;
use crate::pool::state_of;

impl Explanation {
    /// For people: lines.
    pub(crate) fn text(&self) -> String {
        text(self)
    }

    /// For programs: an object.
    pub(crate) fn json(&self) -> Value {
        json(self)
    }
}

/// Lines with everything.
fn text(it: &Explanation) -> String {
    let placed = it.placed();
    let (plan, now) = (&it.route.plan, it.route.now);
    let mut text = format!(
        "pool {}, key {}\n",
        placed.settings().name,
        key_text(&it.key)
    );
    // Writing to a string cannot fail.
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<8}{value}");
    };
    write_place(it, &placed, &mut line);
    if let Some(index) = placed.index() {
        let server = &plan.servers[index];
        line(
            "server",
            &format!("{}, weight {}", named(server), server.weight),
        );
        if let Some(running) = &it.running {
            line("state", &state_text(plan, server, running));
        }
    }
    match (placed.slot(), placed.index()) {
        (Some(_), None) => line("now", "any node, and from there where the slot is"),
        _ => line("now", &destination_text(it, now)),
    }
    if let Some(text) = replicas::text(plan, now) {
        line("reads", &text);
    }
    let other = it
        .server(now)
        .filter(|(other, index)| !is_same(plan, placed.index(), other, *index));
    if let (Some((plan, index)), Some(running)) = (other, &it.running) {
        line("", &state_text(plan, &plan.servers[index], running));
    }
    if let (Some(next), Some((of, _))) = (it.route.next, it.server(now)) {
        let condition = match of.settings.auto_eject_hosts {
            true => "if that server were ejected",
            false => "if that server were drained (`auto_eject_hosts: false` ejects none)",
        };
        let _ = writeln!(text, "  {condition}: {}", destination_text(it, next));
    }
    text
}

/// One object with everything.
fn json(it: &Explanation) -> Value {
    let placed = it.placed();
    let mut value = placed.json();
    if let Belongs::Hashed { .. } = placed.belongs() {
        if let Some(tag) = tag_text(&placed) {
            value["hash_tag"] = tag.into();
        }
        let part = hashed_part(&placed);
        value["hashed"] = String::from_utf8_lossy(part).into();
        if std::str::from_utf8(part).is_err() {
            value["hashed_hex"] = hex(part).into();
        }
    }
    if let Some((position, positions)) = placed.position(&it.ring) {
        value["position"] = position.into();
        value["positions"] = positions.into();
    }
    if let (Some(index), Some(running)) = (placed.index(), &it.running) {
        let plan = &it.route.plan;
        value["state"] = state_json(plan, &plan.servers[index], running);
    }
    value["now"] = destination_json(it, it.route.now);
    if let Some(reads) = replicas::json(&it.route.plan, it.route.now) {
        value["reads"] = reads;
    }
    let next = it.route.next.map(|next| destination_json(it, next));
    value["if_ejected"] = next.into();
    value
}

fn write_place(it: &Explanation, placed: &Placed<'_>, line: &mut impl FnMut(&str, &str)) {
    let placement = &placed.settings().placement;
    let distribution = placement.distribution.name();
    if let Some(slot) = placed.slot() {
        let text = match placed.index() {
            Some(_) => format!("{slot}, by the map of the cluster"),
            None => format!("{slot}; the nodes of the cluster know who has it"),
        };
        return line("slot", &text);
    }
    match placed.belongs() {
        Belongs::Hashed { hash, .. } => {
            line("hashed", &hashed_text(placed));
            line("hash", &format!("0x{hash:08x} ({})", placement.hash.name()));
            if let (Some(point), Some((position, of))) = (placed.point(), placed.position(&it.ring))
            {
                line(
                    "ring",
                    &format!("{point}, index {position} of {of} ({distribution})"),
                );
            }
        }
        Belongs::Only => line("ring", "the only server of the pool, nothing is hashed"),
        Belongs::Drawn | Belongs::Nobody => {
            let count = placed.settings().servers.len();
            let text = format!("any of {count} servers, drawn for each request ({distribution})");
            line("ring", &text);
        }
    }
}

/// What part of the key is hashed.
fn hashed_part<'p>(placed: &Placed<'p>) -> &'p [u8] {
    let tag = placed.settings().placement.tag;
    tag.map_or(placed.key(), |tag| tag.apply(placed.key()))
}

fn hashed_text(placed: &Placed<'_>) -> String {
    let part = hashed_part(placed);
    match tag_text(placed) {
        None => "the whole key".into(),
        // The tag is never the whole key: it has its delimiters.
        Some(tag) if part.len() == placed.key().len() => {
            format!("the whole key, which has no tag (hash_tag: {tag})")
        }
        Some(tag) => format!("{} (hash_tag: {tag})", key_text(part)),
    }
}

/// The setting `hash_tag`.
fn tag_text(placed: &Placed<'_>) -> Option<String> {
    let tag = placed.settings().placement.tag?;
    Some(key_text(&[tag.open, tag.close]))
}

fn named(server: &PlannedServer) -> String {
    format!("{} ({})", server.share.name(), server.endpoint.address)
}

fn is_same(plan: &PoolPlan, index: Option<usize>, other: &PoolPlan, other_index: usize) -> bool {
    std::ptr::eq(plan, other) && index == Some(other_index)
}

impl Explanation {
    /// The server that is named, in its plan.
    fn server(&self, destination: KeyDestination) -> Option<(&PoolPlan, usize)> {
        match destination {
            KeyDestination::Server(index) => Some((&*self.route.plan, index?)),
            KeyDestination::Substitute(index) => Some((self.route.failover.as_deref()?, index?)),
            KeyDestination::Ejected | KeyDestination::NoServer => None,
        }
    }

    /// What becomes of requests, in one word.
    fn outcome(&self, destination: KeyDestination) -> &'static str {
        let misses = self.route.plan.settings.failure.eject == EjectPolicy::Miss;
        match destination {
            KeyDestination::Server(Some(_)) => "server",
            KeyDestination::Server(None) => "any_server",
            KeyDestination::Substitute(Some(_)) => "failover_server",
            KeyDestination::Substitute(None) => "any_failover_server",
            KeyDestination::Ejected if misses => "miss",
            KeyDestination::Ejected | KeyDestination::NoServer => "error",
        }
    }

    /// The name of the failover pool, and the cap in seconds of the TTL of what is written there.
    fn failover(&self) -> Option<(&str, u32)> {
        let failover = self.route.plan.failover.as_ref()?;
        Some((failover.pool.name(), failover.seconds))
    }
}

fn destination_text(it: &Explanation, destination: KeyDestination) -> String {
    let server = it
        .server(destination)
        .map(|(plan, index)| named(&plan.servers[index]));
    let server = server.unwrap_or_else(|| "a server that is drawn for each request".into());
    match (destination, it.failover()) {
        (KeyDestination::Server(_), _) => server,
        (KeyDestination::Substitute(_), Some((pool, seconds))) => format!(
            "{server} of the failover pool {pool}, where it is kept for {seconds} s at most"
        ),
        (KeyDestination::NoServer, _) => "nowhere, as no server is in use: an error".into(),
        _ if it.outcome(destination) == "miss" => {
            "nowhere: reads are answered as if it did not exist, writes by an error".into()
        }
        _ => "nowhere, as keys stay with their servers: an error".into(),
    }
}

fn destination_json(it: &Explanation, destination: KeyDestination) -> Value {
    let mut value = json!({ "to": it.outcome(destination) });
    if let Some((plan, index)) = it.server(destination) {
        let server = &plan.servers[index];
        value["pool"] = plan.settings.name.clone().into();
        value["server"] = server.share.name().into();
        value["address"] = server.endpoint.address.to_string().into();
        value["index"] = index.into();
        if let Some(running) = &it.running {
            value["state"] = state_json(plan, server, running);
        }
    }
    if let (KeyDestination::Substitute(_), Some((pool, seconds))) = (destination, it.failover()) {
        value["pool"] = pool.into();
        value["ttl_cap_seconds"] = seconds.into();
    }
    value
}

fn state_text(plan: &PoolPlan, server: &PlannedServer, running: &Running) -> String {
    let mut text = String::from(state_of(server));
    if let Some(until) = server.ejected_until() {
        if server.is_held() {
            text.push_str(" and ejected");
        }
        let left = until.since(running.now);
        let seconds = left.as_secs_f64();
        let probe = plan.settings.failure.probe;
        let _ = match (probe, left.is_zero()) {
            (true, false) => write!(text, " (probed in {seconds:.1} s)"),
            (true, true) => write!(text, " (a probe is due)"),
            (false, false) => write!(text, " (for another {seconds:.1} s)"),
            (false, true) => write!(text, " (until the next request)"),
        };
    }
    let failures = server.failures();
    let _ = match plan.settings.auto_eject_hosts {
        true => write!(
            text,
            ", {failures} failures in a row of {} that eject",
            limit(plan)
        ),
        false => write!(text, ", failures do not count (auto_eject_hosts: false)"),
    };
    let gauge = |metric| gauge(server, metric);
    let _ = write!(
        text,
        ", {} connections, {} requests in flight, {} queued",
        gauge(ServerMetric::ServerConnections),
        gauge(ServerMetric::OutQueue),
        gauge(ServerMetric::InQueue)
    );
    if let Some(latency) = running.recent.of(server).text() {
        let _ = write!(text, ", {latency}");
    }
    text
}

/// Times are in seconds since the Unix epoch.
fn state_json(plan: &PoolPlan, server: &PlannedServer, running: &Running) -> Value {
    let epoch = |time| running.clock.to_epoch_micros(time) as f64 / 1e6;
    let counts = plan.settings.auto_eject_hosts;
    json!({
        "state": state_of(server),
        "ejected_until": server.ejected_until().map(epoch),
        "failures": counts.then(|| server.failures()),
        "failure_limit": counts.then(|| limit(plan)),
        "connections": gauge(server, ServerMetric::ServerConnections),
        "in_flight": gauge(server, ServerMetric::OutQueue),
        "queued": gauge(server, ServerMetric::InQueue),
        "recent_latency": running.recent.of(server).json(),
    })
}

fn limit(plan: &PoolPlan) -> u32 {
    plan.settings.server_failure_limit.max(1)
}

fn gauge(server: &PlannedServer, metric: ServerMetric) -> i64 {
    server.share.row(metric as usize).sum()
}
