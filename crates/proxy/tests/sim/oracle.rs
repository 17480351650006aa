//! The expected content of each reply. Every reply names its server, key, client and request, so that a reply
//! that is swapped, shifted, cut, duplicated or invented is detected at once.

mod ejected;
mod transactions;
mod values;
mod waits;

use crate::clients::Owed;
use crate::expected::Expected;
use crate::faults::Victim;
use crate::frames;
use crate::keys::Tag;
use crate::placement::Spread;
use crate::redis_server as redis;
use crate::scenario::Ending;
use crate::server_errors::{NO_MEMCACHED, NO_REDIS};
use crate::waiting;
use crate::worker::shown;
use crate::world::World;
use crate::{keys, memcached_meta, memcached_server as memcached};

/// Maximum wait without server failures, in microseconds, even for the largest values over the slowest link.
/// Some timeouts are four times as long, so a wait that only ends by a timeout is detected.
const LONGEST_WAIT: u64 = 5_000_000_000;

/// The error for a request that is too large for the remaining memory.
const SHED: &[u8] = b"Resource temporarily unavailable";

/// The reply to `mn`.
const MN: &[u8] = b"MN\r\n";

/// Takes one whole reply from what the client has read and checks it; false if there is none.
pub(crate) fn take_reply(world: &mut World, id: usize) -> bool {
    let inbox = world.clients[id].inbox.bytes();
    let found = if world.scenario.redis {
        frames::redis(inbox)
    } else {
        frames::memcached(inbox)
    };
    let len = match found {
        Ok(Some(len)) => len,
        Ok(None) => return false,
        Err(complaint) => panic!(
            "client {id} was sent nonsense: {complaint}: {}",
            shown(inbox)
        ),
    };
    let frame = world.clients[id].inbox.take(len);
    world.trace(|| format!("client {id} gets {}", shown(&frame)));
    let may_be_shed = world.may_be_shed(&world.clients[id]) && contains(&frame, SHED);
    let Some(owed) = world.clients[id].owed.pop_front() else {
        // The request that was cut off may be one that wants no reply: it gets an error before the connection
        // is closed.
        if may_be_shed {
            return true;
        }
        panic!(
            "client {id} got a reply that nobody owed: {}",
            shown(&frame)
        );
    };
    world.clients[id].replies += 1;
    world.counts.replies += 1;
    if !world.scenario.is_stormy() && world.clients[id].plan.stays() {
        let took = world.now - world.clients[id].sent_at_time(owed.seq);
        world.counts.slowest = world.counts.slowest.max(took);
        assert!(took < LONGEST_WAIT, "client {id} waited {took} us");
    }
    if matches!(owed.want, Expected::Silence { .. }) && frame != MN {
        // That, and then what ends the silence.
        let want = Expected::Exactly(MN.to_vec());
        let owed = Owed {
            seq: owed.seq,
            want,
        };
        world.clients[id].owed.push_front(owed);
    }
    if may_be_shed {
        return true;
    }
    if let Err(complaint) = judge(world, id, &owed, &frame) {
        panic!(
            "client {id}, request {}: {complaint}\n wanted {:?}\n got {}",
            owed.seq,
            owed.want,
            shown(&frame)
        );
    }
    count_oddities(world, id, &owed, &frame);
    true
}

/// Counts what only occurs while a server is ejected.
fn count_oddities(world: &mut World, id: usize, owed: &Owed, frame: &[u8]) {
    let case = Case {
        world,
        id,
        seq: owed.seq,
        frame,
    };
    let missed = match &owed.want {
        Expected::Keyed { verb, key } => case.is_missed(verb, key).unwrap_or(false),
        _ => false,
    };
    world.counts.misses += usize::from(missed);
    world.counts.refusals += usize::from(contains(frame, b": the server is ejected"));
    world.counts.not_executed += usize::from(frame.starts_with(b"-ERR not executed: "));
    let is_transaction = matches!(owed.want, Expected::Transaction { .. });
    world.counts.transactions += usize::from(is_transaction && frame.starts_with(b"*"));
}

fn judge(world: &mut World, id: usize, owed: &Owed, frame: &[u8]) -> Result<(), String> {
    if matches!(owed.want, Expected::Popped(_)) && world.ends_wait(id, owed.seq, frame) {
        return Ok(());
    }
    let case = Case {
        world,
        id,
        seq: owed.seq,
        frame,
    };
    match &owed.want {
        Expected::Exactly(bytes) if frame == bytes => Ok(()),
        Expected::Exactly(_) => Err("not what the proxy itself answers".into()),
        Expected::Line { begins, mentions } => case.line(begins, mentions),
        Expected::Keyed { verb, key } => case.keyed(verb, key),
        Expected::Silence { verb, key } => case.silence(verb, key),
        Expected::Popped(key) => case.popped(key),
        Expected::Together {
            verb,
            keys,
            refuses,
        } => case.together(verb, keys, *refuses),
        Expected::Transaction { keys, watch } => case.transaction(keys, *watch),
        Expected::Watched(key) => case.watched(key),
        Expected::Elements(keys) => case.joined(keys, Case::is_array),
        Expected::Sum { reads, keys } => case.joined(keys, |case, keys| case.is_sum(*reads, keys)),
        Expected::AllOk(keys) => case.joined(keys, |case, _| case.frame == b"+OK\r\n"),
        Expected::Values { verb, keys } => case.values(verb, keys),
        Expected::Everywhere => case.everywhere(),
        Expected::Stats => case.stats(),
        Expected::Placeholder => placeholder(world, id, owed.seq, frame),
        Expected::Hello { version3 } => hello(world, id, owed.seq, frame, *version3),
        Expected::Reset => reset(world, id, frame),
    }
}

/// The client has seen the end of its connection: checks whether it may end, and at this point.
pub(crate) fn judge_end(world: &World, id: usize) {
    let client = &world.clients[id];
    let rest = client.inbox.bytes();
    if world.may_be_shed(client) {
        return;
    }
    if client.moves.is_over {
        return;
    }
    if client.clock.is_over {
        let waits_for = client.waits_for();
        return assert!(
            waits_for.is_none() || client.clock.is_cut,
            "client {id} was closed while it waited for request {waits_for:?}"
        );
    }
    let Some(owed) = client.owed.front() else {
        let asked_for = matches!(client.plan.ending, Ending::Quit | Ending::Garbage)
            || client.phase == crate::clients::Phase::Ended;
        assert!(
            asked_for || world.shutting_down,
            "client {id} was closed for no reason"
        );
        assert!(
            rest.is_empty(),
            "client {id} got more than it was owed: {}",
            shown(rest)
        );
        return;
    };
    let tag = Tag {
        client: id,
        seq: owed.seq,
    };
    let victim = victim(world, id, owed.seq, None);
    let nameless = matches!(owed.want, Expected::Placeholder) && world.faults.any(victim);
    if world.faults.was_cut(tag) || nameless {
        return assert!(
            is_part(world, id, owed, rest),
            "client {id} got a wrong part of {:?}: {}",
            owed.want,
            shown(rest)
        );
    }
    assert!(
        world.shutting_down,
        "client {id} was closed while it waited for {owed:?}"
    );
    let answered = (0..world.condition.len()).any(|server| client.is_answered_by(owed.seq, server));
    let single = matches!(owed.want, Expected::Keyed { .. });
    assert!(
        !(answered && single),
        "the answer to {owed:?} of client {id} was lost at the shutdown"
    );
    assert!(
        rest.is_empty(),
        "client {id} got part of a reply: {}",
        shown(rest)
    );
}

/// Whether `rest` is the start of a reply to `owed`: only replies that are streamed can be cut off.
fn is_part(world: &World, id: usize, owed: &Owed, rest: &[u8]) -> bool {
    let servers = 0..world.condition.len();
    let redis = world.scenario.redis;
    let version3 = world.clients[id].redis.version3;
    let answers: Vec<Vec<u8>> = match &owed.want {
        Expected::Silence { verb, key } if memcached_meta::is_unwanted(verb, key) => Vec::new(),
        Expected::Keyed { verb, key } | Expected::Silence { verb, key } if !redis => servers
            .map(|server| memcached::answer(server, verb, key))
            .collect(),
        Expected::Keyed { key, .. } => servers
            .map(|server| redis::answer(server, key, version3))
            .collect(),
        Expected::Together { keys, .. } => servers
            .map(|server| redis::answer(server, &keys[0], version3))
            .collect(),
        Expected::Transaction { keys, .. } => servers
            .map(|server| redis::elements(server, keys, version3))
            .collect(),
        Expected::Elements(keys) if keys.len() == 1 => servers
            .flat_map(|server| {
                let whole = redis::elements(server, keys, version3);
                [whole, redis::answer(server, &keys[0], version3)]
            })
            .collect(),
        Expected::Elements(keys) if values::is_passed_on_early(keys) => {
            let case = Case {
                world,
                id,
                seq: owed.seq,
                frame: rest,
            };
            return case.begins_array(keys);
        }
        Expected::Popped(key) => servers.map(|it| waiting::popped(it, key)).collect(),
        Expected::Placeholder if redis => servers.map(redis::lolwut).collect(),
        Expected::Placeholder => servers.map(memcached::version).collect(),
        Expected::Sum { keys, .. } | Expected::AllOk(keys) if keys.len() == 1 => {
            let error = servers.map(|server| redis::answer(server, &keys[0], version3));
            let count = format!(":{}\r\n", redis::weight(keys)).into_bytes();
            error.chain([count, b"+OK\r\n".to_vec()]).collect()
        }
        _ => Vec::new(),
    };
    let garbled = world
        .faults
        .explains(victim(world, id, owed.seq, None), "Invalid argument");
    let mut garbage = NO_REDIS.iter().chain(&NO_MEMCACHED);
    rest.is_empty()
        || (garbled && garbage.any(|garbage| garbage.starts_with(rest)))
        || answers
            .iter()
            .any(|answer| answer.starts_with(rest) && rest.len() < answer.len())
}

/// A client's request, as one that a fault may have affected.
fn victim<'a>(world: &World, id: usize, seq: usize, servers: Option<&'a [usize]>) -> Victim<'a> {
    let client = &world.clients[id];
    Victim {
        worker: client.plan.worker,
        servers,
        sent: (client.sent_at_step(seq), client.sent_at_time(seq)),
    }
}

/// One reply and everything known about its request.
struct Case<'a> {
    world: &'a World,
    id: usize,
    seq: usize,
    frame: &'a [u8],
}

impl Case<'_> {
    fn sent(&self) -> u64 {
        self.world.clients[self.id].sent_at_step(self.seq)
    }

    /// The servers that may have been asked for `key`.
    fn homes(&self, key: &[u8]) -> Vec<usize> {
        self.world
            .homes(key, self.sent())
            .unwrap_or_else(|| (0..self.world.condition.len()).collect())
    }

    fn victim<'a>(&self, servers: Option<&'a [usize]>) -> Victim<'a> {
        victim(self.world, self.id, self.seq, servers)
    }

    fn is_answered_by(&self, server: usize) -> bool {
        self.world.clients[self.id].is_answered_by(self.seq, server)
    }

    fn answer(&self, server: usize, verb: &str, key: &[u8]) -> Vec<u8> {
        match self.world.scenario.redis {
            true => redis::answer(server, key, self.world.clients[self.id].redis.version3),
            false => memcached::answer(server, verb, key),
        }
    }

    fn line(&self, begins: &str, mentions: &str) -> Result<(), String> {
        let text = String::from_utf8_lossy(self.frame);
        let named = text
            .to_ascii_lowercase()
            .contains(&mentions.to_ascii_lowercase());
        if text.starts_with(begins) && named {
            Ok(())
        } else {
            Err("not the error line that belongs here".into())
        }
    }

    fn keyed(&self, verb: &str, key: &[u8]) -> Result<(), String> {
        let homes = self.homes(key);
        let right = |server: &&usize| {
            self.is_answered_by(**server) && self.answer(**server, verb, key) == self.frame
        };
        if homes.iter().any(|server| right(&server)) {
            let client = &self.world.clients[self.id].redis;
            client
                .has_evaluated
                .set(client.has_evaluated.get() || verb == "EVAL");
            return Ok(());
        }
        if self.is_missed(verb, key)? {
            return Ok(());
        }
        if homes.len() == 1 && self.is_answered_by(homes[0]) && !self.was_late(&homes) {
            return Err(format!("not what server {} answered", homes[0]));
        }
        self.failure(Some(&homes))
    }

    /// A quiet request: a server has given the unwanted reply, or the key may be missing; anything else is told.
    fn silence(&self, verb: &str, key: &[u8]) -> Result<(), String> {
        let homes = self.homes(key);
        let is_unwanted = memcached_meta::is_unwanted(verb, key);
        let is_answered = || homes.iter().any(|server| self.is_answered_by(*server));
        let may_miss = || verb == "mg" && self.may_miss(key);
        if self.frame == MN {
            return match (is_unwanted && is_answered()) || may_miss() {
                true => Ok(()),
                false => Err("silence although no server has answered".into()),
            };
        }
        if self.frame == memcached_meta::miss(key) || self.frame.starts_with(b"HD") {
            return Err("told what the client does not want".into());
        }
        if !is_unwanted {
            return self.keyed(verb, key);
        }
        self.is_missed(verb, key)?;
        match homes.len() == 1 && is_answered() && !self.was_late(&homes) {
            true => Err("an error although the server has answered".into()),
            false => self.failure(Some(&homes)),
        }
    }

    fn together(&self, verb: &'static str, keys: &[Vec<u8>], refuses: bool) -> Result<(), String> {
        let refuses = refuses && self.world.scenario.spread != Spread::Random;
        let homes: Vec<Option<Vec<usize>>> = keys
            .iter()
            .map(|key| self.world.homes(key, self.sent()))
            .collect();
        let known = homes
            .iter()
            .all(|home| home.as_ref().is_some_and(|home| home.len() == 1));
        let apart = homes.iter().any(|home| *home != homes[0]);
        if self.frame.starts_with(b"-CROSSSLOT ") {
            return match refuses && (apart || !known) {
                true => Ok(()),
                false => Err("refused although all keys belong together".into()),
            };
        }
        if refuses && known && apart && !self.frame.starts_with(b"-ERR ") {
            return Err("served although its keys belong to several servers".into());
        }
        self.keyed(verb, &keys[0])
    }

    /// A split request: the joined reply, or the error of one fragment.
    fn joined(
        &self,
        keys: &[Vec<u8>],
        is_whole: impl Fn(&Self, &[Vec<u8>]) -> bool,
    ) -> Result<(), String> {
        let failing: Vec<&Vec<u8>> = keys
            .iter()
            .filter(|key| keys::read(key).is_some_and(|key| key.mark == b'e'))
            .collect();
        if failing.iter().all(|key| self.may_miss(key)) && is_whole(self, keys) {
            return Ok(());
        }
        let error_of = |key: &&&Vec<u8>| {
            let homes = self.homes(key);
            homes.iter().any(|server| {
                self.is_answered_by(*server) && self.answer(*server, "", key) == self.frame
            })
        };
        if failing.iter().any(|key| error_of(&key)) {
            return Ok(());
        }
        let homes: Vec<usize> = keys.iter().flat_map(|key| self.homes(key)).collect();
        self.failure(Some(&homes))
    }

    fn is_array(&self, keys: &[Vec<u8>]) -> bool {
        let Some(mut rest) = self
            .frame
            .strip_prefix(format!("*{}\r\n", keys.len()).as_bytes())
        else {
            return false;
        };
        for key in keys {
            let found = self
                .homes(key)
                .into_iter()
                .find_map(|server| rest.strip_prefix(&self.answer(server, "", key)[..]));
            let missing = || rest.strip_prefix(self.missing_element(key)?);
            let Some(after) = found.or_else(missing) else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }

    /// Whether this is the beginning of such an array.
    fn begins_array(&self, keys: &[Vec<u8>]) -> bool {
        let header = format!("*{}\r\n", keys.len()).into_bytes();
        let Some(mut rest) = self.frame.strip_prefix(&header[..]) else {
            return header.starts_with(self.frame);
        };
        for key in keys {
            let homes = self.homes(key).into_iter();
            let mut elements: Vec<_> = homes.map(|server| self.answer(server, "", key)).collect();
            elements.extend(self.missing_element(key).map(<[u8]>::to_vec));
            if elements.iter().any(|element| element.starts_with(rest)) {
                return true;
            }
            let found = elements
                .iter()
                .find_map(|element| rest.strip_prefix(&element[..]));
            match found {
                Some(after) => rest = after,
                None => return false,
            }
        }
        false
    }

    /// Every server was asked, unless one was ejected: then none is.
    fn everywhere(&self) -> Result<(), String> {
        let ok: &[u8] = if self.world.scenario.redis {
            b"+OK\r\n"
        } else {
            b"OK\r\n"
        };
        if self.frame == ok || self.is_refused_as_ejected() {
            return Ok(());
        }
        self.failure(None)
    }

    /// A failure line is accepted only if it names something that happened to a connection to one of
    /// `servers` since the request was sent, or if all servers were ejected.
    fn failure(&self, servers: Option<&[usize]>) -> Result<(), String> {
        let begins = if self.world.scenario.redis {
            "-ERR "
        } else {
            "SERVER_ERROR "
        };
        let text = String::from_utf8_lossy(self.frame);
        let error = text.strip_prefix('-').unwrap_or_default().trim_end();
        if self
            .world
            .faults
            .explains_refusal(self.victim(servers), error)
        {
            return Ok(());
        }
        let Some(text) = text
            .strip_prefix(begins)
            .and_then(|text| text.strip_suffix("\r\n"))
        else {
            return Err("neither the answer nor a failure".into());
        };
        if self.is_of_old_servers(text) || self.is_named(text, servers)? {
            return Ok(());
        }
        let text = match (self.world.scenario.error_detail, text.split_once(": ")) {
            (true, Some((text, _detail))) => text,
            (true, None) => return Err("no detail although error_detail is set".into()),
            (false, _) => text,
        };
        if self.world.faults.explains(self.victim(servers), text) {
            return Ok(());
        }
        let sent_at = self.world.clients[self.id].sent_at_time(self.seq);
        let nobody_live = |set: &crate::placement::LiveSet| {
            set.mask == 0 && set.due.is_none_or(|due| sent_at < due)
        };
        match text == "Connection refused"
            && !self.world.scenario.keeps_keys()
            && self
                .world
                .placement_oracle
                .sets_since(self.sent())
                .iter()
                .any(nobody_live)
        {
            true => Ok(()),
            false => Err("an invented failure: nothing happened that explains it".into()),
        }
    }
}

fn placeholder(world: &mut World, id: usize, seq: usize, frame: &[u8]) -> Result<(), String> {
    let answer = if world.scenario.redis {
        redis::lolwut
    } else {
        memcached::version
    };
    let from = (0..world.condition.len()).find(|server| answer(*server) == frame);
    let sent = world.clients[id].sent_at_step(seq);
    match from {
        Some(server) => world.check_home(b"placeholder", server, sent),
        None => Case {
            world,
            id,
            seq,
            frame,
        }
        .failure(None),
    }
}

/// HELLO is granted if every server supports the version; a client with RESP3 parses everything after that as
/// RESP3.
fn hello(
    world: &mut World,
    id: usize,
    seq: usize,
    frame: &[u8],
    version3: bool,
) -> Result<(), String> {
    let scenario = &world.scenario;
    let grantable = !version3
        || world.clients[id].redis.version3
        || (scenario.resp3 && scenario.servers_speak_resp3);
    let granted = match (frame.first(), version3) {
        (Some(b'%'), true) => grantable && contains(frame, b"proto\r\n:3\r\n"),
        (Some(b'*'), false) => contains(frame, b"proto\r\n:2\r\n"),
        _ => false,
    };
    if granted {
        world.clients[id].redis.version3 = version3;
        return Ok(());
    }
    if frame == b"-NOPROTO unsupported protocol version\r\n" && !grantable {
        return Ok(());
    }
    let unknown = version3 && scenario.resp3 && frame.starts_with(b"-ERR ");
    let stormy = scenario.is_stormy();
    let case = Case {
        world,
        id,
        seq,
        frame,
    };
    match unknown && (stormy || case.is_refused_as_ejected()) {
        true => Ok(()),
        false => case.failure(None),
    }
}

/// What follows is RESP2 again.
fn reset(world: &mut World, id: usize, frame: &[u8]) -> Result<(), String> {
    world.clients[id].redis.version3 = false;
    match frame {
        b"+RESET\r\n" => Ok(()),
        _ => Err("not what RESET is answered".into()),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
