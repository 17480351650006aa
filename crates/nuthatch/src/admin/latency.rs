//! How long requests wait, as the pages show it.

use std::time::Duration;

use proxy::PlannedServer;
use proxy::latency::{Class, Durations, bounds};
use serde_json::{Value as Json, json};

use super::exposition::{Exposition, Labels, Type};

/// The quantiles that are shown, with their names.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)];

/// Writes the histograms of servers to `/metrics`.
pub(super) fn expose(page: &mut Exposition, servers: &[(&Labels, &PlannedServer)]) {
    page.family(
        "nuthatch_server_wait_seconds",
        Type::Histogram,
        "How long requests waited in the proxy: from when they were parsed until they were written to the server.",
    );
    for (labels, server) in servers {
        expose_one(page, labels, &server.share.waiting());
    }
    page.family(
        "nuthatch_server_latency_seconds",
        Type::Histogram,
        "How long requests waited at the server: from when they were written until the reply was read.",
    );
    for (labels, server) in servers {
        for class in Class::ALL {
            let labels = labels.with("class", class.name());
            expose_one(page, &labels, &server.share.serving(class));
        }
    }
}

fn expose_one(page: &mut Exposition, labels: &Labels, durations: &Durations) {
    for (bound, count) in bounds().zip(durations.cumulative()) {
        let labels = labels.with("le", &bound.as_secs_f64().to_string());
        page.part("_bucket", &labels, count);
    }
    // Not what `cumulative` ends with: that leaves out what is longer than the last bound.
    let count = durations.count();
    page.part("_bucket", &labels.with("le", "+Inf"), count);
    page.part("_sum", labels, durations.sum().as_secs_f64());
    page.part("_count", labels, count);
}

/// What `/servers` says of a server, in microseconds, of all requests since it was added.
pub(super) fn json(server: &PlannedServer) -> Json {
    let share = &server.share;
    json!({
        "waiting": quantiles(&share.waiting()),
        "read": quantiles(&share.serving(Class::Read)),
        "write": quantiles(&share.serving(Class::Write)),
    })
}

fn quantiles(durations: &Durations) -> Json {
    let mut shown = json!({ "count": durations.count() });
    for (name, quantile) in QUANTILES {
        shown[name] = durations.quantile(quantile).map(micros).into();
    }
    shown
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
