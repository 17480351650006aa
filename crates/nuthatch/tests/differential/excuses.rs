//! The intended differences from nutcracker, each as a predicate on the observed answers. Each one is a row
//! of docs/compatibility.md with the same id, and each must be needed by some run.

mod failures;
mod memcached;
mod redis;
mod streams;

use crate::compare::Difference;

/// One row of docs/compatibility.md that a program can recognise.
pub(crate) struct Excuse {
    pub(crate) id: &'static str,
    pub(crate) explains: fn(&Difference<'_>) -> bool,
}

/// The first excuse for a difference, if there is one.
pub(crate) fn find(difference: &Difference<'_>) -> Option<&'static Excuse> {
    all().find(|excuse| (excuse.explains)(difference))
}

/// Differences that no single request shows, so that scenarios detect them.
const BY_SCENARIOS: &[&str] = &[IDLE_END, EJECT_PROBE];

/// The end of an idle server connection is not a failure.
pub(crate) const IDLE_END: &str = "idle-end";

/// An ejected server is probed by the proxy, not tried with clients' requests.
pub(crate) const EJECT_PROBE: &str = "eject-probe";

/// The ids of all excuses.
pub(crate) fn ids() -> Vec<&'static str> {
    all()
        .map(|excuse| excuse.id)
        .chain(BY_SCENARIOS.iter().copied())
        .collect()
}

fn all() -> impl Iterator<Item = &'static Excuse> {
    let tables = [
        redis::EXCUSES,
        memcached::EXCUSES,
        streams::EXCUSES,
        failures::EXCUSES,
    ];
    tables.into_iter().flatten()
}
