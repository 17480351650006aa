//! Differences that depend on the sequence of requests.

use super::Excuse;
use crate::compare::Difference;
use crate::nutcracker::{self, Redis};
use crate::request::{Protocol, Request};
use crate::wire::End;

pub(super) const EXCUSES: &[Excuse] = &[Excuse {
    id: "lost-replies",
    explains: lost_replies,
}];

/// nutcracker closes the connection because of a later request, and loses the replies to earlier ones.
fn lost_replies(difference: &Difference<'_>) -> bool {
    let hangs_up = |request: &Request| match difference.protocol {
        Protocol::Redis => nutcracker::redis(request) != Redis::Served,
        Protocol::Memcached => !nutcracker::memcached_serves(request),
    };
    difference.theirs.end == End::Closed
        && difference.ours.end == End::Open
        && difference.ours.bytes.starts_with(difference.theirs.bytes)
        && difference.later.iter().any(hangs_up)
}
