//! A scripted Redis server: replies as a test wants and records what it received.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use testkit::Endpoint;

/// A command as its arguments; the name is in upper case.
pub(crate) type Command = Vec<String>;

/// What the fake server does with a command.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Sends these bytes and closes.
    Last(Vec<u8>),
}

/// Sends `text`.
pub(crate) fn say(text: &str) -> Answer {
    Answer::Bytes(text.into())
}

/// A fake server on its own port. Its threads end with the test process.
pub(crate) struct Fake {
    endpoint: Endpoint,
    heard: Arc<Mutex<Vec<(usize, Command)>>>,
}

impl Fake {
    /// Starts one that answers according to `script`.
    pub(crate) fn redis(script: impl Fn(&[String]) -> Answer + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let fake = Fake {
            endpoint: Endpoint::Tcp(address),
            heard: Arc::clone(&heard),
        };
        let script = Arc::new(script);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let (script, heard) = (Arc::clone(&script), Arc::clone(&heard));
                thread::spawn(move || serve(number, &stream, &*script, &heard));
            }
        });
        fake
    }

    /// Its address.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Everything it received so far: the number of the connection, and the command.
    pub(crate) fn heard(&self) -> Vec<(usize, Command)> {
        self.heard.lock().expect("no thread panics with it").clone()
    }

    /// The names of the commands received on connection `number`, in order.
    pub(crate) fn names_on(&self, number: usize) -> Vec<String> {
        let heard = self.heard();
        let on = heard.iter().filter(|(connection, _)| *connection == number);
        on.map(|(_, command)| command[0].clone()).collect()
    }
}

fn serve(
    number: usize,
    stream: &TcpStream,
    script: &(impl Fn(&[String]) -> Answer + ?Sized),
    heard: &Mutex<Vec<(usize, Command)>>,
) {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    while let Some(command) = read_command(&mut input) {
        heard
            .lock()
            .expect("no thread panics with it")
            .push((number, command.clone()));
        let (bytes, last) = match script(&command) {
            Answer::Bytes(bytes) => (bytes, false),
            Answer::Last(bytes) => (bytes, true),
        };
        if output.write_all(&bytes).is_err() || last {
            return;
        }
    }
}

/// The next command; `None` at the end of the stream.
fn read_command(input: &mut impl BufRead) -> Option<Command> {
    let count = read_number(input, '*')?;
    let mut command = Vec::new();
    for _ in 0..count {
        let length = read_number(input, '$')?;
        let mut bytes = vec![0; length + 2];
        input.read_exact(&mut bytes).ok()?;
        bytes.truncate(length);
        command.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    command[0].make_ascii_uppercase();
    Some(command)
}

fn read_number(input: &mut impl BufRead, mark: char) -> Option<usize> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    line.trim_end().strip_prefix(mark)?.parse().ok()
}
