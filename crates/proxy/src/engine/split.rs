//! Requests with keys of several servers: split by server, one fragment each, joined in their slot.

use std::ops::Range;

use super::Engine;
use super::dispatch::write_request;
use crate::buffer::Rope;
use crate::cause::Cause;
use crate::connection::Place;
use crate::id::SessionId;
use crate::metrics::PoolMetric;
use crate::protocol::{Body, Fragment, Join, JoinKind, Key, Protocol, Source};
use crate::session::Slot;
use crate::time::Time;

/// Work space for grouping keys by server in linear time.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The server of each key.
    owners: Vec<usize>,
    /// For each server, where its keys begin in `order`; one more at the end.
    starts: Vec<usize>,
    /// The keys, grouped by server, in request order within one.
    order: Vec<usize>,
    /// The fragments: a server, and which keys of `order`.
    parts: Vec<(usize, Range<usize>)>,
}

impl Work {
    /// Groups the keys whose servers are in `owners`.
    fn group(&mut self, servers: usize) {
        self.starts.clear();
        self.starts.resize(servers + 1, 0);
        for owner in &self.owners {
            self.starts[owner + 1] += 1;
        }
        for server in 0..servers {
            self.starts[server + 1] += self.starts[server];
        }
        let mut next = self.starts.clone();
        self.order.clear();
        self.order.resize(self.owners.len(), 0);
        for (key, owner) in self.owners.iter().enumerate() {
            self.order[next[*owner]] = key;
            next[*owner] += 1;
        }
    }

    /// Makes one fragment of each server's keys, or several where they are longer than `most` bytes.
    fn cut(&mut self, keys: &[Key], most: usize) {
        self.parts.clear();
        for server in 0..self.starts.len() - 1 {
            let end = self.starts[server + 1];
            let mut start = self.starts[server];
            while start < end {
                let next = part_end(&self.order, keys, start..end, most);
                self.parts.push((server, start..next));
                start = next;
            }
        }
    }

    /// For each key the fragment that it is in.
    fn fragments_of_keys(&self) -> Vec<u32> {
        let mut fragments = vec![0; self.order.len()];
        for (fragment, (_, part)) in self.parts.iter().enumerate() {
            for key in &self.order[part.clone()] {
                fragments[*key] = fragment as u32;
            }
        }
        fragments
    }
}

/// Where the fragment that begins with the first of `range` ends: it has at least one key, and no
/// more than `most` bytes of further ones.
fn part_end(order: &[usize], keys: &[Key], range: Range<usize>, most: usize) -> usize {
    let mut bytes = 0;
    let mut end = range.start;
    while end < range.end {
        bytes += keys[order[end]].len as usize + 1;
        if bytes > most && end > range.start {
            break;
        }
        end += 1;
    }
    end
}

impl<P: Protocol> Engine<P> {
    /// Splits the request over `scratch.keys`.
    pub(super) fn split(
        &mut self,
        id: SessionId,
        parser: &P::Parser,
        source: &Source<'_>,
        bodies: &mut [Body],
        kind: JoinKind,
        now: Time,
    ) {
        let mut work = std::mem::take(&mut self.split);
        let keys = std::mem::take(&mut self.scratch.keys);
        if self.find_owners(&mut work, source, &keys, now) {
            work.group(self.servers.len());
            work.cut(&keys, P::most_key_bytes(parser));
            let slot = self.new_slot(id, Slot::joining(Box::new(self.new_join(&work, kind))));
            self.send_fragments(id, slot, parser, source, &work, &keys, bodies, now);
        } else {
            self.answer_error(id, &Cause::Refused, None);
        }
        self.split = work;
        self.scratch.keys = keys;
    }

    /// Sends the request to every server.
    pub(super) fn broadcast(
        &mut self,
        id: SessionId,
        source: &Source<'_>,
        kind: JoinKind,
        cut: Option<Range<usize>>,
        now: Time,
    ) {
        let servers = self.servers.len();
        let silent = cut.is_some();
        let join = Join {
            kind,
            fragments: (0..servers).map(new_fragment).collect(),
            owners: Vec::new(),
            waiting: servers,
        };
        let slot = if silent {
            Place::Nowhere
        } else {
            self.new_slot(id, Slot::joining(Box::new(join)))
        };
        for server in 0..servers {
            let place = fragment_place(slot, server);
            match self.usable_connection(id, Some(server), now) {
                Ok(connection) => self.send(id, connection, place, now, |out| {
                    write_request(source, &mut Vec::new(), cut.clone(), out)
                }),
                Err(_) if silent => {}
                Err(cause) => self.fail_place(id, place, &cause, server),
            }
        }
    }

    /// Finds each key's server; false when no server is live.
    fn find_owners(
        &mut self,
        work: &mut Work,
        source: &Source<'_>,
        keys: &[Key],
        now: Time,
    ) -> bool {
        if self.settings.auto_eject_hosts {
            self.refresh_health(now);
        }
        work.owners.clear();
        for key in keys {
            match self.router.route(&source.text[key.range()]) {
                Some(server) => work.owners.push(server),
                None => return false,
            }
        }
        true
    }

    fn new_join(&self, work: &Work, kind: JoinKind) -> Join<P::Kind> {
        let fragments: Vec<_> = work
            .parts
            .iter()
            .map(|(server, _)| new_fragment(*server))
            .collect();
        let owners = match kind {
            JoinKind::Array | JoinKind::Values => work.fragments_of_keys(),
            JoinKind::Sum | JoinKind::Ok | JoinKind::Stats => Vec::new(),
        };
        self.metrics
            .add(PoolMetric::Fragments, fragments.len() as i64);
        Join {
            kind,
            waiting: fragments.len(),
            fragments,
            owners,
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one loop over what split() has prepared"
    )]
    fn send_fragments(
        &mut self,
        id: SessionId,
        slot: Place,
        parser: &P::Parser,
        source: &Source<'_>,
        work: &Work,
        keys: &[Key],
        bodies: &mut [Body],
        now: Time,
    ) {
        for (fragment, (server, part)) in work.parts.iter().enumerate() {
            let (server, mine) = (*server, &work.order[part.clone()]);
            let place = fragment_place(slot, fragment);
            let connection = match self.usable_connection(id, Some(server), now) {
                Ok(connection) => connection,
                Err(cause) => {
                    self.fail_place(id, place, &cause, server);
                    continue;
                }
            };
            let mut out = Rope::new();
            self.protocol
                .fragment_start(parser, source.text, mine.len(), &mut out);
            for key in mine {
                let key = keys[*key];
                self.protocol
                    .fragment_key(parser, source, key, &mut out, body_at(bodies, key));
            }
            self.protocol.fragment_end(&mut out);
            self.send(id, connection, place, now, |output| output.append(&mut out));
        }
    }
}

/// The gathered body that belongs right after `key`, if its value was large.
fn body_at(bodies: &mut [Body], key: Key) -> Option<&mut Rope> {
    if bodies.is_empty() {
        return None;
    }
    let end = key.range().end;
    let next = bodies.partition_point(|body| body.at < end);
    bodies.get_mut(next).map(|body| &mut body.rope)
}

fn new_fragment<K>(server: usize) -> Fragment<K> {
    Fragment {
        server,
        reply: Rope::new(),
        marks: Vec::new(),
        outcome: None,
    }
}

fn fragment_place(slot: Place, fragment: usize) -> Place {
    match slot {
        Place::Slot(slot) => Place::Fragment(slot, fragment as u32),
        other => other,
    }
}
