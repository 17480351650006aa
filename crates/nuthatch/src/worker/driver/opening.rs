//! Opens and closes sockets as the core asks.

use std::time::Duration;

use proxy::settings::Address;
use proxy::{Cause, ConnectionId, SessionId};

use super::state::Driver;
use crate::connections::Kind;
use crate::net::cause_of;
use crate::pool::PoolId;
use crate::tls::{Protection, Secured};
use crate::worker::link::{Link, Role};
use crate::worker::net::{Caller, Dialled, Net, Target, Wanted};
use crate::worker::path::{Opening, Path};

/// How long a lingering client may take to close. In a shutdown that is enough for those that send nothing: nothing is
/// lost when they are closed, and idle clients that do not notice the end do not prolong the shutdown.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Maximum lingering clients; beyond that they are closed at once. In a shutdown, when nobody new comes, all may linger.
pub(super) const MAX_LINGERING: usize = 1024;

/// How a connection to this endpoint is secured, if it is.
fn secured(endpoint: &proxy::Endpoint) -> Result<Option<Secured>, Cause> {
    let Some(security) = &endpoint.security else {
        return Ok(None);
    };
    let host = match &endpoint.address {
        Address::Tcp { host, .. } => Some(&**host),
        Address::Unix(_) | Address::Unknown => None,
    };
    let protection = Protection::of(security.known());
    let secured = protection.and_then(|protection| protection.to(host));
    // The configuration was refused otherwise; it is never sent without.
    let nameless = || Cause::Other("no certificate can be for this address".into());
    secured.map(Some).ok_or_else(nameless)
}

impl<N: Net> Driver<N> {
    pub(super) fn connect(
        &mut self,
        pool: PoolId,
        connection: ConnectionId,
        endpoint: &proxy::Endpoint,
    ) {
        let part = &mut self.pools[pool];
        let counted = self.counts.count(Kind::Server);
        let role = Role::Resolving(connection);
        let key = self.links.insert(Link::new(pool, role, None, counted));
        part.connections.set(connection.index(), key);
        let caller = Caller { pool, connection };
        let secured = match secured(endpoint) {
            Ok(secured) => secured,
            Err(cause) => return self.lose_connection(key, connection, cause),
        };
        let target = Target::of(&endpoint.address);
        if secured.is_some() || matches!(target, Target::Name(..)) {
            let (path, secured) = (None, secured.map(|secured| (secured, self.now)));
            self.links[key].opening = Some(Box::new(Opening::Server { secured, path }));
        }
        let dialled = self.dial(caller, key, &target);
        self.handle_dialled(caller, key, dialled);
    }

    fn dial(&mut self, caller: Caller, key: usize, target: &Target) -> Dialled<N::Stream> {
        let opening = self.links[key].opening.as_deref();
        self.net.dial(Wanted {
            caller,
            target,
            secured: opening.and_then(Opening::secured),
            keepalive: self.pools[caller.pool].share.keepalive(),
            token: key,
        })
    }

    pub(super) fn handle_dialled(
        &mut self,
        caller: Caller,
        key: usize,
        dialled: Dialled<N::Stream>,
    ) {
        match dialled {
            Dialled::Stream(stream) => {
                self.links[key].begin_connecting(caller.connection, stream);
                if let Some(opening) = self.links[key].opening.as_deref_mut()
                    && opening.secured().is_some()
                {
                    // The kernel's limit for connecting does not concern it.
                    opening.set_end(self.handshakes.begin(key, self.now));
                }
            }
            Dialled::Resolving => {}
            Dialled::Failed(cause) => self.lose_connection(key, caller.connection, cause),
        }
    }

    /// Tries the next address of a server's name; if there is none, the connection cannot be made because of
    /// `cause`.
    pub(super) fn dial_next(&mut self, caller: Caller, key: usize, cause: Cause) {
        let mut cause = cause;
        while let Some(opening) = &mut self.links[key].opening
            && let Some((address, tried)) = opening.take_next()
        {
            let core = &mut self.pools[caller.pool].core;
            core.name_peer(caller.connection, tried.into());
            match self.dial(caller, key, &Target::Address(address)) {
                Dialled::Failed(failed) => cause = failed,
                dialled => return self.handle_dialled(caller, key, dialled),
            }
        }
        self.lose_connection(key, caller.connection, cause);
    }

    /// An attempt to connect may have finished.
    pub(super) fn finish_connect(&mut self, key: usize) {
        let link = &mut self.links[key];
        let Role::Connecting(id) = link.role else {
            return;
        };
        match link.finish_connect() {
            Ok(true) => {
                link.role = Role::Connection(id);
                let opening = link.opening.take();
                let path = opening.as_deref().and_then(Opening::path);
                if let Some(attempt) = path.and_then(Path::attempt)
                    && !attempt.is_first
                {
                    self.net.note_attempt(attempt.host, attempt.address, true);
                }
                let (pool, now) = (link.pool, self.now);
                if self.pools[pool].core.may_be_silent(id) {
                    self.links[key].watch_host();
                }
                self.part(pool).core.handle_connected(id, now);
                self.touch(pool);
                self.writable.push(key);
            }
            Ok(false) => {}
            Err(error) => {
                let (pool, connection) = (link.pool, id);
                self.dial_next(Caller { pool, connection }, key, cause_of(&error));
            }
        }
    }

    pub(super) fn close_connection(&mut self, pool: PoolId, id: ConnectionId) {
        let Some(key) = self.pools[pool].connections.get(id.index()) else {
            return;
        };
        let roles = [
            Role::Resolving(id),
            Role::Connecting(id),
            Role::Connection(id),
        ];
        if roles.into_iter().any(|role| self.has_role(key, pool, role)) {
            let link = self.links.remove(key);
            // It took too long: another address is tried first next time.
            let path = link.opening.as_deref().and_then(Opening::path);
            if let Some(attempt) = path.and_then(Path::attempt) {
                self.net.note_attempt(attempt.host, attempt.address, false);
            }
        }
    }

    pub(super) fn close_session(&mut self, pool: PoolId, id: SessionId, linger: bool) {
        let Some(key) = self.key_of_session(pool, id) else {
            return;
        };
        let link = &mut self.links[key];
        // A stream that buffers writes may still hold the last reply.
        let lingers = link.has_unsent() || (linger && !link.has_ended());
        let is_full = self.end.is_none() && self.lingering.len() >= MAX_LINGERING;
        if !lingers || is_full {
            self.links.remove(key);
            return;
        }
        let until = self.now + LINGER;
        link.shut_write();
        link.role = Role::Lingering(until);
        self.lingering.push_back((until, key));
        self.read(key);
    }
}
