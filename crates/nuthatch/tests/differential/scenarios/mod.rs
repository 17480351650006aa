//! The scenarios for both proxies. Each one runs only once, however many tests ask for it.

mod failures;
mod odd_memcached;
mod odd_redis;
mod placement;
mod random;
mod replies;
mod settings;

use std::sync::OnceLock;

use crate::compare::{ExcuseCounts, Verdict, compare};
use crate::line::{Answers, Line};
use crate::request::{Protocol, Request};
use crate::wire::{End, Manner};

/// The result of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Differences without an excuse.
    pub(crate) failures: Vec<String>,
    /// Excuses that were needed.
    pub(crate) excuses: Vec<&'static str>,
    /// What was missing, if it could not run.
    pub(crate) skipped: Option<&'static str>,
}

/// A scenario and, once it has run, its report.
pub(crate) struct Scenario {
    play: fn(&mut Play) -> Result<(), &'static str>,
    report: OnceLock<Report>,
}

/// A running scenario.
#[derive(Debug, Default)]
pub(crate) struct Play {
    pub(crate) excuse_counts: ExcuseCounts,
    pub(crate) failures: Vec<String>,
}

/// Reasons to skip.
pub(crate) const NO_SERVERS: &str = "redis-server or memcached is not installed";
pub(crate) const NO_NUTCRACKER: &str = "nutcracker is not installed";

impl Scenario {
    const fn new(play: fn(&mut Play) -> Result<(), &'static str>) -> Scenario {
        Scenario {
            play,
            report: OnceLock::new(),
        }
    }

    pub(crate) fn report(&self) -> &Report {
        self.report.get_or_init(|| {
            let mut play = Play::default();
            let skipped = (self.play)(&mut play).err();
            Report {
                excuses: play.excuse_counts.used(),
                failures: play.failures,
                skipped,
            }
        })
    }
}

impl Play {
    /// Sends both proxies the same requests together and compares the answers; reconnects if they differ.
    pub(crate) fn ask(&mut self, line: &mut Line, requests: &[Request], manner: &Manner) {
        let answers = line.exchange(requests, manner);
        if !self.judge(line.protocol(), requests, &answers) {
            line.reconnect();
        }
    }

    /// Sends one request and, once it has been answered, checks whether the connections are still open:
    /// nutcracker closes some only after it has answered what came with the request.
    pub(crate) fn ask_twice(&mut self, line: &mut Line, request: &Request) {
        let requests = std::slice::from_ref(request);
        let mut answers = line.exchange(requests, &Manner::plain());
        let after = line.exchange(&[], &Manner::plain());
        for (answer, after) in [
            (&mut answers.theirs, after.theirs),
            (&mut answers.ours, after.ours),
        ] {
            if after.end == End::Closed {
                answer.end = End::Closed;
            }
        }
        if !self.judge(line.protocol(), requests, &answers) {
            line.reconnect();
        }
    }

    /// Compares two answers; true if both connections can still be used.
    pub(crate) fn judge(
        &mut self,
        protocol: Protocol,
        requests: &[Request],
        answers: &Answers,
    ) -> bool {
        match compare(protocol, requests, answers, &self.excuse_counts) {
            Ok(verdict) => verdict == Verdict::InStep,
            Err(what) => {
                self.failures.push(what);
                false
            }
        }
    }

    /// Sends each request separately.
    pub(crate) fn ask_each(&mut self, line: &mut Line, requests: &[Request]) {
        for request in requests {
            self.ask(line, std::slice::from_ref(request), &Manner::plain());
        }
    }

    /// Records a failure under a heading.
    pub(crate) fn fail(&mut self, heading: &str, what: &str) {
        self.failures.push(format!("{heading}: {what}"));
    }
}

pub(crate) static RANDOM_REDIS: Scenario = Scenario::new(random::redis);
pub(crate) static RANDOM_MEMCACHED: Scenario = Scenario::new(random::memcached);
pub(crate) static ODD_REDIS: Scenario = Scenario::new(odd_redis::requests);
pub(crate) static ODD_MEMCACHED: Scenario = Scenario::new(odd_memcached::requests);
pub(crate) static PLACED_REDIS: Scenario = Scenario::new(placement::redis);
pub(crate) static PLACED_MEMCACHED: Scenario = Scenario::new(placement::memcached);
pub(crate) static FAILING_REDIS: Scenario = Scenario::new(failures::redis);
pub(crate) static FAILING_MEMCACHED: Scenario = Scenario::new(failures::memcached);
pub(crate) static REDIS_REPLIES: Scenario = Scenario::new(replies::redis);
pub(crate) static MEMCACHED_REPLIES: Scenario = Scenario::new(replies::memcached);
pub(crate) static SETTINGS: Scenario = Scenario::new(settings::play);
pub(crate) static ITSELF: Scenario = Scenario::new(random::itself);

/// Every scenario that may use excuses.
pub(crate) fn all() -> Vec<&'static Scenario> {
    vec![
        &RANDOM_REDIS,
        &RANDOM_MEMCACHED,
        &ODD_REDIS,
        &ODD_MEMCACHED,
        &FAILING_REDIS,
        &FAILING_MEMCACHED,
        &REDIS_REPLIES,
        &MEMCACHED_REPLIES,
        &SETTINGS,
    ]
}
