//! One client connection to one proxy: sends bytes in pieces, and reads until something arrives.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::seed::Rng;

/// How long to wait for an expected answer.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// A longer write may block until replies are read, so it needs a thread of its own.
const WRITE_AT_ONCE: usize = 32 << 10;

/// Why reading an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The expected bytes arrived: the connection is open and usable.
    Open,
    /// The proxy closed (or reset) the connection.
    Closed,
    /// Nothing more arrived, though something should have.
    Silent,
}

/// What a proxy sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    /// Sends in pieces of random sizes.
    pub(crate) cuts: Option<Rng>,
    /// Reads a little at a time, with pauses.
    pub(crate) slow: bool,
    /// How long the proxy may let the client wait before that counts as silence.
    pub(crate) time_limit: Duration,
}

impl Manner {
    /// Everything at once, read as it arrives.
    pub(crate) fn plain() -> Manner {
        Manner {
            cuts: None,
            slow: false,
            time_limit: TIME_LIMIT,
        }
    }

    /// For requests that may get no answer.
    pub(crate) fn with_short_wait() -> Manner {
        Manner {
            time_limit: Duration::from_secs(2),
            ..Manner::plain()
        }
    }
}

#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
}

impl Wire {
    pub(crate) fn connect(port: u16) -> Wire {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        stream.set_nodelay(true).expect("a TCP option");
        stream
            .set_write_timeout(Some(TIME_LIMIT))
            .expect("time_limit is not zero");
        Wire { stream }
    }

    /// Sends without waiting; bytes that a closed connection does not accept are lost.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        write_pieces(&self.stream, bytes, None);
    }

    /// Sends `bytes`, then reads until the input ends with `last`, which is not part of the answer.
    pub(crate) fn exchange(&mut self, bytes: &[u8], last: &[u8], manner: &Manner) -> Answer {
        let done = |answer: &[u8]| answer.ends_with(last);
        let mut answer = self.converse(bytes, false, &done, manner);
        if answer.end == End::Open {
            answer.bytes.truncate(answer.bytes.len() - last.len());
        }
        answer
    }

    /// Sends `bytes` and a FIN, then reads until the proxy closes.
    pub(crate) fn finish(&mut self, bytes: &[u8], manner: &Manner) -> Answer {
        self.converse(bytes, true, &|_| false, manner)
    }

    fn converse(
        &mut self,
        bytes: &[u8],
        fin: bool,
        done: &dyn Fn(&[u8]) -> bool,
        manner: &Manner,
    ) -> Answer {
        self.stream
            .set_read_timeout(Some(manner.time_limit))
            .expect("time_limit is not zero");
        let writer = self.stream.try_clone().expect("a descriptor");
        let write = move |cuts| {
            write_pieces(&writer, bytes, cuts);
            if fin {
                // The connection may be closed already.
                let _ = writer.shutdown(Shutdown::Write);
            }
        };
        let cuts = manner.cuts.clone();
        if bytes.len() <= WRITE_AT_ONCE {
            write(cuts);
            return read(&self.stream, done, manner.slow);
        }
        thread::scope(|scope| {
            scope.spawn(|| write(cuts));
            read(&self.stream, done, manner.slow)
        })
    }
}

fn write_pieces(mut stream: &TcpStream, bytes: &[u8], cuts: Option<Rng>) {
    let Some(mut rng) = cuts else {
        // If the peer has closed, reading its answer shows that.
        let _ = stream.write_all(bytes);
        return;
    };
    let longest = *rng.pick(&[1, 3, 20, 200, 5_000, 40_000]);
    let mut rest = bytes;
    let mut pieces = 0;
    while !rest.is_empty() {
        // A few small pieces test the same as many.
        let size = if pieces < 300 {
            1 + rng.below(longest)
        } else {
            rest.len()
        };
        let (piece, after) = rest.split_at(size.min(rest.len()));
        if stream.write_all(piece).is_err() {
            return;
        }
        rest = after;
        pieces += 1;
        if rng.one_in(30) {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

fn read(mut stream: &TcpStream, done: &dyn Fn(&[u8]) -> bool, slow: bool) -> Answer {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let begin = Instant::now();
    let end = loop {
        if done(&bytes) {
            break End::Open;
        }
        if begin.elapsed() > 4 * TIME_LIMIT {
            break End::Silent;
        }
        let room = if slow {
            thread::sleep(Duration::from_micros(300));
            2_000
        } else {
            buffer.len()
        };
        match stream.read(&mut buffer[..room]) {
            Ok(0) => break End::Closed,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break End::Silent;
            }
            Err(_) => break End::Closed,
        }
    };
    Answer { bytes, end }
}
