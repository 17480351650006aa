//! The statistics port: a reader connects, gets one line of JSON, and is disconnected (as in nutcracker
//! 0.5.0).
//!
//! A thread of its own reads the workers' counters when a reader connects, so the document is always current.
//! A slow or silent reader delays nobody.

mod document;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::logger::{Repeats, WARN, log, log_limited};
use crate::net::{LingeringCloses, Listener, StopSignal, error_text};

pub(crate) use document::Source;

const LISTENER: Token = Token(0);

/// Tokens from here on belong to readers.
const READERS: usize = 1;

const STOP: Token = Token(usize::MAX);

/// Readers accepted in a row before existing ones are served.
const BATCH: usize = 64;

/// How long accepting pauses when descriptors are short.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Serves the document of `source` to every reader of `listener`, until it is stopped or the process ends.
///
/// # Errors
///
/// When no poll or thread can be created.
pub(crate) fn start(mut listener: Listener, source: Arc<Source>) -> io::Result<StopSignal> {
    let poll = Poll::new()?;
    listener.register(poll.registry(), LISTENER)?;
    let stop = StopSignal::new(Waker::new(poll.registry(), STOP)?);
    let server = Server {
        poll,
        listener: Some(listener),
        stop: stop.clone(),
        source,
        lingering: LingeringCloses::default(),
        accept_at: Some(Instant::now()),
    };
    thread::Builder::new()
        .name("stats".into())
        .spawn(move || server.run())?;
    Ok(stop)
}

struct Server {
    poll: Poll,
    /// Closed once it is stopped.
    listener: Option<Listener>,
    stop: StopSignal,
    source: Arc<Source>,
    lingering: LingeringCloses,
    /// When to accept: now if readers may be waiting, later if it just failed, else `None`.
    accept_at: Option<Instant>,
}

impl Server {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            let timeout = self.timeout(Instant::now());
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return log!(WARN, "the statistics port is closed: {error}"),
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept_at = Some(now),
                    STOP => {}
                    Token(token) => self.lingering.handle_ready(token - READERS, event.into()),
                }
            }
            self.lingering.handle_timeout(now);
            if self.stop.is_stopped() {
                // Readers that have their document are served on.
                (self.listener, self.accept_at) = (None, None);
            }
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept_at = self.accept(now);
            }
        }
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        let lingering = self.lingering.next_deadline();
        let next = self.accept_at.into_iter().chain(lingering).min()?;
        Some(next.saturating_duration_since(now))
    }

    /// Answers waiting readers; returns when to try again without an event.
    fn accept(&mut self, now: Instant) -> Option<Instant> {
        let listener = self.listener.as_ref()?;
        for _ in 0..BATCH {
            match listener.accept() {
                Ok((stream, _)) => {
                    let document = self.source.document().into();
                    let registry = self.poll.registry();
                    // A reader that has left needs no answer.
                    let _ = self
                        .lingering
                        .send_and_close(stream, document, registry, READERS, now);
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return None,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        let text = error_text(&error);
                        log_limited!(
                            WARN,
                            Repeats::of_lasting("accept", "statistics"),
                            "accept for the statistics failed: {text}"
                        );
                        return Some(now + RETRY_AFTER);
                    }
                },
            }
        }
        Some(now)
    }
}

#[cfg(test)]
mod tests;
