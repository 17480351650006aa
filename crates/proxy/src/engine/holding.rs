//! Requests of a transaction, which are held until it is executed.

use std::sync::Arc;

use super::fanout::body_at;
use super::sending::{Asked, write_request};
use super::state::Engine;
use crate::clients::transaction::Transaction;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Apart, Facts, JoinKind};
use crate::protocol::fanout::Body;
use crate::routes::grouping::{Grouping, Owners};
use crate::routes::routing::Routes;
use crate::script_memory::Script;

/// A request, and what is asked of it.
pub(super) struct ToHold<'r, 'a, P: Protocol> {
    pub(super) asked: &'r Asked<'a, P>,
    pub(super) facts: &'r Facts<P::Command>,
    /// It uses further keys that only its server finds out.
    pub(super) has_unknown_keys: bool,
    /// How it is split, if it can be.
    pub(super) split: Option<JoinKind>,
    /// The script that it calls, if that is known.
    pub(super) script: Option<Arc<Script>>,
}

/// Why a request is not added to a transaction.
enum NotHeld {
    Apart(Apart),
    TooLarge,
}

impl<P: Protocol> Engine<P> {
    /// Adds the request to the session's transaction. If that cannot be, the reply is an error instead, and the
    /// transaction will not be executed.
    pub(super) fn hold_request(&mut self, request: &ToHold<'_, '_, P>, bodies: &mut Vec<Body>) {
        self.check_health();
        let Err(error) = self.try_hold(request, bodies) else {
            return self.note_keys(request.asked, request.facts);
        };
        self.output.reply.clear();
        match error {
            NotHeld::Apart(apart) => {
                self.counters.add(PoolMetric::CrossShardRefused, 1);
                let command = request.facts.command;
                self.protocol
                    .cross_shard_error(command, apart, &mut self.output.reply);
            }
            NotHeld::TooLarge => self.protocol.transaction_too_large(&mut self.output.reply),
        }
        if let Some(session) = self.clients.get_mut(request.asked.id) {
            P::abort(session.client_mut());
            session.take_transaction();
        }
    }

    fn try_hold(
        &mut self,
        request: &ToHold<'_, '_, P>,
        bodies: &mut Vec<Body>,
    ) -> Result<(), NotHeld> {
        // One that depends on watched keys is executed where they are.
        let watched = self.watched_at(request.asked.id).map(|(_, server)| server);
        // If they are elsewhere by now, EXEC tells.
        let watched = watched.filter(|_| self.is_watch_in_force(request.asked.id));
        let session = self.clients.get_mut(request.asked.id);
        let Some(transaction) = session.and_then(|session| session.transaction_mut()) else {
            return Ok(());
        };
        let mut grouping = std::mem::take(&mut self.grouping);
        grouping.begin(std::mem::take(&mut self.output.keys));
        let splits = self.protocol.splits_transactions() && !self.routes.is_random();
        let added = match splits && watched.is_none() {
            true => request.add_by_server(transaction, &mut grouping, &mut self.routes, bodies),
            false => request.add_whole(transaction, &grouping, &mut self.routes, bodies),
        };
        let added = added.and_then(|()| match watched {
            Some(server) => transaction.check_at(server, &mut self.routes),
            None => Ok(()),
        });
        let fits = transaction.fits(self.protocol.transaction_limits());
        self.output.keys = grouping.end();
        self.grouping = grouping;
        match added {
            Err(apart) => Err(NotHeld::Apart(apart)),
            Ok(()) if !fits => Err(NotHeld::TooLarge),
            Ok(()) => Ok(()),
        }
    }
}

impl<P: Protocol> ToHold<'_, '_, P> {
    /// Adds the request to the only part of the transaction.
    fn add_whole(
        &self,
        transaction: &mut Transaction,
        grouping: &Grouping,
        routes: &mut Routes,
        bodies: &mut Vec<Body>,
    ) -> Result<(), Apart> {
        let part = transaction.part_for(None, false, routes)?;
        self.add_to(transaction, part, grouping, routes, bodies)
    }

    fn add_to(
        &self,
        transaction: &mut Transaction,
        number: usize,
        grouping: &Grouping,
        routes: &mut Routes,
        bodies: &mut Vec<Body>,
    ) -> Result<(), Apart> {
        let source = &self.asked.source;
        let part = transaction.part_mut(number);
        for key in grouping.keys() {
            part.add_key(&source.text[key.range()]);
        }
        part.add_script(self.script.as_ref());
        part.add(self.has_unknown_keys, |out| {
            write_request(source, bodies, None, out);
        });
        part.find_place(routes)?;
        transaction.add_whole(number);
        Ok(())
    }

    /// Adds the request to the part for the server of its keys, or a fragment of it to the part of each.
    fn add_by_server(
        &self,
        transaction: &mut Transaction,
        grouping: &mut Grouping,
        routes: &mut Routes,
        bodies: &mut Vec<Body>,
    ) -> Result<(), Apart> {
        let text = self.asked.source.text;
        let found = grouping.find_owners(usize::MAX, |key| routes.route(&text[key.range()]));
        if found != Owners::Found {
            // Every server is ejected, as EXEC will tell.
            return self.add_whole(transaction, grouping, routes, bodies);
        }
        grouping.group(usize::MAX);
        let destination = grouping.fragment(0).map(|(destination, _)| destination);
        match (grouping.fragments().len(), self.split) {
            (0 | 1, _) => {
                let part = transaction.part_for(destination, true, routes)?;
                self.add_to(transaction, part, grouping, routes, bodies)
            }
            (_, Some(kind)) => self.add_fragments(transaction, grouping, kind, routes, bodies),
            (_, None) => Err(Apart::Transaction),
        }
    }

    fn add_fragments(
        &self,
        transaction: &mut Transaction,
        grouping: &Grouping,
        kind: JoinKind,
        routes: &mut Routes,
        bodies: &mut [Body],
    ) -> Result<(), Apart> {
        let (command, request) = (self.facts.command, self.asked.request);
        let source = &self.asked.source;
        let mut parts = Vec::new();
        for (destination, keys) in grouping.fragments() {
            let number = transaction.part_for(Some(destination), true, routes)?;
            let part = transaction.part_mut(number);
            for key in keys.iter() {
                part.add_key(&source.text[key.range()]);
            }
            part.add(false, |out| {
                P::fragment_start(command, request, keys.len(), None, out);
                for key in keys.iter() {
                    let body = body_at(bodies, key);
                    P::fragment_key(command, request.parser, source, key, out, body);
                }
                P::fragment_end(command, request, out);
            });
            part.find_place(routes)?;
            parts.push(number as u32);
        }
        let owners = grouping.fragments_of_keys();
        let owners = owners.iter().map(|fragment| parts[*fragment as usize]);
        transaction.add_split(kind, owners.collect());
        Ok(())
    }
}
