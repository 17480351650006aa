//! Requests with keys of several servers: split by server, one fragment each, joined in their slot.

use std::ops::Range;

use super::Engine;
use super::dispatch::{Asked, write_request};
use crate::cause::Cause;
use crate::clients::session::Slot;
use crate::flow::buffer::Rope;
use crate::metrics::PoolMetric;
use crate::protocol::{Body, Fragment, Join, JoinKind, Key, Protocol, Reply};
use crate::servers::connection::Place;

/// Work space for grouping keys by server in linear time.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The keys.
    keys: Vec<Key>,
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
    fn cut(&mut self, most: usize) {
        self.parts.clear();
        for server in 0..self.starts.len() - 1 {
            let end = self.starts[server + 1];
            let mut start = self.starts[server];
            while start < end {
                let next = part_end(&self.order, &self.keys, start..end, most);
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
    pub(super) fn split(&mut self, asked: &Asked<'_, P>, bodies: &mut [Body], kind: JoinKind) {
        let mut work = std::mem::take(&mut self.split);
        work.keys = std::mem::take(&mut self.scratch.keys);
        if self.find_owners(&mut work, asked) {
            work.group(self.servers.len());
            work.cut(P::most_key_bytes(asked.parser));
            let count = work.parts.len() as i64;
            self.metrics.add(PoolMetric::Fragments, count);
            let lenient = self.misses(asked);
            self.note_sent(asked);
            let slot = match asked.reply {
                Reply::Dropped => Place::Nowhere,
                Reply::Wanted => {
                    let join = new_join(&work, kind, lenient);
                    self.new_slot(asked.id, Slot::joining(Box::new(join)))
                }
            };
            self.send_fragments(asked, slot, &work, bodies);
        } else {
            self.answer_failure(asked, &Cause::Refused, None);
        }
        self.scratch.keys = std::mem::take(&mut work.keys);
        self.split = work;
    }

    /// Sends the request to every server.
    pub(super) fn broadcast(
        &mut self,
        asked: &Asked<'_, P>,
        kind: JoinKind,
        cut: Option<Range<usize>>,
    ) {
        let servers = self.own;
        if self.failover.is_some() {
            // So that what is asked of ejected servers is decided by the same look.
            self.refresh_health(asked.now);
        }
        self.note_sent(asked);
        let slot = match asked.reply {
            Reply::Dropped => Place::Nowhere,
            Reply::Wanted => {
                let join = Join {
                    kind,
                    lenient: false,
                    fragments: (0..servers).map(new_fragment).collect(),
                    owners: Vec::new(),
                    waiting: servers,
                };
                self.new_slot(asked.id, Slot::joining(Box::new(join)))
            }
        };
        for server in 0..servers {
            let place = fragment_place(slot, server);
            // Whether an ejected server is well is not for a client's request to find out.
            let usable = match self.is_out_of_reach(server) {
                false => self.usable_connection(asked.id, Some(server), asked.now),
                true => Err(Cause::Ejected),
            };
            match usable {
                Ok(connection) => self.send(asked.id, connection, place, asked.now, |out| {
                    write_request(&asked.source, &mut Vec::new(), cut.clone(), out)
                }),
                Err(cause) => self.fail_unsent(asked, place, &cause, server),
            }
        }
    }

    /// A fragment cannot be sent.
    fn fail_unsent(&mut self, asked: &Asked<'_, P>, place: Place, cause: &Cause, server: usize) {
        match place {
            Place::Nowhere => self.answer_failure(asked, cause, Some(server)),
            place => self.fail_place(asked.id, place, cause, server, asked.now),
        }
    }

    /// Finds each key's server; false when no server is live.
    fn find_owners(&mut self, work: &mut Work, asked: &Asked<'_, P>) -> bool {
        if self.settings.auto_eject_hosts {
            self.refresh_health(asked.now);
        }
        work.owners.clear();
        for key in &work.keys {
            match self.locate(&asked.source.text[key.range()]) {
                Some(server) => work.owners.push(server),
                None => return false,
            }
        }
        true
    }

    fn send_fragments(
        &mut self,
        asked: &Asked<'_, P>,
        slot: Place,
        work: &Work,
        bodies: &mut [Body],
    ) {
        for (fragment, (server, part)) in work.parts.iter().enumerate() {
            let (server, mine) = (*server, &work.order[part.clone()]);
            let place = fragment_place(slot, fragment);
            let connection = match self.usable_connection(asked.id, Some(server), asked.now) {
                Ok(connection) => connection,
                Err(cause) => {
                    self.fail_unsent(asked, place, &cause, server);
                    continue;
                }
            };
            let seconds = self.seconds_at(server);
            let mut out = Rope::new();
            let (parser, source) = (asked.parser, &asked.source);
            self.protocol
                .fragment_start(parser, source.text, mine.len(), seconds, &mut out);
            for key in mine {
                let key = work.keys[*key];
                self.protocol
                    .fragment_key(parser, source, key, &mut out, body_at(bodies, key));
            }
            self.protocol.fragment_end(&mut out);
            self.send(asked.id, connection, place, asked.now, |output| {
                output.append(&mut out)
            });
            if seconds.is_some() {
                let keys = mine.iter().map(|key| work.keys[*key]);
                self.follow_fragment(asked, connection, keys);
            }
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

fn new_join<K>(work: &Work, kind: JoinKind, lenient: bool) -> Join<K> {
    let parts = work.parts.iter();
    let fragments: Vec<_> = parts.map(|(server, _)| new_fragment(*server)).collect();
    let owners = match kind {
        JoinKind::Array | JoinKind::Values => work.fragments_of_keys(),
        JoinKind::Sum | JoinKind::Ok | JoinKind::Stats => Vec::new(),
    };
    Join {
        kind,
        lenient,
        waiting: fragments.len(),
        fragments,
        owners,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_ends_before_the_key_that_is_too_much_and_has_one_at_least() {
        let key = |len| Key {
            start: 0,
            len,
            arg: 0,
        };
        let keys = [key(3), key(3), key(3), key(9)];
        let order = [0, 1, 2, 3];
        let end = |begin, most| part_end(&order, &keys, begin..order.len(), most);
        // Each key has a space before it.
        assert_eq!([end(0, 7), end(0, 8), end(0, 11), end(0, 12)], [1, 2, 2, 3]);
        assert_eq!([end(0, 2), end(3, 2), end(1, 100)], [1, 4, 4]);
    }
}
