//! Transactions at a fixed rate (program `transactions`): how long each takes, and whether each was executed as a whole.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What `transactions --help` prints.
pub const USAGE: &str = "\
Usage: transactions ADDRESS CLIENTS RATE SECONDS

Prints `ready`, waits for a line on standard input, then sends RATE transactions per second, of ten commands each, from
that many clients of a Redis address, and prints how many were executed, and their latencies from the time when each was
due, in microseconds.
";

/// Commands of a transaction.
const COMMANDS: usize = 10;

/// How long a reply may take.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// What is to be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Whom to ask.
    pub address: SocketAddr,
    /// How many clients send.
    pub clients: usize,
    /// Transactions per second, of all clients together.
    pub rate: f64,
    /// How long they are sent.
    pub time: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Transactions that were executed.
    pub executed: u64,
    /// Latencies in microseconds.
    pub p50: u64,
    /// Of all but a hundredth.
    pub p99: u64,
}

impl Options {
    /// Parses the arguments.
    ///
    /// # Errors
    ///
    /// When they are not four, or one is no number in its range.
    pub fn parse(words: &[String]) -> Result<Options, String> {
        let [address, clients, rate, seconds] = words else {
            return Err(format!("four arguments are needed\n\n{USAGE}"));
        };
        let number = |word: &String| {
            let number = word.parse::<u64>();
            number.map_err(|error| format!("{word}: {error}"))
        };
        let address = address.parse();
        Ok(Options {
            address: address.map_err(|error| format!("the address: {error}"))?,
            clients: number(clients)?.clamp(1, 1_000) as usize,
            rate: number(rate)?.clamp(1, 1_000_000) as f64,
            time: Duration::from_secs(number(seconds)?.clamp(1, 600)),
        })
    }
}

impl Report {
    /// As one line of JSON.
    pub fn to_json(self) -> String {
        let Report { executed, p50, p99 } = self;
        format!("{{\"executed\":{executed},\"p50\":{p50},\"p99\":{p99}}}")
    }
}

/// Measures; `start` is called when everybody is connected and has executed one transaction.
///
/// # Errors
///
/// When a connection fails, or a transaction is not executed as a whole.
pub fn run(options: &Options, start: impl FnOnce() -> io::Result<()>) -> Result<Report, String> {
    let clients: io::Result<Vec<Client>> = (0..options.clients)
        .map(|number| Client::new(options.address, number))
        .collect();
    let clients = clients.map_err(|error| format!("connecting: {error}"))?;
    start().map_err(|error| format!("waiting for the start: {error}"))?;
    let begin = Instant::now();
    let pause = Duration::from_secs_f64(options.clients as f64 / options.rate);
    let running = clients.into_iter().enumerate().map(|(number, client)| {
        let first = begin + pause.mul_f64(number as f64 / options.clients as f64);
        let until = begin + options.time;
        thread::spawn(move || client.play(first, pause, until))
    });
    let running: Vec<_> = running.collect();
    let mut all = Histogram::<u64>::new(3).map_err(|error| error.to_string())?;
    for client in running {
        let latencies = client.join().map_err(|_| "a client panicked".to_owned())?;
        let latencies = latencies.map_err(|error| format!("a transaction: {error}"))?;
        all.add(latencies).map_err(|error| error.to_string())?;
    }
    Ok(Report {
        executed: all.len(),
        p50: all.value_at_quantile(0.5),
        p99: all.value_at_quantile(0.99),
    })
}

struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    /// How often its counters were counted up.
    count: u64,
    reply: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr, number: usize) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIME_LIMIT)?;
        stream.set_read_timeout(Some(TIME_LIMIT))?;
        stream.set_nodelay(true)?;
        let mut request = array(&["MULTI"]);
        for key in 0..COMMANDS {
            request.extend(array(&["INCR", &format!("{{{number}}}:{key}")]));
        }
        request.extend(array(&["EXEC"]));
        let mut client = Self {
            stream,
            request,
            count: 0,
            reply: Vec::new(),
        };
        client.begin_at_zero(number)?;
        client.execute()?;
        Ok(client)
    }

    /// Sets its counters to 0.
    fn begin_at_zero(&mut self, number: usize) -> io::Result<()> {
        for key in 0..COMMANDS {
            let key = format!("{{{number}}}:{key}");
            self.stream.write_all(&array(&["SET", &key, "0"]))?;
            self.stream.read_exact(&mut [0; 5])?;
        }
        Ok(())
    }

    /// Executes one transaction, and checks that every counter says the same.
    fn execute(&mut self) -> io::Result<()> {
        self.count += 1;
        self.stream.write_all(&self.request)?;
        let number = format!(":{}\r\n", self.count);
        let expected = [
            "+OK\r\n",
            &"+QUEUED\r\n".repeat(COMMANDS),
            &format!("*{COMMANDS}\r\n"),
            &number.repeat(COMMANDS),
        ]
        .concat();
        self.reply.resize(expected.len(), 0);
        self.stream.read_exact(&mut self.reply)?;
        match self.reply == expected.as_bytes() {
            true => Ok(()),
            false => {
                let reply = String::from_utf8_lossy(&self.reply).into_owned();
                Err(io::Error::other(reply))
            }
        }
    }

    fn play(
        mut self,
        first: Instant,
        pause: Duration,
        until: Instant,
    ) -> io::Result<Histogram<u64>> {
        let mut latencies = Histogram::new(3).map_err(io::Error::other)?;
        let mut due = first;
        while due < until {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.execute()?;
            let micros = due.elapsed().as_micros() as u64;
            latencies.record(micros.max(1)).map_err(io::Error::other)?;
            due += pause;
        }
        Ok(latencies)
    }
}

fn array(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    bytes.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_four() {
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        let options = Options::parse(&words("127.0.0.1:1 50 2690 60")).unwrap();
        assert_eq!((options.clients, options.rate), (50, 2_690.0));
        for wrong in [
            "127.0.0.1:1 50 2690",
            "here 50 2690 60",
            "127.0.0.1:1 x 1 1",
        ] {
            assert!(Options::parse(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
