//! The settings of a scenario, drawn from its seed.

use nuthatch_bench::faults::Random;
use nuthatch_bench::load::Protocol;

use crate::model::Excuse;
use crate::request::PASSWORD;

/// Hash functions; `crc32` is left out, as it puts practically every key on one server.
const HASHES: [&str; 11] = [
    "one_at_a_time",
    "md5",
    "crc16",
    "crc32a",
    "fnv1_64",
    "fnv1a_64",
    "fnv1_32",
    "fnv1a_32",
    "hsieh",
    "murmur",
    "jenkins",
];

/// Name of the pool under load.
pub(crate) const POOL: &str = "main";

/// Name of its failover pool.
pub(crate) const GUTTER: &str = "gutter";

/// How long the proxy may take to end, in milliseconds.
pub(crate) const SHUTDOWN_MS: u64 = 1_000;

/// What is special about a scenario.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) protocol: Protocol,
    /// Servers of the pool.
    pub(crate) servers: usize,
    /// Servers of the failover pool; 0 if there is none.
    pub(crate) gutters: usize,
    pub(crate) clients: u16,
    pub(crate) workers: u64,
    pub(crate) has_password: bool,
    /// The database that the servers are to use.
    pub(crate) database: u64,
    /// Whether values are often large.
    pub(crate) is_heavy: bool,
    pub(crate) wants_resp3: bool,
    /// The limit of clients, if there are more than that.
    pub(crate) client_limit: Option<u16>,
    pub(crate) closes_idle: bool,
    /// Megabytes of `max_memory`, if it is set.
    pub(crate) max_memory: Option<u64>,
    /// How long an ejected server stays so, in milliseconds; 0 if none is ejected.
    pub(crate) retry_ms: u64,
    /// Whether the proxy is to end while its servers hang.
    pub(crate) ends_busy: bool,
    distribution: &'static str,
    policy: &'static str,
    lines: Vec<String>,
    gutter_lines: Vec<String>,
    globals: Vec<String>,
}

impl Settings {
    /// Draws them.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let is_redis = random.below(2) == 0;
        let mut settings = Self {
            protocol: match is_redis {
                true => Protocol::Redis,
                false => Protocol::Memcached,
            },
            servers: 1 + random.below(5) as usize,
            gutters: 0,
            clients: 3 + random.below(6) as u16,
            workers: 1 + random.below(3),
            has_password: is_redis && random.below(4) == 0,
            database: 0,
            is_heavy: random.below(4) == 0,
            wants_resp3: is_redis && random.below(2) == 0,
            client_limit: None,
            closes_idle: random.below(6) == 0,
            max_memory: None,
            retry_ms: 0,
            ends_busy: random.below(3) == 0,
            distribution: "ketama",
            policy: "remap",
            lines: Vec::new(),
            gutter_lines: Vec::new(),
            globals: Vec::new(),
        };
        settings.draw_placement(random);
        settings.draw_failures(random);
        settings.draw_limits(random);
        settings.draw_details(random);
        if is_redis {
            settings.draw_redis(random);
        }
        settings
    }

    fn draw_placement(&mut self, random: &mut Random) {
        self.distribution = random.pick(&["ketama", "ketama", "ketama", "modula", "random"]);
        let hash = random.pick(&HASHES);
        self.line(format!("distribution: {}", self.distribution));
        self.line(format!("hash: {hash}"));
    }

    fn draw_failures(&mut self, random: &mut Random) {
        match random.below(4) {
            0 => {}
            chance => {
                let timeout = 100 * (1 + chance) + random.below(100);
                self.line(format!("timeout: {timeout}"));
                self.gutter_lines.push(format!("timeout: {timeout}"));
                if random.below(2) == 0 {
                    self.line("timeout_action: answer".into());
                }
            }
        }
        self.maybe(random, 3, "retry_reads: true");
        if random.below(3) == 0 {
            self.line(format!("connect_timeout: {}", 100 + random.below(300)));
        }
        if random.below(5) < 2 {
            return;
        }
        self.retry_ms = 200 + random.below(500);
        let eject = [
            "auto_eject_hosts: true".to_owned(),
            format!("server_failure_limit: {}", random.below(4)),
            format!("server_retry_timeout: {}", self.retry_ms),
        ];
        self.lines.extend(eject.clone());
        self.maybe(random, 3, "probe: false");
        if self.distribution == "random" {
            return;
        }
        self.policy = random.pick(&["remap", "error", "miss"]);
        self.line(format!("eject_policy: {}", self.policy));
        if random.below(3) == 0 {
            self.gutters = 1 + random.below(2) as usize;
            self.line(format!("failover: {GUTTER}"));
            self.line(format!("failover_ttl: {}", 60 + random.below(60)));
            if random.below(2) == 0 {
                self.gutter_lines.extend(eject);
            }
        }
    }

    fn draw_limits(&mut self, random: &mut Random) {
        match random.below(8) {
            0 => self.client_limit = Some(self.clients / 2),
            1 => self.line(format!("client_connections: {}", self.clients + 20)),
            2 => self.globals.push("max_clients: 100".into()),
            _ => {}
        }
        if let Some(limit) = self.client_limit {
            match random.below(2) {
                0 => self.line(format!("client_connections: {limit}")),
                _ => self.globals.push(format!("max_clients: {limit}")),
            }
        }
        if random.below(3) == 0 {
            let choices = if self.is_heavy {
                [2, 4, 8, 16]
            } else {
                [1, 2, 8, 32]
            };
            let megabytes = choices[random.below(4) as usize];
            self.max_memory = Some(megabytes);
            self.globals.push(format!("max_memory: {megabytes}m"));
        }
        if random.below(3) == 0 {
            let backlog = ["0", "4k", "64k", "1m"][random.below(4) as usize];
            self.line(format!("client_backlog: {backlog}"));
        }
        if self.closes_idle {
            self.line("client_idle_timeout: 200".into());
        }
    }

    fn draw_details(&mut self, random: &mut Random) {
        let connections = [1, 1, 2, 3][random.below(4) as usize];
        self.line(format!("server_connections: {connections}"));
        self.maybe(random, 2, "preconnect: true");
        self.maybe(random, 4, "tcpkeepalive: true");
        self.maybe(random, 3, "error_detail: true");
        self.maybe(random, 6, "hash_char: unsigned");
        self.maybe(random, 6, "backlog: 16");
        self.globals.push(format!("workers: {}", self.workers));
        self.globals.push("stats_extended: true".into());
        self.globals
            .push(format!("shutdown_timeout: {SHUTDOWN_MS}"));
    }

    fn draw_redis(&mut self, random: &mut Random) {
        if self.has_password {
            self.line(format!("redis_auth: {PASSWORD}"));
            self.gutter_lines.push(format!("redis_auth: {PASSWORD}"));
        }
        if random.below(4) == 0 {
            let database = 1 + random.below(9);
            self.line(format!("redis_db: {database}"));
            let is_fixed = random.below(2) == 0;
            if is_fixed {
                self.line("redis_db_fixed: true".into());
            }
            // With a password and without this setting, it is not selected.
            if is_fixed || !self.has_password {
                self.database = database;
            }
        }
        self.maybe(random, 6, "resp3: off");
        let cross_shard = random.pick(&["auto", "error", "first_key"]);
        self.line(format!("cross_shard: {cross_shard}"));
        self.maybe(random, 4, "ask_version: false");
    }

    fn maybe(&mut self, random: &mut Random, one_in: u64, line: &str) {
        if random.below(one_in) == 0 {
            self.line(line.to_owned());
        }
    }

    fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Whether servers are ejected.
    pub(crate) fn ejects(&self) -> bool {
        self.retry_ms > 0
    }

    /// If keys may be on other servers: what must have happened for that.
    pub(crate) fn moved(&self) -> Option<Excuse> {
        if self.distribution == "random" {
            return Some(Excuse::None);
        }
        let moves = self.ejects() && (self.policy == "remap" || self.gutters > 0);
        moves.then_some(Excuse::Ejected)
    }

    /// If reads may be answered as if there were no value: what must have happened for that.
    pub(crate) fn missed(&self) -> Option<Excuse> {
        (self.ejects() && self.policy == "miss").then_some(Excuse::Ejected)
    }

    /// The configuration file. The first `servers` of the ports are the pool's.
    pub(crate) fn conf(&self, listen: [u16; 2], ports: &[u16]) -> String {
        let (own, gutters) = ports.split_at(self.servers);
        let mut conf = self.pool(POOL, listen[0], &self.lines, ("s", own));
        if self.gutters > 0 {
            conf += &self.pool(GUTTER, listen[1], &self.gutter_lines, ("g", gutters));
        }
        conf += "nuthatch:\n";
        for line in &self.globals {
            conf += &format!("  {line}\n");
        }
        conf
    }

    fn pool(
        &self,
        name: &str,
        listen: u16,
        lines: &[String],
        (prefix, ports): (&str, &[u16]),
    ) -> String {
        let redis = self.protocol == Protocol::Redis;
        let mut conf = format!("{name}:\n  listen: 127.0.0.1:{listen}\n  redis: {redis}\n");
        for line in lines {
            conf += &format!("  {line}\n");
        }
        conf += "  servers:\n";
        for (number, port) in ports.iter().enumerate() {
            conf += &format!("    - 127.0.0.1:{port}:1 {prefix}{number}\n");
        }
        conf
    }

    /// All of them in one line.
    pub(crate) fn in_short(&self) -> String {
        let name = match self.protocol {
            Protocol::Redis if self.wants_resp3 => "redis (RESP3)",
            Protocol::Redis => "redis",
            Protocol::Memcached => "memcached",
        };
        let gutters = match self.gutters {
            0 => String::new(),
            count => format!("+{count}"),
        };
        let heavy = if self.is_heavy { ", large values" } else { "" };
        let lines = self.lines.iter().chain(&self.globals);
        let words: Vec<String> = lines
            .filter(|line| !line.starts_with("stats") && !line.starts_with("shutdown"))
            .map(|line| line.replace(": ", "="))
            .collect();
        format!(
            "{name}, servers {}{gutters}, clients {}{heavy}, {}",
            self.servers,
            self.clients,
            words.join(" ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_settings_again_and_others_differ() {
        let draw = |seed| Settings::draw(&mut Random::new(seed, 0)).in_short();
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn the_settings_that_matter_most_are_all_drawn() {
        let all: String = (0..300)
            .map(|seed| Settings::draw(&mut Random::new(seed, 0)).conf([1, 2], &[3; 7]))
            .collect();
        for line in [
            "timeout_action: answer",
            "eject_policy: miss",
            "eject_policy: error",
            "failover: gutter",
            "distribution: random",
            "redis_auth: secret",
            "redis_db_fixed: true",
            "max_memory: 1m",
            "client_backlog: 0",
            "workers: 3",
            "retry_reads: true",
        ] {
            assert!(all.contains(line), "{line}");
        }
    }
}
