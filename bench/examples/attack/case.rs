//! One case of an attack: what it is, how it runs, and what must hold.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use nuthatch_bench::usage::Usage;

use crate::bystander::{Bystander, Latencies};
use crate::options::Options;
use crate::priority;
use crate::rig::{Rig, Setup};
use crate::watch::Watch;

/// How long a bystander is measured before the attack, at most.
const IDLE_TIME: Duration = Duration::from_secs(1);

/// How long the proxy may take to return memory after the attack, and to write its log: what it frees becomes the
/// system's within about two seconds.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// How an attack is made, and until when. It may take a little longer, but not without limit.
pub(crate) type Strike = Box<dyn Fn(&Rig, Instant) -> Result<Finding, String> + Send + Sync>;

/// An attack in one of its forms.
pub(crate) struct Case {
    /// The attack's name, shared by its cases.
    pub(crate) attack: &'static str,
    /// The case's name.
    pub(crate) name: String,
    /// What is attacked.
    pub(crate) setup: Setup,
    /// What must hold.
    pub(crate) limit: Limit,
    /// The attack.
    pub(crate) strike: Strike,
}

/// What the attack itself saw.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Finding {
    /// The number that [`Limit::Seen`] limits.
    pub(crate) seen: u64,
    /// What was done to the proxy, in a few words.
    pub(crate) note: String,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    /// By how much the attack may raise the bystander's 99th percentile.
    P99(Duration),
    /// By how much the bystander's longest wait may exceed that without the attack.
    Longest(Duration),
    /// By how many bytes resident memory may grow.
    Growth(u64),
    /// How many bytes of memory may be resident.
    Peak(u64),
    /// How many bytes may be logged.
    Log(u64),
    /// How often something may be seen: [`Finding::seen`].
    Seen(u64, &'static str),
    /// Nothing is judged but that the bystander is served.
    Nothing,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    /// The bystander before the attack.
    pub(crate) idle: Latencies,
    /// The bystander during the attack.
    pub(crate) attacked: Latencies,
    /// Resident memory in bytes: before the attack, its peak, after it.
    pub(crate) memory: [u64; 3],
    /// Bytes that were logged because of the attack.
    pub(crate) logged: u64,
    /// What the attack saw.
    pub(crate) finding: Finding,
}

impl Case {
    /// Starts servers and proxy, attacks, and ends everything.
    ///
    /// # Errors
    ///
    /// When a program is not installed, the attack cannot be made, the proxy ends, or the bystander is not
    /// served.
    pub(crate) fn run(&self, options: &Options) -> Result<Figures, String> {
        let mut rig = Rig::start(&options.nuthatch, self.setup)?;
        let idle = Bystander::start(rig.target()?)?;
        thread::sleep(IDLE_TIME.min(options.time));
        let idle = idle.finish()?;
        let before = Usage::of(rig.proxy.pid())?.memory;
        let logged_before = rig.logged()?;
        let watch = Watch::start(rig.proxy.pid());
        let bystander = Bystander::start(rig.target()?)?;
        let finding = self.strike(&rig, Instant::now() + options.time);
        let attacked = bystander.finish();
        let peak = watch.finish();
        if let Some(status) = rig.proxy.exited() {
            let words = rig.proxy.stderr();
            return Err(format!("the proxy ended ({status}):\n{words}"));
        }
        thread::sleep(SETTLE_TIME.min(options.time));
        let logged = rig.logged()? - logged_before;
        let after = Usage::of(rig.proxy.pid())?.memory;
        Ok(Figures {
            idle,
            attacked: attacked?,
            memory: [before, peak.max(before), after],
            logged,
            finding: finding?,
        })
    }

    /// Attacks in a thread of low priority.
    fn strike(&self, rig: &Rig, until: Instant) -> Result<Finding, String> {
        thread::scope(|scope| {
            let attacker = scope.spawn(|| {
                priority::lower();
                (self.strike)(rig, until)
            });
            attacker.join().map_err(|_| "the attack panicked")?
        })
    }
}

impl Limit {
    /// Whether the limit held.
    pub(crate) fn holds(self, figures: &Figures) -> bool {
        let (idle, attacked) = (&figures.idle, &figures.attacked);
        let [before, peak, _] = figures.memory;
        match self {
            Limit::P99(more) => attacked.p99() <= idle.p99() + more,
            Limit::Longest(more) => attacked.longest() <= idle.longest() + more,
            Limit::Growth(bytes) => peak - before <= bytes,
            Limit::Peak(bytes) => peak <= bytes,
            Limit::Log(bytes) => figures.logged <= bytes,
            Limit::Seen(count, _) => figures.finding.seen <= count,
            Limit::Nothing => true,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::P99(more) => write!(f, "p99 at most {} ms above idle", more.as_millis()),
            Limit::Longest(more) => write!(f, "max at most {} ms above idle", more.as_millis()),
            Limit::Growth(bytes) => write!(f, "at most {} MiB more", bytes >> 20),
            Limit::Peak(bytes) => write!(f, "at most {} MiB", bytes >> 20),
            Limit::Log(bytes) => write!(f, "at most {} KiB of log", bytes >> 10),
            Limit::Seen(count, what) => write!(f, "at most {count} {what}"),
            Limit::Nothing => write!(f, "bystander is served"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let ms = |count| vec![Duration::from_millis(count); 10];
        Figures {
            idle: Latencies::new(ms(1)).unwrap(),
            attacked: Latencies::new(ms(6)).unwrap(),
            memory: [10 << 20, 26 << 20, 12 << 20],
            logged: 64 << 10,
            finding: Finding {
                seen: 10,
                note: String::new(),
            },
        }
    }

    #[test]
    fn a_limit_holds_up_to_its_value_and_not_beyond() {
        let ms = Duration::from_millis;
        for (holds, fails) in [
            (Limit::P99(ms(5)), Limit::P99(ms(4))),
            (Limit::Longest(ms(5)), Limit::Longest(ms(4))),
            (Limit::Growth(16 << 20), Limit::Growth((16 << 20) - 1)),
            (Limit::Peak(26 << 20), Limit::Peak((26 << 20) - 1)),
            (Limit::Log(64 << 10), Limit::Log((64 << 10) - 1)),
            (Limit::Seen(10, "faults"), Limit::Seen(9, "faults")),
        ] {
            assert!(holds.holds(&figures()), "{holds}");
            assert!(!fails.holds(&figures()), "{fails}");
        }
    }
}
