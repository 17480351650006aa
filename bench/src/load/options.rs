//! The command line of `loadgen`.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use super::protocol::Protocol;

/// What `loadgen --help` prints.
pub const USAGE: &str = "\
Usage: loadgen --target HOST:PORT [OPTION VALUE]...

  --protocol redis|memcached   protocol (redis)
  --clients N                  connections (50)
  --pipeline N                 requests that a client sends at once (1)
  --mix get|set|mixed|mget|fill
                               mixed: half get, half set; mget: --batch keys in one request;
                               fill: sets every key once and stops (get)
  --batch N                    keys of one multi-get (100)
  --size BYTES                 size of a value (100)
  --keys N                     different keys (10000)
  --tag TEXT                   every key begins with {TEXT}: with `hash_tag: \"{}\"` all keys are on one server
  --rate N                     open loop: requests per second, due at fixed times, and latency
                               from the time when a request was due
  --seconds S                  length of the run (2; fractions allowed)
  --requests N                 stop after this many requests, if that is sooner
  --gate yes                   print `ready` once connected and wait for a line on standard input

Set the keys with --mix fill before getting them. One line of JSON is printed. The exit status is 0 if
every reply was right, 1 if one was wrong, misordered, missing or an error, and 2 if the run failed.
";

/// Maximum connections of a run; a protection against typing errors.
const MAX_CLIENTS: u64 = 60_000;

/// Parameters of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to connect.
    pub target: SocketAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// Connections.
    pub clients: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// Which requests are sent.
    pub mix: Mix,
    /// Bytes of a value, at least 1.
    pub size: usize,
    /// Different keys, at least 1.
    pub keys: u32,
    /// Hash tag of all keys, in braces; none if empty.
    pub tag: String,
    /// Maximum duration of sending.
    pub duration: Duration,
    /// Maximum number of requests.
    pub requests: u64,
    /// Whether to wait for a line on standard input once connected.
    pub gate: bool,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Closed loop: each client sends this many at once, and again when all are answered.
    Closed {
        /// Requests per batch.
        pipeline: usize,
    },
    /// Open loop: this many per second over all clients.
    Open {
        /// Requests per second.
        rate: f64,
        /// Requests of a client that are due at the same time.
        pipeline: u64,
    },
}

/// Which requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Reads of one key.
    Get,
    /// Writes of one key.
    Set,
    /// Half reads and half writes, in random order.
    Mixed,
    /// Reads of this many keys in one request (MGET, or get with several keys).
    MultiGet(u32),
    /// Writes every key once.
    Fill,
}

impl Options {
    /// Parses `--name value` pairs.
    ///
    /// # Errors
    ///
    /// The first invalid argument.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut written = Written::default();
        let mut pairs = words.chunks_exact(2);
        for pair in &mut pairs {
            written.take(&pair[0], &pair[1])?;
        }
        match pairs.remainder() {
            [word] => Err(format!("{word} lacks its value; see --help")),
            _ => written.check(),
        }
    }
}

/// The options as given, or their defaults.
struct Written {
    target: Option<SocketAddr>,
    protocol: Protocol,
    clients: u64,
    pipeline: u64,
    mix: String,
    batch: u64,
    size: u64,
    keys: u64,
    tag: String,
    rate: Option<f64>,
    seconds: f64,
    requests: u64,
    gate: bool,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            target: None,
            protocol: Protocol::Redis,
            clients: 50,
            pipeline: 1,
            mix: "get".into(),
            batch: 100,
            size: 100,
            keys: 10_000,
            tag: String::new(),
            rate: None,
            seconds: 2.0,
            requests: u64::MAX,
            gate: false,
        }
    }
}

impl Written {
    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--target" => self.target = Some(number(name, value)?),
            "--protocol" => self.protocol = protocol(value)?,
            "--clients" => self.clients = within(name, value, 1..=MAX_CLIENTS)?,
            "--pipeline" => self.pipeline = within(name, value, 1..=100_000)?,
            "--mix" => self.mix = value.into(),
            "--batch" => self.batch = within(name, value, 1..=100_000)?,
            "--size" => self.size = within(name, value, 1..=64 << 20)?,
            "--keys" => self.keys = within(name, value, 1..=99_999_999)?,
            "--tag" => self.tag = value.into(),
            "--rate" => self.rate = Some(positive(name, value, 10e6)?),
            "--seconds" => self.seconds = positive(name, value, 3_600.0)?,
            "--requests" => self.requests = within(name, value, 1..=u64::MAX)?,
            "--gate" => self.gate = value == "yes",
            _ => return Err(format!("there is no option {name}; see --help")),
        }
        Ok(())
    }

    fn check(self) -> Result<Options, String> {
        let target = self.target.ok_or("--target HOST:PORT is needed")?;
        if self.batch > self.keys && self.mix == "mget" {
            return Err("--batch must not exceed --keys: a multi-get names a key once".into());
        }
        let mix = match self.mix.as_str() {
            "get" => Mix::Get,
            "set" => Mix::Set,
            "mixed" => Mix::Mixed,
            "mget" => Mix::MultiGet(small(self.batch)),
            "fill" => Mix::Fill,
            other => {
                return Err(format!(
                    "--mix {other}: there are get, set, mixed, mget, fill"
                ));
            }
        };
        let pace = match self.rate {
            Some(rate) => Pace::Open {
                rate,
                pipeline: self.pipeline,
            },
            None => Pace::Closed {
                pipeline: small(self.pipeline) as usize,
            },
        };
        let all_keys = if mix == Mix::Fill {
            self.keys
        } else {
            u64::MAX
        };
        Ok(Options {
            target,
            protocol: self.protocol,
            clients: small(self.clients) as usize,
            pace,
            mix,
            size: small(self.size) as usize,
            keys: small(self.keys),
            tag: self.tag,
            duration: Duration::from_secs_f64(self.seconds),
            requests: self.requests.min(all_keys),
            gate: self.gate,
        })
    }
}

/// All ranges above end below this.
fn small(value: u64) -> u32 {
    u32::try_from(value).expect("checked against a range that fits")
}

fn protocol(value: &str) -> Result<Protocol, String> {
    match value {
        "redis" => Ok(Protocol::Redis),
        "memcached" => Ok(Protocol::Memcached),
        _ => Err(format!("--protocol {value}: there are redis and memcached")),
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name} {value} cannot be read"))
}

fn within(name: &str, value: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let read = number(name, value)?;
    if range.contains(&read) {
        return Ok(read);
    }
    Err(format!(
        "{name} {value} is not within {} and {}",
        range.start(),
        range.end()
    ))
}

fn positive(name: &str, value: &str, most: f64) -> Result<f64, String> {
    let read: f64 = number(name, value)?;
    if read > 0.0 && read <= most {
        return Ok(read);
    }
    Err(format!("{name} {value} is not above 0 and at most {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split(' ').map(String::from).collect();
        Options::parse(&words)
    }

    #[test]
    fn a_full_line_is_understood() {
        let line = "--target 127.0.0.1:1 --protocol memcached --clients 7 --mix mget --batch 3 --rate 1e3 \
                    --pipeline 2 --seconds 0.5 --size 9 --tag t --keys 4 --requests 11 --gate yes";
        let options = parse(line).unwrap();
        let (rate, pipeline) = (1000.0, 2);
        assert_eq!(options.pace, Pace::Open { rate, pipeline });
        assert_eq!(options.mix, Mix::MultiGet(3));
        assert_eq!((options.clients, options.size, options.keys), (7, 9, 4));
        assert_eq!(options.tag, "t");
        assert_eq!(options.duration, Duration::from_millis(500));
        assert_eq!((options.requests, options.gate), (11, true));
        let fill = parse("--target 127.0.0.1:1 --mix fill --keys 20").unwrap();
        assert_eq!(fill.requests, 20);
    }

    #[test]
    fn nonsense_is_named() {
        for (line, fragment) in [
            ("--clients 5", "--target"),
            ("--target nowhere", "nowhere"),
            ("--target 127.0.0.1:1 --clients 0", "within"),
            ("--target 127.0.0.1:1 --rate -1", "above 0"),
            ("--target 127.0.0.1:1 --rate nan", "above 0"),
            ("--target 127.0.0.1:1 --mix both", "both"),
            ("--target 127.0.0.1:1 --mix mget --keys 5", "--batch"),
            ("--target 127.0.0.1:1 --speed 3", "no option --speed"),
            ("--target", "lacks its value"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(fragment), "{line}: {error}");
        }
    }
}
