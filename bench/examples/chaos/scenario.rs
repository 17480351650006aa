//! One scenario: its settings, its faults, its clients, and what must hold at its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nuthatch_bench::faults::{Fault, LARGE_POOLS, Owner, Random};

use crate::checks::{self, Failures};
use crate::client::{Client, Rules};
use crate::keyspace::{ALL, COUNTERS, Keyspace};
use crate::model::Excuse;
use crate::request::key_of;
use crate::rig::Rig;
use crate::schedule::Schedule;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::tally::Tally;

/// How long clients work before the first fault.
const WARM_UP: Duration = Duration::from_millis(300);

/// How long the consequences of faults last at least: late requests, connections that are given up.
const SETTLE: Duration = Duration::from_millis(1_300);

/// How often keys are written before the first fault, if a machine with much to do is late.
const PREPARATIONS: usize = 5;

/// How often the last check is made, if a machine with much to do is late.
const VERIFICATIONS: usize = 4;

/// Where failed scenarios leave what is needed to understand them.
const KEPT: &str = "target/chaos";

/// Random numbers of these purposes; clients have their own numbers.
const LANES: [u64; 2] = [u64::MAX, u64::MAX - 1];

/// How a scenario went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) settings: String,
    pub(crate) tally: Tally,
    /// Number of each fault, in the order of [`Fault::ALL`].
    pub(crate) faults: [u64; Fault::ALL.len()],
    pub(crate) lasted: Duration,
    /// The most memory that the proxy has had, in bytes.
    pub(crate) memory: u64,
    /// Where its configuration and its log are, if it has flaws.
    pub(crate) kept: Option<PathBuf>,
}

/// Runs the scenario of a seed.
///
/// # Errors
///
/// When something cannot be started, or the configuration is refused. Flaws are in the outcome.
pub(crate) fn run(nuthatch: &Path, seed: u64) -> Result<Outcome, String> {
    let start = Instant::now();
    let mut random = Random::new(seed, LANES[0]);
    let settings = Settings::draw(&mut random);
    let servers = settings.servers + settings.gutters;
    let schedule = Schedule::draw(&mut Random::new(seed, LANES[1]), servers);
    let mut scenario = Scenario {
        rig: Rig::start(nuthatch, &settings, seed)?,
        at_first: None,
        shared: Arc::new(Shared::default()),
        settings,
        seed,
        tally: Tally::default(),
    };
    let mut faults = [0; Fault::ALL.len()];
    for step in schedule.steps.iter().filter(|step| step.begins) {
        let place = Fault::ALL.iter().position(|&fault| fault == step.fault);
        faults[place.expect("a fault is one of all")] += 1;
    }
    if let Err(what) = scenario.play(&schedule) {
        scenario.tally.flaw(what);
    }
    let Scenario {
        mut rig,
        settings,
        mut tally,
        ..
    } = scenario;
    let memory = checks::check(&mut rig, &settings, &schedule, &mut tally, start.elapsed());
    let kept = (tally.flaw_count > 0).then(|| keep(&rig, seed, &tally));
    Ok(Outcome {
        seed,
        settings: settings.in_short(),
        tally,
        faults,
        lasted: start.elapsed(),
        memory,
        kept: kept.transpose()?,
    })
}

struct Scenario {
    rig: Rig,
    /// What the statistics said of failures before the first fault.
    at_first: Option<Failures>,
    shared: Arc<Shared>,
    settings: Settings,
    seed: u64,
    tally: Tally,
}

impl Scenario {
    fn play(&mut self, schedule: &Schedule) -> Result<(), String> {
        let mut clients = self.clients();
        self.prepare(&mut clients)?;
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                thread::spawn(move || {
                    client.play();
                    client
                })
            })
            .collect();
        thread::sleep(WARM_UP);
        if schedule.faults() > 0 {
            self.shared.set_failed(true);
            self.at_first = Some(Failures::read(&self.rig, &self.settings)?);
        }
        self.make_faults(schedule);
        let retry = Duration::from_millis(self.settings.retry_ms);
        thread::sleep(SETTLE + retry + retry / 2);
        let settled = Failures::read(&self.rig, &self.settings)?;
        self.shared.end();
        let joined: Result<Vec<Client>, _> = threads.into_iter().map(|one| one.join()).collect();
        let clients = joined.map_err(|_| "a client panicked")?;
        self.verify(clients, &settled)
    }

    fn clients(&self) -> Vec<Client> {
        let settings = &self.settings;
        let rules = Rules {
            protocol: settings.protocol,
            address: self.rig.address,
            has_password: settings.has_password,
            is_limited: settings.client_limit.is_some(),
            closes_idle: settings.closes_idle,
        };
        let client = |number: u16| {
            let pool = if settings.is_heavy { LARGE_POOLS } else { 0 };
            let owner = Owner {
                pool,
                client: number,
            };
            let (moved, missed) = (settings.moved(), settings.missed());
            Client::new(
                Keyspace::new(owner, settings.protocol, moved, missed),
                rules.clone(),
                Arc::clone(&self.shared),
                Random::new(self.seed, u64::from(number)),
                settings.wants_resp3 && !number.is_multiple_of(3),
            )
        };
        (0..settings.clients).map(client).collect()
    }

    /// Gives each key a value, and finds out which server has it.
    fn prepare(&mut self, clients: &mut [Client]) -> Result<(), String> {
        for client in &mut *clients {
            let is_done = (0..PREPARATIONS).any(|_| {
                let asks = client.keyspace.first_writes();
                client.ask_all(asks)
            });
            client.leave();
            if !is_done {
                return Err("the first writes were not answered".into());
            }
        }
        for client in clients {
            let owner = client.keyspace.owner;
            for (key, servers) in self.locate(owner)? {
                match servers[..] {
                    [server] => client.keyspace.set_server(key, Some(server)),
                    _ => self
                        .tally
                        .flaw(format!("key {key} of {owner:?} is on servers {servers:?}")),
                }
            }
        }
        Ok(())
    }

    /// The servers that have each key of a client; nothing if keys have no server.
    fn locate(&self, owner: Owner) -> Result<Vec<(u16, Vec<usize>)>, String> {
        if self.settings.moved() == Some(Excuse::None) {
            return Ok(Vec::new());
        }
        let names: Vec<_> = ALL.map(|key| key_of(owner, key)).collect();
        let places = self.rig.locate(&self.settings, &names)?;
        Ok(ALL.zip(places).collect())
    }

    /// Each key must be on its own server again. Where keys move, others may have it too.
    fn check_places(&mut self, client: &Client) -> Result<(), String> {
        let owner = client.keyspace.owner;
        let moves = self.settings.moved().is_some();
        for (key, servers) in self.locate(owner)? {
            let home = client.keyspace.place(key).server;
            let is_home = home.is_none_or(|home| servers.contains(&home));
            // A counter is not written at the end where it may be elsewhere.
            let is_right = match moves {
                true => is_home || COUNTERS.contains(&key),
                false => is_home && servers.len() == 1,
            };
            if !is_right {
                self.tally.flaw(format!(
                    "key {key} of {owner:?} is on servers {servers:?} at the end, and not on {home:?}"
                ));
            }
        }
        Ok(())
    }

    fn make_faults(&mut self, schedule: &Schedule) {
        let start = Instant::now();
        for step in &schedule.steps {
            thread::sleep(step.at.saturating_sub(start.elapsed()));
            let server = &mut self.rig.servers[step.server];
            match step.begins {
                true => server.break_by(step.fault),
                false => server.heal(step.fault),
            }
            if step.begins && step.fault == Fault::Kill {
                self.shared.note_kill(step.server);
            }
        }
        thread::sleep(schedule.span.saturating_sub(start.elapsed()));
    }

    /// All keys must be served again: what is read is possible, and what is written is read.
    /// `settled` is what had failed when that began to hold.
    fn verify(&mut self, mut clients: Vec<Client>, settled: &Failures) -> Result<(), String> {
        for client in &mut clients {
            self.tally.add(std::mem::take(&mut client.tally));
            let reads = client.keyspace.all_reads();
            client.ask_all(reads);
            client.leave();
            client.keyspace.settle();
            self.tally.add(std::mem::take(&mut client.tally));
        }
        self.shared.set_failed(false);
        let failures = Failures::read(&self.rig, &self.settings)?;
        let at_first = self.at_first.take().unwrap_or_else(|| failures.clone());
        self.tally.resolve(|has_failed, excuse| match has_failed {
            true => failures.excuse(excuse),
            false => at_first.excuse(excuse),
        });
        for client in &mut clients {
            self.verify_exactly(client, settled)?;
            self.check_places(client)?;
        }
        Ok(())
    }

    /// Writes and reads all keys of a client; again if a server was late meanwhile.
    fn verify_exactly(&mut self, client: &mut Client, settled: &Failures) -> Result<(), String> {
        let mut before = settled.clone();
        for attempt in 1..=VERIFICATIONS {
            let asks = client.keyspace.last_writes();
            client.ask_all(asks);
            let reads = client.keyspace.last_reads();
            client.ask_all(reads);
            client.leave();
            let mut tally = std::mem::take(&mut client.tally);
            tally.resolve(|_, _| false);
            let is_disturbed = Failures::read(&self.rig, &self.settings)? != before;
            if tally.flaw_count > 0 && is_disturbed && attempt < VERIFICATIONS {
                tally.flaw_count = 0;
                tally.flaws.clear();
                self.tally.add(tally);
                // Until what was ejected because of that is back.
                thread::sleep(SETTLE + Duration::from_millis(2 * self.settings.retry_ms));
                before = Failures::read(&self.rig, &self.settings)?;
                continue;
            }
            self.tally.add(tally);
            break;
        }
        Ok(())
    }
}

/// Keeps what is needed to understand a scenario that failed, and returns where.
fn keep(rig: &Rig, seed: u64, tally: &Tally) -> Result<PathBuf, String> {
    let told = |error: std::io::Error| format!("{KEPT}: {error}");
    let dir = Path::new(KEPT).join(format!("seed-{seed}"));
    std::fs::create_dir_all(&dir).map_err(told)?;
    std::fs::copy(rig.proxy.conf(), dir.join("nuthatch.yml")).map_err(told)?;
    std::fs::write(dir.join("nuthatch.log"), rig.log()).map_err(told)?;
    std::fs::write(dir.join("stderr.log"), rig.proxy.stderr()).map_err(told)?;
    std::fs::write(dir.join("flaws.txt"), tally.flaws.join("\n")).map_err(told)?;
    dir.canonicalize().map_err(told)
}
