//! The requests of a transaction that a client has begun: held until it is executed.

use std::sync::Arc;

use crate::flow::buffer::Rope;
use crate::id::ServerId;
use crate::protocol::decision::{Apart, JoinKind};
use crate::protocol::pending_join::Element;
use crate::routes::routing::{Destination, RouteVersion, Routes};
use crate::script_memory::Script;
use crate::servers::queue::ReplyTo;
use crate::settings::TransactionLimits;

/// The requests, as their servers get them: one part for each server. There is at most one, unless the pool splits
/// transactions.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    parts: Vec<Part>,
    /// What the reply to each of the client's requests is made of.
    elements: Vec<Element>,
    /// Numbers of servers that are kept in `elements`.
    owners: usize,
    /// It is being executed: where the reply goes.
    reply_to: Option<ReplyTo>,
}

/// Requests whose keys are all at one server.
#[derive(Debug, Default)]
pub(crate) struct Part {
    requests: Rope,
    count: usize,
    /// All of their keys, one after the other, and where each ends.
    keys: Vec<u8>,
    ends: Vec<u32>,
    /// Those that they call, which go ahead of them.
    scripts: Vec<Arc<Script>>,
    /// Some of them use further keys that only their server finds out.
    has_unknown_keys: bool,
    place: Option<Place>,
}

/// Where keys belong.
#[derive(Debug)]
struct Place {
    destination: Destination,
    /// By which routes.
    version: RouteVersion,
    /// So many of the keys were found to belong there.
    checked: usize,
}

impl Transaction {
    /// The part for requests whose keys belong to this destination, by the current routes; without one, for requests
    /// without keys. With `splits` there may be several.
    ///
    /// # Errors
    ///
    /// When the keys of an earlier request do not belong to one server any more.
    pub(crate) fn part_for(
        &mut self,
        destination: Option<Destination>,
        splits: bool,
        routes: &mut Routes,
    ) -> Result<usize, Apart> {
        if !splits || self.parts.is_empty() {
            self.parts.resize_with(1, Part::default);
            return Ok(0);
        }
        for (at, part) in self.parts.iter_mut().enumerate() {
            let place = part.find_place(routes)?;
            // Requests without keys go with any others.
            if place == destination || place.is_none() || destination.is_none() {
                return Ok(at);
            }
        }
        self.parts.push(Part::default());
        Ok(self.parts.len() - 1)
    }

    /// One of the parts.
    pub(crate) fn part_mut(&mut self, part: usize) -> &mut Part {
        &mut self.parts[part]
    }

    /// The scripts that the requests of a part call; some may be there more than once.
    pub(crate) fn scripts(&self, part: usize) -> &[Arc<Script>] {
        self.parts.get(part).map_or(&[], |part| &part.scripts)
    }

    /// A request was added to one part.
    pub(crate) fn add_whole(&mut self, part: usize) {
        self.elements.push(Element::Of(part as u32));
    }

    /// A request was split: `owners` has the part of each of its keys.
    pub(crate) fn add_split(&mut self, kind: JoinKind, owners: Box<[u32]>) {
        self.owners += owners.len();
        self.elements.push(Element::Split { kind, owners });
    }

    /// Whether it is within these bounds.
    pub(crate) fn fits(&self, limits: TransactionLimits) -> bool {
        let parts = self.parts.iter();
        let bytes: usize = parts
            .map(|part| part.requests.len() + part.keys.len())
            .sum();
        let bytes = bytes + self.owners * size_of::<u32>();
        self.elements.len() <= limits.commands && bytes <= limits.bytes
    }

    /// How many requests it has.
    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it has no requests.
    pub(crate) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Where each part goes; `None` for one without keys.
    ///
    /// # Errors
    ///
    /// When the keys of a part do not belong to one server.
    pub(crate) fn find_places(
        &mut self,
        routes: &mut Routes,
    ) -> Result<Vec<Option<Destination>>, Apart> {
        let parts = self.parts.iter_mut();
        parts.map(|part| part.find_place(routes)).collect()
    }

    /// Whether all keys belong to this server.
    ///
    /// # Errors
    ///
    /// When they do not.
    pub(crate) fn check_at(&mut self, server: ServerId, routes: &mut Routes) -> Result<(), Apart> {
        let is_here = |place: Option<Destination>| place.is_none_or(|place| place.is_at(server));
        let are_here = self.find_places(routes)?.into_iter().all(is_here);
        match are_here || routes.is_random() {
            true => Ok(()),
            false => Err(Apart::Transaction),
        }
    }

    /// The parts, each with its requests and their number, and what the replies to the client's requests are made of.
    pub(crate) fn into_parts(self) -> (Vec<(Rope, usize)>, Vec<Element>) {
        let parts = self.parts.into_iter();
        let parts = parts.map(|part| (part.requests, part.count));
        (parts.collect(), self.elements)
    }

    /// It is to be executed, and its reply goes there.
    pub(crate) fn execute(&mut self, reply_to: ReplyTo) {
        self.reply_to = Some(reply_to);
    }

    /// Where its reply goes, if it is to be executed.
    pub(crate) fn reply_to(&self) -> Option<ReplyTo> {
        self.reply_to
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let parts: usize = self.parts.iter().map(Part::footprint).sum();
        let elements = self.elements.capacity() * size_of::<Element>();
        size_of::<Self>() + parts + elements + self.owners * size_of::<u32>()
    }
}

impl Part {
    /// Adds a request, which `write` appends.
    pub(crate) fn add(&mut self, has_unknown_keys: bool, write: impl FnOnce(&mut Rope)) {
        write(&mut self.requests);
        self.count += 1;
        self.has_unknown_keys |= has_unknown_keys;
    }

    /// Adds a key of the request that is about to be added.
    pub(crate) fn add_key(&mut self, key: &[u8]) {
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len() as u32);
    }

    /// Adds the script that the request calls, if it calls one that is known.
    pub(crate) fn add_script(&mut self, script: Option<&Arc<Script>>) {
        let last = self.scripts.last().map(|last| last.number());
        let other = script.filter(|script| Some(script.number()) != last);
        self.scripts.extend(other.cloned());
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        &self.keys[start..self.ends[index] as usize]
    }

    /// Where all of its keys belong by these routes; `None` if it has none. With a random distribution they belong to
    /// no server, so that none is wrong.
    ///
    /// # Errors
    ///
    /// When they do not belong to one server, or may not.
    pub(crate) fn find_place(&mut self, routes: &mut Routes) -> Result<Option<Destination>, Apart> {
        let version = routes.version();
        let mut place = self.place.take().filter(|place| place.version == version);
        let checked = place.as_ref().map_or(0, |place| place.checked);
        for index in checked..self.ends.len() {
            let destination = routes.route(self.key(index));
            let place = place.get_or_insert(Place {
                destination,
                version,
                checked: 0,
            });
            if destination != place.destination && !routes.is_random() {
                return Err(Apart::Transaction);
            }
            place.checked = index + 1;
        }
        self.place = place;
        let destination = self.place.as_ref().map(|place| place.destination);
        let is_safe = !self.has_unknown_keys
            || routes.is_random()
            || destination.is_some_and(|it| routes.is_only(it));
        match is_safe {
            true => Ok(destination),
            false => Err(Apart::UnknownKeys),
        }
    }

    fn footprint(&self) -> usize {
        let keys = self.keys.capacity() + self.ends.capacity() * size_of::<u32>();
        let scripts = self.scripts.capacity() * size_of::<Arc<Script>>();
        size_of::<Self>() + self.requests.footprint() + keys + scripts
    }
}
