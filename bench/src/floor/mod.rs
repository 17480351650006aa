//! The floor: a minimal server that answers every request at once.
//!
//! It does what no proxy can avoid: it waits for its clients in one epoll set, and for each one that is ready
//! it calls `recv` once and `send` once. It knows just enough of the protocols to answer the load generator
//! and redis-benchmark correctly. The cost of a proxy beyond this server's is the proxy's own; this server's
//! cost is the kernel's.

mod answers;

use std::io;
use std::net::{TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use answers::{Conversation, Values};

/// Maximum bytes per `recv`.
const READ: usize = 64 << 10;

/// Maximum clients reported per wait.
const EVENTS: usize = 1_024;

/// The listener's number in the epoll set; clients have theirs from 0 on.
const LISTENER: u64 = u64::MAX;

/// Serves every client, without end.
///
/// # Errors
///
/// When the operating system reports an error that does not concern a single client.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let set = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&set, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut values = Values::default();
    let mut buffer = vec![0; READ];
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        match epoll::wait(&set, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let number = event.data.u64();
            if number == LISTENER {
                accept(&set, listener, &mut clients)?;
                continue;
            }
            let slot = &mut clients[number as usize];
            if let Some(client) = slot
                && client.serve(&mut buffer, &mut values).is_err()
            {
                // Closing removes it from the set.
                *slot = None;
                continue;
            }
            if let Some(client) = slot {
                client.watch(&set, number)?;
            }
        }
    }
}

fn accept(
    set: impl std::os::fd::AsFd,
    listener: &TcpListener,
    clients: &mut Vec<Option<Client>>,
) -> io::Result<()> {
    // A client that has left already is skipped.
    let Ok((stream, _)) = listener.accept() else {
        return Ok(());
    };
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let number = clients.iter().position(Option::is_none);
    let number = number.unwrap_or_else(|| {
        clients.push(None);
        clients.len() - 1
    });
    let data = EventData::new_u64(number as u64);
    epoll::add(set, &stream, data, EventFlags::IN)?;
    clients[number] = Some(Client {
        stream,
        conversation: Conversation::default(),
        output: Vec::new(),
        sent: 0,
        watched: EventFlags::IN,
    });
    Ok(())
}

struct Client {
    stream: TcpStream,
    conversation: Conversation,
    output: Vec<u8>,
    /// Bytes of the output that were sent.
    sent: usize,
    watched: EventFlags,
}

/// The client has left or sent something unknown.
struct Lost;

impl Client {
    /// Once all replies are sent, reads what has arrived and answers it.
    fn serve(&mut self, buffer: &mut [u8], values: &mut Values) -> Result<(), Lost> {
        if self.output.is_empty() {
            let count = match rustix::net::recv(&self.stream, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Err(Lost),
                Ok((count, _)) => count,
                Err(Errno::AGAIN | Errno::INTR) => 0,
                Err(_) => return Err(Lost),
            };
            self.conversation
                .take(&buffer[..count], values, &mut self.output)
                .map_err(|_| Lost)?;
        }
        if self.output.is_empty() {
            return Ok(());
        }
        match rustix::net::send(&self.stream, &self.output[self.sent..], SendFlags::NOSIGNAL) {
            Ok(count) => self.sent += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Err(Lost),
        }
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
        Ok(())
    }

    /// Waits until it can write while replies are pending, else for requests.
    fn watch(&mut self, set: impl std::os::fd::AsFd, number: u64) -> io::Result<()> {
        let wanted = match self.output.is_empty() {
            true => EventFlags::IN,
            false => EventFlags::OUT,
        };
        if wanted != self.watched {
            epoll::modify(set, &self.stream, EventData::new_u64(number), wanted)?;
            self.watched = wanted;
        }
        Ok(())
    }
}
