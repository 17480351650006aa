//! The scenario of a seed: a pool, a network, clients with their behaviour, and faults.

use std::sync::Arc;
use std::time::Duration;

use hashkit::{Distribution, HashKind, HashTag, Placement};
use proxy::settings::{
    Address, CrossShard, EjectPolicy, FailurePolicy, MemcachedSettings, PoolSettings,
    ProtocolSettings, RedisSettings, Resp3, ServerSettings, TimeoutAction,
};

use crate::limits::Grant;
use crate::network::Pace;
use crate::noted;
use crate::placement::Spread;
use crate::rng::Rng;

/// The main difficulty of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Nothing goes wrong: no client may get an error.
    Calm,
    /// Some clients close, stall and reset; servers work.
    RudeClients,
    /// Servers fail in every way; clients behave well.
    BadServers,
    /// Everything at once.
    Storm,
    /// A client requests much more than it reads.
    Greedy,
    /// One client pipelines more requests than any window holds.
    Deep,
}

/// The condition of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    Fair,
    /// Connections are closed and new ones are refused.
    Down,
    /// Connecting fails at once, as after a crash with a unix socket or a name that cannot be resolved.
    Missing,
    /// The process is stopped: connecting succeeds, nothing is read or answered.
    Hung,
    /// Nothing arrives, without any error; connecting never ends.
    BlackHole,
}

/// How a client reads its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Fast,
    Slow,
    /// Reads nothing before this time.
    Late(u64),
    /// Reads nothing after this many replies.
    Never(usize),
    /// Reads nothing before everything is written.
    AfterWriting,
    /// Reads this many bytes per millisecond.
    Paced(usize),
}

/// How a client ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Waits for every reply, then closes.
    Polite,
    /// Closes its write side right after its last request.
    HalfClose,
    /// Sends QUIT.
    Quit,
    /// Sends bytes that are not a request.
    Garbage,
    /// Half-closes in the middle of a request.
    CutShort,
    /// Stops in the middle of a request, and stays connected.
    Stall,
    /// Sends nothing more, and stays connected.
    Dawdle,
    /// Resets after this many requests.
    Reset(usize),
    /// Closes after this many requests without reading what arrives.
    Vanish(usize),
}

/// The plan for one client.
#[derive(Debug, Clone)]
pub(crate) struct ClientPlan {
    pub(crate) worker: usize,
    pub(crate) starts_at: u64,
    pub(crate) requests: usize,
    pub(crate) depth: usize,
    pub(crate) reader: Reader,
    pub(crate) ending: Ending,
    /// Asks for large values in this many of 100 requests, of at most this size.
    pub(crate) large: (usize, usize),
    /// Wants no reply to this many of 100 writes, if the protocol supports it.
    pub(crate) quiet: usize,
    /// Only plain reads of `large` size, and writes that want no reply.
    pub(crate) greedy: bool,
    /// Sends requests that wait for other clients, generated from this seed.
    pub(crate) waits: Option<u64>,
    /// Sends requests that depend on earlier ones, generated from this seed.
    pub(crate) dependent: Option<u64>,
    pub(crate) pace: Pace,
}

impl ClientPlan {
    /// Whether it never holds enough memory to be closed for it.
    pub(crate) fn is_bystander(&self) -> bool {
        self.large.0 == 0 && self.depth <= 8 && !self.greedy
    }

    /// Whether the client stays until everything is answered, so that everything must be.
    pub(crate) fn stays(&self) -> bool {
        !matches!(self.reader, Reader::Never(_))
            && !matches!(
                self.ending,
                Ending::Reset(_) | Ending::Vanish(_) | Ending::Stall | Ending::Dawdle
            )
    }
}

/// The pool's policy for failing servers.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) eject: EjectPolicy,
    pub(crate) probe: bool,
    pub(crate) connect_timeout: Option<u64>,
    /// `timeout_action: answer`.
    pub(crate) answers: bool,
    pub(crate) retry_reads: bool,
}

impl Policy {
    fn new(rng: &mut Rng, stormy: bool) -> Self {
        use EjectPolicy::{Error, Miss, Remap};
        Policy {
            eject: rng.pick(&[Remap, Remap, Error, Miss]),
            probe: rng.chance(3, 4),
            connect_timeout: (stormy && rng.chance(1, 3)).then(|| rng.micros(5_000, 200_000)),
            answers: rng.chance(1, 2),
            retry_reads: rng.chance(1, 5),
        }
    }
}

/// Another pool for the keys of ejected servers.
#[derive(Debug, Clone)]
pub(crate) struct Gutter {
    pub(crate) weights: Vec<u32>,
    pub(crate) spread: Spread,
    /// Keys stay with their servers there, ejected or not.
    pub(crate) keeps: bool,
    /// The maximum TTL there.
    pub(crate) seconds: u32,
    /// Its servers do not support limiting it.
    pub(crate) too_old: bool,
}

/// Everything that a seed determines in advance.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) theme: Theme,
    pub(crate) redis: bool,
    pub(crate) workers: usize,
    /// Of the pool's own servers: those that it begins with, and those that plans may add.
    pub(crate) weights: Vec<u32>,
    /// Their weights in the plan that is in force, 0 for those that are not in it.
    pub(crate) planned: Vec<u32>,
    /// How often each has moved.
    pub(crate) moves: Vec<u16>,
    /// When the plan changes.
    pub(crate) plans: Vec<u64>,
    pub(crate) spread: Spread,
    pub(crate) tagged: bool,
    /// Number of different salts, and so of different placements if keys are tagged.
    pub(crate) salts: usize,
    pub(crate) timeout: Option<u64>,
    pub(crate) preconnect: bool,
    pub(crate) auto_eject: bool,
    pub(crate) retry: u64,
    pub(crate) failure_limit: u32,
    pub(crate) policy: Policy,
    pub(crate) connections: usize,
    pub(crate) error_detail: bool,
    pub(crate) allow_flush: bool,
    /// Servers refuse MULTI.
    pub(crate) denies_transactions: bool,
    pub(crate) password: Option<&'static str>,
    pub(crate) db: u32,
    pub(crate) resp3: bool,
    pub(crate) servers_speak_resp3: bool,
    /// Servers refuse AUTH and SELECT, as a server without a password and with few databases does.
    pub(crate) servers_grumble: bool,
    /// One in this many handshake steps is refused for a reason that makes the connection unusable.
    pub(crate) refused_steps: Option<usize>,
    pub(crate) cross_shard: CrossShard,
    /// Bytes; 0 means no limit.
    pub(crate) max_memory: usize,
    /// `client_backlog`, `client_min_rate` and `client_stall_timeout`.
    pub(crate) grant: Grant,
    /// `client_idle_timeout` and `client_request_timeout`.
    pub(crate) client_idle: Option<u64>,
    pub(crate) client_request: Option<u64>,
    pub(crate) clients: Vec<ClientPlan>,
    pub(crate) server_pace: Pace,
    /// Maximum time that a server needs for a reply, in microseconds.
    pub(crate) thinks: u64,
    /// One in this many replies is invalid.
    pub(crate) bad_replies: Option<usize>,
    pub(crate) condition: Vec<(u64, usize, Condition)>,
    pub(crate) shutdown_at: Option<u64>,
    pub(crate) gutter: Option<Gutter>,
}

const SPREADS: [Spread; 4] = [
    Spread::ModulaFnv1a,
    Spread::ModulaOneAtATime,
    Spread::Ketama,
    Spread::Ketama,
];

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let theme = themes(rng);
        let (servers, workers) = (rng.between(1, 5), rng.between(1, 4));
        let stormy = matches!(theme, Theme::BadServers | Theme::Storm);
        let redis = rng.chance(3, 5);
        let mut scenario = Scenario {
            theme,
            redis,
            workers,
            weights: (0..servers).map(|_| rng.between(1, 3) as u32).collect(),
            planned: Vec::new(),
            moves: Vec::new(),
            plans: Vec::new(),
            spread: rng.pick(&SPREADS),
            tagged: rng.chance(1, 2),
            salts: rng.between(1, 40),
            timeout: rng.chance(2, 3).then(|| {
                if stormy {
                    rng.micros(20_000, 300_000)
                } else {
                    20_000_000_000
                }
            }),
            preconnect: rng.chance(1, 3),
            auto_eject: rng.chance(1, 2),
            retry: rng.micros(10_000, 400_000),
            failure_limit: rng.between(0, 3) as u32,
            policy: Policy::new(rng, stormy),
            connections: rng.pick(&[1, 1, 2, 3]),
            error_detail: rng.chance(1, 6),
            allow_flush: rng.chance(1, 4),
            denies_transactions: false,
            password: (redis && rng.chance(1, 4)).then_some("sesame"),
            db: if redis { rng.pick(&[0, 0, 3]) } else { 0 },
            resp3: rng.chance(4, 5),
            servers_speak_resp3: rng.chance(3, 4),
            servers_grumble: rng.chance(1, 12),
            refused_steps: None,
            cross_shard: match rng.chance(1, 4) {
                true => CrossShard::Error,
                false => CrossShard::FirstKey,
            },
            max_memory: 0,
            grant: Grant::default(),
            client_idle: None,
            client_request: None,
            clients: Vec::new(),
            server_pace: pace(rng),
            thinks: rng.pick(&[1, 300, 3_000]),
            bad_replies: (stormy && rng.chance(3, 4)).then(|| rng.pick(&[15, 50, 200])),
            condition: if stormy {
                condition(rng, servers)
            } else {
                Vec::new()
            },
            shutdown_at: rng.chance(1, 20).then(|| rng.micros(1_000, 100_000)),
            gutter: None,
        };
        if rng.chance(1, 25) {
            scenario.spread = Spread::Random;
            // Keys have no server that they could stay with.
            scenario.policy.eject = EjectPolicy::Remap;
        }
        scenario.planned.clone_from(&scenario.weights);
        scenario.moves = vec![0; servers];
        scenario.leave_time_to_connect();
        scenario.clients = clients(rng, &scenario);
        scenario
    }

    /// Gives some pools with ejection a failover pool. Uses its own generator, so that older seeds keep their
    /// meaning.
    pub(crate) fn draw_gutter(&mut self, rng: &mut Rng) {
        let random = self.spread == Spread::Random;
        if !self.auto_eject || random || !rng.chance(1, 2) {
            return;
        }
        let servers = rng.between(1, 3);
        self.gutter = Some(Gutter {
            weights: (0..servers).map(|_| rng.between(1, 3) as u32).collect(),
            spread: rng.pick(&[
                Spread::ModulaFnv1a,
                Spread::ModulaOneAtATime,
                Spread::Ketama,
            ]),
            keeps: rng.chance(1, 3),
            seconds: rng.pick(&[1, 60, 3_000]),
            too_old: self.redis && rng.chance(1, 20),
        });
        if self.is_stormy() && rng.chance(1, 2) {
            let theirs = condition(rng, servers).into_iter();
            let own = self.weights.len();
            self.condition
                .extend(theirs.map(|(at, server, kind)| (at, own + server, kind)));
        }
    }

    /// Makes some servers refuse handshake steps. Uses its own generator, as above.
    pub(crate) fn draw_refusals(&mut self, rng: &mut Rng) {
        if self.redis && self.is_stormy() && rng.chance(1, 3) {
            self.refused_steps = Some(rng.pick(&[2, 4, 12]));
        }
    }

    /// Number of servers; those of the failover pool follow the pool's own.
    pub(crate) fn servers(&self) -> usize {
        let others = self
            .gutter
            .as_ref()
            .map_or(0, |gutter| gutter.weights.len());
        self.weights.len() + others
    }

    /// Whether a server belongs to the failover pool.
    pub(crate) fn is_other(&self, server: usize) -> bool {
        server >= self.weights.len()
    }

    /// Whether keys stay with their servers, ejected or not.
    pub(crate) fn keeps_keys(&self) -> bool {
        self.gutter.is_some() || self.policy.eject != EjectPolicy::Remap
    }

    /// The maximum TTL of what is written to a server, if it is limited.
    pub(crate) fn limit_at(&self, server: usize) -> Option<u32> {
        let gutter = self.gutter.as_ref().filter(|_| self.is_other(server))?;
        Some(gutter.seconds)
    }

    /// A server's name.
    pub(crate) fn name(&self, server: usize) -> String {
        match server.checked_sub(self.weights.len()) {
            None => format!("10.0.0.{server}:7000"),
            Some(index) => format!("10.0.1.{index}:7000"),
        }
    }

    /// If the timeout is shorter than a handshake over a slow network, a server can never return.
    fn leave_time_to_connect(&mut self) {
        let least = 100 * self.server_pace.delay.1;
        let enough = |time: u64| time.max(least);
        self.policy.connect_timeout = self.policy.connect_timeout.map(enough);
        if self.policy.probe {
            self.timeout = self.timeout.map(enough);
        }
    }

    /// Whether servers fail.
    pub(crate) fn is_stormy(&self) -> bool {
        matches!(self.theme, Theme::BadServers | Theme::Storm)
    }

    /// The scenario's settings for the proxy.
    pub(crate) fn settings(&self) -> PoolSettings {
        let micros = Duration::from_micros;
        let protocol = if self.redis {
            ProtocolSettings::Redis(RedisSettings {
                auth: self.password.map(|password| Arc::from(password.as_bytes())),
                resp3: if self.resp3 { Resp3::Auto } else { Resp3::Off },
                cross_shard: self.cross_shard,
                ..RedisSettings::default()
            })
        } else {
            ProtocolSettings::Memcached(MemcachedSettings::default())
        };
        let weights = self.planned.iter().enumerate();
        let servers = weights.filter(|(_, weight)| **weight > 0);
        let servers = servers.map(|(index, weight)| self.server(index, *weight));
        let mut settings = PoolSettings::new("sim", servers.collect(), protocol);
        settings.placement = self.placement(self.spread);
        settings.timeout = self.timeout.map(micros);
        settings.preconnect = self.preconnect;
        settings.auto_eject_hosts = self.auto_eject;
        settings.server_connections = self.connections;
        settings.server_retry_timeout = micros(self.retry);
        settings.server_failure_limit = self.failure_limit;
        settings.error_detail = self.error_detail;
        settings.allow_flush = self.allow_flush;
        settings.clients.backlog = self.grant.backlog;
        settings.clients.min_rate = self.grant.min_rate;
        settings.clients.stall_timeout = self.grant.stall.map(micros);
        settings.failure = self.failure_policy();
        noted::set(&mut settings, self.salts, &self.moves);
        settings
    }

    /// The settings of the failover pool, which differ only in the placement of keys.
    pub(crate) fn other_settings(&self, gutter: &Gutter) -> PoolSettings {
        let own = self.weights.len();
        let weights = gutter.weights.iter().enumerate();
        let servers = weights.map(|(index, weight)| self.server(own + index, *weight));
        let mut settings = self.settings();
        settings.name = "gutter".into();
        settings.servers = servers.collect();
        settings.placement = self.placement(gutter.spread);
        settings.failure.eject = match gutter.keeps {
            true => EjectPolicy::Error,
            false => EjectPolicy::Remap,
        };
        settings
    }

    fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy {
            eject: self.policy.eject,
            probe: self.policy.probe,
            connect_timeout: self.policy.connect_timeout.map(Duration::from_micros),
            timeout_action: if self.policy.answers {
                TimeoutAction::Answer
            } else {
                TimeoutAction::Close
            },
            client_idle_timeout: self.client_idle.map(Duration::from_micros),
            client_request_timeout: self.client_request.map(Duration::from_micros),
            retry_reads: self.policy.retry_reads,
            ..FailurePolicy::default()
        }
    }

    fn server(&self, index: usize, weight: u32) -> ServerSettings {
        let name = self.name(index);
        ServerSettings {
            pname: format!("{name}:{weight}"),
            address: Address::tcp(&name, 1 + self.moves.get(index).copied().unwrap_or(0)),
            name,
            weight,
            db: self.db,
            replication: Default::default(),
        }
    }

    fn placement(&self, spread: Spread) -> Placement {
        let (distribution, hash) = match spread {
            Spread::ModulaFnv1a => (Distribution::Modula, HashKind::Fnv1a32),
            Spread::ModulaOneAtATime => (Distribution::Modula, HashKind::OneAtATime),
            Spread::Ketama => (Distribution::Ketama, HashKind::default()),
            Spread::Random => (Distribution::Random, HashKind::default()),
        };
        let tag = self.tagged.then_some(HashTag {
            open: b'{',
            close: b'}',
        });
        Placement {
            hash,
            tag,
            distribution,
            ..Placement::default()
        }
    }
}

fn themes(rng: &mut Rng) -> Theme {
    let all = [
        Theme::Calm,
        Theme::RudeClients,
        Theme::BadServers,
        Theme::Storm,
        Theme::Greedy,
        Theme::Deep,
    ];
    all[rng.weighted(&[20, 25, 26, 25, 1, 3])]
}

pub(crate) fn pace(rng: &mut Rng) -> Pace {
    Pace {
        segment: rng.pick(&[3, 40, 1_460, 1_460, 65_536]),
        delay: rng.pick(&[(1, 20), (10, 400), (10, 400), (200, 3_000)]),
        capacity: rng.pick(&[700, 9_000, 65_536, 400_000]),
    }
}

fn condition(rng: &mut Rng, servers: usize) -> Vec<(u64, usize, Condition)> {
    let mut events = Vec::new();
    for server in 0..servers {
        for _ in 0..rng.between(0, 3) {
            let at = rng.micros(0, 150_000);
            let kind = rng.pick(&[
                Condition::Down,
                Condition::Down,
                Condition::Missing,
                Condition::Hung,
                Condition::BlackHole,
            ]);
            events.push((at, server, kind));
            if rng.chance(4, 5) {
                events.push((at + rng.micros(500, 400_000), server, Condition::Fair));
            }
        }
    }
    events
}

fn clients(rng: &mut Rng, scenario: &Scenario) -> Vec<ClientPlan> {
    match scenario.theme {
        Theme::Greedy => vec![
            greedy(rng, scenario),
            client(rng, scenario),
            client(rng, scenario),
        ],
        Theme::Deep => vec![deep(rng, scenario), client(rng, scenario)],
        _ => (0..rng.between(1, 7))
            .map(|_| client(rng, scenario))
            .collect(),
    }
}

pub(crate) fn client(rng: &mut Rng, scenario: &Scenario) -> ClientPlan {
    let rude = matches!(scenario.theme, Theme::RudeClients | Theme::Storm) && rng.chance(1, 2);
    let requests = rng.between(1, 50);
    let ending = match rng.below(3) {
        _ if !rude => rng.pick(&[
            Ending::Polite,
            Ending::Polite,
            Ending::HalfClose,
            Ending::Quit,
            Ending::Garbage,
            Ending::CutShort,
        ]),
        0 => Ending::Reset(rng.between(0, requests)),
        1 => Ending::Vanish(rng.between(0, requests)),
        _ => Ending::Polite,
    };
    let reader = match ending {
        Ending::Polite if rude => Reader::Never(rng.between(0, requests)),
        _ => rng.pick(&[Reader::Fast, Reader::Fast, Reader::Slow]),
    };
    ClientPlan {
        worker: rng.below(scenario.workers),
        starts_at: rng.micros(0, 60_000),
        requests,
        depth: rng.pick(&[1, 2, 8, 40, 100]),
        reader,
        ending,
        large: rng.pick(&[(0, 0), (10, 3_000), (10, 20_000), (3, 300_000)]),
        quiet: rng.pick(&[0, 25, 25, 100]),
        greedy: false,
        dependent: None,
        waits: None,
        pace: pace(rng),
    }
}

/// Pipelines large reads, and reads replies late or never.
fn greedy(rng: &mut Rng, scenario: &Scenario) -> ClientPlan {
    let (requests, reader) = match rng.chance(1, 2) {
        true => (400, Reader::Never(rng.between(0, 3))),
        false => (60, Reader::Late(rng.micros(100_000, 3_000_000))),
    };
    ClientPlan {
        requests,
        depth: 400,
        reader,
        ending: Ending::Polite,
        large: (100, 300_000),
        quiet: 0,
        greedy: true,
        starts_at: 0,
        ..client(rng, scenario)
    }
}

/// Pipelines more small requests than any window holds, perhaps all of them without wanting a reply.
fn deep(rng: &mut Rng, scenario: &Scenario) -> ClientPlan {
    ClientPlan {
        requests: 1_600,
        depth: 1_600,
        reader: rng.pick(&[Reader::Fast, Reader::Slow]),
        ending: rng.pick(&[Ending::Polite, Ending::HalfClose]),
        large: (0, 0),
        greedy: true,
        starts_at: 0,
        ..client(rng, scenario)
    }
}
