//! The command line of `cargo xtask bench`.

use std::path::PathBuf;
use std::time::Duration;

/// Rounds of a run whose figures are to be reliable.
const ROUNDS: usize = 7;

/// Rounds with `--quick`.
const QUICK_ROUNDS: usize = 3;

/// What `cargo xtask bench --help` prints.
pub(crate) const USAGE: &str = "\
Usage: cargo xtask bench [OPTION]...

  (no mode)            runs the shapes and prints a table for each
  --targets            measures and checks the project's performance targets
  --scale              how cost grows with clients, servers, keys of a multi-get and value size
  --overload           twice the load that the proxy can handle, and a server that hangs or is slow: is
                       as much as possible answered, and are other clients unaffected
  --commands           transactions, and SCAN of a million keys, through the proxy and at a server directly
  --pubsub             messages of channels to 100 and 1,000 subscribers, through the proxy and at the
                       server directly
  --tls                TLS towards clients: CPU per request and per handshake, beside no TLS and stunnel
  --instructions       counts the core's instructions (valgrind) and compares them with
                       bench/instructions.txt; --bless REASON writes that file
  --setup              installs what is compared, if permitted: haproxy, nutcracker, Envoy; valgrind

  --quick              few shapes, few and short rounds: to see that it works, not for results
  --shapes NAME,..     only these shapes (all: every one; --list lists them);
                       facts: with --targets, only the figures measured once;
                       hang, slow: with --overload, only the server that hangs, or answers after 100 ms
  --proxies NAME,..    only these contenders: nutcracker, nuthatch, haproxy, envoy, predixy (the program
                       in NUTHATCH_BENCH_PREDIXY), floor (our minimal server, which answers every
                       request itself), direct
  --rounds N           rounds of each shape (7)
  --seconds S          length of one run of one contender (2)
  --workers N          workers of nuthatch (1)
  --nuthatch FILE      measure this program instead of a fresh build
  --candidate NAME=FILE
                       another build of nuthatch to compare with; may be repeated
  --json FILE          writes every sample and every ratio
  --plots DIR          writes SVG plots (target/bench)
  --list               lists the shapes
";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Shapes,
    Targets,
    Scale,
    Overload,
    Commands,
    PubSub,
    Tls,
    Instructions,
    Setup,
}

/// The parsed command line.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) mode: Mode,
    pub(super) quick: bool,
    /// Names of shapes; empty means the mode's default.
    pub(super) shapes: Vec<String>,
    /// Names of contenders; empty means all that are installed.
    pub(super) proxies: Vec<String>,
    pub(super) rounds: usize,
    pub(super) seconds: Duration,
    pub(super) workers: usize,
    pub(super) nuthatch: Option<PathBuf>,
    pub(super) candidates: Vec<(String, PathBuf)>,
    pub(super) json: Option<PathBuf>,
    pub(super) plots: PathBuf,
    pub(super) bless: Option<String>,
}

impl Options {
    /// Parses the arguments after `bench`.
    ///
    /// # Errors
    ///
    /// The first invalid argument.
    pub(super) fn parse(words: &[&str]) -> Result<Options, String> {
        let mut options = Options::new(words.contains(&"--quick"));
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            if !options.take_flag(word)? {
                let value = words.next().ok_or_else(|| unknown(word))?;
                options.take_value(word, value)?;
            }
        }
        if options.bless.is_some() && options.mode != Mode::Instructions {
            return Err("--bless goes with --instructions".into());
        }
        Ok(options)
    }

    fn new(quick: bool) -> Options {
        Options {
            mode: Mode::Shapes,
            quick,
            shapes: Vec::new(),
            proxies: Vec::new(),
            rounds: if quick { QUICK_ROUNDS } else { ROUNDS },
            seconds: Duration::from_millis(if quick { 400 } else { 2_000 }),
            workers: 1,
            nuthatch: None,
            candidates: Vec::new(),
            json: None,
            plots: crate::run::root().join("target/bench"),
            bless: None,
        }
    }

    /// Takes an argument that needs no value; false if it is another one.
    fn take_flag(&mut self, word: &str) -> Result<bool, String> {
        let mode = match word {
            "--quick" => return Ok(true),
            "--targets" => Mode::Targets,
            "--scale" => Mode::Scale,
            "--overload" => Mode::Overload,
            "--commands" => Mode::Commands,
            "--pubsub" => Mode::PubSub,
            "--tls" => Mode::Tls,
            "--instructions" => Mode::Instructions,
            "--setup" => Mode::Setup,
            _ => return Ok(false),
        };
        if self.mode != Mode::Shapes {
            return Err(format!("{word}: one mode at a time"));
        }
        self.mode = mode;
        Ok(true)
    }

    fn take_value(&mut self, word: &str, value: &str) -> Result<(), String> {
        match word {
            "--shapes" => self.shapes = list(value),
            "--proxies" => self.proxies = list(value),
            "--rounds" => self.rounds = within(word, value, 1, 1_000)?,
            "--workers" => self.workers = within(word, value, 1, 64)?,
            "--seconds" => self.seconds = seconds(value)?,
            "--nuthatch" => self.nuthatch = Some(absolute(value)?),
            "--candidate" => self.candidates.push(candidate(value)?),
            "--json" => self.json = Some(value.into()),
            "--plots" => self.plots = value.into(),
            "--bless" => self.bless = Some(value.into()),
            _ => return Err(unknown(word)),
        }
        Ok(())
    }
}

fn unknown(word: &str) -> String {
    format!("bench: {word} is no option, or lacks its value\n\n{USAGE}")
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(String::from).collect()
}

fn within(word: &str, value: &str, least: usize, most: usize) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{word} {value}: a number from {least} to {most} is needed"))
}

fn seconds(value: &str) -> Result<Duration, String> {
    value
        .parse()
        .ok()
        .filter(|&number| (0.1..=60.0).contains(&number))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("--seconds {value}: a number from 0.1 to 60 is needed"))
}

fn candidate(value: &str) -> Result<(String, PathBuf), String> {
    match value.split_once('=') {
        Some((name, file)) if !name.is_empty() => Ok((name.into(), absolute(file)?)),
        _ => Err(format!("--candidate {value}: NAME=FILE is needed")),
    }
}

/// Contenders run in their own directories, so a path must not be relative.
fn absolute(file: &str) -> Result<PathBuf, String> {
    std::fs::canonicalize(file).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_line_is_understood() {
        let line = "--targets --rounds 9 --seconds 0.5 --proxies nuthatch,direct --json a.json --workers 2";
        let words: Vec<&str> = line.split(' ').collect();
        let options = Options::parse(&words).unwrap();
        assert_eq!(options.mode, Mode::Targets);
        assert_eq!((options.rounds, options.workers), (9, 2));
        assert_eq!(options.seconds, Duration::from_millis(500));
        assert_eq!(options.proxies, ["nuthatch", "direct"]);
        assert_eq!(options.json, Some("a.json".into()));
    }

    #[test]
    fn quick_is_quick_and_can_be_overruled() {
        assert_eq!(Options::parse(&["--quick"]).unwrap().rounds, QUICK_ROUNDS);
        assert_eq!(
            Options::parse(&["--rounds", "5", "--quick"])
                .unwrap()
                .rounds,
            5
        );
        assert_eq!(Options::parse(&[]).unwrap().rounds, ROUNDS);
    }

    #[test]
    fn nonsense_is_named() {
        for (words, fragment) in [
            (&["--fast"][..], "--fast"),
            (&["--rounds"], "--rounds"),
            (&["--rounds", "0"], "from 1"),
            (&["--seconds", "nan"], "from 0.1"),
            (&["--targets", "--scale"], "one mode"),
            (&["--candidate", "x"], "NAME=FILE"),
            (&["--nuthatch", "no/such/file"], "no/such/file"),
            (&["--bless", "why"], "--instructions"),
        ] {
            let error = Options::parse(words).unwrap_err();
            assert!(error.contains(fragment), "{words:?}: {error}");
        }
    }
}
