//! The real network of a worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use mio::{Registry, Token, Waker};
use proxy::Cause;

use super::message::Message;
use super::net::{Caller, Dialled, Net, Target, Wanted, Word};
use super::peers::Peers;
use crate::net::{Stream, cause_of};
use crate::resolver::Resolver;

/// Sockets whose readiness the worker's poll reports.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
    resolver: Resolver,
    /// The worker's own inbox, for the resolver's answers.
    inbox: SyncSender<Message>,
    waker: Arc<Waker>,
    peers: Peers,
}

impl Sockets {
    pub(super) fn new(
        registry: Registry,
        resolver: Resolver,
        (inbox, waker): (SyncSender<Message>, Arc<Waker>),
        peers: Peers,
    ) -> Self {
        Self {
            registry,
            resolver,
            inbox,
            waker,
            peers,
        }
    }

    fn begin(&mut self, stream: io::Result<Stream>, wanted: Wanted<'_>) -> Dialled<Stream> {
        let registered = stream.and_then(|mut stream| {
            if let Some(secured) = wanted.secured {
                stream = stream.secured(secured.begin()?);
            }
            self.register(&mut stream, wanted.token)?;
            Ok(stream)
        });
        match registered {
            Ok(stream) => Dialled::Stream(stream),
            Err(error) => Dialled::Failed(cause_of(&error)),
        }
    }

    fn resolve(&mut self, caller: Caller, host: &Arc<str>, port: u16) -> Dialled<Stream> {
        let (inbox, waker) = (self.inbox.clone(), Arc::clone(&self.waker));
        let reply = Box::new(move |resolved| {
            // The worker always empties its inbox, so this waits briefly at most; the worker may have ended.
            let _ = inbox.send(Message::Resolved { caller, resolved });
            let _ = waker.wake();
        });
        match self.resolver.ask(Arc::clone(host), port, reply) {
            true => Dialled::Resolving,
            false => Dialled::Failed(Cause::Overloaded),
        }
    }
}

impl Net for Sockets {
    type Stream = Stream;

    fn dial(&mut self, wanted: Wanted<'_>) -> Dialled<Stream> {
        match wanted.target {
            Target::Address(address) => {
                let stream = Stream::connect_tcp(*address, wanted.keepalive);
                self.begin(stream, wanted)
            }
            Target::Unix(path) => self.begin(Stream::connect_unix(path), wanted),
            Target::Name(host, port) => self.resolve(wanted.caller, host, *port),
            Target::Nowhere => Dialled::Failed(Cause::HostDown),
        }
    }

    fn note_attempt(&mut self, host: &Arc<str>, address: SocketAddr, reached: bool) {
        let host = Arc::clone(host);
        self.resolver.note_attempt(host, address, reached);
    }

    fn tell(&mut self, worker: usize, word: Word) -> bool {
        self.peers.tell(worker, Message::Told(word))
    }

    fn register(&mut self, stream: &mut Stream, token: usize) -> io::Result<()> {
        stream.register(&self.registry, Token(token))
    }
}
