//! Servers that name servers tell: those of a service (SRV), or all addresses of a name.
//!
//! Other names are looked up by the system (`resolver/`), which does not tell of services, nor for how long an answer is good.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::dns_message::{Answer, Question, Reading, Record, RecordType};
use super::found::Found;
use super::publisher::{Publisher, Source};
use crate::config::{Discovery, ServerSource, read_lines};

/// How long a name server may take to answer; each is asked twice.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Rounds through the name servers.
const ROUNDS: usize = 2;

/// Name servers that are asked, as the system's resolver does it (MAXNS).
const MOST_NAME_SERVERS: usize = 3;

/// How soon it is asked again at the earliest, whatever the answer says.
const SOONEST: Duration = Duration::from_secs(1);

/// How soon it is asked again at the latest, whatever the answer says.
const LATEST: Duration = Duration::from_secs(300);

/// How soon it is asked again when there was no answer.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Where the system has its name servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What finds the name servers; tests have their own.
type NameServers = Box<dyn Fn() -> io::Result<Vec<SocketAddr>> + Send>;

/// Servers that name servers tell.
pub(crate) struct NamedServers {
    discovery: Discovery,
    found: Found,
    name_servers: NameServers,
}

impl NamedServers {
    /// Those that `discovery` is about.
    pub(crate) fn new(discovery: Discovery, found: Found) -> Self {
        let name_servers = || fs::read_to_string(RESOLV_CONF).map(|text| name_servers(&text));
        Self {
            discovery,
            found,
            name_servers: Box::new(name_servers),
        }
    }

    /// The lines of the servers, as they would be listed, and how long they are good.
    fn ask(&self) -> Result<(String, Duration), String> {
        let servers = (self.name_servers)();
        let servers = servers.map_err(|error| format!("{RESOLV_CONF} cannot be read: {error}"))?;
        match &self.discovery.source {
            ServerSource::Srv(name) => {
                let Answer { records, ttl } = ask_any(&servers, name, RecordType::Srv)?;
                Ok((lines_of_service(&records), good_for(ttl)))
            }
            ServerSource::Dns(name, port) => {
                let four = ask_any(&servers, name, RecordType::A)?;
                let six = ask_any(&servers, name, RecordType::Aaaa)?;
                let records = four.records.iter().chain(&six.records);
                Ok((
                    lines_of_addresses(records, *port),
                    good_for(four.ttl.min(six.ttl)),
                ))
            }
            ServerSource::File(_) | ServerSource::Sentinel(_) => Err("it is no name".into()),
        }
    }
}

impl Source for NamedServers {
    fn look(&mut self, publisher: &Publisher, _told: bool) -> Duration {
        match self.ask() {
            Ok((lines, good_for)) => {
                let path = "the answer".as_ref();
                let read = read_lines(path, &self.discovery, &|_| Ok(lines.clone().into_bytes()));
                self.found.take(publisher, read);
                good_for
            }
            Err(problem) => {
                self.found.fail(publisher, &problem);
                AFTER_FAILURE
            }
        }
    }
}

fn good_for(ttl: u32) -> Duration {
    Duration::from_secs(u64::from(ttl)).clamp(SOONEST, LATEST)
}

/// The servers of the highest priority, which has the lowest number: the others are for when those fail. Weights count only if they
/// are different, as some name servers make them of the number of servers.
fn lines_of_service(records: &[Record]) -> String {
    let priorities = records.iter().filter_map(|it| match it {
        Record::Server { priority, .. } => Some(*priority),
        Record::Address(_) => None,
    });
    let first = priorities.min();
    let mut servers = Vec::new();
    for record in records {
        if let Record::Server { priority, weight, port, target } = record
            && Some(*priority) == first
            // A service that is decidedly not there (RFC 2782).
            && !target.is_empty()
        {
            servers.push((target, *port, *weight));
        }
    }
    let weighs = servers.iter().any(|(_, _, weight)| *weight != servers[0].2);
    let line = |(target, port, weight): &(&String, u16, u16)| {
        let weight = if weighs { (*weight).max(1) } else { 1 };
        format!("{target}:{port}:{weight}\n")
    };
    servers.iter().map(line).collect()
}

fn lines_of_addresses<'r>(records: impl Iterator<Item = &'r Record>, port: u16) -> String {
    let line = |record: &Record| match record {
        Record::Address(address) => Some(format!("{address}:{port}:1\n")),
        Record::Server { .. } => None,
    };
    records.filter_map(line).collect()
}

/// The name servers of `resolv.conf`; the one of this machine if there is none (resolv.conf(5)).
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let is_one = words.next() == Some("nameserver");
        let address: IpAddr = words.next().filter(|_| is_one)?.parse().ok()?;
        Some(SocketAddr::new(address, 53))
    };
    let mut servers: Vec<SocketAddr> = text
        .lines()
        .filter_map(address)
        .take(MOST_NAME_SERVERS)
        .collect();
    if servers.is_empty() {
        servers.push(([127, 0, 0, 1], 53).into());
    }
    servers
}

/// The answer of the first name server that has one.
fn ask_any(servers: &[SocketAddr], name: &str, kind: RecordType) -> Result<Answer, String> {
    let mut problem = "there is no name server".to_owned();
    for server in std::iter::repeat_n(servers, ROUNDS).flatten() {
        let id = RandomState::new().hash_one(name) as u16;
        let question = Question::new(id, name, kind).ok_or("it is not the name of anything")?;
        match ask(*server, &question) {
            Ok(Reading::Answer(answer)) => return Ok(answer),
            Ok(Reading::Fault(fault)) => problem = fault,
            Ok(Reading::Truncated | Reading::Foreign) => {
                problem = "the answer makes no sense".into();
            }
            Err(error) => {
                problem = format!("the name server {} is not reached: {error}", server.ip())
            }
        }
    }
    Err(problem)
}

/// Asks a name server, over TCP if the answer is too long for a datagram.
fn ask(server: SocketAddr, question: &Question) -> io::Result<Reading> {
    match ask_by_datagram(server, question)? {
        Reading::Truncated => ask_over_tcp(server, question),
        reading => Ok(reading),
    }
}

fn ask_by_datagram(server: SocketAddr, question: &Question) -> io::Result<Reading> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // So that nobody else's datagrams are taken.
    socket.connect(server)?;
    socket.send(&question.message())?;
    let until = Instant::now() + TIME_LIMIT;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        socket.set_read_timeout(Some(left(until)?))?;
        let length = socket.recv(&mut buffer).map_err(as_late)?;
        match question.read(&buffer[..length]) {
            Reading::Foreign => {}
            reading => return Ok(reading),
        }
    }
}

fn ask_over_tcp(server: SocketAddr, question: &Question) -> io::Result<Reading> {
    let until = Instant::now() + TIME_LIMIT;
    let mut stream = TcpStream::connect_timeout(&server, TIME_LIMIT)?;
    stream.set_write_timeout(Some(TIME_LIMIT))?;
    let message = question.message();
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend(message);
    stream.write_all(&bytes)?;
    let mut length = [0; 2];
    read_until(&mut stream, &mut length, until)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    read_until(&mut stream, &mut answer, until)?;
    Ok(question.read(&answer))
}

/// Fills the buffer until then, however little comes at a time.
fn read_until(stream: &mut TcpStream, buffer: &mut [u8], until: Instant) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut buffer[filled..]).map_err(as_late)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(())
}

fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(late()),
        left => Ok(left),
    }
}

/// A time-out of a socket is told as `WouldBlock`.
fn as_late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => late(),
        _ => error,
    }
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "it does not answer in time")
}

#[cfg(test)]
mod tests;
