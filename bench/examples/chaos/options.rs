//! The command line of chaos.

use std::path::PathBuf;
use std::time::Duration;

/// What `chaos --help` prints.
pub(crate) const USAGE: &str = "\
Usage: chaos --nuthatch FILE [OPTION]...

Runs scenarios, two at a time. Each has a seed, from which its settings, its servers' faults and its
clients' requests follow. Clients check every reply. A scenario takes about five seconds.

  --seed N       seed of the first scenario; the others have the numbers after it (1)
  --seconds N    begin no further scenario after that time (60)
  --scenarios N  run no more scenarios than that
";

/// The longest run in seconds: a week.
const LONGEST: u64 = 7 * 24 * 3_600;

/// The parsed command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// The proxy's program.
    pub(crate) nuthatch: PathBuf,
    /// Seed of the first scenario.
    pub(crate) seed: u64,
    /// When no further scenario begins.
    pub(crate) time: Duration,
    /// Most scenarios.
    pub(crate) scenarios: u64,
}

impl Options {
    /// Parses the command line.
    ///
    /// # Errors
    ///
    /// The first invalid argument.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self {
            nuthatch: PathBuf::new(),
            seed: 1,
            time: Duration::from_secs(60),
            scenarios: u64::MAX,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word}: {USAGE}"))?;
            let bad = || format!("{word} {value} is invalid\n\n{USAGE}");
            let number = || value.parse::<u64>().map_err(|_| bad());
            match word.as_str() {
                "--nuthatch" => {
                    options.nuthatch = std::fs::canonicalize(value).map_err(|_| bad())?
                }
                "--seed" => options.seed = number()?,
                "--seconds" => options.time = Duration::from_secs(number()?.min(LONGEST)),
                "--scenarios" => options.scenarios = number()?,
                _ => return Err(bad()),
            }
        }
        if options.nuthatch.as_os_str().is_empty() {
            return Err(format!("--nuthatch is missing\n\n{USAGE}"));
        }
        Ok(options)
    }
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
        let options = parse("--nuthatch / --seconds 30 --seed 7 --scenarios 3").unwrap();
        assert_eq!(options.time, Duration::from_secs(30));
        assert_eq!((options.seed, options.scenarios), (7, 3));
        for (line, fragment) in [
            ("--seed 1", "--nuthatch"),
            ("--nuthatch /no/such/file", "/no/such/file"),
            ("--nuthatch / --seed x", "--seed x"),
            ("--fast", "--fast"),
            ("--nuthatch / --fast 1", "--fast"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(fragment), "{line}: {error}");
        }
    }
}
