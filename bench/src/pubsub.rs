//! One publisher and many subscribers of one channel (program `pubsub`): how many messages arrive in a second.
//!
//! The publisher keeps a bounded number of messages on their way, so that nobody falls behind so far that it would be
//! closed.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

/// What `pubsub --help` prints.
pub const USAGE: &str = "\
Usage: pubsub ADDRESS SUBSCRIBERS SIZE SECONDS

Subscribes that many clients to one channel at a Redis address, prints `ready`, waits for a line on standard input, then
publishes messages of SIZE bytes for SECONDS and prints how many were published and how many arrived.
";

/// Messages that are on their way to each subscriber at most.
const AHEAD: u64 = 64;

/// How long anything may take.
const TIME_LIMIT: Duration = Duration::from_secs(20);

const CHANNEL: &str = "bench";

/// The publisher's token; those of the subscribers are their numbers.
const PUBLISHER: Token = Token(usize::MAX - 1);

/// What is to be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Whom to ask.
    pub address: SocketAddr,
    /// How many clients subscribe.
    pub subscribers: usize,
    /// Bytes of a message.
    pub size: usize,
    /// How long messages are published.
    pub time: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Messages that were published.
    pub published: u64,
    /// Messages that arrived, each subscriber counted.
    pub arrived: u64,
    /// Until the last of them arrived, in seconds.
    pub seconds: f64,
}

impl Options {
    /// Parses the arguments.
    ///
    /// # Errors
    ///
    /// When they are not four, or one is no number in its range.
    pub fn parse(words: &[String]) -> Result<Options, String> {
        let [address, subscribers, size, seconds] = words else {
            return Err(format!("four arguments are needed\n\n{USAGE}"));
        };
        let number = |word: &String| {
            word.parse::<usize>()
                .map_err(|error| format!("{word}: {error}"))
        };
        Ok(Options {
            address: address
                .parse()
                .map_err(|error| format!("{address}: {error}"))?,
            subscribers: number(subscribers)?.clamp(1, 15_000),
            size: number(size)?.min(1 << 20),
            time: Duration::from_secs(number(seconds)?.clamp(1, 600) as u64),
        })
    }
}

impl Report {
    /// As one line of JSON.
    pub fn to_json(self) -> String {
        let Report {
            published,
            arrived,
            seconds,
        } = self;
        format!("{{\"published\":{published},\"arrived\":{arrived},\"seconds\":{seconds:.6}}}")
    }
}

/// The clients, and how far they are.
struct Play {
    publisher: mio::net::TcpStream,
    subscribers: Vec<mio::net::TcpStream>,
    poll: Poll,
    /// Bytes of one message as a subscriber gets it.
    frame: usize,
    request: Vec<u8>,
    /// Bytes of requests that are not written.
    unsent: Vec<u8>,
    /// Bytes that all subscribers have got.
    bytes: u64,
    published: u64,
}

/// Measures; `start` is called when everybody is subscribed.
///
/// # Errors
///
/// When a connection fails, or not every message arrives everywhere.
pub fn run(options: &Options, start: impl FnOnce() -> io::Result<()>) -> Result<Report, String> {
    let mut play = Play::new(options).map_err(|error| format!("subscribing: {error}"))?;
    start().map_err(|error| format!("waiting for the start: {error}"))?;
    play.measure(options)
        .map_err(|error| format!("publishing: {error}"))
}

/// Prints that everybody is subscribed, and waits for a line.
///
/// # Errors
///
/// When standard input or output is closed.
pub fn wait_for_go() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    io::stdin().lock().read_line(&mut String::new()).map(drop)
}

impl Play {
    fn new(options: &Options) -> io::Result<Play> {
        let poll = Poll::new()?;
        let connect = || {
            let stream = TcpStream::connect_timeout(&options.address, TIME_LIMIT)?;
            stream.set_read_timeout(Some(TIME_LIMIT))?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        let register = |stream: TcpStream, token| {
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            let registry = poll.registry();
            registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            Ok::<_, io::Error>(stream)
        };
        let mut subscribers = Vec::new();
        for number in 0..options.subscribers {
            let mut stream = connect()?;
            stream.write_all(&array(&["SUBSCRIBE", CHANNEL]))?;
            let expected = [&array_of(3, &["subscribe", CHANNEL])[..], b":1\r\n"].concat();
            let mut reply = vec![0; expected.len()];
            stream.read_exact(&mut reply)?;
            if reply != expected {
                let reply = String::from_utf8_lossy(&reply).into_owned();
                return Err(io::Error::other(reply));
            }
            subscribers.push(register(stream, Token(number))?);
        }
        let body = "m".repeat(options.size);
        Ok(Play {
            publisher: register(connect()?, PUBLISHER)?,
            subscribers,
            frame: array(&["message", CHANNEL, &body]).len(),
            request: array(&["PUBLISH", CHANNEL, &body]),
            poll,
            unsent: Vec::new(),
            bytes: 0,
            published: 0,
        })
    }

    fn arrived(&self) -> u64 {
        self.bytes / self.frame as u64
    }

    fn measure(&mut self, options: &Options) -> io::Result<Report> {
        let began = Instant::now();
        let subscribers = self.subscribers.len() as u64;
        let mut events = Events::with_capacity(1_024);
        let mut space = vec![0; 256 << 10];
        loop {
            let is_over = began.elapsed() >= options.time;
            let due = self.published * subscribers;
            if is_over && self.arrived() == due {
                break;
            }
            if began.elapsed() > options.time + TIME_LIMIT {
                let arrived = self.arrived();
                return Err(io::Error::other(format!("{arrived} of {due} have arrived")));
            }
            if !is_over {
                self.publish(subscribers)?;
            }
            self.poll
                .poll(&mut events, Some(Duration::from_millis(10)))?;
            for event in &events {
                match event.token() {
                    PUBLISHER => drop(read(&mut self.publisher, &mut space)?),
                    Token(number) => {
                        self.bytes += read(&mut self.subscribers[number], &mut space)?;
                    }
                }
            }
        }
        Ok(Report {
            published: self.published,
            arrived: self.arrived(),
            seconds: began.elapsed().as_secs_f64(),
        })
    }

    /// Publishes as many messages as may be on their way.
    fn publish(&mut self, subscribers: u64) -> io::Result<()> {
        while self.published < self.arrived() / subscribers + AHEAD {
            self.unsent.extend_from_slice(&self.request);
            self.published += 1;
        }
        while !self.unsent.is_empty() {
            match self.publisher.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads all that there is; returns how many bytes.
fn read(stream: &mut mio::net::TcpStream, space: &mut [u8]) -> io::Result<u64> {
    let mut sum = 0;
    loop {
        match stream.read(space) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => sum += count as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(sum),
            Err(error) => return Err(error),
        }
    }
}

fn array(words: &[&str]) -> Vec<u8> {
    array_of(words.len(), words)
}

/// The header of an array of `count`, and its first elements.
fn array_of(count: usize, words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{count}\r\n");
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
        let options = Options::parse(&words("127.0.0.1:1 100 16 2")).unwrap();
        assert_eq!((options.subscribers, options.size), (100, 16));
        assert!(Options::parse(&words("127.0.0.1:1 100 16")).is_err());
        assert!(Options::parse(&words("here 100 16 2")).is_err());
        assert!(Options::parse(&words("127.0.0.1:1 x 16 2")).is_err());
    }
}
