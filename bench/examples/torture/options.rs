//! The command line of the torture test.

use std::path::PathBuf;
use std::time::Duration;

/// What `torture --help` prints.
pub(crate) const USAGE: &str = "\
Usage: torture --nuthatch FILE [OPTION]...

Runs redis-server and memcached processes, a relay in front of each and the proxy FILE in front of
those. Loads it with pipelined clients that check every reply, while the servers fail in every way.

  --minutes N    duration (1; fractions allowed)
  --seed N       seed of the faults and requests (1)
  --clients N    clients of each of the six pools (24)
  --reload       instead of faults: another configuration ten times per second
  --upgrade N    instead of faults: another process in place of the proxy N times, however long that takes
  --verbose      prints each fault
";

/// The parsed command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// The proxy's program.
    pub(crate) nuthatch: PathBuf,
    /// How long faults are made.
    pub(crate) time: Duration,
    /// Seed of everything random.
    pub(crate) seed: u64,
    /// Clients per pool.
    pub(crate) clients: u16,
    /// Whether configurations change instead of faults.
    pub(crate) reload: bool,
    /// How often the process is replaced instead of faults; 0 for faults.
    pub(crate) upgrades: u64,
    /// Whether to print each fault.
    pub(crate) is_verbose: bool,
}

impl Options {
    /// Whether servers fail.
    pub(crate) fn servers_fail(&self) -> bool {
        !self.reload && self.upgrades == 0
    }

    /// Parses the command line.
    ///
    /// # Errors
    ///
    /// The first invalid argument.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self {
            nuthatch: PathBuf::new(),
            time: Duration::from_secs(60),
            seed: 1,
            clients: 24,
            reload: false,
            upgrades: 0,
            is_verbose: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--verbose" {
                options.is_verbose = true;
                continue;
            }
            if word == "--reload" {
                options.reload = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word}: {USAGE}"))?;
            let bad = || format!("{word} {value} is invalid\n\n{USAGE}");
            match word.as_str() {
                "--nuthatch" => {
                    options.nuthatch = std::fs::canonicalize(value).map_err(|_| bad())?
                }
                "--minutes" => options.time = minutes(value).ok_or_else(bad)?,
                "--upgrade" => {
                    options.upgrades = value.parse().map_err(|_| bad())?;
                    if !(1..=10_000).contains(&options.upgrades) {
                        return Err(bad());
                    }
                }
                "--seed" => options.seed = value.parse().map_err(|_| bad())?,
                "--clients" => {
                    options.clients = value.parse().map_err(|_| bad())?;
                    if !(1..=1_000).contains(&options.clients) {
                        return Err(bad());
                    }
                }
                _ => return Err(bad()),
            }
        }
        if options.nuthatch.as_os_str().is_empty() {
            return Err(format!("--nuthatch is missing\n\n{USAGE}"));
        }
        Ok(options)
    }
}

/// From one second to one week.
fn minutes(value: &str) -> Option<Duration> {
    let minutes: f64 = value.parse().ok()?;
    let is_sound = (1.0 / 60.0..=10_080.0).contains(&minutes);
    is_sound.then(|| Duration::from_secs_f64(minutes * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split(' ').map(String::from).collect();
        Options::parse(&words)
    }

    #[test]
    fn a_full_line_is_understood_and_nonsense_named() {
        let options = parse("--nuthatch / --minutes 0.5 --seed 7 --clients 3 --verbose").unwrap();
        assert_eq!(options.time, Duration::from_secs(30));
        assert_eq!(
            (options.seed, options.clients, options.is_verbose),
            (7, 3, true)
        );
        for (line, fragment) in [
            ("--seed 1", "--nuthatch"),
            ("--nuthatch /no/such/file", "/no/such/file"),
            ("--nuthatch / --minutes nan", "nan"),
            ("--nuthatch / --clients 0", "--clients 0"),
            ("--nuthatch / --upgrade 0", "--upgrade 0"),
            ("--fast", "--fast"),
            ("--nuthatch / --fast 1", "--fast"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(fragment), "{line}: {error}");
        }
    }
}
