//! FUNCTION LIST and FUNCTION STATS over several servers.

use std::collections::HashSet;

use redis_proto::encode;
use redis_proto::response::ReplyKind;

use crate::flow::buffer::Rope;
use crate::protocol::pending_join::{Fragment, JoinOutcome, PendingJoin};

/// The name of the first field of a library.
const LIBRARY_NAME: &[u8] = b"$12\r\nlibrary_name\r\n";

/// What begins the reply to FUNCTION STATS of a server that runs nothing, behind its header.
const RUNS_NOTHING: [&[u8]; 3] = [
    b"$14\r\nrunning_script\r\n$-1\r\n",
    b"$14\r\nrunning_script\r\n*-1\r\n",
    b"$14\r\nrunning_script\r\n_\r\n",
];

/// Those libraries that every server has, as the first one describes them: a function of another may be called by a key
/// whose server does not know it.
pub(super) fn join_lists(join: &PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    let asked: Vec<_> = asked(join).collect();
    let Some((first, others)) = asked.split_first() else {
        return JoinOutcome::Failed(0);
    };
    if !asked.iter().all(|it| it.is(ReplyKind::Array)) {
        return JoinOutcome::Mismatch;
    }
    let mut everywhere: Option<HashSet<Vec<u8>>> = None;
    for other in others {
        let text = text_of(other);
        let names = elements(&text, &other.marks).filter_map(name_of);
        let known = |name: &&[u8]| everywhere.as_ref().is_none_or(|set| set.contains(*name));
        everywhere = Some(names.filter(known).map(<[u8]>::to_vec).collect());
    }
    let text = text_of(first);
    let is_everywhere = |element: &&[u8]| match &everywhere {
        Some(names) => name_of(element).is_some_and(|name| names.contains(name)),
        None => true,
    };
    let kept: Vec<&[u8]> = elements(&text, &first.marks)
        .filter(is_everywhere)
        .collect();
    out.extend_with(|out| encode::array_header(out, kept.len()));
    kept.into_iter().for_each(|element| out.extend(element));
    JoinOutcome::Done
}

/// The reply of a server that runs a function, or else of the first.
pub(super) fn join_statistics(join: &mut PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    let missing: Vec<bool> = join
        .fragments
        .iter()
        .map(|it| join.is_missing(it))
        .collect();
    let mut chosen = None;
    for (at, fragment) in join
        .fragments
        .iter()
        .enumerate()
        .filter(|(at, _)| !missing[*at])
    {
        if !fragment.is(ReplyKind::Array) && !fragment.is(ReplyKind::Map) {
            return JoinOutcome::Mismatch;
        }
        if chosen.is_none() || runs_something(fragment) {
            chosen = Some(at);
        }
    }
    let Some(chosen) = chosen else {
        return JoinOutcome::Failed(0);
    };
    out.append(&mut join.fragments[chosen].reply);
    JoinOutcome::Done
}

fn runs_something(fragment: &Fragment<ReplyKind>) -> bool {
    let mut start = [0; 64];
    let len = fragment.reply.peek(&mut start);
    let start = behind_line(&start[..len]);
    !RUNS_NOTHING
        .iter()
        .any(|nothing| start.starts_with(nothing))
}

/// The fragments whose servers were asked.
fn asked(join: &PendingJoin<ReplyKind>) -> impl Iterator<Item = &Fragment<ReplyKind>> {
    join.fragments.iter().filter(|it| !join.is_missing(it))
}

fn text_of(fragment: &Fragment<ReplyKind>) -> Vec<u8> {
    let mut text = Vec::with_capacity(fragment.reply.len());
    fragment
        .reply
        .slices()
        .for_each(|slice| text.extend_from_slice(slice));
    text
}

/// The elements of an array of which it is known where its header and each element end.
fn elements<'t>(text: &'t [u8], ends: &'t [u64]) -> impl Iterator<Item = &'t [u8]> {
    ends.windows(2)
        .filter_map(|pair| text.get(pair[0] as usize..pair[1] as usize))
}

/// The name of a library, as the bulk string that it is.
fn name_of(library: &[u8]) -> Option<&[u8]> {
    let name = behind_line(library).strip_prefix(LIBRARY_NAME)?;
    let header = name.len() - behind_line(name).len();
    let digits = name.get(1..header.checked_sub(2)?)?;
    let len: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    name.get(..header.checked_add(len)?)
}

/// What follows the first line.
fn behind_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b'\n');
    end.map_or(&[], |end| &text[end + 1..])
}
