//! The requests that took longest: what was asked, by whom, of which server, and where the time went.
//!
//! Requests leave nothing behind here when they are written, so that a slow one could not be named when its reply comes.
//! With a slow log, the command and the beginning of the key of each request are kept until it is answered.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::limits::{SLOW_COMMAND, SLOW_KEY, SLOW_REQUESTS};
use crate::time::Time;

/// A request that took longer than `slow_log` says.
#[derive(Debug, Clone)]
pub struct SlowRequest {
    /// Counts the slow requests of the pool, from 0.
    pub number: u64,
    /// When it was answered.
    pub at: Time,
    /// How long it waited in the proxy until it was written.
    pub waited: Duration,
    /// How long it waited at the server then.
    pub served: Duration,
    /// The server's name.
    pub server: Box<str>,
    /// The client as log lines name it, and the name that it has given itself; empty if it has left.
    pub client: (Box<str>, Box<[u8]>),
    /// Which request it was.
    pub what: Note,
    /// Its size in bytes.
    pub bytes: usize,
}

/// The command of a request and the beginning of its first key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Note {
    command: [u8; SLOW_COMMAND],
    key: [u8; SLOW_KEY],
    command_len: u8,
    key_len: u8,
    /// Bytes of the key that are left out.
    left_out: u32,
}

impl Note {
    #[inline(never)]
    pub(crate) fn new(command: &[u8], key: &[u8]) -> Self {
        let mut note = Self::default();
        let kept = command.len().min(SLOW_COMMAND);
        note.command[..kept].copy_from_slice(&command[..kept]);
        note.command_len = kept as u8;
        let kept = key.len().min(SLOW_KEY);
        note.key[..kept].copy_from_slice(&key[..kept]);
        note.key_len = kept as u8;
        note.left_out = u32::try_from(key.len() - kept).unwrap_or(u32::MAX);
        note
    }

    /// The command as the client wrote it, perhaps only its beginning; empty if it is not known.
    pub fn command(&self) -> &[u8] {
        &self.command[..usize::from(self.command_len)]
    }

    /// The beginning of the first key; empty if there is none.
    pub fn key(&self) -> &[u8] {
        &self.key[..usize::from(self.key_len)]
    }

    /// How many bytes of the key are left out.
    pub fn left_out(&self) -> usize {
        self.left_out as usize
    }
}

/// The latest slow requests of a pool, of all its workers, none of which ever waits for another: each request takes the
/// place of the one that came [`SLOW_REQUESTS`] before it.
#[derive(Debug)]
pub struct SlowLog {
    /// How many there ever were: the number of the next.
    next: AtomicU64,
    /// Those before this number are forgotten.
    cleared: AtomicU64,
    places: Box<[ArcSwapOption<SlowRequest>]>,
}

impl Default for SlowLog {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(0),
            cleared: AtomicU64::new(0),
            places: (0..SLOW_REQUESTS).map(|_| ArcSwapOption::empty()).collect(),
        }
    }
}

impl SlowLog {
    /// The latest ones, newest first, at most so many.
    pub fn latest(&self, most: usize) -> Vec<Arc<SlowRequest>> {
        let cleared = self.cleared.load(Ordering::Acquire);
        let kept = self.places.iter().filter_map(ArcSwapOption::load_full);
        let mut kept: Vec<_> = kept.filter(|slow| slow.number >= cleared).collect();
        kept.sort_unstable_by_key(|slow| Reverse(slow.number));
        kept.truncate(most);
        kept
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.latest(usize::MAX).len()
    }

    /// Forgets all.
    pub fn clear(&self) {
        let next = self.next.load(Ordering::Acquire);
        self.cleared.store(next, Ordering::Release);
        self.places.iter().for_each(|place| place.store(None));
    }

    /// Adds a request, whose number is set here.
    pub(crate) fn add(&self, mut request: SlowRequest) {
        request.number = self.next.fetch_add(1, Ordering::AcqRel);
        let place = request.number as usize % SLOW_REQUESTS;
        self.places[place].store(Some(Arc::new(request)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: &[u8]) -> SlowRequest {
        SlowRequest {
            number: 0,
            at: Time::ZERO,
            waited: Duration::ZERO,
            served: Duration::ZERO,
            server: "s".into(),
            client: ("c".into(), Box::default()),
            what: Note::new(b"GET", key),
            bytes: 1,
        }
    }

    #[test]
    fn the_latest_are_kept_and_numbered() {
        let log = SlowLog::default();
        let keys: Vec<String> = (0..SLOW_REQUESTS + 3).map(|it| it.to_string()).collect();
        for key in &keys {
            log.add(request(key.as_bytes()));
        }
        assert_eq!(log.count(), SLOW_REQUESTS);
        let latest = log.latest(2);
        assert_eq!(latest[0].number, keys.len() as u64 - 1);
        assert_eq!(latest[1].what.key(), keys[keys.len() - 2].as_bytes());
        log.clear();
        assert_eq!(log.count(), 0);
        log.add(request(b"next"));
        assert_eq!(log.latest(9)[0].number, keys.len() as u64);
    }

    #[test]
    fn long_names_and_keys_are_cut() {
        let key = [b'k'; SLOW_KEY + 7];
        let note = Note::new(&[b'c'; SLOW_COMMAND + 1], &key);
        assert_eq!(note.command().len(), SLOW_COMMAND);
        assert_eq!((note.key(), note.left_out()), (&key[..SLOW_KEY], 7));
        let short = Note::new(b"get", b"");
        assert_eq!(
            (short.command(), short.key(), short.left_out()),
            (&b"get"[..], &b""[..], 0)
        );
    }
}
