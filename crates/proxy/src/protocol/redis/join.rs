//! Joining the replies of fragments into one.

use super::{admin, exec, libraries, scan};
use redis_proto::response::{ReplyKind, integer};
use redis_proto::{Version, encode};

use crate::cause::Cause;
use crate::flow::buffer::Rope;
use crate::limits::{MAX_FRAGMENT_LINE, MAX_JOINED};
use crate::protocol::decision::JoinKind;
use crate::protocol::fanout::About;
use crate::protocol::pending_join::{Fragment, JoinOutcome, PendingJoin};
use crate::time::Time;

/// The longest header of an array: type, 19 digits and line end.
const HEADER_BYTES: usize = 22;

/// The longest integer reply: sign, 19 digits, type and line end.
const INTEGER_BYTES: usize = 24;

/// Whether what has arrived of a fragment's reply can be the beginning of one to its part of the request: an array with
/// an element for each key, or a line.
pub(super) fn fits(kind: JoinKind, fragment: &Fragment<ReplyKind>) -> bool {
    match kind {
        JoinKind::Array if fragment.is_begun() => true,
        JoinKind::Array if fragment.elements() > 0 => has_header(fragment),
        JoinKind::Concat | JoinKind::All | JoinKind::Common | JoinKind::Scan(_)
            if fragment.elements() > 0 =>
        {
            true
        }
        // A key may be long, and so may the arguments of a function.
        JoinKind::Any
        | JoinKind::Running
        | JoinKind::One
        | JoinKind::Alike { .. }
        | JoinKind::Transaction => fragment.reply.len() <= MAX_JOINED,
        _ => fragment.reply.len() <= MAX_FRAGMENT_LINE,
    }
}

/// Whether the reply begins with the header of an array of as many elements as the fragment has keys.
fn has_header(fragment: &Fragment<ReplyKind>) -> bool {
    let mut header = [0; HEADER_BYTES];
    let len = fragment.reply.peek(&mut header);
    let end = fragment.marks.first().map_or(0, |end| *end as usize);
    if end > len || header[0] != b'*' {
        return false;
    }
    // The rest is written like an integer.
    header[0] = b':';
    integer(&header[..end]).and_then(|count| usize::try_from(count).ok()) == Some(fragment.keys)
}

/// Joins what has arrived. What is not an array is joined when every fragment has ended.
pub(super) fn join(
    join: &mut PendingJoin<ReplyKind>,
    version: Version,
    about: &About<'_>,
    out: &mut Rope,
) -> JoinOutcome {
    if join.waiting > 0 && join.kind != JoinKind::Array {
        return JoinOutcome::Waiting;
    }
    match join.kind {
        JoinKind::Transaction => return exec::join(join, out),
        JoinKind::One => return admin::one(join, out),
        JoinKind::Done => return admin::done(join, about, out),
        _ => {}
    }
    if (join.waiting == 0 || join.has_begun())
        && let Some(failed) = first_failure(join)
    {
        return JoinOutcome::Failed(failed);
    }
    match join.kind {
        JoinKind::Array => array(join, version, out),
        JoinKind::Sum => fold(join, i64::wrapping_add, out),
        JoinKind::Least => fold(join, i64::min, out),
        JoinKind::Ok => all_ok(join, out),
        JoinKind::Concat => concat(join, out),
        JoinKind::Any => any(join, version, about.now, out),
        JoinKind::Same => same(join, out),
        JoinKind::All => all(join, out),
        JoinKind::Common => libraries::join_lists(join, out),
        JoinKind::Running => libraries::join_statistics(join, out),
        JoinKind::LeastOfEach => least_of_each(join, out),
        JoinKind::Scan(place) => scan::join(join, place, out),
        JoinKind::Alike { exact } => admin::alike(join, exact, version, about, out),
        JoinKind::Values
        | JoinKind::Stats(_)
        | JoinKind::Transaction
        | JoinKind::One
        | JoinKind::Done => JoinOutcome::Mismatch,
    }
}

/// The fragment whose failure is reported: the first one that failed with an errno, as in nutcracker 0.5.0; else the
/// first one that failed otherwise or was answered with an error.
fn first_failure(join: &PendingJoin<ReplyKind>) -> Option<usize> {
    let lost = |fragment: &Fragment<_>| {
        !join.is_missing(fragment)
            && matches!(&fragment.outcome, Some(Err(cause)) if cause.has_errno())
    };
    let failed = |fragment: &Fragment<_>| {
        !join.is_missing(fragment)
            && matches!(&fragment.outcome, Some(Err(_) | Ok(ReplyKind::Error)))
    };
    let mut fragments = join.fragments.iter();
    fragments
        .clone()
        .position(lost)
        .or_else(|| fragments.position(failed))
}

fn array(join: &mut PendingJoin<ReplyKind>, version: Version, out: &mut Rope) -> JoinOutcome {
    if !join.has_begun() {
        match beginning(join) {
            Beginning::Known => begin(join, out),
            Beginning::Waiting => return JoinOutcome::Waiting,
            Beginning::Mismatch => return JoinOutcome::Mismatch,
        }
    }
    join.pass_on(out, |out| {
        out.extend_with(|out| encode::null(out, version));
    })
}

/// What is known of the beginning of a joined array.
enum Beginning {
    /// It is one: every fragment is answered with an array, or its keys are missing.
    Known,
    /// Some fragment has not been answered yet.
    Waiting,
    /// Some fragment was answered with something else.
    Mismatch,
}

fn beginning(join: &PendingJoin<ReplyKind>) -> Beginning {
    for fragment in &join.fragments {
        match &fragment.outcome {
            _ if join.is_missing(fragment) => {}
            Some(Ok(ReplyKind::Array)) if fragment.elements() == fragment.keys + 1 => {}
            // Its header was compared when it arrived.
            None if fragment.elements() > 0 => {}
            None | Some(Ok(ReplyKind::Error) | Err(_)) if join.waiting > 0 => {
                return Beginning::Waiting;
            }
            _ => return Beginning::Mismatch,
        }
    }
    Beginning::Known
}

/// Writes the header. Fragments of an ejected server have no elements: their keys become nulls. The first element of the
/// others is the array's header, which is dropped.
fn begin(join: &mut PendingJoin<ReplyKind>, out: &mut Rope) {
    join.fragments.iter_mut().for_each(Fragment::pass_over);
    out.extend_with(|out| encode::array_header(out, join.owners.len()));
    join.begin();
}

/// One array of the elements of all.
fn concat(join: &mut PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    if !join.fragments.iter().all(|it| it.is(ReplyKind::Array)) {
        return JoinOutcome::Mismatch;
    }
    let counts = join.fragments.iter().map(|it| it.elements() - 1);
    let total = counts.sum();
    out.extend_with(|out| encode::array_header(out, total));
    for fragment in &mut join.fragments {
        fragment.pass_over();
        out.append(&mut fragment.reply);
    }
    JoinOutcome::Done
}

/// The reply of a server that has something, another one each time; null if none has.
fn any(
    join: &mut PendingJoin<ReplyKind>,
    version: Version,
    now: Time,
    out: &mut Rope,
) -> JoinOutcome {
    let have: Vec<usize> = (0..join.fragments.len())
        .filter(|at| join.fragments[*at].is(ReplyKind::Bulk))
        .collect();
    let is_known = |it: &Fragment<_>| it.is(ReplyKind::Bulk) || it.is(ReplyKind::Null);
    if !join.fragments.iter().all(is_known) {
        return JoinOutcome::Mismatch;
    }
    match have.len() {
        0 => {
            out.extend_with(|out| encode::null(out, version));
        }
        count => {
            let chosen = have[now.as_micros() as usize % count];
            out.append(&mut join.fragments[chosen].reply);
        }
    }
    JoinOutcome::Done
}

/// The replies of the servers that were asked; `None` if all are ejected.
fn answers(join: &PendingJoin<ReplyKind>) -> Option<Vec<Vec<u8>>> {
    let asked = join.fragments.iter().filter(|it| !join.is_missing(it));
    let text = |it: &Fragment<_>| it.reply.slices().flatten().copied().collect();
    let texts: Vec<Vec<u8>> = asked.map(text).collect();
    (!texts.is_empty()).then_some(texts)
}

fn same(join: &PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    let Some(texts) = answers(join) else {
        return JoinOutcome::Failed(0);
    };
    if texts.iter().any(|text| *text != texts[0]) {
        return JoinOutcome::Mismatch;
    }
    out.extend(&texts[0]);
    JoinOutcome::Done
}

/// The elements of arrays of numbers, one array for each reply; `None` if they are anything else.
fn numbers(texts: &[Vec<u8>]) -> Option<Vec<Vec<i64>>> {
    let numbers = |text: &Vec<u8>| -> Option<Vec<i64>> {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        // The first line is the header.
        text.starts_with(b"*").then_some(())?;
        lines.skip(1).map(integer).collect()
    };
    let all: Vec<_> = texts.iter().map(numbers).collect::<Option<_>>()?;
    let len = all.first()?.len();
    all.iter().all(|them| them.len() == len).then_some(all)
}

fn all(join: &PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    let Some(texts) = answers(join) else {
        return JoinOutcome::Failed(0);
    };
    let Some(numbers) = numbers(&texts) else {
        return JoinOutcome::Mismatch;
    };
    out.extend_with(|out| {
        encode::array_header(out, numbers[0].len());
        for at in 0..numbers[0].len() {
            let is_one = numbers.iter().all(|them| them[at] == 1);
            encode::integer(out, i64::from(is_one));
        }
    });
    JoinOutcome::Done
}

fn least_of_each(join: &PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    let Some(numbers) = answers(join).and_then(|texts| numbers(&texts)) else {
        return JoinOutcome::Mismatch;
    };
    out.extend_with(|out| {
        encode::array_header(out, numbers[0].len());
        for at in 0..numbers[0].len() {
            let least = numbers.iter().map(|them| them[at]).min();
            encode::integer(out, least.unwrap_or_default());
        }
    });
    JoinOutcome::Done
}

/// An integer made of those of all fragments.
fn fold(join: &PendingJoin<ReplyKind>, with: fn(i64, i64) -> i64, out: &mut Rope) -> JoinOutcome {
    let mut result: Option<i64> = None;
    for fragment in &join.fragments {
        if fragment.outcome == Some(Err(Cause::Ejected)) {
            continue;
        }
        let mut bytes = [0; INTEGER_BYTES];
        let len = fragment.reply.peek(&mut bytes);
        match integer(&bytes[..len]) {
            Some(value) => result = Some(result.map_or(value, |before| with(before, value))),
            None => return JoinOutcome::Mismatch,
        }
    }
    out.extend_with(|out| encode::integer(out, result.unwrap_or(0)));
    JoinOutcome::Done
}

fn all_ok(join: &PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    if !join
        .fragments
        .iter()
        .all(|fragment| fragment.is(ReplyKind::Status))
    {
        return JoinOutcome::Mismatch;
    }
    out.extend(b"+OK\r\n");
    JoinOutcome::Done
}
