//! Questions to name servers, and their answers (RFC 1035, RFC 2782).

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name, in bytes.
const LONGEST_NAME: usize = 255;

/// Pointers that one name may go through: each leads further back, and a name has no more labels.
const MOST_POINTERS: usize = 127;

/// Records of an answer that are looked at: far more servers than a pool has.
const MOST_RECORDS: usize = 4_096;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordType {
    /// IPv4 addresses.
    A = 1,
    /// IPv6 addresses.
    Aaaa = 28,
    /// Servers of a service.
    Srv = 33,
}

/// What a name has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Record {
    Address(IpAddr),
    Server {
        priority: u16,
        weight: u16,
        port: u16,
        /// Without a dot at the end.
        target: String,
    },
}

/// The records of an answer, each once, and for how many seconds they are good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) records: Vec<Record>,
    pub(super) ttl: u32,
}

/// What came of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The answer.
    Answer(Answer),
    /// It is too long for a datagram and is to be asked for over TCP.
    Truncated,
    /// It is no answer to this question.
    Foreign,
    /// It is one, and it says or shows that there is a fault.
    Fault(String),
}

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    id: u16,
    name: Vec<u8>,
    kind: RecordType,
}

impl Question {
    /// Asks for what `name` has of a type, under this number. `None` if it cannot be the name of anything.
    pub(super) fn new(id: u16, name: &str, kind: RecordType) -> Option<Self> {
        let mut wire = Vec::with_capacity(name.len() + 2);
        for label in name.strip_suffix('.').unwrap_or(name).split('.') {
            let length = u8::try_from(label.len()).ok();
            wire.push(length.filter(|length| (1..=63).contains(length))?);
            wire.extend(label.bytes());
        }
        wire.push(0);
        let name = wire;
        (name.len() <= LONGEST_NAME).then_some(Self { id, name, kind })
    }

    /// The message.
    pub(super) fn message(&self) -> Vec<u8> {
        let [high, low] = self.id.to_be_bytes();
        // A standard query, recursion desired; one question, and one additional record.
        let mut message = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        message.extend(&self.name);
        message.extend([0, self.kind as u8, 0, 1]);
        // Datagrams of 1,232 bytes are taken (EDNS, RFC 6891), which pass everywhere.
        message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        message
    }

    /// Reads what a name server has sent.
    pub(super) fn read(&self, message: &[u8]) -> Reading {
        let Some(header) = message.first_chunk::<12>() else {
            return Reading::Foreign;
        };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let asked: Vec<u8> = [&self.name[..], &[0, self.kind as u8, 0, 1]].concat();
        let is_answer = header[2] & 0x80 != 0 && word(0) == self.id && word(4) == 1;
        let question = message.get(12..12 + asked.len());
        if !is_answer || !question.is_some_and(|it| it.eq_ignore_ascii_case(&asked)) {
            return Reading::Foreign;
        }
        match header[3] & 0x0f {
            0 if header[2] & 2 != 0 => return Reading::Truncated,
            0 => {}
            2 => return Reading::Fault("the name server has failed (SERVFAIL)".into()),
            3 => return Reading::Fault("the name does not exist".into()),
            5 => return Reading::Fault("the name server refuses to answer".into()),
            code => return Reading::Fault(format!("the name server reports the error {code}")),
        }
        let mut reader = Reader {
            message,
            at: 12 + asked.len(),
        };
        match reader.records(usize::from(word(6)), self.kind) {
            Some(answer) => Reading::Answer(answer),
            None => Reading::Fault("the answer makes no sense".into()),
        }
    }
}

struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl Reader<'_> {
    /// The records of a type; `None` if the message is broken.
    fn records(&mut self, count: usize, kind: RecordType) -> Option<Answer> {
        let mut answer = Answer {
            records: Vec::new(),
            ttl: u32::MAX,
        };
        let mut seen = HashSet::new();
        for _ in 0..count.min(MOST_RECORDS) {
            // Whose it is, is up to the name server, which follows aliases.
            self.name()?;
            let (of, class) = (self.word()?, self.word()?);
            let ttl = u32::from(self.word()?) << 16 | u32::from(self.word()?);
            let length = usize::from(self.word()?);
            let end = self.at.checked_add(length)?;
            self.message.get(self.at..end)?;
            if (of, class) == (kind as u16, 1) {
                let record = self.record(kind, length)?;
                answer.ttl = answer.ttl.min(ttl);
                if seen.insert(record.clone()) {
                    answer.records.push(record);
                }
            }
            self.at = end;
        }
        Some(answer)
    }

    fn record(&mut self, kind: RecordType, length: usize) -> Option<Record> {
        let data = self.message.get(self.at..self.at + length)?;
        match kind {
            RecordType::A => {
                let bytes: [u8; 4] = data.try_into().ok()?;
                Some(Record::Address(Ipv4Addr::from(bytes).into()))
            }
            RecordType::Aaaa => {
                let bytes: [u8; 16] = data.try_into().ok()?;
                Some(Record::Address(Ipv6Addr::from(bytes).into()))
            }
            RecordType::Srv => Some(Record::Server {
                priority: self.word()?,
                weight: self.word()?,
                port: self.word()?,
                target: self.name()?,
            }),
        }
    }

    fn word(&mut self) -> Option<u16> {
        let bytes = self.message.get(self.at..self.at + 2)?;
        self.at += 2;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A name, in lower case; what is behind pointers was in the message before.
    fn name(&mut self) -> Option<String> {
        let mut name = Vec::new();
        let (mut at, mut end, mut pointers) = (self.at, None, 0);
        loop {
            let length = usize::from(*self.message.get(at)?);
            match length {
                0 => break,
                1..=63 => {
                    name.extend(self.message.get(at + 1..=at + length)?);
                    name.push(b'.');
                    at += 1 + length;
                }
                0xc0..=0xff => {
                    let low = usize::from(*self.message.get(at + 1)?);
                    end = end.or(Some(at + 2));
                    at = (length & 0x3f) << 8 | low;
                    pointers += 1;
                }
                _ => return None,
            }
            if name.len() > LONGEST_NAME || pointers > MOST_POINTERS {
                return None;
            }
        }
        self.at = end.unwrap_or(at + 1);
        name.pop();
        name.make_ascii_lowercase();
        String::from_utf8(name).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: RecordType) -> Question {
        Question::new(7, "_redis._tcp.Example.org.", kind).unwrap()
    }

    /// An answer with so many records, which are these bytes.
    fn answer(question: &Question, count: u16, records: &[u8]) -> Vec<u8> {
        let mut message = question.message();
        message.truncate(message.len() - 11);
        (message[2], message[3]) = (0x81, 0x80);
        message[6..8].copy_from_slice(&count.to_be_bytes());
        message[11] = 0;
        message.extend(records);
        message
    }

    /// A record of the name that is asked for, with this TTL.
    fn record(kind: RecordType, ttl: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap();
        let head = [0xc0, 12, 0, kind as u8, 0, 1, 0, 0, 0, ttl, 0, length];
        [&head[..], data].concat()
    }

    #[test]
    fn servers_and_addresses_are_read() {
        let asked = question(RecordType::Srv);
        // The target ends with what is asked for, from its third label on.
        let one = record(RecordType::Srv, 60, b"\0\x01\0\x0a\x18\xeb\x02R1\xc0\x18");
        let other = record(RecordType::Srv, 30, b"\0\x01\0\x0a\x18\xec\x02r2\x01x\0");
        let alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 1, 0, 2, 0xc0, 12];
        let records = [&alias[..], &one, &other, &one].concat();
        let server = |port, target: &str| Record::Server {
            priority: 1,
            weight: 10,
            port,
            target: target.into(),
        };
        let expected = Answer {
            records: vec![server(6379, "r1.example.org"), server(6380, "r2.x")],
            ttl: 30,
        };
        let message = answer(&asked, 4, &records);
        assert_eq!(asked.read(&message), Reading::Answer(expected));
        let asked = question(RecordType::A);
        let message = answer(&asked, 1, &record(RecordType::A, 5, &[10, 0, 0, 1]));
        let expected = Answer {
            records: vec![Record::Address([10, 0, 0, 1].into())],
            ttl: 5,
        };
        assert_eq!(asked.read(&message), Reading::Answer(expected));
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_one() {
        let asked = question(RecordType::A);
        let good = answer(&asked, 0, &[]);
        for at in [0, 1, 2, 5, 13, good.len() - 1] {
            let mut other = good.clone();
            other[at] ^= 0x80;
            assert_eq!(asked.read(&other), Reading::Foreign, "{at}");
        }
        let with_code = |code: u8| {
            let mut message = good.clone();
            message[3] |= code;
            asked.read(&message)
        };
        assert_eq!(
            with_code(3),
            Reading::Fault("the name does not exist".into())
        );
        assert!(matches!(with_code(9), Reading::Fault(_)));
        let mut truncated = good;
        truncated[2] |= 2;
        assert_eq!(asked.read(&truncated), Reading::Truncated);
    }

    #[test]
    fn broken_messages_and_circles_are_refused() {
        let asked = question(RecordType::Srv);
        let fault = Reading::Fault("the answer makes no sense".into());
        let good = record(RecordType::Srv, 1, b"\0\0\0\0\0\x01\x01a\0");
        for records in [
            &[][..],
            &good[..good.len() - 1],
            &record(RecordType::Srv, 1, b"\0\0\0"),
            &record(RecordType::Srv, 1, b"\0\0\0\0\0\x01\x40"),
            // A pointer to itself, and one beyond the end.
            &record(RecordType::Srv, 1, &[0, 0, 0, 0, 0, 1, 0xc0, 60]),
            &record(RecordType::Srv, 1, &[0, 0, 0, 0, 0, 1, 0xff, 0xff]),
        ] {
            assert_eq!(
                asked.read(&answer(&asked, 1, records)),
                fault,
                "{records:?}"
            );
        }
        let long = "a".repeat(64);
        for name in ["", ".", "a..b", &long, &"a.".repeat(200)] {
            assert!(Question::new(1, name, RecordType::A).is_none(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_message_is_read_or_refused(
            count in 0..9u16, records in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        ) {
            let asked = question(RecordType::Srv);
            let _ = asked.read(&answer(&asked, count, &records));
            let _ = asked.read(&records);
        }
    }
}
