//! The command line.

use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: torture --cluster --nuthatch FILE [OPTION]...

Runs six nodes of a Redis Cluster and the proxy FILE in front of them. Loads it with pipelined clients
that check every reply, while masters are killed and slots are moved with their keys.

  --failovers N   masters that are killed (10)
  --migrations N  slots that are moved (10)
  --clients N     clients (8)
  --seed N        seed of the requests (1)
  --verbose       prints each fault, and the log
";

/// The parsed command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// The proxy's program.
    pub(crate) nuthatch: PathBuf,
    pub(crate) failovers: usize,
    pub(crate) migrations: usize,
    pub(crate) clients: u16,
    pub(crate) seed: u64,
    pub(crate) is_verbose: bool,
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
            failovers: 10,
            migrations: 10,
            clients: 8,
            seed: 1,
            is_verbose: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            let number = |text: &String| {
                let number = text.parse::<u64>();
                number.map_err(|_| format!("{text} is no number"))
            };
            match word.as_str() {
                "--nuthatch" => options.nuthatch = value()?.into(),
                "--failovers" => options.failovers = number(value()?)? as usize,
                "--migrations" => options.migrations = number(value()?)? as usize,
                "--clients" => options.clients = number(value()?)?.clamp(1, 100) as u16,
                "--seed" => options.seed = number(value()?)?,
                "--verbose" => options.is_verbose = true,
                other => return Err(format!("unknown argument {other}")),
            }
        }
        match options.nuthatch.as_os_str().is_empty() {
            true => Err("--nuthatch is missing".into()),
            false => Ok(options),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Options::parse(&words)
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let options = parse(&["--nuthatch", "n", "--failovers", "3", "--clients", "900"]).unwrap();
        assert_eq!(
            (options.failovers, options.migrations, options.clients),
            (3, 10, 100)
        );
        for words in [&["--failovers", "x"][..], &["--seed"], &["--what"], &[]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
