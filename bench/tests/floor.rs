//! The floor with the load generator: every reply of every mix is right.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail as loudly as tests"
)]

use std::net::TcpListener;
use std::thread;

use nuthatch_bench::floor;
use nuthatch_bench::load::{Options, Report, run};

fn load(line: &str) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    thread::spawn(move || floor::serve(&listener));
    let line = format!("--target {target} --seconds 60 {line}");
    let words: Vec<String> = line.split(' ').map(String::from).collect();
    run(&Options::parse(&words).unwrap()).unwrap()
}

#[test]
fn every_mix_is_answered_rightly() {
    for protocol in ["redis", "memcached"] {
        for mix in ["get", "set", "mixed", "mget --batch 100", "fill"] {
            for (size, pipeline) in [(1, 1), (3, 16), (100, 100), (20_000, 3)] {
                let line = format!(
                    "--protocol {protocol} --mix {mix} --size {size} --keys 500 --clients 7 \
                     --pipeline {pipeline} --requests 700"
                );
                let report = load(&line);
                assert!(report.is_flawless(), "{line}: {}", report.faults());
                let count = if mix == "fill" { 500 } else { 700 };
                assert_eq!(report.answered, count, "{line}");
            }
        }
    }
}

#[test]
fn values_that_come_and_go_in_many_pieces_are_right() {
    for protocol in ["redis", "memcached"] {
        let line = format!(
            "--protocol {protocol} --mix mixed --size 1048576 --keys 16 --clients 5 --pipeline 4 --requests 60"
        );
        let report = load(&line);
        assert!(report.is_flawless(), "{line}: {}", report.faults());
    }
}

#[test]
fn an_open_loop_is_answered_rightly() {
    let report = load("--protocol memcached --mix mixed --rate 2000 --clients 3 --requests 400");
    assert_eq!((report.is_flawless(), report.answered), (true, 400));
}
