//! Turns the bytes of a fuzzer into a script: requests of one client, and how they and their replies are cut.

use arbitrary::{Result, Unstructured};

use crate::protocol::Protocol;
use crate::{memcached, redis};

/// More would not be read in one iteration of a server's loop, and the end of the connection might be handled
/// before the replies.
const MOST_BYTES: usize = 256 << 10;

/// Maximum requests per script.
const MOST_ITEMS: usize = 40;

/// The script of one run.
#[derive(Debug)]
pub(crate) struct Script {
    /// What the client sends.
    pub(crate) bytes: Vec<u8>,
    /// Sizes of the pieces that the core gets, repeated.
    pub(crate) writes: Vec<usize>,
    /// The same for the server's replies.
    pub(crate) reads: Vec<usize>,
    /// What another client asks afterwards, and the expected reply.
    pub(crate) question: &'static [u8],
    pub(crate) answer: &'static [u8],
}

impl Script {
    /// Every input is a script; an input that ends early gives a short one.
    pub(crate) fn new(protocol: Protocol, data: &[u8]) -> Script {
        let mut u = Unstructured::new(data);
        let (flush, question, answer): (&[u8], &'static [u8], &'static [u8]) = match protocol {
            Protocol::Redis => (redis::FLUSH, redis::QUESTION, redis::ANSWER),
            Protocol::Memcached => (memcached::FLUSH, memcached::QUESTION, memcached::ANSWER),
        };
        let mut script = Script {
            bytes: flush.to_vec(),
            writes: sizes(&mut u).unwrap_or_else(|_| vec![usize::MAX]),
            reads: sizes(&mut u).unwrap_or_else(|_| vec![1 << 16]),
            question,
            answer,
        };
        for _ in 0..MOST_ITEMS {
            let begun = script.bytes.len();
            if u.is_empty() || script.item(protocol, &mut u).is_err() {
                script.bytes.truncate(begun);
                break;
            }
            if script.bytes.len() > MOST_BYTES {
                script.bytes.truncate(MOST_BYTES);
                break;
            }
        }
        script
    }

    fn item(&mut self, protocol: Protocol, u: &mut Unstructured<'_>) -> Result<()> {
        let mut request = match protocol {
            Protocol::Redis => redis::request(u)?,
            Protocol::Memcached => memcached::request(u)?,
        };
        // Most requests are valid: what follows an invalid one is rarely reached.
        match u.int_in_range(0..=63)? {
            63 => request.truncate(u.int_in_range(0..=request.len())?),
            62 => flip(u, &mut request)?,
            61 => insert(u, &mut request)?,
            60 => request.splice(0..0, *b"\r\n").for_each(drop),
            _ => {}
        }
        self.bytes.extend_from_slice(&request);
        let late = memcached::LATE_FLUSH;
        let mut windows = self.bytes.windows(late.len() + 1);
        let is_late = |window: &[u8]| window.starts_with(late) && window[late.len()] != b'n';
        if let Some(at) = windows.position(is_late) {
            self.bytes.truncate(at);
        }
        Ok(())
    }

    /// The script as text, to understand a failure.
    pub(crate) fn shown(&self) -> String {
        format!(
            "sent, in pieces of {:?}, and read in pieces of {:?}:\n  {}",
            self.writes,
            self.reads,
            short(&self.bytes)
        )
    }
}

/// Bytes as text, with the middle of long ones left out.
pub(crate) fn short(bytes: &[u8]) -> String {
    match bytes.len() {
        ..=1_600 => bytes.escape_ascii().to_string(),
        len => format!(
            "{} ... {} ({len} bytes)",
            bytes[..800].escape_ascii(),
            bytes[len - 800..].escape_ascii()
        ),
    }
}

fn sizes(u: &mut Unstructured<'_>) -> Result<Vec<usize>> {
    const SIZES: [usize; 8] = [1 << 16, 1 << 16, 1, 2, 3, 17, 100, 4_096];
    let count = u.int_in_range(1..=3)?;
    (0..count).map(|_| Ok(*u.choose(&SIZES)?)).collect()
}

fn flip(u: &mut Unstructured<'_>, request: &mut [u8]) -> Result<()> {
    if !request.is_empty() {
        let at = u.int_in_range(0..=request.len() - 1)?;
        request[at] = u.arbitrary()?;
    }
    Ok(())
}

fn insert(u: &mut Unstructured<'_>, request: &mut Vec<u8>) -> Result<()> {
    let at = u.int_in_range(0..=request.len())?;
    let len = u.int_in_range(0..=8)?;
    let noise = u.bytes(len.min(u.len()))?.to_vec();
    request.splice(at..at, noise);
    Ok(())
}
