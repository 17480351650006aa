//! Requests of a million arguments.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::case::{Case, Finding, Limit};
use crate::rig::{REDIS, Rig};
use crate::wire;

/// Arguments of a request besides its name.
const ARGUMENTS: usize = 1_000_000;

/// How long the request that is under way when the time is over may still take.
const EXTRA: Duration = Duration::from_secs(20);

/// Bytes of a reply that the report shows.
const SHOWN: usize = 40;

pub(super) fn cases(limit: Duration) -> Vec<Case> {
    let case = |name: &'static str, words: &'static [&'static str]| Case {
        attack: "huge",
        name: name.into(),
        setup: REDIS,
        limit: Limit::Longest(limit),
        strike: Box::new(move |rig, until| strike(rig, words, until)),
    };
    vec![
        case("MGET", &["MGET"]),
        case("DEL", &["DEL"]),
        case("EXISTS", &["EXISTS"]),
        case("COMMAND INFO", &["COMMAND", "INFO"]),
    ]
}

/// One client sends the request again as soon as it is answered. No key is the bystander's server's.
fn strike(rig: &Rig, words: &[&str], until: Instant) -> Result<Finding, String> {
    let keys = (0..ARGUMENTS).map(|number| rig.key(1 + number % 2, &number.to_string()));
    let words = words.iter().map(|word| (*word).to_string());
    let arguments: Vec<String> = words.chain(keys).collect();
    let mut bytes = wire::request(arguments.iter());
    // Its reply marks the end of the other.
    bytes.extend_from_slice(b"PING\r\n");
    let mut stream = wire::connect(rig.address)?;
    let last = until + EXTRA;
    let (mut answered, mut received, mut start) = (0, 0, String::new());
    while Instant::now() < until {
        if wire::write_until(&mut stream, &bytes, last) < bytes.len() {
            return Err("the request was not accepted".into());
        }
        received += read_to_pong(&mut stream, &mut start)?;
        answered += 1;
    }
    let megabytes = received as f64 / 1e6;
    let note = format!("{answered} answered with {megabytes:.1} MB, such as {start:?}");
    Ok(Finding { seen: 0, note })
}

/// Reads everything up to the reply to PING, which is the last that is owed; how many bytes came. `start` is
/// set to how the first reply begins.
fn read_to_pong(stream: &mut TcpStream, start: &mut String) -> Result<usize, String> {
    const PONG: &[u8] = b"+PONG\r\n";
    let mut chunk = vec![0; 256 << 10];
    let mut end: Vec<u8> = Vec::new();
    let mut received = 0;
    while !end.ends_with(PONG) {
        match stream.read(&mut chunk) {
            Ok(0) => return Err("the connection was closed before the reply's end".into()),
            Ok(count) => {
                if received == 0 {
                    let shown = &chunk[..count.min(SHOWN)];
                    *start = String::from_utf8_lossy(shown).into_owned();
                }
                received += count;
                end.extend_from_slice(&chunk[..count]);
                end.drain(..end.len().saturating_sub(PONG.len()));
            }
            Err(error) => return Err(format!("the reply ends early: {error}")),
        }
    }
    Ok(received)
}
