//! The proxy's shell, and what happens on its connections.

use std::collections::HashMap;

use proxy::settings::Address;
use proxy::{Action, Cause, Chunk, ConnectionId, Flush, Pool, SessionId};

use crate::nodes::{Connection, Nodes};
use crate::resp::parse_request;
use crate::world::{Event, World};

/// Who is at the other end of a link.
pub(crate) enum Peer {
    Client(usize, SessionId),
    Node(usize, ConnectionId, Connection),
}

/// A connection of the proxy.
pub(crate) struct Link {
    pub(crate) worker: usize,
    pub(crate) is_open: bool,
    /// The node has died, and the proxy does not know yet.
    pub(crate) is_cut: bool,
    pub(crate) peer: Peer,
    /// What has arrived at the node and is no whole request, or at the proxy and it does not want it yet.
    pub(crate) waiting: Vec<u8>,
    /// When what was sent last arrives, at the proxy and at the other end.
    pub(crate) last: [u64; 2],
}

pub(crate) struct Worker {
    pub(crate) pool: Pool,
    pub(crate) sessions: HashMap<SessionId, usize>,
    pub(crate) connections: HashMap<ConnectionId, usize>,
    pub(crate) planned: Option<u64>,
}

/// The proxy's shell.
impl World {
    pub(crate) fn tick(&mut self, worker: usize) {
        self.workers[worker].planned = None;
        let now = self.time();
        let pool = &mut self.workers[worker].pool;
        if pool.poll_deadline().is_some_and(|deadline| deadline <= now) {
            pool.handle_timeout(now);
        }
        self.drain(worker);
    }

    /// Does what the core wants.
    pub(crate) fn drain(&mut self, worker: usize) {
        loop {
            if let Some(action) = self.workers[worker].pool.poll_action() {
                self.act(worker, action);
            } else if let Some(flush) = self.workers[worker].pool.poll_flush() {
                let this = &self.workers[worker];
                let link = match flush {
                    Flush::Session(id) => this.sessions.get(&id),
                    Flush::Connection(id) => this.connections.get(&id),
                };
                if let Some(link) = link.copied() {
                    self.write(link);
                }
            } else {
                break;
            }
        }
        while let Some(record) = self.workers[worker].pool.poll_event() {
            self.trace(|| format!("worker {worker} says: {}", record.event));
        }
        let deadline = self.workers[worker].pool.poll_deadline();
        if let Some(at) = deadline.map(|at| at.as_micros().max(self.now + 1)) {
            let planned = self.workers[worker].planned;
            if planned.is_none_or(|planned| planned > at) {
                self.workers[worker].planned = Some(at);
                self.plan(at, Event::Tick(worker));
            }
        }
    }

    fn act(&mut self, worker: usize, action: Action) {
        match action {
            Action::LookForServers => {}
            Action::Ask { .. } => unreachable!("no client asks about others"),
            Action::AskForMap { node } => {
                let is_it = |it: &usize| {
                    node.as_ref()
                        .is_some_and(|node| *node == Address::tcp(&Nodes::host(*it), 7_000))
                };
                let named = self.nodes.living().into_iter().find(is_it);
                let node = named.unwrap_or_else(|| self.rng.pick(&self.nodes.living()));
                let at = self.now + self.rng.micros(1_000, 20_000);
                self.plan(at, Event::Map(Some(node)));
            }
            Action::Connect {
                connection,
                endpoint,
                ..
            } => {
                let is_it = |it: &usize| endpoint.address == Address::tcp(&Nodes::host(*it), 7_000);
                let node = (0..self.nodes.all.len()).find(is_it).expect("a node");
                self.links.push(Link {
                    worker,
                    is_open: true,
                    is_cut: false,
                    peer: Peer::Node(node, connection, Connection::default()),
                    waiting: Vec::new(),
                    last: [0; 2],
                });
                let link = self.links.len() - 1;
                self.trace(|| format!("link {link} of worker {worker} to node {node}"));
                self.workers[worker].connections.insert(connection, link);
                let at = self.now + self.delay();
                self.plan(at, Event::Connected(link));
            }
            Action::CloseConnection { connection } => {
                if let Some(link) = self.workers[worker].connections.remove(&connection) {
                    self.links[link].is_open = false;
                }
            }
            Action::CloseSession { session, .. } => {
                let Some(link) = self.workers[worker].sessions.remove(&session) else {
                    return;
                };
                self.links[link].is_open = false;
                let Peer::Client(client, _) = self.links[link].peer else {
                    unreachable!("a session is that of a client")
                };
                self.trace(|| format!("client {client} is closed"));
                self.clients[client].leave(self.now);
            }
            Action::ReadSession { session } => {
                if let Some(link) = self.workers[worker].sessions.get(&session).copied() {
                    self.arrive_inward(link, &[]);
                }
            }
        }
    }

    fn delay(&mut self) -> u64 {
        self.rng.micros(self.pace.0, self.pace.1)
    }

    /// Bytes arrive in order, in one piece or more.
    fn send(&mut self, link: usize, is_outward: bool, bytes: &[u8]) {
        let mut from = 0;
        while from < bytes.len() {
            let len = match self.rng.chance(1, 4) {
                true => self.rng.between(1, bytes.len() - from),
                false => bytes.len() - from,
            };
            let piece = bytes[from..from + len].to_vec();
            let at = self.now + self.delay();
            let last = &mut self.links[link].last[usize::from(is_outward)];
            *last = at.max(*last);
            let at = *last;
            match is_outward {
                true => self.plan(at, Event::Outward(link, piece)),
                false => self.plan(at, Event::Inward(link, piece)),
            }
            from += len;
        }
    }

    /// Writes what there is, or a part.
    pub(crate) fn write(&mut self, link: usize) {
        if !self.links[link].is_open {
            return;
        }
        let (worker, now) = (self.links[link].worker, self.time());
        let pool = &mut self.workers[worker].pool;
        let output = match &self.links[link].peer {
            Peer::Client(_, id) => pool.session_output(*id),
            Peer::Node(_, id, _) => pool.connection_output(*id),
        };
        let all: Vec<u8> = output.slices().flatten().copied().collect();
        if all.is_empty() {
            return;
        }
        let is_cut = self.rng.chance(1, 8);
        let count = if is_cut {
            self.rng.between(1, all.len())
        } else {
            all.len()
        };
        match &self.links[link].peer {
            Peer::Client(_, id) => pool.handle_session_written(*id, count, now),
            Peer::Node(_, id, _) => pool.handle_connection_written(*id, count, now),
        }
        self.trace(|| {
            format!(
                "link {link}: the proxy writes {}",
                all[..count].escape_ascii()
            )
        });
        self.send(link, true, &all[..count]);
        if count < all.len() {
            let at = self.now + self.delay();
            self.plan(at, Event::Writable(link));
        }
        self.drain(worker);
    }
}

/// What happens on links.
impl World {
    pub(crate) fn arrive_inward(&mut self, link: usize, bytes: &[u8]) {
        if !self.links[link].is_open {
            return;
        }
        let (worker, now) = (self.links[link].worker, self.time());
        let pool = &mut self.workers[worker].pool;
        match &self.links[link].peer {
            Peer::Client(_, id) => {
                let id = *id;
                self.links[link].waiting.extend_from_slice(bytes);
                if !pool.session_wants_read(id) {
                    return;
                }
                let chunk: Chunk = std::mem::take(&mut self.links[link].waiting).into();
                if !chunk.is_empty() {
                    pool.handle_session_data(id, &chunk, 0..chunk.len(), now);
                }
            }
            Peer::Node(_, id, _) => {
                if self.tracing {
                    println!(
                        "{:>9} link {link}: the proxy reads {}",
                        self.now,
                        bytes.escape_ascii()
                    );
                }
                let chunk: Chunk = bytes.to_vec().into();
                pool.handle_connection_data(*id, &chunk, 0..chunk.len(), now);
            }
        }
        self.drain(worker);
    }

    pub(crate) fn arrive_outward(&mut self, link: usize, bytes: &[u8]) {
        if !self.links[link].is_open || self.links[link].is_cut {
            return;
        }
        let now = self.now;
        let it = &mut self.links[link];
        let (node, connection) = match &mut it.peer {
            Peer::Client(client, _) => {
                let client = *client;
                self.clients[client].hear(bytes, now);
                return self.plan(now, Event::Client(client));
            }
            Peer::Node(node, _, connection) => (*node, connection),
        };
        it.waiting.extend_from_slice(bytes);
        let mut replies = Vec::new();
        while let Some((words, len)) = parse_request(&it.waiting) {
            it.waiting.drain(..len);
            let shown = self.tracing.then(|| words.join(&b' '));
            let reply = self
                .nodes
                .serve(node, connection, words, now, &mut self.rng);
            if let Some(shown) = shown {
                println!(
                    "{now:>9} link {link}: node {node} answers {} with {reply:?}",
                    shown.escape_ascii()
                );
            }
            reply.encode(&mut replies);
        }
        self.send(link, false, &replies);
    }

    pub(crate) fn connected(&mut self, link: usize) {
        let (worker, now) = (self.links[link].worker, self.time());
        let Peer::Node(node, id, _) = &self.links[link].peer else {
            return;
        };
        if !self.links[link].is_open {
            return;
        }
        if !self.nodes.all[*node].is_alive {
            return self.reset(link);
        }
        self.workers[worker].pool.handle_connected(*id, now);
        self.drain(worker);
    }

    /// All connections of a node end. What was in transit is lost.
    pub(crate) fn cut_links(&mut self, node: usize) {
        for link in 0..self.links.len() {
            let is_it = matches!(self.links[link].peer, Peer::Node(at, ..) if at == node);
            if is_it && self.links[link].is_open {
                let lost = |event: &Event| matches!(event, Event::Inward(at, _) | Event::Outward(at, _) if *at == link);
                self.events.retain(|_, event| !lost(event));
                self.links[link].is_cut = true;
                let at = self.now + self.delay();
                self.plan(at, Event::Reset(link));
            }
        }
    }

    pub(crate) fn reset(&mut self, link: usize) {
        if !std::mem::replace(&mut self.links[link].is_open, false) {
            return;
        }
        let (worker, now) = (self.links[link].worker, self.time());
        let Peer::Node(node, id, _) = &self.links[link].peer else {
            return;
        };
        self.trace(|| format!("link {link} to node {node} ends"));
        self.workers[worker].connections.remove(id);
        self.workers[worker]
            .pool
            .handle_connection_closed(*id, Cause::Reset, now);
        self.drain(worker);
    }

    /// A client sends what it may send.
    pub(crate) fn client_turn(&mut self, number: usize) {
        let link = match self
            .links
            .iter()
            .position(|link| matches!(link.peer, Peer::Client(at, _) if at == number))
        {
            Some(link) => link,
            None => self.connect_client(number),
        };
        let client = &mut self.clients[number];
        let mut bytes = Vec::new();
        while client.left > 0 && client.outstanding() < client.depth {
            bytes.extend(client.ask(self.now));
        }
        if bytes.is_empty() {
            return;
        }
        self.trace(|| format!("client {number} sends {}", bytes.escape_ascii()));
        self.send(link, false, &bytes);
    }

    fn connect_client(&mut self, number: usize) -> usize {
        let (worker, now) = (number % self.workers.len(), self.time());
        let id = self.workers[worker]
            .pool
            .open_session("10.9.9.9:1".into(), now);
        self.links.push(Link {
            worker,
            is_open: true,
            is_cut: false,
            peer: Peer::Client(number, id),
            waiting: Vec::new(),
            last: [0; 2],
        });
        self.workers[worker]
            .sessions
            .insert(id, self.links.len() - 1);
        self.links.len() - 1
    }
}
