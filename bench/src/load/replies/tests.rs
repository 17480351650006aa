//! Every kind of reply, right and wrong, cut at every byte.

use super::super::Mix;
use super::super::traffic::Traffic;
use super::*;

const KEYS: u32 = 50;

fn keys() -> Keyspace {
    Keyspace::new(KEYS, 20)
}

fn value(id: u32) -> String {
    let mut out = Vec::new();
    keys().push_value(&mut out, id);
    String::from_utf8(out).unwrap()
}

fn get(id: u32) -> Request {
    request(Kind::Get, id)
}

fn request(kind: Kind, id: u32) -> Request {
    Request { kind, id, since: 0 }
}

fn bulk(id: u32) -> String {
    format!("$20\r\n{}\r\n", value(id))
}

fn found(id: u32) -> String {
    format!("VALUE nb20:{id:08} 0 20\r\n{}\r\n", value(id))
}

/// The verdicts on `input`, which arrives in pieces of `cut` bytes; `None` for invalid input.
fn verdicts(
    protocol: Protocol,
    asked: &[Request],
    input: &str,
    cut: usize,
) -> Vec<Option<Verdict>> {
    let mut queue: VecDeque<Request> = asked.iter().copied().collect();
    let (mut reader, mut held, mut needs, mut out) = (Reader::default(), Vec::new(), 0, Vec::new());
    for piece in input.as_bytes().chunks(cut) {
        held.extend_from_slice(piece);
        while !held.is_empty() && held.len() >= needs {
            needs = 0;
            match reader.step(protocol, &keys(), &held, &queue) {
                Step::Needs(len) => {
                    assert!(len > held.len(), "would never go on");
                    needs = len;
                }
                Step::Took(len) => drop(held.drain(..len)),
                Step::Ends(len, verdict) => {
                    held.drain(..len);
                    queue.pop_front();
                    out.push(Some(verdict));
                }
                Step::Garbage => {
                    out.push(None);
                    return out;
                }
            }
        }
    }
    out
}

fn check(protocol: Protocol, asked: &[Request], input: &str, expected: &[Option<Verdict>]) {
    for cut in [1, 2, 3, 7, input.len()] {
        let got = verdicts(protocol, asked, input, cut);
        assert_eq!(got, expected, "{input:?} in pieces of {cut}");
    }
}

use Verdict::{Error, Misordered, Missing, Right, Wrong};

#[test]
fn redis_replies_are_judged() {
    let asked = [get(1), request(Kind::Set, 2), get(3)];
    let both = |first: &str, verdict| {
        let input = format!("{first}+OK\r\n{}", bulk(3));
        let expected = [Some(verdict), Some(Right), Some(Right)];
        check(Protocol::Redis, &asked, &input, &expected);
    };
    both(&bulk(1), Right);
    both(&bulk(9), Wrong);
    both(&bulk(3), Misordered);
    both("$20\r\nnot the value of 1..\r\n", Wrong);
    both("$3\r\nabc\r\n", Wrong);
    both("$-1\r\n", Missing);
    both("-ERR no\r\n", Error);
    both("+OK\r\n", Misordered);
    both("*0\r\n", Misordered);
}

#[test]
fn redis_arrays_are_judged_by_place() {
    let asked = [request(Kind::MultiGet(3), KEYS - 1), get(5)];
    let three = |parts: [&str; 3], verdict| {
        let input = format!("*3\r\n{}{}", parts.concat(), bulk(5));
        check(
            Protocol::Redis,
            &asked,
            &input,
            &[Some(verdict), Some(Right)],
        );
    };
    let (a, b, c) = (&*bulk(KEYS - 1), &*bulk(0), &*bulk(1));
    three([a, b, c], Right);
    three([b, a, c], Misordered);
    three([a, "$-1\r\n", c], Missing);
    three([a, &bulk(30), c], Wrong);
    let error = format!("-ERR no\r\n{}", bulk(5));
    check(Protocol::Redis, &asked, &error, &[Some(Error), Some(Right)]);
    let short = format!("*2\r\n{}", bulk(5));
    let expected = [Some(Misordered), Some(Right)];
    check(Protocol::Redis, &asked, &short, &expected);
}

#[test]
fn memcached_replies_are_judged() {
    let asked = [get(1), request(Kind::Set, 2), get(3)];
    let both = |first: &str, verdict| {
        let input = format!("{first}STORED\r\n{}END\r\n", found(3));
        let expected = [Some(verdict), Some(Right), Some(Right)];
        check(Protocol::Memcached, &asked, &input, &expected);
    };
    let end = "END\r\n";
    both(&(found(1) + end), Right);
    both(end, Missing);
    both(&(found(3) + end), Misordered);
    both(&(found(1).replace(&value(1), &value(9)) + end), Wrong);
    both(&(found(1) + &found(1) + end), Wrong);
    both("VALUE other 0 1\r\nx\r\nEND\r\n", Wrong);
    both("SERVER_ERROR Connection refused\r\n", Error);
    both("STORED\r\n", Misordered);
}

#[test]
fn memcached_values_may_come_in_any_order_but_once() {
    let asked = [request(Kind::MultiGet(3), KEYS - 1), get(5)];
    let some = |parts: &[String], verdict| {
        let input = format!("{}END\r\n{}END\r\n", parts.concat(), found(5));
        check(
            Protocol::Memcached,
            &asked,
            &input,
            &[Some(verdict), Some(Right)],
        );
    };
    let (a, b, c) = (found(KEYS - 1), found(0), found(1));
    some(&[a.clone(), b.clone(), c.clone()], Right);
    some(&[c.clone(), a.clone(), b.clone()], Right);
    some(&[a.clone(), b.clone()], Missing);
    some(&[a.clone(), b.clone(), b.clone()], Wrong);
    some(&[a.clone(), b, found(7)], Misordered);
}

#[test]
fn what_is_no_reply_ends_the_reading() {
    for input in [
        "what\r\n",
        "$x\r\n",
        "+no carriage return\n",
        "$20\r\n01234567890123456789xx",
    ] {
        check(Protocol::Redis, &[get(1)], input, &[None]);
    }
    check(Protocol::Redis, &[get(1)], "$999999999\r\n", &[None]);
    check(Protocol::Memcached, &[get(1)], "VALUE k\r\n", &[None]);
    let unasked = bulk(1) + &bulk(1);
    check(Protocol::Redis, &[get(1)], &unasked, &[Some(Right), None]);
    let endless = "x".repeat(MAX_LINE);
    assert_eq!(
        verdicts(Protocol::Redis, &[get(1)], &endless, 1_000),
        [None]
    );
}

#[test]
fn requests_and_replies_agree_on_a_multi_gets_keys() {
    let mut out = Vec::new();
    let request = Traffic::new(Protocol::Redis, Mix::MultiGet(KEYS), keys()).push_next(&mut out, 0);
    let text = String::from_utf8(out).unwrap();
    let named: Vec<u32> = text
        .split("\r\n")
        .filter_map(|word| keys().id_of(word.as_bytes()))
        .collect();
    let expected: Vec<u32> = (0..KEYS).map(|i| key_at(&keys(), request.id, i)).collect();
    assert_eq!(named, expected);
}
