//! The scripts that a pool's clients have sent, so that a server that lacks one can be given it: servers forget their
//! scripts when they are restarted, and a client has sent a script to the server of one key and calls it by the key of
//! another.
//!
//! All workers share it. What was loaded (SCRIPT LOAD) is found by its digest. Of what was executed (EVAL) no digest is
//! known: computing it each time would cost more than the rest of the request. Such bodies are kept as they are, and their
//! digests are computed when somebody asks for one that is not known.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use redis_proto::encode;
use sha1::{Digest as _, Sha1};

use crate::limits::{
    BODY_BUCKETS, BODY_WAYS, HASHED_AT_ONCE, MAX_SCRIPT, MAX_SCRIPT_BYTES, MAX_SCRIPTS,
};

/// The digest by which a script is called.
pub(crate) type Digest = [u8; 20];

/// A script that can be loaded.
#[derive(Debug)]
pub(crate) struct Script {
    /// Unique in the process.
    number: u64,
    /// The request that loads it.
    request: Box<[u8]>,
}

impl Script {
    /// Its number, which no other script has. One that was forgotten gets another when it comes again.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The request that loads it.
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }
}

/// What was loaded, in one version.
#[derive(Debug, Clone, Default)]
struct Loaded {
    by_digest: HashMap<Digest, Arc<Script>>,
    /// The oldest first.
    order: VecDeque<Digest>,
    /// Of all requests together.
    bytes: usize,
}

/// What was executed.
#[derive(Debug)]
struct Body {
    text: Box<[u8]>,
    digest: OnceLock<Digest>,
}

/// The scripts of a pool.
pub(crate) struct ScriptMemory {
    loaded: ArcSwap<Loaded>,
    bodies: Box<[ArcSwapOption<Body>]>,
}

/// Numbers scripts.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Default for ScriptMemory {
    fn default() -> Self {
        let slots = 0..BODY_BUCKETS * BODY_WAYS;
        Self {
            loaded: ArcSwap::default(),
            bodies: slots.map(|_| ArcSwapOption::empty()).collect(),
        }
    }
}

impl ScriptMemory {
    /// A client loads a script.
    pub(crate) fn load(&self, body: &[u8]) {
        if body.len() <= MAX_SCRIPT {
            self.add(Sha1::digest(body).into(), body);
        }
    }

    /// A client executes a script. This costs a comparison with what was executed before.
    pub(crate) fn execute(&self, body: &[u8]) {
        if body.len() > MAX_SCRIPT {
            return;
        }
        let mixed = mix(body);
        let first = mixed as usize % BODY_BUCKETS * BODY_WAYS;
        let bucket = &self.bodies[first..first + BODY_WAYS];
        let mut free = None;
        for (way, slot) in bucket.iter().enumerate() {
            match &*slot.load() {
                Some(known) if *known.text == *body => return,
                Some(_) => {}
                None => free = Some(way),
            }
        }
        let way = free.unwrap_or((mixed >> 32) as usize % BODY_WAYS);
        bucket[way].store(Some(Arc::new(Body {
            text: body.into(),
            digest: OnceLock::new(),
        })));
    }

    /// The script with this digest.
    pub(crate) fn find(&self, digest: &Digest) -> Option<Arc<Script>> {
        let loaded = self.loaded.load();
        match loaded.by_digest.get(digest) {
            Some(script) => Some(Arc::clone(script)),
            None => self.find_executed(digest),
        }
    }

    /// The same among those that were only executed. Digests that are not known are computed, not all at once if those
    /// are many: then it may be found the next time.
    #[cold]
    fn find_executed(&self, digest: &Digest) -> Option<Arc<Script>> {
        let mut left = HASHED_AT_ONCE;
        for slot in &self.bodies {
            let slot = slot.load();
            let Some(body) = &*slot else {
                continue;
            };
            let known = match body.digest.get() {
                Some(known) => known,
                None if left < body.text.len() => continue,
                None => {
                    left -= body.text.len();
                    body.digest.get_or_init(|| Sha1::digest(&body.text).into())
                }
            };
            if known == digest {
                self.add(*digest, &body.text);
                return self.loaded.load().by_digest.get(digest).cloned();
            }
        }
        None
    }

    fn add(&self, digest: Digest, body: &[u8]) {
        if self.loaded.load().by_digest.contains_key(&digest) {
            return;
        }
        let mut request = Vec::new();
        encode::command(&mut request, &[b"SCRIPT", b"LOAD", body]);
        let script = Arc::new(Script {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            request: request.into(),
        });
        self.loaded.rcu(|loaded| {
            let mut next = Loaded::clone(loaded);
            next.add(digest, Arc::clone(&script));
            next
        });
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        self.bodies.iter().for_each(|slot| slot.store(None));
        self.loaded.store(Arc::default());
    }
}

impl Loaded {
    /// Adds a script; the oldest ones leave if there are too many.
    fn add(&mut self, digest: Digest, script: Arc<Script>) {
        self.bytes += script.request.len();
        if let Some(before) = self.by_digest.insert(digest, script) {
            self.bytes -= before.request.len();
            return;
        }
        self.order.push_back(digest);
        while self.order.len() > MAX_SCRIPTS || self.bytes > MAX_SCRIPT_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(script) = self.by_digest.remove(&oldest) {
                self.bytes -= script.request.len();
            }
        }
    }
}

/// A number that differs for most bodies, from a few parts of the body: reading all of it would take as long as comparing
/// it.
fn mix(body: &[u8]) -> u64 {
    const PARTS: usize = 8;
    const WORD: usize = size_of::<u64>();
    let mut mixed = body.len() as u64;
    let step = (body.len().saturating_sub(WORD) / PARTS).max(1);
    for part in body.windows(WORD).step_by(step).take(PARTS + 1) {
        let word = part
            .first_chunk()
            .map_or(0, |word| u64::from_le_bytes(*word));
        mixed = (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
    }
    mixed
}

/// A digest as clients write it, in hexadecimal digits of any case.
pub(crate) fn read_digest(text: &[u8]) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? * 16 + digit(1)?) as u8;
    }
    Some(digest)
}

/// What is in them is for nobody's log.
impl fmt::Debug for ScriptMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loaded = self.loaded.load().order.len();
        f.debug_struct("ScriptMemory")
            .field("loaded", &loaded)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETURN_1: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

    fn digest(text: &str) -> Digest {
        read_digest(text.as_bytes()).expect("a digest")
    }

    fn digest_of(body: &str) -> Digest {
        Sha1::digest(body.as_bytes()).into()
    }

    #[test]
    fn digests_are_read_as_servers_read_them() {
        assert_eq!(digest(RETURN_1), digest_of("return 1"));
        assert_eq!(digest(&RETURN_1.to_ascii_uppercase()), digest(RETURN_1));
        for none in [
            "",
            "e0",
            &RETURN_1[1..],
            &RETURN_1.replace('e', "g"),
            &RETURN_1.replace('0', "+"),
        ] {
            assert_eq!(read_digest(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn what_was_loaded_or_executed_is_found_until_all_is_forgotten() {
        let memory = ScriptMemory::default();
        assert!(memory.find(&digest(RETURN_1)).is_none());
        memory.load(b"return 1");
        memory.execute(b"return 2");
        memory.execute(b"return 2");
        let one = memory.find(&digest(RETURN_1)).expect("it was loaded");
        assert_eq!(
            one.request(),
            b"*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$8\r\nreturn 1\r\n"
        );
        let two = memory
            .find(&digest_of("return 2"))
            .expect("it was executed");
        assert_ne!(one.number(), two.number());
        memory.load(b"return 1");
        let again = memory.find(&digest(RETURN_1)).expect("it was loaded");
        assert_eq!(again.number(), one.number());
        memory.clear();
        for body in ["return 1", "return 2"] {
            assert!(memory.find(&digest_of(body)).is_none());
        }
        memory.load(b"return 1");
        let anew = memory.find(&digest(RETURN_1)).expect("it was loaded");
        assert_ne!(
            anew.number(),
            one.number(),
            "servers have forgotten it, too"
        );
    }

    #[test]
    fn it_has_bounds() {
        let memory = ScriptMemory::default();
        let body = |number: usize| format!("return {number:08}");
        for number in 0..MAX_SCRIPTS + 10 {
            memory.load(body(number).as_bytes());
        }
        for (number, is_known) in [(0, false), (9, false), (10, true), (MAX_SCRIPTS + 9, true)] {
            let found = memory.find(&digest_of(&body(number)));
            assert_eq!(found.is_some(), is_known, "{number}");
        }
        let large = |number: usize| format!("{number:08}{}", " ".repeat(MAX_SCRIPT - 8));
        let many = MAX_SCRIPT_BYTES / MAX_SCRIPT + 10;
        for number in 0..many {
            memory.load(large(number).as_bytes());
        }
        assert!(memory.find(&digest_of(&large(0))).is_none());
        assert!(memory.find(&digest_of(&large(many - 1))).is_some());
        assert!(memory.loaded.load().bytes <= MAX_SCRIPT_BYTES);
        let too_large = large(0) + " ";
        memory.load(too_large.as_bytes());
        memory.execute(too_large.as_bytes());
        assert!(memory.find(&digest_of(&too_large)).is_none());
    }

    #[test]
    fn digests_of_many_bodies_are_computed_a_few_at_a_time() {
        let memory = ScriptMemory::default();
        let body = |number: usize| format!("{number:08}{}", "x".repeat(MAX_SCRIPT / 2));
        // As many as find room, wherever they are put.
        (0..BODY_BUCKETS).for_each(|number| memory.execute(body(number).as_bytes()));
        let hashed = || {
            let bodies = memory.bodies.iter().map(ArcSwapOption::load_full);
            bodies
                .flatten()
                .filter(|body| body.digest.get().is_some())
                .count()
        };
        let unknown = Digest::default();
        let mut before = 0;
        for _ in 0..3 {
            assert!(memory.find(&unknown).is_none());
            assert!(hashed() > before && (hashed() - before) * MAX_SCRIPT / 2 <= HASHED_AT_ONCE);
            before = hashed();
        }
    }

    #[test]
    fn an_application_with_fifty_scripts_keeps_them_all() {
        let memory = ScriptMemory::default();
        let body = |number: usize| {
            format!(
                "local key = KEYS[1]\nlocal n = {number}\n-- the same for all\nreturn redis.call('GET', key)\n"
            )
        };
        (0..50).for_each(|number| memory.execute(body(number).as_bytes()));
        let kept = (0..50).filter(|number| memory.find(&digest_of(&body(*number))).is_some());
        assert!(kept.count() >= 48);
    }
}
