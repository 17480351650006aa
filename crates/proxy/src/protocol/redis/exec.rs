//! Joins the replies of several servers to the parts of one transaction.
//!
//! Each part was a transaction at its server, which has answered with an array, or with an error, or was lost. The client
//! gets an array with an element for each of its commands; those of a part without an array are errors.

use redis_proto::encode;
use redis_proto::response::{ReplyKind, ReplyScanner, Scan, integer};

use super::state::Redis;
use crate::flow::buffer::Rope;
use crate::limits::MAX_FRAGMENT_LINE;
use crate::protocol::decision::JoinKind;
use crate::protocol::grammar::Grammar;
use crate::protocol::pending_join::{Element, Fragment, JoinOutcome, PendingJoin};

/// The longest header of an array: type, 19 digits and line end.
const HEADER_BYTES: usize = 22;

/// Where a part's next replies come from.
enum Part<'a> {
    /// What its commands have returned.
    Replies(&'a mut Rope),
    /// Why they have returned nothing: an error line for each.
    Failed(Vec<u8>),
}

/// A server has not answered as EXEC requires.
struct Mismatch;

pub(super) fn join(join: &mut PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    match write(join, out) {
        Ok(()) => JoinOutcome::Done,
        Err(Mismatch) => JoinOutcome::Mismatch,
    }
}

fn write(join: &mut PendingJoin<ReplyKind>, out: &mut Rope) -> Result<(), Mismatch> {
    let parts = join.fragments.iter_mut().map(Part::of);
    let mut parts: Vec<Part<'_>> = parts.collect::<Result<_, _>>()?;
    out.extend_with(|out| encode::array_header(out, join.elements.len()));
    for element in &join.elements {
        match element {
            Element::Of(part) => out.append(&mut parts[*part as usize].next()?),
            Element::Split { kind, owners } => split(*kind, owners, &mut parts, out)?,
        }
    }
    Ok(())
}

impl<'a> Part<'a> {
    fn of(fragment: &'a mut Fragment<ReplyKind>) -> Result<Self, Mismatch> {
        match &fragment.outcome {
            Some(Ok(ReplyKind::Array)) => {
                let count = take_header(&mut fragment.reply)?;
                match count == fragment.keys {
                    true => Ok(Part::Replies(&mut fragment.reply)),
                    false => Err(Mismatch),
                }
            }
            Some(Ok(ReplyKind::Error)) if fragment.reply.len() <= MAX_FRAGMENT_LINE => {
                let line = fragment.reply.slices().flatten().copied().collect();
                Ok(Part::Failed(line))
            }
            Some(Err(cause)) => {
                let mut line = Vec::new();
                Redis::error_line(&mut line, cause, None);
                Ok(Part::Failed(line))
            }
            _ => Err(Mismatch),
        }
    }

    /// What its next command has returned.
    fn next(&mut self) -> Result<Rope, Mismatch> {
        let mut next = Rope::new();
        match self {
            Part::Replies(replies) => take_element(replies, &mut next)?,
            Part::Failed(line) => next.extend(line),
        }
        Ok(next)
    }
}

/// Takes the header of an array; returns how many elements it has.
fn take_header(reply: &mut Rope) -> Result<usize, Mismatch> {
    let mut header = [0; HEADER_BYTES];
    let len = reply.peek(&mut header);
    let end = header[..len].iter().position(|byte| *byte == b'\n');
    let end = end.filter(|_| header[0] == b'*').ok_or(Mismatch)? + 1;
    // The rest is written like an integer.
    header[0] = b':';
    let count = integer(&header[..end]).ok_or(Mismatch)?;
    reply.consume(end);
    usize::try_from(count).map_err(|_| Mismatch)
}

/// Moves a whole reply from the front of one rope to the end of another.
fn take_element(from: &mut Rope, to: &mut Rope) -> Result<(), Mismatch> {
    let (mut scanner, mut before, mut len) = (ReplyScanner::default(), 0, None);
    for slice in from.slices() {
        match scanner.scan(slice) {
            Ok(Scan::Complete { len: end, .. }) => {
                len = Some(before + end);
                break;
            }
            Ok(Scan::Partial) => before += slice.len(),
            Err(_) => return Err(Mismatch),
        }
    }
    to.take_from(from, len.ok_or(Mismatch)?);
    Ok(())
}

/// Joins the replies to the fragments of one command.
fn split(
    kind: JoinKind,
    owners: &[u32],
    parts: &mut [Part<'_>],
    out: &mut Rope,
) -> Result<(), Mismatch> {
    let mut replies: Vec<Option<Rope>> = Vec::new();
    replies.resize_with(parts.len(), || None);
    for owner in owners.iter().map(|owner| *owner as usize) {
        if replies[owner].is_none() {
            let mut reply = parts[owner].next()?;
            if begins_with(&reply, b'-') {
                // It is the answer of the whole command; the others are dropped.
                drop_others(owner, owners, &replies, parts)?;
                out.append(&mut reply);
                return Ok(());
            }
            replies[owner] = Some(reply);
        }
    }
    match kind {
        JoinKind::Array => array(owners, &mut replies, out),
        JoinKind::Sum => fold(&replies, i64::wrapping_add, out),
        JoinKind::Least => fold(&replies, i64::min, out),
        JoinKind::Ok => {
            out.extend(b"+OK\r\n");
            Ok(())
        }
        _ => Err(Mismatch),
    }
}

fn begins_with(reply: &Rope, byte: u8) -> bool {
    let mut first = [0];
    reply.peek(&mut first) == 1 && first[0] == byte
}

/// Drops the replies to the fragments of a command that were not taken yet, after that of `taken`.
fn drop_others(
    taken: usize,
    owners: &[u32],
    replies: &[Option<Rope>],
    parts: &mut [Part<'_>],
) -> Result<(), Mismatch> {
    let mut is_taken: Vec<bool> = replies.iter().map(Option::is_some).collect();
    is_taken[taken] = true;
    for owner in owners.iter().map(|owner| *owner as usize) {
        if !std::mem::replace(&mut is_taken[owner], true) {
            parts[owner].next()?;
        }
    }
    Ok(())
}

/// Elements in the order of the keys.
fn array(owners: &[u32], replies: &mut [Option<Rope>], out: &mut Rope) -> Result<(), Mismatch> {
    for reply in replies.iter_mut().flatten() {
        take_header(reply)?;
    }
    out.extend_with(|out| encode::array_header(out, owners.len()));
    for owner in owners {
        let reply = replies[*owner as usize].as_mut().ok_or(Mismatch)?;
        take_element(reply, out)?;
    }
    Ok(())
}

/// An integer made of those of all.
fn fold(
    replies: &[Option<Rope>],
    with: fn(i64, i64) -> i64,
    out: &mut Rope,
) -> Result<(), Mismatch> {
    let mut result: Option<i64> = None;
    for reply in replies.iter().flatten() {
        let mut bytes = [0; HEADER_BYTES + 2];
        let len = reply.peek(&mut bytes);
        let value = integer(&bytes[..len]).ok_or(Mismatch)?;
        result = Some(result.map_or(value, |before| with(before, value)));
    }
    out.extend_with(|out| encode::integer(out, result.unwrap_or(0)));
    Ok(())
}
