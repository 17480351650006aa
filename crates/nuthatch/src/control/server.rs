//! The side of the proxy.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::facts::Facts;
use super::message::{Answer, MAX_REQUEST, Request};
use super::{clients, explain, servers, status};
use crate::admin;
use crate::clients::Asked;
use crate::config::Globals;
use crate::controller::{Controller, NoAnswer};
use crate::failure::Failure;
use crate::hot_keys;
use crate::live::Live;
use crate::logger::{self, NOTICE, WARN, log};
use crate::net::{Listener, SocketFile, StopSignal};
use crate::slow_log;

/// Only the owner may connect.
const MODE: u32 = 0o600;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16;

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);

/// Connections at a time, each on a thread of its own. People and their scripts need one or two.
const MAX_CONNECTIONS: usize = 8;

/// How long a connection may take to send its request or to take its answer.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How long the main thread may take: longer than a reload waits for its workers.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long an upgrade may take: longer than the new process may take to start.
const UPGRADED_WITHIN: Duration = Duration::from_secs(45);

/// Slow requests that are shown if no number is given.
const SLOW_SHOWN: usize = 20;

/// Keys of each kind that are shown if no number is given.
const HOT_KEYS_SHOWN: usize = 10;

/// How many descriptors the control socket may need with these settings.
pub(crate) fn descriptors(globals: &Globals) -> u64 {
    globals
        .control
        .as_ref()
        .map_or(0, |_| 1 + MAX_CONNECTIONS as u64)
}

/// Opens the socket; its file is removed when the returned [`SocketFile`] is dropped.
pub(crate) fn open(path: &Path) -> io::Result<(Listener, SocketFile)> {
    Listener::unix(path, Some(MODE), BACKLOG, false)
}

/// Serves the socket on threads of its own, until it is stopped or the process ends.
///
/// # Errors
///
/// When no poll or thread can be created.
pub(crate) fn start(
    mut listener: Listener,
    controller: Controller,
    facts: Facts,
) -> io::Result<StopSignal> {
    let poll = Poll::new()?;
    listener.register(poll.registry(), LISTENER)?;
    let stop = StopSignal::new(Waker::new(poll.registry(), STOP)?);
    let stopped = stop.clone();
    let server = Arc::new(Server {
        controller,
        facts,
        connections: AtomicUsize::new(0),
    });
    thread::Builder::new()
        .name("control".into())
        .spawn(move || server.run(poll, &listener, &stopped))?;
    Ok(stop)
}

struct Server {
    controller: Controller,
    facts: Facts,
    connections: AtomicUsize,
}

impl Server {
    fn run(self: Arc<Self>, mut poll: Poll, listener: &Listener, stop: &StopSignal) {
        let mut events = Events::with_capacity(4);
        while !stop.is_stopped() {
            match listener.accept_blocking() {
                Ok(stream) => Arc::clone(&self).begin(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // What it fails with is found out by accepting.
                    let _ = poll.poll(&mut events, None);
                }
                Err(error) => {
                    log!(WARN, "accept for the control socket failed: {error}");
                    thread::sleep(TIME_LIMIT);
                }
            }
        }
    }

    /// Serves a connection on a thread of its own. One too many is closed.
    fn begin(self: Arc<Self>, stream: UnixStream) {
        if self.connections.fetch_add(1, Ordering::AcqRel) >= MAX_CONNECTIONS {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let server = Arc::clone(&self);
        let thread = thread::Builder::new().name("control".into());
        let begun = thread.spawn(move || {
            // Whoever has left needs no answer.
            let _ = server.serve(stream);
            server.connections.fetch_sub(1, Ordering::AcqRel);
        });
        if begun.is_err() {
            self.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(TIME_LIMIT))?;
        stream.set_write_timeout(Some(TIME_LIMIT))?;
        let mut line = String::new();
        BufReader::new(&stream)
            .take(MAX_REQUEST)
            .read_line(&mut line)?;
        let answer = match serde_json::from_str(&line) {
            Ok(request) => self.answer(request),
            Err(error) => Answer::refused(format!("the request cannot be read: {error}")),
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        stream.write_all(&text)
    }

    fn answer(&self, request: Request) -> Answer {
        match request {
            Request::Stats => self.stats(),
            Request::Servers => Answer::done("", admin::servers(&self.facts.view)),
            Request::Explain(key) => explain::answer(&self.facts.stats, &key),
            Request::LogLevel { level } => log_level(level),
            Request::Shutdown { drain } => {
                let how = if drain {
                    "shutdown after a drain"
                } else {
                    "shutdown"
                };
                log!(NOTICE, "control: {how}");
                match drain {
                    true => self.controller.drain(),
                    false => self.controller.terminate(),
                }
                let text = if drain { "draining" } else { "shutting down" };
                Answer::done(text, ())
            }
            Request::Status => {
                let facts = self.facts.clone();
                self.ask(move |live| status::answer(live, &facts))
            }
            Request::Clients {
                pool,
                count,
                by_name,
            } => {
                let asked = Asked {
                    pool,
                    count,
                    by_name,
                };
                self.ask(move |live| clients::list(live, &asked))
            }
            Request::KillClient { address } => self.ask(move |live| clients::kill(live, &address)),
            Request::Slowlog { count } => {
                let pools = &self.facts.stats.directory.in_force().pools;
                let latest = slow_log::latest(pools, count.unwrap_or(SLOW_SHOWN));
                Answer::done(slow_log::text(&latest), slow_log::json(&latest))
            }
            Request::AcceptServers { pool } => {
                let pools = &self.facts.stats.directory.in_force().pools;
                servers::accept(pools, pool.as_deref())
            }
            Request::Upgrade => self.upgrade(),
            Request::HotKeys { pool, count } => self.hot_keys(pool.as_deref(), count),
            Request::Reload { dry_run: true } => self.ask(dry_run),
            Request::Reload { dry_run: false } => self.ask(reload),
            request => {
                let now = self.facts.stats.clock.now();
                self.ask(move |live| servers::change(live, &request, now))
            }
        }
    }

    fn hot_keys(&self, pool: Option<&str>, count: Option<usize>) -> Answer {
        let mut pools = self.facts.stats.directory.in_force().pools.clone();
        pools.retain(|it| pool.is_none_or(|name| it.name() == name));
        if let (Some(name), true) = (pool, pools.is_empty()) {
            return Answer::refused(format!("there is no pool '{name}'"));
        }
        let now = self.facts.stats.clock.now();
        let known = hot_keys::known(&pools, count.unwrap_or(HOT_KEYS_SHOWN), now);
        Answer::done(hot_keys::text(&known, now), hot_keys::json(&known, now))
    }

    fn ask(&self, work: impl FnOnce(&mut Live) -> Answer + Send + 'static) -> Answer {
        match self.controller.ask(ANSWER_WITHIN, work) {
            Ok(answer) => answer,
            Err(no_answer) => without(no_answer),
        }
    }

    fn upgrade(&self) -> Answer {
        match self.controller.upgrade(UPGRADED_WITHIN) {
            Ok(Ok(replaced)) => Answer::done(replaced.text() + "\n", replaced),
            Ok(Err(reason)) => Answer::refused(format!("nothing has changed: {reason}")),
            Err(no_answer) => without(no_answer),
        }
    }

    fn stats(&self) -> Answer {
        let document = String::from_utf8_lossy(&self.facts.stats.document()).into_owned();
        let data: serde_json::Value = serde_json::from_str(&document).unwrap_or_default();
        Answer::done(document, data)
    }
}

/// What is said without an answer.
fn without(answer: NoAnswer) -> Answer {
    Answer::refused(match answer {
        NoAnswer::Busy => {
            "the proxy is busy with other commands; whether this one will be done is not known"
        }
        NoAnswer::Ending => "the proxy is shutting down",
    })
}

fn log_level(level: Option<u8>) -> Answer {
    if let Some(level) = level {
        logger::set_level(level);
        log!(
            NOTICE,
            "control: the level of the log is {}",
            logger::level()
        );
    }
    let level = logger::level();
    Answer::done(
        format!("the level of the log is {level}"),
        serde_json::json!({ "level": level }),
    )
}

fn dry_run(live: &mut Live) -> Answer {
    match live.dry_run() {
        Ok(changes) => Answer::done(changes.text(), changes),
        Err(failure) => refused(&failure),
    }
}

fn reload(live: &mut Live) -> Answer {
    match live.reload() {
        Ok(reloaded) => {
            let mut text = reloaded.changes.text();
            if !reloaded.all_followed {
                text.push_str("a worker is busy and has not followed yet\n");
            }
            Answer::done(text, reloaded.changes)
        }
        Err(failure) => refused(&failure),
    }
}

fn refused(Failure { details, line }: &Failure) -> Answer {
    Answer::refused(format!("{details}{line}"))
}
