//! The connection through the core: a sequential shell with a real server behind it.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use proxy::settings::{Address, PoolSettings, ProtocolSettings, ServerSettings};
use proxy::{
    Action, Cause, Chunk, ConnectionId, Flush, Memory, Pool, PoolShare, SessionId, Time,
    WorkerContext,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::direct::TIME_LIMIT;
use crate::script::Script;

/// Runs the script as one client of a new pool; returns what that client received until it was closed. Then
/// another client of the same pool asks for a key and must be told that there is none.
pub(crate) fn send(
    socket: &Path,
    protocol: ProtocolSettings,
    script: &Script,
) -> Result<Vec<u8>, String> {
    let mut shell = Shell::new(socket, protocol, &script.reads);
    let player = shell.open();
    let mut rest = &script.bytes[..];
    for piece in script.writes.iter().copied().cycle() {
        if rest.is_empty() || !shell.wait_to_read(player)? {
            break;
        }
        let (piece, after) = rest.split_at(piece.clamp(1, rest.len()));
        shell.say(player, piece)?;
        rest = after;
    }
    let said = shell.end(player)?;
    let bystander = shell.open();
    shell.say(bystander, script.question)?;
    let answer = shell.end(bystander)?;
    match answer == script.answer {
        true => Ok(said),
        false => Err(format!("another client was told {}", answer.escape_ascii())),
    }
}

struct Shell<'a> {
    pool: Pool,
    now: Time,
    socket: &'a Path,
    /// How many bytes are read from a server at once, repeated.
    reads: &'a [usize],
    read: usize,
    sessions: HashMap<SessionId, Client>,
    connections: HashMap<ConnectionId, UnixStream>,
}

#[derive(Default)]
struct Client {
    said: Vec<u8>,
    closed: bool,
}

impl<'a> Shell<'a> {
    fn new(socket: &'a Path, protocol: ProtocolSettings, reads: &'a [usize]) -> Self {
        let server = ServerSettings {
            name: "server".into(),
            pname: "server:1:1".into(),
            address: Address::unix(socket),
            weight: 1,
            db: 0,
            replication: Default::default(),
        };
        let settings = PoolSettings {
            // Cheap to build, because there is one server.
            placement: hashkit::Placement {
                distribution: hashkit::Distribution::Modula,
                ..hashkit::Placement::default()
            },
            server_retry_timeout: TIME_LIMIT,
            allow_flush: true,
            ..PoolSettings::new("pool", vec![server], protocol)
        };
        let share = PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1);
        let context = WorkerContext { worker: 0, seed: 1 };
        let now = Time::from_micros(1);
        Self {
            pool: Pool::new(&share, context, now),
            now,
            socket,
            reads,
            read: 0,
            sessions: HashMap::new(),
            connections: HashMap::new(),
        }
    }

    fn open(&mut self) -> SessionId {
        let id = self.pool.open_session("client".into(), self.now);
        self.sessions.insert(id, Client::default());
        id
    }

    /// Lets servers answer until the session may be read; false if it is closed or is never read again.
    fn wait_to_read(&mut self, id: SessionId) -> Result<bool, String> {
        while !self.pool.session_wants_read(id) {
            if self.sessions[&id].closed || !self.hear()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn say(&mut self, id: SessionId, bytes: &[u8]) -> Result<(), String> {
        let chunk: Chunk = bytes.into();
        let all = 0..bytes.len();
        self.pool.handle_session_data(id, &chunk, all, self.now);
        self.drain()
    }

    /// The client closes its write side. Returns what it received until it was closed.
    fn end(&mut self, id: SessionId) -> Result<Vec<u8>, String> {
        self.pool.handle_session_end(id, self.now);
        self.drain()?;
        while !self.sessions[&id].closed {
            if !self.hear()? {
                let said = self.sessions[&id].said.escape_ascii();
                return Err(format!("the core leaves its client waiting after {said}"));
            }
        }
        let client = self.sessions.remove(&id);
        Ok(client.map(|client| client.said).unwrap_or_default())
    }

    /// Reads from one server that has sent something; false if none does for too long.
    fn hear(&mut self) -> Result<bool, String> {
        let Some(id) = self.wait_for_server()? else {
            return Ok(false);
        };
        let most = self.reads[self.read % self.reads.len()].max(1);
        self.read += 1;
        let mut bytes = vec![0; most];
        let stream = self.connections.get_mut(&id).ok_or("it was polled")?;
        match stream.read(&mut bytes) {
            Ok(0) => self.lose(id, Cause::Closed),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.lose(id, Cause::Reset),
            Err(error) => return Err(format!("read: {error}")),
            Ok(count) => {
                let chunk: Chunk = bytes[..count].into();
                self.pool
                    .handle_connection_data(id, &chunk, 0..count, self.now);
            }
        }
        self.drain()?;
        Ok(true)
    }

    fn wait_for_server(&self) -> Result<Option<ConnectionId>, String> {
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let interest = |id| PollFd::from_borrowed_fd(self.connections[id].as_fd(), PollFlags::IN);
        let mut polled: Vec<PollFd<'_>> = ids.iter().map(interest).collect();
        let time_limit = Timespec {
            tv_sec: TIME_LIMIT.as_secs() as i64,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&time_limit)).map_err(|error| format!("poll: {error}"))?;
        let ready = polled.iter().position(|fd| !fd.revents().is_empty());
        Ok(ready.map(|position| ids[position]))
    }

    fn lose(&mut self, id: ConnectionId, cause: Cause) {
        self.connections.remove(&id);
        self.pool.handle_connection_closed(id, cause, self.now);
    }

    /// Performs the core's actions until there are no more.
    fn drain(&mut self) -> Result<(), String> {
        loop {
            if let Some(action) = self.pool.poll_action() {
                self.act(action)?;
            } else if let Some(flush) = self.pool.poll_flush() {
                self.flush(flush);
            } else if self.pool.poll_deadline().is_some_and(|due| due <= self.now) {
                self.pool.handle_timeout(self.now);
            } else {
                while self.pool.poll_event().is_some() {}
                return Ok(());
            }
        }
    }

    fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Connect { connection, .. } => {
                let stream = UnixStream::connect(self.socket);
                let stream = stream.map_err(|error| format!("connect: {error}"))?;
                self.connections.insert(connection, stream);
                self.pool.handle_connected(connection, self.now);
            }
            Action::CloseConnection { connection } => {
                self.connections.remove(&connection);
            }
            Action::CloseSession { session, .. } => {
                self.sessions.entry(session).or_default().closed = true;
            }
            // There is one worker.
            Action::Ask { .. }
            | Action::AskForMap { .. }
            | Action::LookForServers
            | Action::ReadSession { .. } => {}
        }
        Ok(())
    }

    fn flush(&mut self, flush: Flush) {
        match flush {
            Flush::Session(id) => {
                let bytes = self.pool.session_output(id).slices().collect::<Vec<_>>();
                let bytes = bytes.concat();
                let client = self.sessions.entry(id).or_default();
                client.said.extend_from_slice(&bytes);
                self.pool.handle_session_written(id, bytes.len(), self.now);
            }
            Flush::Connection(id) => {
                let bytes = self.pool.connection_output(id).slices().collect::<Vec<_>>();
                let bytes = bytes.concat();
                let Some(stream) = self.connections.get_mut(&id) else {
                    return;
                };
                match stream.write_all(&bytes) {
                    Ok(()) => {
                        let count = bytes.len();
                        self.pool.handle_connection_written(id, count, self.now);
                    }
                    Err(_) => self.lose(id, Cause::BrokenPipe),
                }
            }
        }
    }
}
