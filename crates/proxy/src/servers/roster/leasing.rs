//! Leased connections: taken, given back, and what is due for them.

use super::Roster;
use crate::cause::Cause;
use crate::flow::outbox::{Action, Outbox};
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::protocol::Protocol;
use crate::protocol::decision::Lane;
use crate::servers::leases::{Lease, LeaseDue};
use crate::servers::purpose::Purpose;
use crate::time::Time;

/// Why no further connection can be leased.
const TOO_MANY: &str = "as many clients wait at the server as leased_connections allows";

impl<P: Protocol> Roster<P> {
    /// Leases a connection to a server to a session of this lane: one that nobody holds, else a new one.
    ///
    /// # Errors
    ///
    /// When the server has refused a handshake just now, or may have no further connection.
    pub(crate) fn lease(
        &mut self,
        id: ServerId,
        lane: Lane,
        session: SessionId,
        now: Time,
        outbox: &mut Outbox,
    ) -> Result<ConnectionId, Cause> {
        let server = self.server_mut(id);
        let (version, database) = (lane.version, server.database_of(lane));
        if let Some(idle) = server.leased_mut().take_idle(version, database) {
            if let Some(lease) = self.get_mut(idle).and_then(|it| it.lease_mut()) {
                lease.hold(session, now);
            }
            return Ok(idle);
        }
        if let Some(cause) = server.refusal(lane, now) {
            return Err(cause.clone());
        }
        let purpose = Purpose::Leased { version, database };
        self.open_leased(id, purpose, session, now, outbox)
    }

    /// Opens a connection to a server for one request of a session that ends what keeps the server busy.
    ///
    /// # Errors
    ///
    /// When the server may have no further connection.
    pub(crate) fn lease_interrupt(
        &mut self,
        id: ServerId,
        session: SessionId,
        now: Time,
        outbox: &mut Outbox,
    ) -> Result<ConnectionId, Cause> {
        self.open_leased(id, Purpose::Interrupt, session, now, outbox)
    }

    fn open_leased(
        &mut self,
        id: ServerId,
        purpose: Purpose,
        session: SessionId,
        now: Time,
        outbox: &mut Outbox,
    ) -> Result<ConnectionId, Cause> {
        let server = self.server(id);
        let unused = server.settings().lease_idle_timeout;
        if server.leased().len() >= server.settings().leased_connections {
            // Nobody needs one of another version more.
            let Some(idle) = server.leased().oldest_idle() else {
                return Err(Cause::Other(TOO_MANY.into()));
            };
            self.close_leased(idle, outbox);
        }
        let new = self.open(id, purpose, now, outbox);
        if let Some(connection) = self.get_mut(new) {
            connection.set_lease(Lease::new(session, unused, now));
        }
        Ok(new)
    }

    /// A session does not need its lease any more. The connection is kept for the next one, if there is nothing left on
    /// it that this one could find.
    pub(crate) fn give_back(&mut self, id: ConnectionId, now: Time, outbox: &mut Outbox) {
        let Some(connection) = self.get_mut(id) else {
            return;
        };
        let is_kept = connection.is_drained() && !connection.is_draining();
        let (server, purpose) = (connection.server(), connection.purpose());
        let lease = connection.lease_mut();
        match (lease.filter(|lease| is_kept && lease.is_clean()), purpose) {
            (Some(lease), Purpose::Leased { version, database }) => {
                lease.release(now);
                let leased = self.server_mut(server).leased_mut();
                leased.give_back(id, version, database);
                self.note_deadline(id);
            }
            _ => self.close_leased(id, outbox),
        }
    }

    /// Closes a leased connection on which nothing is outstanding.
    pub(crate) fn close_leased(&mut self, id: ConnectionId, outbox: &mut Outbox) {
        if self.remove(id).is_some() {
            outbox.act(Action::CloseConnection { connection: id });
        }
    }

    /// What is due for a leased connection at `now`.
    pub(crate) fn lease_due(&self, id: ConnectionId, now: Time) -> Option<LeaseDue> {
        let connection = self.get(id)?;
        let due = connection.lease()?.due(!connection.queue().is_empty());
        due.filter(|(at, _)| *at <= now).map(|(_, due)| due)
    }

    /// A session holds a lease of this server while nothing is outstanding there, so that it is to be looked at in time.
    pub(crate) fn note_held(&mut self, server: ServerId, now: Time) {
        if let Some(unused) = self.server(server).settings().lease_idle_timeout {
            self.note_due(now + unused);
        }
    }

    /// The leased connections that sessions hold.
    pub(crate) fn held_leases(&self) -> Vec<ConnectionId> {
        let is_held = |lease: &Lease| lease.holder().is_some();
        let all = self.connections.iter();
        all.filter(|(_, it)| it.lease().is_some_and(is_held))
            .map(|(id, _)| id)
            .collect()
    }
}
