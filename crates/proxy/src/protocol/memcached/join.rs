//! The replies of fragments become one reply.

use memcached_proto::encode;
use memcached_proto::response::{LineKind, ReplyKind};

use crate::cause::Cause;
use crate::flow::buffer::Rope;
use crate::limits::{MAX_FRAGMENT_LINE, MAX_STATISTICS};
use crate::protocol::decision::JoinKind;
use crate::protocol::pending_join::{Fragment, JoinOutcome, PendingJoin};

/// Whether what has arrived of a fragment's reply can be the beginning of one to its part of the request: at most one
/// block for each key, not too many statistics, or a line.
pub(super) fn fits(kind: JoinKind, fragment: &Fragment<ReplyKind>) -> bool {
    match kind {
        JoinKind::Values => fragment.elements() <= fragment.keys,
        JoinKind::Stats(_) => fragment.reply.len() <= MAX_STATISTICS,
        _ => fragment.reply.len() <= MAX_FRAGMENT_LINE,
    }
}

/// For each key in the order of the request the next block of the fragment that owned it (as
/// nutcracker 0.5.0 orders them). A server that did not answer is a miss for its keys, but when none did
/// that is an error, unless all are ejected and their keys count as missing.
pub(super) fn values(join: &mut PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    if !join.has_begun() {
        // The first block tells that one server has answered.
        let has_block = join.fragments.iter().any(|it| it.elements() > 0);
        match join.waiting {
            0 => {}
            _ if has_block => {}
            _ => return JoinOutcome::Waiting,
        }
        if let Some(failure) = failure(join) {
            return failure;
        }
        join.begin();
    }
    for fragment in &mut join.fragments {
        if fragment.outcome.is_some() && !is_answered(fragment) {
            fragment.drop_rest();
        }
    }
    let outcome = join.pass_on(out, |_| {});
    if let JoinOutcome::Done = outcome {
        out.extend(encode::END);
    }
    outcome
}

/// Why there is no joined reply when every fragment has ended.
fn failure(join: &PendingJoin<ReplyKind>) -> Option<JoinOutcome> {
    let ejected_is_miss = join.ejected_is_miss;
    let is_missing = |fragment: &Fragment<_>| {
        ejected_is_miss && matches!(fragment.outcome, Some(Err(Cause::Ejected)))
    };
    let all_missing = join.fragments.iter().all(is_missing);
    let has_failed = join.waiting == 0 && !all_missing && !join.fragments.iter().any(is_answered);
    has_failed.then(|| failed_but(&join.fragments, is_missing))
}

/// One OK when all say OK.
pub(super) fn ok(join: &PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    if join
        .fragments
        .iter()
        .all(|fragment| is_line(fragment, LineKind::Ok))
    {
        out.extend(encode::OK);
        return JoinOutcome::Done;
    }
    failed(&join.fragments)
}

/// Whether the server answered, and not with an error.
pub(super) fn is_answered(fragment: &Fragment<ReplyKind>) -> bool {
    match &fragment.outcome {
        Some(Ok(ReplyKind::Line(line))) => *line == LineKind::End,
        Some(Ok(ReplyKind::Values | ReplyKind::Stats)) => true,
        _ => false,
    }
}

/// Whether the server answered with this line.
pub(super) fn is_line(fragment: &Fragment<ReplyKind>, wanted: LineKind) -> bool {
    matches!(&fragment.outcome, Some(Ok(ReplyKind::Line(line))) if *line == wanted)
}

/// The whole request failed: as the first fragment did that was lost with an errno, else as the first
/// that was lost or answered by an error line. Any other reply has no business here.
pub(super) fn failed(fragments: &[Fragment<ReplyKind>]) -> JoinOutcome {
    failed_but(fragments, |_| false)
}

/// The same, without the fragments that are excused.
fn failed_but(
    fragments: &[Fragment<ReplyKind>],
    excused: impl Fn(&Fragment<ReplyKind>) -> bool,
) -> JoinOutcome {
    let lost =
        |fragment: &Fragment<_>| matches!(&fragment.outcome, Some(Err(cause)) if cause.has_errno());
    let mut fragments = fragments.iter();
    let failed = fragments
        .clone()
        .position(|fragment| !excused(fragment) && lost(fragment))
        .or_else(|| fragments.position(|fragment| !excused(fragment) && has_failed(fragment)));
    failed.map_or(JoinOutcome::Mismatch, JoinOutcome::Failed)
}

fn has_failed(fragment: &Fragment<ReplyKind>) -> bool {
    match &fragment.outcome {
        Some(Ok(ReplyKind::Line(line))) => line.is_error(),
        Some(Ok(ReplyKind::Values | ReplyKind::Stats | ReplyKind::Data)) => false,
        Some(Err(_)) => true,
        None => false,
    }
}
