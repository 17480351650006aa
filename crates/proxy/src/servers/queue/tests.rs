//! What is left of the requests on a connection when clients leave and replies come early.

use super::*;
use crate::id::Table;

/// A queue of such requests, of which `written` bytes are written.
fn queue(written: usize, requests: &[(SessionId, ReplyTo, &str)]) -> RequestQueue {
    let mut queue = RequestQueue::default();
    for (session, reply_to, text) in requests {
        let write = |out: &mut Rope| out.extend(text.as_bytes());
        queue.push(*session, *reply_to, Class::Read, Time::ZERO, write);
    }
    queue.written(written, Time::ZERO);
    queue
}

fn left(queue: &RequestQueue) -> String {
    let bytes: Vec<u8> = queue.output().slices().flatten().copied().collect();
    String::from_utf8(bytes).unwrap()
}

fn amount(requests: usize, bytes: usize) -> Amount {
    Amount { requests, bytes }
}

#[test]
fn a_write_under_way_keeps_its_limit_when_its_client_has_gone_and_one_that_is_not_loses_both() {
    let mut sessions = Table::new();
    let (gone, there) = (sessions.insert_with(|_| ()), sessions.insert_with(|_| ()));
    let requests = [
        (gone, ReplyTo::Slot(0), "SET "),
        (gone, ReplyTo::Follower, "limit "),
        (there, ReplyTo::Slot(0), "GET "),
        (gone, ReplyTo::Fragment(1, 0), "MSET "),
        (gone, ReplyTo::Follower, "limits "),
        (gone, ReplyTo::Follower, "more "),
        (gone, ReplyTo::Nobody, "noreply "),
        (there, ReplyTo::Slot(1), "SET "),
        (there, ReplyTo::Follower, "limit"),
    ];
    let is_gone = |id: SessionId| id == gone;
    let mut one = queue(1, &requests);
    assert_eq!(one.drop_unsent(is_gone), amount(4, 25));
    assert_eq!(left(&one), "ET limit GET SET limit");

    let mut one = queue(0, &requests);
    assert_eq!(one.drop_unsent(is_gone), amount(6, 35));
    assert_eq!(left(&one), "GET SET limit");

    let mut one = queue(4 + 6 + 4 + 5, &requests);
    assert_eq!(one.drop_unsent(is_gone), amount(1, 8));
    assert_eq!(left(&one), "limits more SET limit");

    // A late follower stays with its request, too.
    let mut late = queue(1, &requests);
    let timeout = Duration::ZERO;
    let later = late.entries.range_mut(2..);
    later.for_each(|entry| entry.queued = Time::from_micros(9));
    assert!(late.forget_late(Time::ZERO, timeout, false).is_some());
    assert!(late.forget_late(Time::ZERO, timeout, false).is_some());
    assert!(late.forget_late(Time::ZERO, timeout, false).is_none());
    assert_eq!(late.drop_unsent(is_gone), amount(4, 25));
    assert_eq!(left(&late), "ET limit GET SET limit");

    let mut one = queue(4, &requests);
    one.pop();
    assert_eq!(one.drop_unsent(is_gone), amount(4, 25));
    assert_eq!(left(&one), "limit GET SET limit", "after its reply");
    assert_eq!(one.len(), 4);
}

#[test]
fn a_script_is_loaded_for_whoever_calls_it_late_or_not() {
    let mut sessions = Table::new();
    let (gone, there) = (sessions.insert_with(|_| ()), sessions.insert_with(|_| ()));
    let requests = [
        (gone, ReplyTo::Load, "LOAD "),
        (gone, ReplyTo::Slot(0), "CALL "),
        (gone, ReplyTo::Follower, "limit "),
        (there, ReplyTo::Slot(0), "CALL"),
    ];
    let mut one = queue(0, &requests);
    assert_eq!(one.drop_unsent(|id| id == gone), amount(2, 11));
    assert_eq!(left(&one), "LOAD CALL");
    let mut late = queue(0, &requests);
    let mut forgotten = Vec::new();
    while let Some(entry) = late.forget_late(Time::ZERO, Duration::ZERO, false) {
        forgotten.push(entry.reply_to);
    }
    assert_eq!(
        forgotten,
        [ReplyTo::Slot(0), ReplyTo::Follower, ReplyTo::Slot(0)]
    );
    assert_eq!(late.drop_unsent(|id| id == gone), amount(2, 11));
    assert_eq!(left(&late), "LOAD CALL");
}

#[test]
fn what_is_left_of_a_request_that_was_answered_early_counts_for_no_other() {
    let mut sessions = Table::new();
    let session = sessions.insert_with(|_| ());
    let requests = ["early ", "next ", "last"].map(|text| (session, ReplyTo::Slot(0), text));
    let mut one = queue(1, &requests);
    assert!(one.begun().is_some());
    let (_, whole) = one.pop().unwrap();
    assert!(!whole && one.begun().is_none());
    let at = Time::from_micros;
    assert_eq!(one.written(2, at(1)), amount(0, 0));
    assert_eq!(one.written(3 + 5, at(2)), amount(1, 5));
    assert_eq!(one.written(4, at(3)), amount(1, 4));
    assert_eq!(one.amounts(), (amount(2, 9), amount(0, 0)));
    let (_, whole) = one.pop().unwrap();
    assert!(whole && one.begun().is_some());
}
