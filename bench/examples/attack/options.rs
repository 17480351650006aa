//! The command line of the attacks.

use std::path::PathBuf;
use std::time::Duration;

use crate::case::Case;

/// What `attack --help` prints.
pub(crate) const USAGE: &str = "\
Usage: attack --nuthatch FILE [OPTION]...

Attacks the proxy FILE in front of redis-server and memcached processes, each time a new one, and
prints what that costs a bystander, memory and log. The exit status is 1 if a limit did not hold.

  --nuthatch FILE    the proxy
  --seconds N        duration of each attack (3; fractions allowed)
  --only NAME,...    only these attacks
  --huge-ms N        limit of the attack `huge`: how many ms a bystander may wait longer than without
                     it (20)
  --list             lists the attacks and their limits
";

/// How long a bystander may wait longer for a request of a million arguments.
const HUGE_LIMIT: Duration = Duration::from_millis(20);

/// The parsed command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// The proxy's program.
    pub(crate) nuthatch: PathBuf,
    /// How long each attack takes.
    pub(crate) time: Duration,
    /// The limit of the attack `huge`.
    pub(crate) huge_limit: Duration,
    /// Whether to list the attacks only.
    pub(crate) is_list: bool,
    /// Names of attacks; all of them if empty.
    only: Vec<String>,
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
            time: Duration::from_secs(3),
            huge_limit: HUGE_LIMIT,
            is_list: false,
            only: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--list" {
                options.is_list = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word}: {USAGE}"))?;
            let bad = || format!("{word} {value} is invalid\n\n{USAGE}");
            match word.as_str() {
                "--nuthatch" => {
                    options.nuthatch = std::fs::canonicalize(value).map_err(|_| bad())?
                }
                "--seconds" => options.time = seconds(value).ok_or_else(bad)?,
                "--huge-ms" => {
                    options.huge_limit = Duration::from_millis(value.parse().map_err(|_| bad())?)
                }
                "--only" => options.only = value.split(',').map(String::from).collect(),
                _ => return Err(bad()),
            }
        }
        if options.nuthatch.as_os_str().is_empty() && !options.is_list {
            return Err(format!("--nuthatch is missing\n\n{USAGE}"));
        }
        Ok(options)
    }

    /// The cases of the attacks that the command line names.
    ///
    /// # Errors
    ///
    /// When there is no attack of a name.
    pub(crate) fn chosen(&self, mut cases: Vec<Case>) -> Result<Vec<Case>, String> {
        for name in &self.only {
            if !cases.iter().any(|case| case.attack == name) {
                return Err(format!("there is no attack {name}: see --list"));
            }
        }
        let is_chosen =
            |case: &Case| self.only.is_empty() || self.only.iter().any(|name| case.attack == name);
        cases.retain(is_chosen);
        Ok(cases)
    }
}

/// From a tenth of a second to one minute.
fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.parse().ok()?;
    (0.1..=60.0)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
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
        let options =
            parse("--nuthatch / --seconds 0.5 --only huge,left --huge-ms 20 --list").unwrap();
        assert_eq!(options.time, Duration::from_millis(500));
        assert_eq!(options.huge_limit, Duration::from_millis(20));
        assert_eq!(options.only, ["huge", "left"]);
        assert!(options.is_list && parse("--list").is_ok());
        for (line, fragment) in [
            ("--seconds 1", "--nuthatch"),
            ("--nuthatch /no/such/file", "/no/such/file"),
            ("--nuthatch / --seconds nan", "nan"),
            ("--nuthatch / --seconds 0", "--seconds 0"),
            ("--fast", "--fast"),
            ("--nuthatch / --fast 1", "--fast"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(fragment), "{line}: {error}");
        }
    }

    #[test]
    fn attacks_are_chosen_by_name() {
        let chosen = |line: &str| {
            let options = parse(line).unwrap();
            options.chosen(crate::attacks::all(&options))
        };
        let names = |cases: Vec<Case>| cases.iter().map(|case| case.attack).collect::<Vec<_>>();
        assert_eq!(
            names(chosen("--list --only left,push").unwrap()),
            ["push", "left", "left"]
        );
        assert!(names(chosen("--list").unwrap()).contains(&"descriptors"));
        assert!(chosen("--list --only lift").is_err_and(|error| error.contains("lift")));
    }
}
