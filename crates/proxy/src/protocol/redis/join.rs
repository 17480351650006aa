//! Joining the replies of fragments into one.

use redis_proto::response::{ReplyKind, integer};
use redis_proto::{Version, encode};

use crate::cause::Cause;
use crate::flow::buffer::Rope;
use crate::protocol::decision::JoinKind;
use crate::protocol::fanout::{Fragment, JoinOutcome, PendingJoin, ReplyParts};

/// The longest integer reply: sign, 19 digits, type and line end.
const INTEGER_BYTES: usize = 24;

pub(super) fn join(
    join: &mut PendingJoin<ReplyKind>,
    version: Version,
    out: &mut Rope,
) -> JoinOutcome {
    if let Some(failed) = first_failure(join) {
        return JoinOutcome::Failed(failed);
    }
    match join.kind {
        JoinKind::Array => array(join, version, out),
        JoinKind::Sum => sum(join, out),
        JoinKind::Ok => all_ok(join, out),
        JoinKind::Values | JoinKind::Stats(_) => JoinOutcome::Mismatch,
    }
}

/// The fragment whose failure is reported: the first one that failed with an errno, as in nutcracker 0.5.0; else the
/// first one that failed otherwise or was answered with an error.
fn first_failure(join: &PendingJoin<ReplyKind>) -> Option<usize> {
    let lost = |fragment: &Fragment<_>| {
        !is_missing(join, fragment)
            && matches!(&fragment.outcome, Some(Err(cause)) if cause.has_errno())
    };
    let failed = |fragment: &Fragment<_>| {
        !is_missing(join, fragment)
            && !matches!(&fragment.outcome, Some(Ok(kind)) if *kind != ReplyKind::Error)
    };
    let mut fragments = join.fragments.iter();
    fragments
        .clone()
        .position(lost)
        .or_else(|| fragments.position(failed))
}

/// Whether the fragment's keys count as missing because their server is ejected.
fn is_missing(join: &PendingJoin<ReplyKind>, fragment: &Fragment<ReplyKind>) -> bool {
    join.ejected_is_miss && fragment.outcome == Some(Err(Cause::Ejected))
}

fn array(join: &mut PendingJoin<ReplyKind>, version: Version, out: &mut Rope) -> JoinOutcome {
    let mut wanted = vec![0usize; join.fragments.len()];
    for owner in &join.owners {
        wanted[*owner as usize] += 1;
    }
    for (fragment, wanted) in join.fragments.iter_mut().zip(wanted) {
        if fragment.outcome == Some(Err(Cause::Ejected)) {
            continue;
        }
        if !is(fragment, ReplyKind::Array) || fragment.marks.len() != wanted + 1 {
            return JoinOutcome::Mismatch;
        }
    }
    // Fragments of an ejected server have no elements: their keys become nulls. The first mark of the others is the
    // end of the array's header, which is dropped.
    let mut parts: Vec<_> = join.fragments.iter_mut().map(Fragment::parts).collect();
    parts.iter_mut().for_each(ReplyParts::pass_over);
    out.extend_with(|out| encode::array_header(out, join.owners.len()));
    for owner in &join.owners {
        if !parts[*owner as usize].pass_on(out) {
            out.extend_with(|out| encode::null(out, version));
        }
    }
    JoinOutcome::Done
}

fn sum(join: &PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    let mut total = 0i64;
    for fragment in &join.fragments {
        if fragment.outcome == Some(Err(Cause::Ejected)) {
            continue;
        }
        let mut bytes = [0; INTEGER_BYTES];
        let len = fragment.reply.peek(&mut bytes);
        match integer(&bytes[..len]) {
            Some(value) => total = total.wrapping_add(value),
            None => return JoinOutcome::Mismatch,
        }
    }
    out.extend_with(|out| encode::integer(out, total));
    JoinOutcome::Done
}

fn all_ok(join: &PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    if !join
        .fragments
        .iter()
        .all(|fragment| is(fragment, ReplyKind::Status))
    {
        return JoinOutcome::Mismatch;
    }
    out.extend(b"+OK\r\n");
    JoinOutcome::Done
}

fn is(fragment: &Fragment<ReplyKind>, kind: ReplyKind) -> bool {
    matches!(&fragment.outcome, Some(Ok(found)) if *found == kind)
}
