//! The attacks. Each was harmful once, to some version of this proxy or to nutcracker.

mod commands;
mod connections;
mod huge;
mod memory;
mod noise;
mod slow;

use crate::case::Case;
use crate::options::Options;

/// All cases, in the order in which they run.
pub(crate) fn all(options: &Options) -> Vec<Case> {
    [
        commands::cases(),
        huge::cases(options.huge_limit),
        connections::push(),
        memory::unauthenticated(),
        memory::unread(),
        memory::left(),
        noise::cases(options.time),
        slow::cases(),
        connections::hello3(),
        connections::descriptors(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
